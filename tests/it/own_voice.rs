//! The agent's own traces and metrics, to a collector that takes OTLP over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{Agent, Answer, HttpApp, HttpServer, wait_until};

#[test]
fn traces_and_metrics_reach_a_collector_and_nothing_else_does() {
    let app = HttpApp::start();
    let seen: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
    let keep = Arc::clone(&seen);
    let collector = HttpServer::start(move |request| {
        keep.lock().unwrap().entry(request.path).or_default().push_str(&request.body);
        Answer::new(200, "application/x-protobuf", "")
    });
    let config = format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\notlp_export: {{endpoint: \"{}\"}}\n\
         targets: [{{name: the-app, url: \"{}\"}}]\n",
        collector.url(""),
        app.url("/health"),
    );
    let mut agent = Agent::start(&config);
    let event = r#"{"provider":"openai","model":"gpt-5","api":"openai.chat","usage":{"prompt_tokens":7,"completion_tokens":1}}"#;
    assert_eq!(agent.post("/v1/usage", event).expect("an answer").status, 200);
    let body = |path: &str| seen.lock().unwrap().get(path).cloned().unwrap_or_default();
    wait_until("spans and metrics arrive", Duration::from_secs(50), || {
        let (traces, metrics) = (body("/v1/traces"), body("/v1/metrics"));
        let spans = traces.contains("look") && traces.contains("the-app");
        // A family that appeared after the start is exported too.
        (spans && metrics.contains("sidewatch_look_duration_seconds_count") && metrics.contains("llm_tokens_total"))
            .then_some(())
    });
    assert!(!body("/v1/traces").contains("h2::"), "spans of libraries are exported");
    let since = std::time::Instant::now();
    agent.stop();
    assert!(since.elapsed() < Duration::from_secs(5), "the agent took {:?} to end", since.elapsed());
}
