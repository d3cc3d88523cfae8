//! Ten thousand alerts at once, in fifty groups, for ten channels of which one is dead: the others hear all of it, and what
//! the dead one has not heard is bounded and shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Agent, Answer, HttpServer, Silent, wait_until};

const ALERTS: usize = 10_000;
const GROUPS: usize = 50;
const WELL: usize = 9;
/// More than that, the agent with its history of these series included, would not be bounded.
const MOST_MEMORY: usize = 600 << 20;

/// What a channel heard: how often of each alert.
type Heard = Arc<Mutex<BTreeMap<String, usize>>>;

fn hook() -> (HttpServer, Heard) {
    let heard = Heard::default();
    let hear = Arc::clone(&heard);
    let keys = Mutex::new(BTreeSet::new());
    let server = HttpServer::start(move |request| {
        let key = request.header("idempotency-key").expect("a key").to_owned();
        if keys.lock().expect("no panic").insert(key) {
            let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
            let mut heard = hear.lock().expect("no panic");
            for alert in body["alerts"].as_array().expect("alerts").iter().filter(|alert| alert["status"] == "firing") {
                *heard.entry(alert["labels"]["n"].as_str().expect("a label").to_owned()).or_default() += 1;
            }
        }
        Answer::new(200, "text/plain", "ok")
    });
    (server, heard)
}

#[test]
fn ten_thousand_alerts_reach_nine_channels_though_the_tenth_is_dead() {
    let lines =
        (0..ALERTS).map(|n| format!("fault{{n=\"{n}\",team=\"{}\"}} 1\n", n % GROUPS)).collect::<Vec<_>>().concat();
    let app = HttpServer::start(move |_| Answer::new(200, "text/plain; version=0.0.4", lines.as_str()));
    let hooks: Vec<_> = (0..WELL).map(|_| hook()).collect();
    let dead = Silent::start();
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let rules =
        "groups: [{name: storm, rules: [{alert: Fault, expr: fault == 1, annotations: {summary: It is broken}}]}]\n";
    std::fs::write(folder.path().join("rules.yml"), rules).expect("our folder");
    let urls = hooks.iter().map(|(server, _)| server.url("/")).chain([format!("http://127.0.0.1:{}/", dead.port())]);
    let hooks_config: Vec<_> = urls.map(|url| format!("{{url: \"{url}\", timeout: 5s}}")).collect();
    let config = format!(
        "global: {{scrape_interval: 1m, scrape_timeout: 1m, evaluation_interval: 10s}}\nlog: {{level: warn}}\n\
         targets: [{{name: app, kind: prometheus, url: \"{}\"}}]\nrule_files: [rules.yml]\nalerting:\n  \
         route: {{receiver: all, group_by: [team], group_wait: 2s, group_interval: 5m, repeat_interval: 4h}}\n  \
         receivers: [{{name: all, webhook_configs: [{}]}}]\n",
        app.url("/metrics"),
        hooks_config.join(", "),
    );
    let agent = Agent::start_in(&folder, &config);
    agent.wait_for("/healthz");
    for (number, (_, heard)) in hooks.iter().enumerate() {
        wait_until(&format!("channel {number} has heard of every alert"), Duration::from_mins(5), || {
            (heard.lock().expect("no panic").len() == ALERTS).then_some(())
        });
    }
    let page = agent.metrics();
    let of_all = [("receiver", "all"), ("integration", "webhook")];
    let length = page.value("sidewatch_notification_queue_length", &of_all).expect("a backlog");
    assert!((length - GROUPS as f64).abs() < 0.5, "{length} wait: one for each group, of the dead one alone");
    let oldest = page.value("sidewatch_notification_queue_oldest_seconds", &of_all).expect("its age");
    assert!(oldest > 0.0);
    assert!(page.value("sidewatch_outbox_records", &[]).is_some_and(|records| records > 0.0));
    assert_eq!(page.value("sidewatch_notifications_dropped_total", &[]), Some(0.0));
    let taken = page.value("alertmanager_notifications_total", &[("integration", "webhook")]).expect("a count");
    assert!((taken - (WELL * GROUPS) as f64).abs() < 0.5, "{taken} were taken");
    assert!(agent.resident() < MOST_MEMORY, "{} bytes in memory", agent.resident());
    for (_, heard) in &hooks {
        let heard = heard.lock().expect("no panic");
        assert!(heard.values().all(|times| *times == 1), "an alert was told twice");
    }
}
