//! Remote write into the agent, federation out of it, and no loop between the two.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::{
    Agent, Answer, HttpServer, RealPrometheus, Written, get, peers, send, wait_until, write_body, write_into,
};

const PAGE: &str = "# TYPE app_requests_total counter\napp_requests_total{code=\"200\"} 12\napp_requests_total{code=\"500\"} 3\n\
    # TYPE app_up_seconds gauge\napp_up_seconds 3.25\n# TYPE app_odd gauge\napp_odd{of=\"nan\"} NaN\napp_odd{of=\"inf\"} +Inf\n";

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

/// Labels and values of an instant query, sorted; times left out.
fn answers(port: u16, query: &str) -> Vec<String> {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let answer = get(port, &format!("/api/v1/query?query={query}")).json();
    let Some(found) = answer["data"]["result"].as_array() else { panic!("{query}: {answer}") };
    let mut found: Vec<_> = found.iter().map(|one| format!("{} {}", one["metric"], one["value"][1])).collect();
    found.sort();
    found
}

#[test]
fn a_real_prometheus_writes_in_and_nothing_goes_in_circles() {
    let agent = Agent::start("targets: []\n");
    let port = agent.port();
    let prometheus = RealPrometheus::start_with(
        &peers::newest("prometheus"),
        &format!(
            "remote_write: [{{url: \"http://127.0.0.1:{port}/api/v1/write\"}}]\nscrape_configs:\n\
             - {{job_name: agent, honor_labels: true, static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]}}\n"
        ),
        &[],
    );
    wait_until("what Prometheus scraped is in the agent", Duration::from_mins(1), || {
        (answers(port, "up{job=\"agent\"}").len() == 1).then_some(())
    });
    let text = get(port, "/metrics").body;
    assert!(!text.contains("job=\"agent\""), "what was written in is not on /metrics");
    let federated = get(port, "/federate?match[]=%7Bjob%3D%22agent%22%7D").body;
    assert!(federated.contains("up{instance="), "but on /federate: {federated}");
    // The page that Prometheus scrapes and writes back must not grow by that.
    let lines = |text: &str| text.lines().filter(|line| line.starts_with("sidewatch_store_")).count();
    let before = lines(&text);
    wait_until("more is written", Duration::from_mins(1), || {
        let taken = agent.metrics().value("sidewatch_remote_write_samples_total", &[("outcome", "taken")]);
        taken.filter(|taken| *taken > 1000.0)
    });
    assert_eq!(lines(&get(port, "/metrics").body), before);
    let failed = format!("prometheus_remote_storage_samples_failed_total{{url=~\".*:{port}.*\"}}");
    assert!(prometheus.value(&failed).is_none_or(|failed| failed < 1.0), "every sample was taken");
}

#[test]
fn a_real_prometheus_that_scrapes_the_agent_gives_the_same_answers() {
    let app = HttpServer::start(|_| Answer::new(200, "text/plain; version=0.0.4", PAGE));
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\ntargets:\n\
         - {{name: app, kind: prometheus, url: \"http://127.0.0.1:{}/metrics\", labels: {{zone: \"a \\\"b\\\"\"}}}}\n",
        app.port()
    ));
    let written = [Written::new("written", &[("job", "w"), ("instance", "x:1")], vec![(now(), 7.5)])];
    assert_eq!(write_into(agent.port(), &write_body(&written)).status, 204);
    let port = agent.port();
    let scrape = |name: &str, more: &str| {
        format!(
            "- {{job_name: {name}, honor_labels: true, {more}static_configs: [{{targets: [\"127.0.0.1:{port}\"]}}]}}\n"
        )
    };
    let configs = [
        scrape("agent", "track_timestamps_staleness: true, params: {timestamps: [\"1\"]}, "),
        scrape("agent", "metrics_path: /federate, params: {\"match[]\": ['{job=~\"app|w\"}']}, "),
    ];
    for (at, config) in configs.iter().enumerate() {
        let prometheus =
            RealPrometheus::start_with(&peers::newest("prometheus"), &format!("scrape_configs:\n{config}"), &[]);
        wait_until("Prometheus has scraped the agent", Duration::from_secs(30), || {
            prometheus.has("app_up_seconds").then_some(())
        });
        for query in [
            "up{job=\"app\"}",
            "{__name__=~\"app_.*\"}",
            "sum by (zone, code) (app_requests_total)",
            "app_requests_total / on (job) group_left () app_up_seconds",
            "topk(1, app_requests_total)",
            "app_odd",
            "count by (job) ({job=\"app\"})",
            "max_over_time(app_up_seconds[10s])",
        ] {
            // A look between the two questions changes nothing of what is stable.
            assert_eq!(answers(port, query), answers(prometheus.port(), query), "{query}");
            assert!(!answers(port, query).is_empty(), "{query}");
        }
        let there = prometheus.has("written");
        assert_eq!(there, at == 1, "what was written in is on /federate alone");
        let target: &Value = &prometheus.targets()[0];
        assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    }
}

#[test]
fn bodies_that_cannot_be_read_are_refused_in_words_and_change_nothing() {
    let agent = Agent::start("targets: []\n");
    let port = agent.port();
    let good = write_body(&[Written::new("good", &[], vec![(now(), 1.0)])]);
    let packed = |body: &[u8]| snap::raw::Encoder::new().compress_vec(body).expect("it fits");
    let unpacked = snap::raw::Decoder::new().decompress_vec(&good).expect("ours");
    let cases = [
        (b"no snappy".to_vec(), 400, "snappy"),
        (good[..good.len() - 3].to_vec(), 400, "snappy"),
        (packed(&unpacked[..unpacked.len() - 3]), 400, "prometheus.WriteRequest"),
        (packed(&vec![0x0a; 10 << 20]), 400, "prometheus.WriteRequest"),
        (packed(&vec![0; 100 << 20]), 413, "4194304 bytes"),
        (packed(&vec![0; 40 << 20]), 413, "smaller requests"),
        (vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], 413, "unpacks to"),
        (vec![0; 5 << 20], 413, "4194304 bytes"),
    ];
    for (body, status, word) in cases {
        let answer = write_into(port, &body);
        assert!(answer.status == status && answer.body.contains(word), "{} bytes: {answer:?}", body.len());
    }
    for (name, value) in [
        ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ] {
        let answer = send(port, "POST", "/api/v1/write", &[(name, value)], &good).expect("an answer");
        assert_eq!(answer.status, 415, "{name}: {value}: {}", answer.body);
    }
    assert!(answers(port, "good").is_empty(), "nothing of it was taken");
    assert_eq!(write_into(port, &good).status, 204);
    assert_eq!(answers(port, "good").len(), 1);
}

#[test]
fn what_can_be_taken_of_a_request_is_taken() {
    let agent = Agent::start("global: {scrape_interval: 1s, scrape_timeout: 1s}\ntargets: []\n");
    // What is old is told from the newest picture: an empty history takes any time, as Prometheus' does.
    wait_until("the agent has recorded something", Duration::from_secs(30), || {
        (!answers(agent.port(), "process_start_time_seconds").is_empty()).then_some(())
    });
    let now = now();
    let body = write_body(&[
        Written::new("fine", &[], vec![(now, 1.0)]),
        Written::new("old", &[], vec![(now - 365 * 86_400_000, 1.0)]),
        Written::new("", &[("job", "nameless")], vec![(now, 1.0)]),
    ]);
    let answer = write_into(agent.port(), &body);
    assert_eq!(answer.status, 400, "so that the sender does not come again with it");
    assert!(answer.body.starts_with("1 samples taken, 1 not: out of bounds"), "{}", answer.body);
    assert!(answer.body.contains("no metric name in {__name__=\"\", job=\"nameless\"}"), "{}", answer.body);
    assert_eq!(answers(agent.port(), "fine").len(), 1);
    let count = |outcome| agent.metrics().value("sidewatch_remote_write_samples_total", &[("outcome", outcome)]);
    assert_eq!((count("taken"), count("out_of_bounds"), count("invalid")), (Some(1.0), Some(1.0), Some(1.0)));
}
