//! `alerting.alertmanagers`: the agent's alerts at real Alertmanagers, and beside those of a real Prometheus.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::page::Line;
use crate::support::peers::newest;
use crate::support::{
    Agent, Alert, Answer, HttpServer, Page, RealAlertmanager, RealPrometheus, WebhookSink, get, post, wait_until,
};

const PATIENCE: Duration = Duration::from_mins(1);

const RULES: &str = r#"
groups:
- name: shop
  rules:
  - alert: QueueLong
    expr: 'shop_queue_length{queue!=""} > 10'
    labels: {severity: critical, which: '{{ $labels.queue | toUpper }}', empty: ''}
    annotations: {summary: 'The queue holds {{ $value }} <orders>', runbook_url: 'http://wiki/queue'}
"#;

const LONG: Alert<'static> = Alert("QueueLong", None);

/// An application whose queue is as long as the test says; below zero it does not answer.
struct Shop {
    server: HttpServer,
    length: Arc<AtomicI64>,
}

impl Shop {
    fn start() -> Self {
        let length = Arc::new(AtomicI64::new(0));
        let now = Arc::clone(&length);
        let server = HttpServer::start(move |_| match now.load(Ordering::Relaxed) {
            length @ 0.. => {
                let page = format!("# TYPE shop_queue_length gauge\nshop_queue_length{{queue=\"orders\"}} {length}\n");
                Answer::new(200, "text/plain; version=0.0.4", page)
            }
            _ => Answer::new(500, "text/plain", "down"),
        });
        Self { server, length }
    }

    fn set(&self, length: i64) {
        self.length.store(length, Ordering::Relaxed);
    }
}

/// An agent that watches the shop, with its section `alerting`.
fn agent(shop: &Shop, alerting: &str) -> Agent {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("our folder");
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms, \
         external_labels: {{environment: test, severity: low}}}}\n\
         targets: [{{name: shop, kind: prometheus, url: '{}'}}]\nrule_files: [rules.yml]\nalerting: {alerting}\n",
        shop.server.url("/metrics"),
    );
    let agent = Agent::start_in(&folder, &config);
    agent.wait_for("/readyz");
    agent
}

/// An Alertmanager that tells a hook.
fn alertmanager(hook: &WebhookSink) -> RealAlertmanager {
    RealAlertmanager::start(&format!(
        "route: {{receiver: hook, group_wait: 0s, group_interval: 1s}}\n\
         receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]\n",
        hook.url()
    ))
}

fn has_it(alertmanager: &RealAlertmanager) -> Option<Value> {
    alertmanager.alerts().into_iter().find(|alert| alert["labels"]["alertname"] == "QueueLong")
}

#[test]
fn each_alertmanager_hears_of_each_alert_and_one_that_was_away_after_its_return() {
    let (shop, hooks) = (Shop::start(), [WebhookSink::start(), WebhookSink::start()]);
    let (one, mut other) = (alertmanager(&hooks[0]), alertmanager(&hooks[1]));
    let handing_to = format!(
        "{{resend_delay: 2s, alertmanagers: [{{url: 'http://u:s3cret@127.0.0.1:{}'}}, {{static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]}}",
        one.port(),
        other.port()
    );
    let agent = agent(&shop, &handing_to);
    let begun = Instant::now();
    shop.set(11);
    let has = |alertmanager: &RealAlertmanager| wait_until("it has the alert", PATIENCE, || has_it(alertmanager));
    let alert = has(&one);
    assert_eq!(alert["fingerprint"], has(&other)["fingerprint"]);
    assert_eq!(
        alert["labels"],
        json!({"alertname": "QueueLong", "severity": "critical", "which": "ORDERS", "queue": "orders",
            "environment": "test", "job": "shop", "instance": format!("127.0.0.1:{}", shop.server.port())})
    );
    for hook in &hooks {
        hook.wait(LONG, "firing", begun, PATIENCE);
    }

    // An Alertmanager keeps no alerts over its death: what it has then it was told anew.
    other.kill();
    wait_until("the dead one is noticed", PATIENCE, || {
        let url = format!("http://127.0.0.1:{}/api/v2/alerts", other.port());
        let page = agent.metrics();
        page.value("prometheus_notifications_errors_total", &[("alertmanager", &url)])
            .filter(|errors| *errors > 0.0)?;
        let waiting = page.value("prometheus_notifications_queue_length", &[("alertmanager", &url)]);
        waiting.filter(|waiting| *waiting > 0.0)
    });
    other.start_again();
    has(&other);

    // What is held because its data are gone is none that has ended: the Alertmanagers would end it after eight seconds.
    shop.set(-1);
    std::thread::sleep(Duration::from_secs(10));
    for alertmanager in [&one, &other] {
        let held = has_it(alertmanager).expect("it is held");
        assert!(held["annotations"]["held"].is_string(), "{held}");
    }

    let ended = Instant::now();
    shop.set(3);
    for hook in &hooks {
        hook.wait(LONG, "resolved", ended, PATIENCE);
    }
    for alertmanager in [&one, &other] {
        assert_eq!(has_it(alertmanager), None);
    }
    assert_eq!(hooks[0].count(LONG, "resolved"), 1);

    let listed = agent.get("/api/v1/alertmanagers").json();
    assert_eq!(
        listed["data"]["activeAlertmanagers"],
        json!([one.port(), other.port()].map(|port| json!({"url": format!("http://127.0.0.1:{port}/api/v2/alerts")})))
    );
    assert!(!agent.metrics_as("text/plain").body.contains("s3cret") && !agent.log().contains("s3cret"));
}

#[test]
fn what_fired_when_the_agent_was_killed_ends_by_itself_and_an_agent_that_returns_takes_it_up() {
    let (shop, hook) = (Shop::start(), WebhookSink::start());
    let alertmanager = alertmanager(&hook);
    let mut agent =
        agent(&shop, &format!("{{resend_delay: 1s, alertmanagers: ['http://127.0.0.1:{}']}}", alertmanager.port()));
    let begun = Instant::now();
    shop.set(11);
    hook.wait(LONG, "firing", begun, PATIENCE);
    let killed = Instant::now();
    agent.kill();
    hook.wait(LONG, "resolved", killed, PATIENCE);
    assert!(killed.elapsed() > Duration::from_secs(2), "four times the resend delay counts from the last message");
    assert_eq!(has_it(&alertmanager), None);
}

#[test]
fn its_own_receivers_are_told_too() {
    let (shop, own, theirs) = (Shop::start(), WebhookSink::start(), WebhookSink::start());
    let alertmanager = alertmanager(&theirs);
    let alerting = format!(
        "{{alertmanagers: ['http://127.0.0.1:1', 'http://127.0.0.1:{}'], alert_relabel_configs: [{{action: labeldrop, regex: queue}}], \
         route: {{receiver: own, group_wait: 0s, group_interval: 1s}}, receivers: [{{name: own, webhook_configs: [{{url: '{}'}}]}}]}}",
        alertmanager.port(),
        own.url()
    );
    let _agent = agent(&shop, &alerting);
    let begun = Instant::now();
    shop.set(11);
    let (own, theirs) = (own.wait(LONG, "firing", begun, PATIENCE), theirs.wait(LONG, "firing", begun, PATIENCE));
    assert_eq!(own.what["labels"]["queue"], "orders");
    assert_eq!(theirs.what["labels"].get("queue"), None);
    assert_eq!(own.what["startsAt"], theirs.what["startsAt"]);
}

/// Alertmanager's own figures about what is posted to it and silenced.
#[test]
fn alerts_and_silences_are_counted_as_alertmanager_counts_them() {
    // Alertmanager looks at no alert, and counts it as unprocessed, whose receiver has no channel.
    let hook = WebhookSink::start();
    let alertmanager = alertmanager(&hook);
    let agent = Agent::start(&format!(
        "alerting: {{route: {{receiver: hook, group_wait: 0s}}, receivers: [{{name: hook, webhook_configs: [{{url: '{}'}}]}}]}}\n",
        hook.url()
    ));
    let silence = json!({"matchers": [{"name": "alertname", "value": "Quiet", "isRegex": false}], "createdBy": "t", "comment": "c",
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2096-01-01T00:00:00Z"});
    let later = json!({"matchers": [{"name": "alertname", "value": "Later", "isRegex": false}], "createdBy": "t", "comment": "c",
        "startsAt": "2095-01-01T00:00:00Z", "endsAt": "2096-01-01T00:00:00Z"});
    let alerts = json!([{"labels": {"alertname": "Loud"}}, {"labels": {"alertname": "Quiet"}}, {"labels": {"alertname": ""}},
        {"labels": {"alertname": "Over"}, "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2020-01-02T00:00:00Z"}]);
    for port in [alertmanager.port(), agent.port()] {
        for (path, body, status) in [("silences", &silence, 200), ("silences", &later, 200), ("alerts", &alerts, 400)] {
            let answer = post(port, &format!("/api/v2/{path}"), &body.to_string()).expect("an answer");
            assert_eq!(answer.status, status, "{}", answer.body);
        }
    }
    let names = [
        "alertmanager_alerts",
        "alertmanager_silences",
        "alertmanager_alerts_received_total",
        "alertmanager_alerts_invalid_total",
    ];
    let figures = |page: &Page| {
        let ours = page.0.iter().filter(|line| names.contains(&line.name.as_str()));
        let shown = |line: &Line| {
            let labels: Vec<_> =
                ["state", "status", "version"].iter().filter_map(|name| line.labels.get(*name)).collect();
            format!("{} {labels:?} {}", line.name, line.value)
        };
        ours.map(shown).collect::<BTreeSet<_>>()
    };
    let mut told = String::new();
    let same = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until("both count the same", PATIENCE, || {
            let theirs = figures(&Page::parse(&get(alertmanager.port(), "/metrics").body));
            let ours = figures(&agent.metrics());
            told = format!("theirs {theirs:#?}\nours {ours:#?}");
            (theirs.len() == 9 && theirs == ours).then_some(())
        });
    }));
    assert!(same.is_ok(), "{told}");
}

/// Takes what is posted as an Alertmanager takes it, for the test.
struct Taking {
    server: HttpServer,
    alerts: Arc<Mutex<Vec<Value>>>,
}

impl Taking {
    fn start() -> Self {
        let alerts = Arc::<Mutex<Vec<Value>>>::default();
        let taken = Arc::clone(&alerts);
        let server = HttpServer::start(move |request| {
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/api/v2/alerts"));
            assert_eq!(request.header("content-type"), Some("application/json"));
            let posted: Vec<Value> = serde_json::from_str(&request.body).expect("a list");
            taken.lock().expect("no holder panics").extend(posted);
            Answer::new(200, "application/json", "")
        });
        Self { server, alerts }
    }

    fn target(&self) -> String {
        format!("127.0.0.1:{}", self.server.port())
    }

    /// The first alert that was told and for which it holds.
    fn first(&self, holds: impl Fn(&Value) -> bool) -> Value {
        wait_until("it is told", PATIENCE, || {
            self.alerts.lock().expect("no holder panics").iter().find(|alert| holds(alert)).cloned()
        })
    }
}

impl Taking {
    /// The alert as it was told when it had ended: the first whose end is before one that was said earlier.
    fn ended(&self) -> Value {
        wait_until("the end is told", PATIENCE, || {
            let all = self.alerts.lock().expect("no holder panics");
            let ends: Vec<_> = all.iter().map(|alert| millis(&alert["endsAt"])).collect();
            let at = ends.windows(2).position(|pair| pair[1] < pair[0])?;
            Some(all[at + 1].clone())
        })
    }
}

fn millis(time: &Value) -> i64 {
    let text = time.as_str().expect("a time");
    assert!(text.ends_with('Z') && text.len() == "2026-01-01T00:00:00.000Z".len(), "{text}");
    text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()
}

/// Without its times and without where its `generatorURL` leads to.
fn without_times(alert: &Value) -> Value {
    let mut alert = alert.clone();
    let url = alert["generatorURL"].as_str().expect("a URL");
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).expect("a path").1.to_owned();
    alert["generatorURL"] = path.into();
    alert["startsAt"] = Value::Null;
    alert["endsAt"] = Value::Null;
    alert
}

#[test]
fn prometheus_and_the_agent_hand_over_the_same() {
    let (shop, hook, theirs, ours) = (Shop::start(), WebhookSink::start(), Taking::start(), Taking::start());
    let alertmanager = alertmanager(&hook);
    let folder = TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("our folder");
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms, \
         external_labels: {{environment: test, severity: low}}}}\n\
         scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n\
         rule_files: ['{}/rules.yml']\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{}', '127.0.0.1:{}']}}]}}]}}\n",
        shop.server.port(),
        folder.path().display(),
        theirs.target(),
        alertmanager.port(),
    );
    let delay = ["--rules.alert.resend-delay=5s"];
    let prometheus = RealPrometheus::start_with(&newest("prometheus"), &config, &delay);
    let alerting = format!(
        "{{resend_delay: 5s, alertmanagers: [{{static_configs: [{{targets: ['{}', '127.0.0.1:{}']}}]}}]}}",
        ours.target(),
        alertmanager.port()
    );
    let agent = agent(&shop, &alerting);
    assert_eq!(
        agent.get("/api/v1/alertmanagers").json()["data"]["activeAlertmanagers"][1],
        wait_until("Prometheus has found it", PATIENCE, || {
            let answer = get(prometheus.port(), "/api/v1/alertmanagers").json();
            answer["data"]["activeAlertmanagers"].as_array()?.get(1).cloned()
        })
    );
    shop.set(11);
    let (their, our) = (theirs.first(|_| true), ours.first(|_| true));
    assert_eq!(without_times(&our), without_times(&their));
    // Theirs counts from the evaluation, ours from the message.
    for alert in [&their, &our] {
        let valid = millis(&alert["endsAt"]) - millis(&alert["startsAt"]);
        assert!((20_000..60_000).contains(&valid), "{alert}");
    }
    let listed = || {
        let now: Vec<_> = alertmanager.alerts().iter().map(|alert| alert["fingerprint"].clone()).collect();
        (!now.is_empty()).then_some(now)
    };
    assert_eq!(wait_until("Alertmanager has it", PATIENCE, listed).len(), 1, "one alert for both");
    let again = |taking: &Taking| {
        let first = taking.first(|_| true);
        taking.first(|alert| millis(&alert["endsAt"]) > millis(&first["endsAt"]))
    };
    for (taking, first) in [(&theirs, &their), (&ours, &our)] {
        let again = again(taking);
        assert_eq!((&again["startsAt"], without_times(&again)), (&first["startsAt"], without_times(first)));
        let pause = millis(&again["endsAt"]) - millis(&first["endsAt"]);
        assert!((4_500..40_000).contains(&pause), "{pause}");
    }
    shop.set(3);
    let (their, our) = (theirs.ended(), ours.ended());
    assert_eq!(without_times(&our), without_times(&their));
    // The end is that of the evaluation, and is said again.
    for (taking, end) in [(&theirs, &their["endsAt"]), (&ours, &our["endsAt"])] {
        wait_until("the end is said again", PATIENCE, || {
            let all = taking.alerts.lock().expect("no holder panics");
            (all.iter().filter(|alert| alert["endsAt"] == *end).count() > 1).then_some(())
        });
    }
}
