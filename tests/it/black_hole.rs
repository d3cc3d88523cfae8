//! A target that cannot be reached, or never answers, costs the others nothing.

use std::time::{Duration, Instant};

use crate::support::{Agent, BlackHole, HttpApp, Page, RealRedis, Silent, wait_until};

/// How late a look or an answer may be on a machine that does other things too: the bound is one of the histograms' own.
const LATE: &str = "0.25";

#[test]
fn a_black_hole_delays_no_other_look_and_no_answer() {
    let (app, redis, hole, silent) = (HttpApp::start(), RealRedis::start(), BlackHole::start(), Silent::start());
    let config = format!(
        r#"
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
targets:
  - {{name: app, url: "{}"}}
  - {{name: cache, url: "{}"}}
  - {{name: lost-app, url: "http://127.0.0.1:{hole}/health"}}
  - {{name: lost-orders, url: "postgres://sidewatch@127.0.0.1:{hole}/postgres"}}
  - {{name: silent-orders, url: "postgres://sidewatch@127.0.0.1:{silent}/postgres"}}
  - {{name: silent-cache, url: "redis://127.0.0.1:{silent}"}}
  - {{name: silent-metrics, kind: prometheus, url: "http://127.0.0.1:{silent}/metrics"}}
"#,
        app.url("/health"),
        redis.url(),
        hole = hole.port(),
        silent = silent.port(),
    );
    let agent = Agent::start(&config);
    let (asked, since) = (app.asked(), Instant::now());
    while since.elapsed() < Duration::from_secs(12) {
        let asked = Instant::now();
        agent.metrics();
        assert!(asked.elapsed() < Duration::from_millis(500), "/metrics took {:?}", asked.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    let looks = app.asked() - asked;
    assert!((11..=14).contains(&looks), "{looks} looks at the healthy app in 12 s, one is due each second");

    let page = agent.metrics();
    for histogram in ["sidewatch_look_delay_seconds", "sidewatch_rule_group_delay_seconds"] {
        assert_none_above(&page, histogram);
    }
    assert_none_above(&page, "sidewatch_http_request_duration_seconds");
    assert_eq!(page.value("up", &[("job", "silent-metrics")]), Some(0.0));
    let (_, health) = agent.health();
    assert_eq!((&health["checks"]["app"], &health["checks"]["cache"]), (&"ok".into(), &"ok".into()));
    for target in ["lost-app", "lost-orders", "silent-orders", "silent-cache", "silent-metrics"] {
        let reason = health["checks"][target].as_str().unwrap_or_default();
        assert!(reason.contains("timeout"), "{target}: {reason}");
    }
}

#[test]
fn a_black_hole_does_not_delay_the_end() {
    let hole = BlackHole::start();
    let config =
        format!("targets: [{{name: lost, url: \"http://127.0.0.1:{}/\", interval: 20s, timeout: 20s}}]", hole.port());
    let mut agent = Agent::start_in(&std::sync::Arc::new(tempfile::tempdir().expect("a folder")), &config);
    wait_until("the agent is alive", Duration::from_secs(20), || {
        crate::support::request(agent.port(), "GET", "/healthz", &[], "").filter(|answer| answer.status == 200)
    });
    let since = Instant::now();
    agent.stop();
    assert!(since.elapsed() < Duration::from_secs(5), "the agent took {:?} to end", since.elapsed());
}

fn assert_none_above(page: &Page, histogram: &str) {
    let (count, bucket) = (format!("{histogram}_count"), format!("{histogram}_bucket"));
    let all = page.sum(&count, &[]).unwrap_or_else(|| panic!("no {histogram}"));
    let in_time = page.sum(&bucket, &[("le", LATE)]).unwrap_or_else(|| panic!("no bucket {LATE} of {histogram}"));
    assert!(all > 0.0 && (all - in_time).abs() < 0.5, "{} of {all} in {histogram} are above {LATE} s", all - in_time);
}
