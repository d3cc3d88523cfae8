//! Alerts of others, silences and acknowledgements through the API, up to the message that is sent or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Agent, Alert, WebhookSink, request, wait_until};

const QUEUE: Alert<'_> = Alert("Queue", None);
const LIMIT: Duration = Duration::from_secs(10);

fn config(sink: &WebhookSink) -> String {
    format!(
        "targets: []\nrule_files: []\nalerting:\n  route: {{receiver: r, group_by: [alertname], group_wait: 0s, group_interval: 200ms, repeat_interval: 400ms}}\n  \
         receivers: [{{name: r, webhook_configs: [{{url: \"{}\"}}]}}]\n",
        sink.url()
    )
}

fn posted(agent: &Agent, path: &str, body: &Value) -> Value {
    let answer = agent.post(path, &body.to_string()).expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap_or(Value::Null)
}

/// A time so many seconds from now.
fn at(seconds: i64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    let then = jiff::Timestamp::from_millisecond(i64::try_from(now).expect("it fits") + seconds * 1000);
    then.expect("a time").to_string()
}

fn silence(name: &str, value: &str) -> Value {
    json!({
        "matchers": [{"name": name, "value": value, "isRegex": false}],
        "startsAt": at(0), "endsAt": at(3600), "createdBy": "me", "comment": "work",
    })
}

#[test]
fn an_alert_of_others_is_told_of_when_it_fires_and_ends_unless_it_is_silenced() {
    let sink = WebhookSink::start();
    let agent = Agent::start(&config(&sink));
    let since = Instant::now();
    posted(&agent, "/api/v2/silences", &silence("quiet", "yes"));
    let quiet = json!({"labels": {"alertname": "Quiet", "quiet": "yes"}});
    posted(
        &agent,
        "/api/v2/alerts",
        &json!([quiet, {"labels": {"alertname": "Queue"}, "annotations": {"summary": "long"}}]),
    );
    let told = sink.wait(QUEUE, "firing", since, LIMIT).what;
    assert_eq!(told["annotations"]["summary"], "long");
    posted(&agent, "/api/v2/alerts", &json!([{"labels": {"alertname": "Queue"}, "endsAt": at(1)}]));
    sink.wait(QUEUE, "resolved", since, LIMIT);
    let shown: Value = agent.get("/api/v2/alerts").json();
    assert_eq!(
        (shown[0]["labels"]["alertname"].as_str(), shown[0]["status"]["state"].as_str()),
        (Some("Quiet"), Some("suppressed"))
    );
    assert_eq!(sink.count(Alert("Quiet", None), "firing"), 0, "it is silenced");
}

#[test]
fn an_acknowledged_alert_brings_no_reminders_until_it_fires_anew() {
    let sink = WebhookSink::start();
    let agent = Agent::start(&config(&sink));
    let alert = json!([{"labels": {"alertname": "Queue"}}]);
    posted(&agent, "/api/v2/alerts", &alert);
    wait_until("it is reminded of", LIMIT, || (sink.count(QUEUE, "firing") >= 3).then_some(()));
    let fingerprint = agent.get("/api/v2/alerts").json()[0]["fingerprint"].clone();
    let note = posted(&agent, "/api/v2/alerts/ack", &json!({"fingerprint": fingerprint, "by": "ann"}));
    assert_eq!(note["by"], "ann");
    assert_eq!(agent.get("/api/v2/alerts/ack").json()[0]["fingerprint"], fingerprint);
    let before = sink.count(QUEUE, "firing");
    posted(&agent, "/api/v2/alerts", &json!([{"labels": {"alertname": "Other"}}]));
    wait_until("another is reminded of", LIMIT, || (sink.count(Alert("Other", None), "firing") >= 6).then_some(()));
    assert!(sink.count(QUEUE, "firing") <= before + 1, "but for one that was under way, nothing is sent");

    // A link that nobody signed shows nothing and does nothing.
    let forged = format!("/acknowledge?alert={}&since=0&signature=00", fingerprint.as_str().expect("a text"));
    assert_eq!((agent.get(&forged).status, agent.post(&forged, "").expect("an answer").status), (403, 403));

    // It ends, which is told, and fires anew: that is another time, with its own reminders.
    let since = Instant::now();
    posted(&agent, "/api/v2/alerts", &json!([{"labels": {"alertname": "Queue"}, "endsAt": at(0)}]));
    sink.wait(QUEUE, "resolved", since, LIMIT);
    let before = sink.count(QUEUE, "firing");
    posted(&agent, "/api/v2/alerts", &alert);
    wait_until("it is reminded of again", LIMIT, || (sink.count(QUEUE, "firing") >= before + 3).then_some(()));
}

/// Of those that were answered none is lost, however the agent ends.
#[test]
fn silences_survive_kill_9() {
    let (folder, sink) = (Arc::new(tempfile::tempdir().expect("a folder")), WebhookSink::start());
    let mut answered: Vec<String> = Vec::new();
    for round in 0..5 {
        let mut agent = Agent::start_in(&folder, &config(&sink));
        agent.wait_for("/readyz");
        let known: Vec<Value> = agent.get("/api/v2/silences").json().as_array().expect("a list").clone();
        for id in &answered {
            assert!(known.iter().any(|silence| silence["id"] == id.as_str()), "round {round}: {id} is lost");
        }
        let (port, stop) = (agent.port(), Arc::new(AtomicBool::new(false)));
        let writers = (0..3).map(|writer| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                let mut ids = Vec::new();
                while !stop.load(Ordering::Relaxed) && ids.len() < 500 {
                    let body = silence("writer", &format!("{writer}-{}", ids.len())).to_string();
                    let kind = [("content-type", "application/json")];
                    let Some(answer) = request(port, "POST", "/api/v2/silences", &kind, &body) else { break };
                    let id = serde_json::from_str::<Value>(&answer.body).ok();
                    let Some(id) = id.and_then(|it| Some(it["silenceID"].as_str()?.to_owned())) else { break };
                    ids.push(id);
                }
                ids
            })
        });
        let writers: Vec<_> = writers.collect();
        thread::sleep(Duration::from_millis(150 + 70 * round));
        agent.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            answered.extend(writer.join().expect("a writer"));
        }
    }
    assert!(answered.len() > 20, "only {} silences were answered", answered.len());
}
