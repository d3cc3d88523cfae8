//! `/metrics` as Prometheus and its tools read it.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    Agent, Answer, HttpApp, HttpServer, RealPostgres, RealPrometheus, RealRedis, request, run_with_input, wait_until,
};

const TEXT: &str = "text/plain;version=0.0.4";
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0";

/// Names that the exporters chose before the linter did; ours must please it.
const INHERITED: [&str; 10] =
    ["pg_", "pgbouncer_", "redis_", "node_", "container_", "machine_", "cadvisor_", "probe_", "scrape_", "http_"];

struct Watched {
    _app: HttpApp,
    _redis: RealRedis,
    _postgres: RealPostgres,
    agent: Agent,
}

fn watched() -> Watched {
    let (app, redis, postgres) = (HttpApp::start(), RealRedis::start(), RealPostgres::start());
    let config = format!(
        r#"
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
targets:
  - {{name: app, url: "{}"}}
  - {{name: orders, url: "{}"}}
  - {{name: cache, url: "{}"}}
  - {{name: host, kind: host}}
llm: {{budgets: [{{name: openai-daily, match: {{provider: openai}}, period: daily, limit_usd: 100}}]}}
"#,
        app.url("/health"),
        postgres.url(),
        redis.url()
    );
    let agent = Agent::start(&config);
    let usage = r#"{"id":"one","provider":"openai","model":"gpt-5","api":"openai.chat","usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
    let taken = agent.post("/v1/usage", usage).expect("an answer");
    assert!((200..300).contains(&taken.status), "{}", taken.body);
    Watched { _app: app, _redis: redis, _postgres: postgres, agent }
}

#[test]
fn promtool_has_nothing_to_say_about_our_own_names() {
    let watched = watched();
    let page = watched.agent.metrics_as(TEXT).body;
    let (code, complaints) = run_with_input(Command::new("promtool").args(["check", "metrics"]), page);
    let ours: Vec<&str> =
        complaints.lines().filter(|line| !INHERITED.iter().any(|prefix| line.starts_with(prefix))).collect();
    assert!(ours.is_empty(), "{}", ours.join("\n"));
    assert!(matches!(code, Some(0 | 3)), "promtool could not parse the page ({code:?}): {complaints}");
}

#[test]
fn a_real_prometheus_reads_both_formats() {
    let watched = watched();
    let port = watched.agent.port();
    // This Prometheus always prefers OpenMetrics: the relay asks in its place for the text format.
    let relay = Arc::new(HttpServer::start(move |request_in| {
        let answer = request(port, "GET", &request_in.path, &[("accept", TEXT)], "").expect("an answer");
        Answer::new(answer.status, answer.header("content-type").unwrap_or_default(), answer.body.clone())
    }));
    let prometheus = RealPrometheus::start(&format!(
        "  - {{job_name: open, static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]}}\n  \
           - {{job_name: text, static_configs: [{{targets: [\"127.0.0.1:{}\"]}}]}}\n",
        relay.port()
    ));
    for job in ["open", "text"] {
        wait_until(&format!("Prometheus has read the page ({job})"), Duration::from_secs(20), || {
            (prometheus.value(&format!("up{{job=\"{job}\"}}")) == Some(1.0)
                && prometheus.value(&format!("redis_up{{job=\"{job}\"}}")) == Some(1.0))
            .then_some(())
        });
        let query = format!("pg_settings_max_connections{{job=\"{job}\"}}");
        assert_eq!(prometheus.value(&query), Some(10.0), "{query}");
    }
    std::thread::sleep(Duration::from_secs(3)); // A few more scrapes, so that a duplicate or a step back would show.
    for target in prometheus.targets() {
        assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    }
    let log = prometheus.log();
    let bad: Vec<&str> = log
        .lines()
        .filter(|line| {
            ["Append failed", "Error on ingesting", "Duplicate sample", "Out of order"]
                .iter()
                .any(|sign| line.contains(sign))
        })
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
fn the_format_is_negotiated() {
    let watched = watched();
    let text = watched.agent.metrics_as(TEXT);
    assert!(text.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")), "{text:?}");
    let open = watched.agent.metrics_as(OPEN_METRICS);
    let kind = open.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    assert!(open.body.ends_with("# EOF\n"), "OpenMetrics ends with # EOF");
    let only = Agent::get(&watched.agent, "/metrics?job=redis").body;
    assert!(only.contains("redis_up") && !only.contains("pg_up"), "?job= limits the page");
    assert!(!text.body.contains("go_goroutines"), "we are not written in Go");
}
