//! A new configuration under a running agent: all of it or nothing, and what stays the same goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Agent, BlackHole, HttpApp, RealRedis, request, wait_until};

const LIMIT: Duration = Duration::from_secs(10);

fn config(targets: &str) -> String {
    format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}\ntargets:\n{targets}"
    )
}

#[test]
fn a_reload_takes_all_or_nothing_and_unchanged_targets_keep_their_connection() {
    let (app, other, redis) = (HttpApp::start(), HttpApp::start(), RealRedis::start());
    let cache = format!("  - {{name: cache, url: \"{}\"}}\n", redis.url());
    let first = format!("{cache}  - {{name: app, url: \"{}\"}}\n", app.url("/health"));
    let agent = Agent::start(&config(&first));
    let connections = || agent.metrics().value("redis_connections_received_total", &[]).expect("redis is seen");
    let before = connections();

    // A file with a problem changes nothing, and the answer says what is wrong and where.
    agent.write_config(&config(&format!("{first}  - {{name: broken, url: \"gopher://x\"}}\n")));
    let refused = agent.post("/-/reload", "").expect("an answer");
    assert_eq!(refused.status, 500);
    assert!(refused.body.contains("gopher") && refused.body.contains("sidewatch.yml:"), "{}", refused.body);
    assert_eq!(agent.metrics().value("sidewatch_config_last_reload_successful", &[]), Some(0.0));
    assert_eq!(agent.health().0, 200);

    // A good one: the app gives way to another, the cache goes on.
    agent.write_config(&config(&format!("{cache}  - {{name: other, url: \"{}\"}}\n", other.url("/health"))));
    assert_eq!(agent.post("/-/reload", "").expect("an answer").status, 200);
    wait_until("the new target is looked at, the old one is gone", LIMIT, || {
        let (_, health) = agent.health();
        (health["checks"]["other"] == "ok" && health["checks"].get("app").is_none()).then_some(())
    });
    let page = agent.metrics();
    assert_eq!(page.value("probe_success", &[("instance", &app.url("/health"))]), None, "its series have ended");
    assert_eq!(page.value("probe_success", &[("instance", &other.url("/health"))]), Some(1.0));
    assert_eq!(page.value("sidewatch_config_last_reload_successful", &[]), Some(1.0));
    assert!(connections() - before < 0.5, "the cache got a new connection");

    // SIGHUP does the same.
    agent.write_config(&config(&first));
    agent.signal("HUP");
    wait_until("the first configuration is back", LIMIT, || (agent.health().1["checks"]["app"] == "ok").then_some(()));
}

#[test]
fn a_changed_target_keeps_its_alerts() {
    let app = HttpApp::start();
    app.answer(500);
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, "groups: [{name: g, rules: [{alert: Down, expr: probe_success == 0, for: 1s}]}]")
        .expect("a file");
    let with = |timeout: &str| {
        let target = format!("  - {{name: app, url: \"{}\", timeout: {timeout}}}\n", app.url("/health"));
        format!("{}rule_files: [\"{}\"]\n", config(&target), rules.display())
    };
    let agent = Agent::start(&with("500ms"));
    let firing = || agent.get("/").body.contains("<h3>Down: <span class=bad>firing");
    wait_until("the alert fires", LIMIT, || firing().then_some(()));
    agent.write_config(&with("400ms"));
    assert_eq!(agent.post("/-/reload", "").expect("an answer").status, 200);
    let since = std::time::Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        assert!(firing(), "the reload ended the alert");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_environment_alone_is_enough() {
    let (app, redis) = (HttpApp::start(), RealRedis::start());
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let secret = folder.path().join("redis_url");
    std::fs::write(&secret, format!("{}\n", redis.url())).expect("our folder");
    let agent = Agent::start_from_environment(
        &folder,
        &[("APP_URL", &app.url("/health")), ("REDIS_URL_FILE", &secret.display().to_string()), ("LOG_LEVEL", "warn")],
    );
    agent.wait_for("/readyz");
    let (_, health) = agent.health();
    assert_eq!((&health["checks"]["app"], &health["checks"]["redis"]), (&"ok".into(), &"ok".into()), "{health}");
    assert!(agent.metrics().value("node_load1", &[]).is_some(), "the host is looked at too");
    assert!(!agent.log().contains("sidewatch is running"), "LOG_LEVEL is warn");
}

#[test]
fn it_listens_before_anything_else_is_done() {
    // A hundred milliseconds are the promise; what is measured here is a process on a machine that runs other tests too,
    // so the bound is wider. The targets cannot be reached at all.
    let hole = BlackHole::start();
    let config = format!(
        "targets: [{{name: lost, url: \"http://127.0.0.1:{hole}/\"}}, {{name: lost-too, url: \"redis://127.0.0.1:{hole}\"}}]\n",
        hole = hole.port()
    );
    let started = std::time::Instant::now();
    let agent = Agent::start_in(&Arc::new(tempfile::tempdir().expect("a folder")), &config);
    while request(agent.port(), "GET", "/healthz", &[], "").is_none() {
        assert!(started.elapsed() < Duration::from_secs(2), "not listening after {:?}", started.elapsed());
        std::thread::sleep(Duration::from_millis(2));
    }
    let answered = request(agent.port(), "GET", "/metrics", &[], "").expect("an answer");
    assert_eq!(answered.status, 200);
    assert!(started.elapsed() < Duration::from_secs(2), "/metrics answered after {:?}", started.elapsed());
}
