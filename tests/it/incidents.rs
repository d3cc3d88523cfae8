//! The whole path of an incident: fault, look, `/health`, metrics, rule, mail and webhook, and back again.

use std::time::{Duration, Instant, SystemTime};

use crate::support::{
    Agent, Alert, BASE, DockerEngine, HttpApp, KEY, OpenAiServer, Page, RealPostgres, RealRedis, SmtpSink, WebhookSink,
    repository, wait_until,
};

/// What the configuration below says, and the shipped rules' `for`.
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(1);
const EVALUATION: Duration = Duration::from_millis(500);
const FOR: Duration = Duration::from_secs(10);
const GROUP_WAIT: Duration = Duration::from_secs(1);
const GROUP_INTERVAL: Duration = Duration::from_secs(2);
/// From the deciding evaluation to the message, beyond what the configuration asks to wait.
const SLACK: Duration = Duration::from_millis(100);

/// From a fault to the message at the latest.
const UNTIL_TOLD: Duration = INTERVAL
    .saturating_add(TIMEOUT)
    .saturating_add(EVALUATION)
    .saturating_add(FOR)
    .saturating_add(GROUP_WAIT)
    .saturating_add(SLACK);

/// From the mending to the message at the latest; a group that was just told waits its interval first.
const UNTIL_RESOLVED: Duration =
    INTERVAL.saturating_add(TIMEOUT).saturating_add(EVALUATION).saturating_add(GROUP_INTERVAL).saturating_add(SLACK);

/// Everything that the agent looks at and tells.
struct Stack {
    app: HttpApp,
    redis: RealRedis,
    postgres: RealPostgres,
    openai: OpenAiServer,
    hook: WebhookSink,
    mail: SmtpSink,
}

impl Stack {
    fn start() -> Self {
        Self {
            app: HttpApp::start(),
            redis: RealRedis::start(),
            postgres: RealPostgres::start(),
            openai: OpenAiServer::start(),
            hook: WebhookSink::start(),
            mail: SmtpSink::start(),
        }
    }

    fn config(&self, engine: &DockerEngine) -> String {
        format!(
            r#"
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 500ms, external_labels: {{environment: test}}}}
targets:
  - {{name: app, url: "{app}"}}
  - {{name: app-metrics, kind: prometheus, url: "{app_metrics}"}}
  - {{name: orders, url: "{postgres}"}}
  - {{name: cache, url: "{redis}"}}
  - {{name: docker, kind: docker, url: "{docker}"}}
  - {{name: host, kind: host}}
  - {{name: openai, kind: llm, provider: openai, url: "{openai}", api_key: "{KEY}"}}
rule_files: ["{repository}/alerts/*.yml"]
alerting:
  global: {{smtp_smarthost: "{smtp}", smtp_from: sidewatch@example.org, smtp_require_tls: false}}
  route: {{receiver: on-call, group_by: [alertname, instance, name], group_wait: 1s, group_interval: 2s, repeat_interval: 4h}}
  receivers:
    - name: on-call
      webhook_configs: [{{url: "{hook}"}}]
      email_configs: [{{to: oncall@example.org, send_resolved: true}}]
"#,
            app = self.app.url("/health"),
            app_metrics = self.app.url("/metrics"),
            postgres = self.postgres.url(),
            redis = self.redis.url(),
            docker = engine.url(),
            openai = self.openai.url(),
            repository = repository().display(),
            smtp = self.mail.smarthost(),
            hook = self.hook.url(),
        )
    }

    /// The message comes in time, both ways, and soon after the evaluation that decided it.
    fn assert_told(&self, alert: Alert<'_>, since: Instant) {
        let left = UNTIL_TOLD.saturating_sub(since.elapsed()) + Duration::from_secs(5);
        let hook = self.hook.wait(alert, "firing", since, left);
        let mail = self.mail.wait(&["firing", alert.0, alert.1.unwrap_or_default()], since, left);
        for (way, at) in [("webhook", hook.at), ("mail", mail.at)] {
            assert!(
                at - since <= UNTIL_TOLD,
                "the {way} for {alert:?} came after {:?}, not {UNTIL_TOLD:?}",
                at - since
            );
        }
        let decided: jiff::Timestamp = hook.what["startsAt"].as_str().expect("a time").parse().expect("RFC 3339");
        let took = hook.wall.duration_since(SystemTime::from(decided)).unwrap_or_default();
        assert!(took <= GROUP_WAIT + SLACK, "{alert:?} was decided {took:?} before the webhook");
        assert!(mail.what.to.iter().any(|to| to.contains("oncall@example.org")), "{:?}", mail.what.to);
    }

    fn assert_resolved(&self, alert: Alert<'_>, since: Instant) {
        let arrival = self.hook.wait(alert, "resolved", since, UNTIL_RESOLVED + Duration::from_secs(5));
        let took = arrival.at - since;
        assert!(took <= UNTIL_RESOLVED, "{alert:?} was resolved after {took:?}, not {UNTIL_RESOLVED:?}");
        self.mail.wait(&["resolved", alert.0, alert.1.unwrap_or_default()], since, Duration::from_secs(5));
    }
}

/// `/health` names the target with a reason that holds `words`, within one interval and time-out.
fn assert_unhealthy(agent: &Agent, target: &str, words: &[&str]) {
    let what = format!("/health says 503 and why {target} is ill: {words:?}");
    wait_until(&what, INTERVAL + TIMEOUT + SLACK * 5, || {
        let (status, body) = agent.health();
        let reason = body["checks"][target].as_str().unwrap_or_default().to_lowercase();
        (status == 503 && body["status"] == "unhealthy" && words.iter().all(|word| reason.contains(word))).then_some(())
    });
}

fn assert_healthy(agent: &Agent) {
    wait_until("/health says 200", (INTERVAL + TIMEOUT) * 3, || {
        let (status, body) = agent.health();
        let all_ok = body["checks"].as_object().is_some_and(|checks| checks.values().all(|check| check == "ok"));
        (status == 200 && body["status"] == "healthy" && all_ok).then_some(())
    });
}

#[test]
fn every_incident_is_seen_told_and_resolved() {
    let engine = DockerEngine::start();
    let worker = engine.run("worker", &["--network", "none", BASE, "sleep", "100000"]);
    let mut stack = Stack::start();
    let agent = Agent::start(&stack.config(&engine));

    everything_is_up_with_its_values(&agent, &stack, worker.name());
    redis_stops_and_starts(&agent, &mut stack);
    the_application_answers_500(&agent, &stack);
    postgres_has_no_connection_left(&agent, &stack);
    postgres_refuses(&agent, &mut stack);

    let exited = Alert("ContainerExited", Some(worker.name()));
    let since = Instant::now();
    worker.kill();
    stack.assert_told(exited, since);
    let page = agent.metrics();
    assert_eq!(page.value("up", &[("job", "cadvisor")]), Some(1.0));
    assert_eq!(page.value("container_exit_code", &[("name", worker.name())]), Some(137.0));
    let since = Instant::now();
    worker.start();
    stack.assert_resolved(exited, since);

    assert_healthy(&agent);
    assert!(!stack.openai.asked_for_more_than_models(), "a look at a provider must not cost money");
    for alert in [Alert("RedisDown", None), Alert("AppDown", None), exited] {
        assert_eq!(stack.hook.count(alert, "firing"), 1, "{alert:?} is told once");
        assert_eq!(stack.hook.count(alert, "resolved"), 1, "{alert:?} is resolved once");
    }
}

fn everything_is_up_with_its_values(agent: &Agent, stack: &Stack, container: &str) {
    assert_healthy(agent);
    let page = agent.metrics();
    for job in ["blackbox", "app-metrics", "postgres", "redis", "cadvisor", "node", "llm"] {
        assert_eq!(page.value("up", &[("job", job)]), Some(1.0), "up of {job}");
        assert!(page.value("scrape_duration_seconds", &[("job", job)]).is_some(), "duration of {job}");
        assert!(
            page.value("scrape_samples_scraped", &[("job", job)]).is_some_and(|count| count > 0.0),
            "samples of {job}"
        );
    }
    let app = stack.app.url("/health");
    assert_eq!(page.value("probe_success", &[("job", "blackbox"), ("instance", &app)]), Some(1.0));
    assert_eq!(page.value("probe_http_status_code", &[("job", "blackbox")]), Some(200.0));
    // The first scrape may have come before the first probe of the application.
    wait_until("the application has counted a probe", Duration::from_secs(5), || {
        let asked = agent.metrics().value("http_requests_total", &[("job", "app-metrics"), ("status", "200")]);
        asked.filter(|asked| *asked > 0.0)
    });
    assert_eq!(page.value("llm_tokens_processed", &[("model", "gpt-5"), ("type", "input")]), Some(1234.0));
    assert_eq!(page.value("pg_up", &[("instance", &stack.postgres.instance())]), Some(1.0));
    assert_eq!(page.value("pg_settings_max_connections", &[]), Some(10.0));
    assert_eq!(page.value("redis_up", &[("instance", &stack.redis.instance())]), Some(1.0));
    assert!(page.value("redis_connected_clients", &[]).is_some_and(|clients| clients >= 1.0));
    assert_eq!(page.value("container_state", &[("name", container), ("state", "running")]), Some(1.0));
    assert!(page.value("container_memory_working_set_bytes", &[("name", container)]).is_some_and(|bytes| bytes > 0.0));
    assert!(page.value("node_memory_MemTotal_bytes", &[]).is_some_and(|bytes| bytes > 1e8));
    assert_eq!(page.value("probe_success", &[("job", "llm")]), Some(1.0));
}

/// All that the exporter would leave out when it cannot reach its server.
fn old_values(page: &Page, prefix: &str, stays: &[&str]) -> Vec<String> {
    page.names(prefix).into_iter().filter(|name| !stays.contains(name)).map(str::to_owned).collect()
}

fn redis_stops_and_starts(agent: &Agent, stack: &mut Stack) {
    let since = Instant::now();
    stack.redis.stop();
    assert_unhealthy(agent, "cache", &["refused"]);
    let page = agent.metrics();
    assert_eq!(page.value("redis_up", &[]), Some(0.0));
    assert_eq!(page.value("up", &[("job", "redis")]), Some(1.0), "the exporter would have answered");
    let left = old_values(&page, "redis_", &["redis_up", "redis_target_scrape_request_errors_total"]);
    assert!(left.iter().all(|name| name.starts_with("redis_exporter_")), "what was not obtained is gone: {left:?}");
    stack.assert_told(Alert("RedisDown", None), since);
    let since = Instant::now();
    stack.redis.start_again();
    stack.assert_resolved(Alert("RedisDown", None), since);
    assert_healthy(agent);
}

fn the_application_answers_500(agent: &Agent, stack: &Stack) {
    let since = Instant::now();
    stack.app.answer(500);
    assert_unhealthy(agent, "app", &["500"]);
    let page = agent.metrics();
    assert_eq!(page.value("probe_success", &[("job", "blackbox")]), Some(0.0));
    assert_eq!(page.value("probe_http_status_code", &[("job", "blackbox")]), Some(500.0), "what was seen stays");
    stack.assert_told(Alert("AppDown", None), since);
    let since = Instant::now();
    stack.app.answer(200);
    stack.assert_resolved(Alert("AppDown", None), since);
}

fn postgres_has_no_connection_left(agent: &Agent, stack: &Stack) {
    let since = Instant::now();
    let held = stack.postgres.take_all_connections();
    assert_unhealthy(agent, "orders", &["53300"]);
    let page = agent.metrics();
    assert_eq!(page.value("pg_up", &[]), Some(0.0));
    assert_eq!(page.value("up", &[("job", "postgres")]), Some(1.0));
    assert!(
        page.value("sidewatch_target_failures_total", &[("reason", "sqlstate_53300")])
            .is_some_and(|count| count >= 1.0)
    );
    let hoarded = page.sum("pg_stat_activity_count", &[("usename", "app")]).expect("the kept session still sees");
    assert!((held.count() as f64 - hoarded).abs() < 1.5, "the kept session sees who holds the connections: {hoarded}");
    stack.assert_told(Alert("PostgresDown", None), since);
    let since = Instant::now();
    drop(held);
    stack.assert_resolved(Alert("PostgresDown", None), since);
    assert_healthy(agent);
}

fn postgres_refuses(agent: &Agent, stack: &mut Stack) {
    let since = Instant::now();
    stack.postgres.stop();
    assert_unhealthy(agent, "orders", &["refused"]);
    let page = agent.metrics();
    assert_eq!(page.value("pg_up", &[]), Some(0.0));
    assert_eq!(page.value("pg_settings_max_connections", &[]), None, "what was not obtained is gone");
    stack.assert_told(Alert("PostgresDown", None), since);
    let since = Instant::now();
    stack.postgres.start_again();
    stack.assert_resolved(Alert("PostgresDown", None), since);
    assert_healthy(agent);
}
