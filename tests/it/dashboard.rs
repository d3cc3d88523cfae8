//! The shipped dashboard shows something in every panel, behind a real Prometheus that scrapes the agent as shipped.

use std::time::Duration;

use serde_json::Value;

use crate::support::{
    Agent, BASE, DockerEngine, HttpApp, RealPostgres, RealPrometheus, RealRedis, repository, wait_until,
};

#[test]
fn no_panel_is_empty() {
    let engine = DockerEngine::start();
    let _worker = engine.run("worker", &["--network", "none", BASE, "sleep", "100000"]);
    let (app, redis, postgres) = (HttpApp::start(), RealRedis::start(), RealPostgres::start());
    redis.cli(&["config", "set", "maxmemory", "100mb"]);
    let agent = Agent::start(&config(&engine, &app, &redis, &postgres));
    // Some of the application's answers are errors, so that their share is more than nothing.
    app.answer(500);
    let scrape = format!(
        "  - {{job_name: sidewatch, honor_labels: true, static_configs: [{{targets: [\"127.0.0.1:{}\"]}}]}}\n",
        agent.port()
    );
    let prometheus = RealPrometheus::start(&scrape);
    let text =
        std::fs::read_to_string(repository().join("dashboards/overview.json")).expect("the dashboard is shipped");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().expect("panels") {
        for query in panel["targets"].as_array().into_iter().flatten() {
            let expression = query["expr"].as_str().expect("an expression");
            let plain = expression.replace("$job", ".+").replace("$instance", ".+");
            // A rate of what does not move is 0, which is something; a metric that nobody has is nothing. Usage is told again and
            // again, because a counter needs two values to have a rate.
            wait_until(&format!("`{}` shows something: {plain}", panel["title"]), Duration::from_secs(30), || {
                tell_usage(&agent);
                let shown = prometheus.value(&plain)?;
                // Zero would be a lie here, and other panels may show it.
                (panel["title"] != "Error rate" || shown > 0.0).then_some(())
            });
            queries += 1;
        }
    }
    assert!(queries >= 20, "the dashboard has become thin");
}

fn config(engine: &DockerEngine, app: &HttpApp, redis: &RealRedis, postgres: &RealPostgres) -> String {
    format!(
        r#"
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
targets:
  - {{name: app, url: "{}"}}
  - {{name: app-metrics, kind: prometheus, url: "{}"}}
  - {{name: orders, url: "{}"}}
  - {{name: cache, url: "{}"}}
  - {{name: docker, kind: docker, url: "{}"}}
  - {{name: host, kind: host}}
llm: {{budgets: [{{name: openai-daily, match: {{provider: openai}}, period: daily, limit_usd: 100}}]}}
"#,
        app.url("/health"),
        app.url("/metrics"),
        postgres.url(),
        redis.url(),
        engine.url()
    )
}

fn tell_usage(agent: &Agent) {
    let event = r#"{"provider":"openai","model":"gpt-4o","api":"openai.chat","feature":"chat",
        "usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;
    let answer = agent.post("/v1/usage", event).expect("an answer");
    assert!((200..300).contains(&answer.status), "{}", answer.body);
}
