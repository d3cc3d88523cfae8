//! A killed Postgres does not end the alert about its connections: `alerting.hold_missing`.

use std::time::{Duration, Instant};

use crate::support::{Agent, Alert, RealPostgres, WebhookSink, wait_until};

const RULES: &str = r#"
groups:
- name: connections
  rules:
  - {alert: ManySessions, expr: 'sum by (instance) (pg_stat_activity_count{state=~"idle in transaction|active|idle"}) > 6'}
"#;

const MANY: Alert<'static> = Alert("ManySessions", None);

fn config(postgres: &RealPostgres, hook: &WebhookSink, hold: &str) -> String {
    format!(
        r#"
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms}}
targets: [{{name: orders, url: "{}"}}]
rule_files: [sessions.yml]
alerting:
  route: {{receiver: on-call, group_wait: 0s, group_interval: 1s}}
  receivers: [{{name: on-call, webhook_configs: [{{url: "{}"}}]}}]
  hold_missing: {hold}
"#,
        postgres.url(),
        hook.url(),
    )
}

/// The agent's alert, if it knows one.
fn alert(agent: &Agent) -> Option<serde_json::Value> {
    let alerts = agent.get("/api/v1/alerts").json();
    alerts["data"]["alerts"].as_array()?.first().cloned()
}

fn start(postgres: &RealPostgres, hook: &WebhookSink, hold: &str) -> Agent {
    let folder = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("sessions.yml"), RULES).expect("our folder");
    let agent = Agent::start_in(&folder, &config(postgres, hook, hold));
    agent.wait_for("/readyz");
    agent
}

fn ends_once_it_is_back(postgres: &mut RealPostgres, hook: &WebhookSink, patience: Duration) {
    let mended = Instant::now();
    postgres.start_again();
    hook.wait(MANY, "resolved", mended, patience);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(hook.count(MANY, "resolved"), 1);
}

#[test]
fn a_killed_postgres_does_not_end_the_alert_about_its_sessions() {
    let mut postgres = RealPostgres::start();
    let (hook, patience) = (WebhookSink::start(), Duration::from_secs(30));
    let agent = start(&postgres, &hook, "1h");
    let sessions: Vec<_> = (0..8).map(|_| postgres.hold("shop", "select 1")).collect();
    let begun = Instant::now();
    hook.wait(MANY, "firing", begun, patience);
    postgres.signal_all("KILL");
    drop(sessions);
    let held = wait_until("the alert is held, and says so", patience, || {
        let annotations = alert(&agent)?["annotations"].clone();
        annotations["held"].as_str().map(str::to_owned)
    });
    assert!(held.contains("the look at `orders` failed"), "{held}");
    // The series have been stale for many evaluations by then, and their group's interval has passed as often.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(hook.count(MANY, "resolved"), 0);
    assert_eq!(alert(&agent).expect("it still fires")["state"], "firing");
    ends_once_it_is_back(&mut postgres, &hook, patience);
}

#[test]
fn a_kill_of_the_agent_does_not_end_it_either() {
    let mut postgres = RealPostgres::start();
    let (hook, patience) = (WebhookSink::start(), Duration::from_secs(30));
    let folder = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
    std::fs::write(folder.path().join("sessions.yml"), RULES).expect("our folder");
    // Whoever is not spoken of ends soon after the start.
    let config = config(&postgres, &hook, "1h").replace("alerting:\n", "alerting:\n  global: {resolve_timeout: 3s}\n");
    let mut agent = Agent::start_in(&folder, &config);
    agent.wait_for("/readyz");
    let sessions: Vec<_> = (0..8).map(|_| postgres.hold("shop", "select 1")).collect();
    hook.wait(MANY, "firing", Instant::now(), patience);
    postgres.signal_all("KILL");
    drop(sessions);
    let is_held = |agent: &Agent| alert(agent)?["annotations"]["held"].as_str().map(str::to_owned);
    wait_until("the alert is held", patience, || is_held(&agent));
    // Long enough for the log of what was measured to be on disk.
    std::thread::sleep(Duration::from_secs(3));
    agent.kill();
    let agent = Agent::start_in(&folder, &config);
    agent.wait_for("/readyz");
    wait_until("the alert is held again", patience, || is_held(&agent));
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(hook.count(MANY, "resolved"), 0);
    ends_once_it_is_back(&mut postgres, &hook, patience);
}

#[test]
fn without_it_the_alert_ends_as_with_prometheus() {
    let postgres = RealPostgres::start();
    let (hook, patience) = (WebhookSink::start(), Duration::from_secs(30));
    let _agent = start(&postgres, &hook, "0s");
    let sessions: Vec<_> = (0..8).map(|_| postgres.hold("shop", "select 1")).collect();
    let begun = Instant::now();
    hook.wait(MANY, "firing", begun, patience);
    postgres.signal_all("KILL");
    drop(sessions);
    hook.wait(MANY, "resolved", begun, patience);
}
