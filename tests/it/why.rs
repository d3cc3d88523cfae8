//! `sidewatch why`, against an agent whose alerts are in every state that there is.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Agent, Answer, HttpServer, WebhookSink, command, free_port, try_run, wait_until};

const RULES: &str = r#"
groups:
- name: g
  rules:
  - {alert: Calm, expr: "load{team='a'} > 100"}
  - {alert: Nothing, expr: nobody_shows_this > 1}
  - {alert: Waits, expr: load > 5, for: 1h}
  - {alert: Told, expr: load > 5, labels: {team: a}}
  - {alert: Lost, expr: load > 5, labels: {team: dead}}
  - {alert: Quiet, expr: load > 5, labels: {team: q}}
  - {alert: Muted, expr: load > 5, labels: {team: m}}
  - {alert: Grouped, expr: load > 5, labels: {team: g}}
  - {alert: Twin, expr: load > 5, labels: {team: t}}
"#;

fn why(agent: &Agent, words: &[&str]) -> (bool, String) {
    let url = format!("http://127.0.0.1:{}", agent.port());
    try_run(command().arg("why").args(words).args(["--url", &url]))
}

#[test]
fn it_is_said_why_an_alert_fires_or_is_not_heard_of() {
    let app = HttpServer::start(|_| Answer::new(200, "text/plain", "load{team=\"a\"} 7\n"));
    let (hook, folder) = (WebhookSink::start(), Arc::new(tempfile::tempdir().expect("a folder")));
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("our folder");
    let config = format!(
        r#"
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
targets: [{{name: app, kind: prometheus, url: "{}"}}]
rule_files: [rules.yml]
alerting:
  route:
    receiver: on-call
    group_wait: 0s
    group_interval: 1s
    routes:
    - {{matchers: [team="dead"], receiver: dead}}
    - {{matchers: [team="m"], receiver: on-call, mute_time_intervals: [always]}}
    - {{matchers: [team="g"], receiver: on-call, group_wait: 1h}}
  time_intervals: [{{name: always, time_intervals: [{{times: [{{start_time: "00:00", end_time: "24:00"}}]}}]}}]
  receivers:
  - {{name: on-call, webhook_configs: [{{url: "{}"}}]}}
  - {{name: dead, webhook_configs: [{{url: "http://127.0.0.1:{}/"}}]}}
"#,
        app.url("/metrics"),
        hook.url(),
        free_port(),
    );
    let agent = Agent::start_in(&folder, &config);
    agent.wait_for("/readyz");
    let until = |alert: &str, words: &str| {
        wait_until(&format!("why {alert} says: {words}"), Duration::from_mins(1), || {
            let (well, said) = why(&agent, &[alert]);
            (well && said.contains(words)).then_some(said)
        })
    };
    until("Told", "told to on-call");
    let calm = until("Calm", "it does not fire");
    assert!(calm.contains("team=\"a\"}  7, it would fire at > 100"), "{calm}");
    until("Nothing", "there is no value of nobody_shows_this");
    let waits = until("Waits", "pending for");
    assert!(waits.contains("it fires in 59m") && waits.contains("load > 5, for 1h"), "{waits}");
    until("Lost", "dead/webhook fails: ");
    let silence = r#"{"matchers": [{"name": "team", "value": "q", "isRegex": false}], "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2099-01-01T00:00:00Z", "createdBy": "kim", "comment": "moving house"}"#;
    assert_eq!(agent.post("/api/v2/silences", silence).expect("an answer").status, 200);
    let quiet = until("Quiet", "nobody is told while that lasts");
    assert!(quiet.contains("silenced until 2099-01-01T00:00:00.000Z by kim: moving house"), "{quiet}");
    let muted = until("Muted", "on-call is muted by the time interval always");
    assert!(muted.contains("nobody is told while that lasts") && !muted.contains("told to on-call"), "{muted}");
    let grouped = until("Grouped", "waiting for others of its group before it is told to on-call");
    assert!(!grouped.contains(" told to on-call\n    told"), "{grouped}");

    // Another's alert with the same labels and more is not it, wherever it comes in the list.
    until("Twin", "told to on-call");
    let others = r#"[{"labels": {"alertname": "Twin", "team": "t", "a": "b"}}, {"labels": {"alertname": "Twin", "team": "t", "zone": "z"}}]"#;
    assert_eq!(agent.post("/api/v2/alerts", others).expect("an answer").status, 200);
    for name in ["a", "zone"] {
        let by = format!(
            r#"{{"matchers": [{{"name": "{name}", "value": ".+", "isRegex": true}}], "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "2099-01-01T00:00:00Z", "createdBy": "kim", "comment": "theirs"}}"#
        );
        assert_eq!(agent.post("/api/v2/silences", &by).expect("an answer").status, 200);
    }
    let twin = until("Twin", "told to on-call");
    assert!(!twin.contains("silenced"), "{twin}");
    let (well, said) = why(&agent, &["Nope"]);
    assert!(
        !well && said.contains("no rule is called Nope; there are: Calm, Grouped, Lost, Muted, Nothing, "),
        "{said}"
    );
    let (well, said) = why(&agent, &["Told", "--format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(well && said[0]["alerts"][0]["receivers"][0] == "on-call", "{said}");
}
