//! Targets that containers bring by their labels: they come and go within two seconds, and do no harm.

use std::time::{Duration, SystemTime};

use crate::support::{Agent, BASE, DockerEngine, HttpApp, RealRedis, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
/// What is promised. Looks come every ten seconds here, so that none of it is their doing.
const SOON: Duration = Duration::from_secs(2);

fn config(engine: &DockerEngine, more: &str) -> String {
    format!("targets:\n  - {{name: docker, kind: docker, url: \"{}\"}}\n{more}rule_files: []\n", engine.url())
}

fn checks(agent: &Agent, name: &str) -> bool {
    agent.health().1["checks"].get(name).is_some()
}

/// How long ago something happened to a container, by the engine's own record.
fn since(engine: &DockerEngine, container: &str, field: &str) -> Duration {
    let at = engine.docker(&["inspect", "--format", &format!("{{{{.State.{field}}}}}"), container]);
    let seconds = crate::support::run(std::process::Command::new("date").args(["+%s.%N", "-d", &at]));
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds.trim().parse().expect("a number"));
    SystemTime::now().duration_since(at).unwrap_or_default()
}

#[test]
fn targets_come_and_go_within_two_seconds() {
    let (engine, app) = (DockerEngine::private(), HttpApp::start());
    let agent = Agent::start(&config(&engine, ""));
    let url = format!("sidewatch.url={}", app.url("/health"));
    let labels = ["--label", &url, "--label", "sidewatch.name=found", "--label", "sidewatch.interval=1s"];
    engine
        .docker(&[&["create", "--network", "none", "--name", "asks"], &labels[..], &[BASE, "sleep", "1000"]].concat());
    for _ in 0..3 {
        engine.docker(&["start", "asks"]);
        wait_until("the target appears", LIMIT, || checks(&agent, "found").then_some(()));
        let took = since(&engine, "asks", "StartedAt");
        assert!(took < SOON, "it took {took:?} to appear");
        wait_until("it is looked at", LIMIT, || (agent.health().1["checks"]["found"] == "ok").then_some(()));
        engine.docker(&["kill", "asks"]);
        wait_until("the target leaves", LIMIT, || (!checks(&agent, "found")).then_some(()));
        let took = since(&engine, "asks", "FinishedAt");
        assert!(took < SOON, "it took {took:?} to leave");
    }
    assert_eq!(
        agent.metrics().value("probe_success", &[("instance", &app.url("/health"))]),
        None,
        "its series have ended"
    );
}

#[test]
fn a_container_that_is_there_already_is_found_and_has_an_address_of_its_own() {
    let engine = DockerEngine::start();
    let labels = ["--label", "sidewatch.url=tcp://{ip}:8080", "--label", "sidewatch.name=of-{container}"];
    let server = engine.run("server", &[&labels[..], &[BASE, "httpd", "-f", "-p", "8080"]].concat());
    let agent = Agent::start(&config(&engine, ""));
    let name = format!("of-{}", server.name());
    wait_until("it is found and answers", LIMIT, || (agent.health().1["checks"][&name] == "ok").then_some(()));
    let address = server.inspect("{{.NetworkSettings.IPAddress}}");
    let instance = format!("{address}:8080");
    assert_eq!(agent.metrics().value("probe_success", &[("job", "blackbox"), ("instance", &instance)]), Some(1.0));
}

#[test]
fn bad_labels_are_complained_about_and_hurt_nothing() {
    let (engine, app) = (DockerEngine::private(), HttpApp::start());
    let configured = format!("  - {{name: app, url: \"{}\"}}\n", app.url("/health"));
    let agent = Agent::start(&config(&engine, &configured));
    let asks = |container: &str, labels: &[&str]| {
        let labels: Vec<_> = labels.iter().flat_map(|label| ["--label", label]).collect();
        engine.docker(
            &[&["run", "-d", "--network", "none", "--name", container], &labels[..], &[BASE, "sleep", "1000"]].concat(),
        );
    };
    let elsewhere = format!("sidewatch.url={}", app.url("/elsewhere"));
    let same = format!("sidewatch.url={}", app.url("/health"));
    asks("shadow", &[&elsewhere, "sidewatch.name=app"]);
    asks("double", &[&same, "sidewatch.name=other"]);
    asks("reader", &["sidewatch.url=postgres://db/d?sslrootcert=/etc/hostname"]);
    asks("chain", &["sidewatch.url=unix:///var/run/docker.sock", "sidewatch.kind=docker"]);
    asks("typo", &[&elsewhere, "sidewatch.intervall=5s"]);
    asks("secret", &["sidewatch.url=redis://:hush@cache:99999"]);
    asks("fine", &[&elsewhere]);
    let problems = || agent.metrics().value("sidewatch_discovery_problems", &[]);
    wait_until("each complaint is counted", LIMIT, || (problems() == Some(6.0)).then_some(()));
    wait_until("the good one is looked at", LIMIT, || (agent.health().1["checks"]["fine"] == "ok").then_some(()));
    assert_eq!(agent.metrics().value("sidewatch_discovered_targets", &[]), Some(1.0));
    let (status, health) = agent.health();
    assert_eq!((status, &health["checks"]["app"]), (200, &"ok".into()), "{health}");
    assert_eq!(health["checks"].as_object().expect("checks").len(), 3);

    let said = agent.get("/v1/events").json()["discovery_problems"].to_string();
    let (log, page) = (agent.log(), agent.get("/").body);
    for (container, words) in [
        ("shadow", "already has a target `app`"),
        ("double", "same job and instance"),
        ("reader", "may not name a file of the agent's machine"),
        ("chain", "may not ask for kind `docker`"),
        ("typo", "sidewatch.intervall: this means nothing"),
        ("secret", "sidewatch.url: "),
    ] {
        assert!(said.contains(words), "{words}: {said}");
        assert!(log.contains(words), "{words}: {log}");
        assert!(page.contains(&format!("container {container}: ")), "{container}: {page}");
    }
    let all = [said, log, page, agent.metrics_as("text/plain").body].concat();
    assert!(!all.contains("hush"), "a password was shown");
}

#[test]
fn discovered_targets_keep_their_connections_over_a_reload() {
    let (engine, redis, app) = (DockerEngine::private(), RealRedis::start(), HttpApp::start());
    let agent = Agent::start(&config(&engine, ""));
    let url = format!("sidewatch.url={}", redis.url());
    let labels = ["--label", &url, "--label", "sidewatch.name=cache", "--label", "sidewatch.interval=1s"];
    let asks = engine.run("asks", &[&["--network", "none"], &labels[..], &[BASE, "sleep", "1000"]].concat());
    let connections = || agent.metrics().value("redis_connections_received_total", &[]);
    let before = wait_until("the cache is looked at", LIMIT, connections);
    agent.write_config(&config(&engine, &format!("  - {{name: app, url: \"{}\"}}\n", app.url("/health"))));
    assert_eq!(agent.post("/-/reload", "").expect("an answer").status, 200);
    wait_until("the new target is looked at", LIMIT, || (agent.health().1["checks"]["app"] == "ok").then_some(()));
    let commands = || agent.metrics().value("redis_commands_processed_total", &[]);
    let looked = commands();
    wait_until("the cache is looked at again", LIMIT, || (commands() > looked).then_some(()));
    assert!(connections().expect("the cache is still there") - before < 0.5, "the cache got a new connection");
    // The engine's target goes, and with it what its containers asked for.
    agent.write_config(&format!("targets: [{{name: app, url: \"{}\"}}]\nrule_files: []\n", app.url("/health")));
    assert_eq!(agent.post("/-/reload", "").expect("an answer").status, 200);
    assert!(!checks(&agent, "cache"));
    drop(asks);
}
