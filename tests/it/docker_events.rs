//! What happens to containers, told by a real engine: each thing once, whatever breaks between.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Agent, BASE, DockerEngine, NginxProxy, wait_until};

const LIMIT: Duration = Duration::from_secs(20);

/// An agent that looks at one engine every half second.
fn watch(url: &str) -> Agent {
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\n\
         targets: [{{name: docker, kind: docker, url: \"{url}\"}}]\nrule_files: []\n"
    ));
    wait_until("the events are followed", LIMIT, || agent.metrics().value("container_event_streams_total", &[]));
    agent
}

fn count(agent: &Agent, container: &str, action: &str) -> u64 {
    let counted = agent.metrics().value("container_events_total", &[("name", container), ("action", action)]);
    counted.map_or(0, |count| count as u64)
}

fn events(agent: &Agent, query: &str) -> Vec<Value> {
    agent.get(&format!("/v1/events?{query}")).json()["events"].as_array().expect("a list").clone()
}

#[test]
fn a_container_that_dies_again_and_again_is_counted_exactly_over_an_engines_restart() {
    let mut engine = DockerEngine::private();
    let agent = watch(&engine.url());
    let arguments = ["run", "-d", "--network", "none", "--stop-signal", "KILL", "--name"];
    engine.docker(&[&arguments[..], &["stays", "--restart", "always", BASE, "sleep", "1000"]].concat());
    engine.docker(&["create", "--network", "none", "--name", "dies", BASE, "sh", "-c", "sleep 0.2; exit 3"]);
    let die = |engine: &DockerEngine, times: usize| {
        for _ in 0..times {
            let mut start = engine.command(&["start", "--attach", "dies"]);
            assert_eq!(start.output().expect("docker").status.code(), Some(3));
        }
    };
    die(&engine, 6);
    engine.stop();
    engine.start_again();
    die(&engine, 6);
    wait_until("every death is counted", LIMIT, || (count(&agent, "dies", "die") >= 12).then_some(()));
    let kept_up = || (count(&agent, "stays", "start"), count(&agent, "stays", "die"));
    wait_until("the other is up again", LIMIT, || (kept_up() == (2, 1)).then_some(()));
    assert_eq!((count(&agent, "dies", "start"), count(&agent, "dies", "die")), (12, 12));
    assert_eq!(kept_up(), (2, 1));
    let page = agent.metrics();
    assert_eq!(page.value("container_last_exit_code", &[("name", "dies")]), Some(3.0));
    assert!(page.value("container_event_streams_total", &[]) >= Some(2.0));

    let deaths = events(&agent, "container=dies&action=die");
    assert_eq!(deaths.len(), 12);
    assert!(deaths.iter().all(|death| death["exit_code"] == 3 && death["image"] == BASE), "{deaths:?}");
    assert_eq!(events(&agent, "container=dies&limit=3").len(), 3);
    assert!(agent.get("/").body.contains("<td class=bad>die, exit code 3"), "the page tells it");
    assert_eq!(agent.get("/v1/events?nonsense=1").status, 400);
    engine.docker(&["rm", "-f", "stays", "dies"]);
}

#[test]
fn a_death_while_the_engine_was_dead_is_known_afterwards() {
    let mut engine = DockerEngine::private();
    let agent = watch(&engine.url());
    engine.docker(&["run", "-d", "--network", "none", "--name", "ends", BASE, "sh", "-c", "sleep 3; exit 4"]);
    wait_until("it runs", LIMIT, || (count(&agent, "ends", "start") == 1).then_some(()));
    let pid = engine.docker(&["inspect", "--format", "{{.State.Pid}}", "ends"]);
    engine.crash();
    wait_until("it ends", LIMIT, || (!std::path::Path::new(&format!("/proc/{pid}/root/bin")).exists()).then_some(()));
    engine.start_again();
    wait_until("its death is known", LIMIT, || (count(&agent, "ends", "die") == 1).then_some(()));
    assert_eq!(agent.metrics().value("container_last_exit_code", &[("name", "ends")]), Some(4.0));
    let told = events(&agent, "container=ends&action=die");
    assert_eq!((told.len(), &told[0]["exit_code"]), (1, &4.into()), "{told:?}");
}

#[test]
fn kills_for_lack_of_memory_and_failing_health_checks_are_told() {
    let engine = DockerEngine::private();
    let agent = watch(&engine.url());
    // A child is killed, the container lives on.
    let eat = "while sleep 1; do dd if=/dev/zero of=/dev/null bs=200M count=1; done";
    let hungry =
        engine.run("hungry", &["--network", "none", "-m", "20m", "--memory-swap", "20m", BASE, "sh", "-c", eat]);
    let health = ["--health-cmd", "exit 1", "--health-interval", "300ms", "--health-retries", "2"];
    let sick = engine.run("sick", &[&["--network", "none"], &health[..], &[BASE, "sleep", "1000"]].concat());

    wait_until("kills are counted", LIMIT, || {
        let kills = agent.metrics().value("container_oom_events_total", &[("name", hungry.name())]);
        (kills? >= 2.0).then_some(())
    });
    assert_eq!(hungry.inspect("{{.State.Running}}"), "true");
    wait_until("the verdict on health is counted", LIMIT, || {
        (count(&agent, sick.name(), "health_status: unhealthy") == 1).then_some(())
    });
    let streak = || agent.metrics().value("container_health_failing_streak", &[("name", sick.name())]);
    wait_until("the streak grows", LIMIT, || (streak() > Some(4.0)).then_some(()));
    assert!(!events(&agent, &format!("container={}&action=health_status:%20unhealthy", sick.name())).is_empty());
}

#[test]
fn a_new_image_or_configuration_of_a_service_is_a_deployment_and_bad_settings_get_advice() {
    let engine = DockerEngine::private();
    let agent = watch(&engine.url());
    let service = |name: &str, hash: &str| {
        let hash = format!("com.docker.compose.config-hash={hash}");
        let labels = [
            "--label",
            "com.docker.compose.project=shop",
            "--label",
            "com.docker.compose.service=app",
            "--label",
            &hash,
        ];
        let rest =
            ["--network", "none", "-e", "OPENAI_API_KEY=hush-hush", BASE, "sh", "-c", "sleep 1000", "redis-server"];
        engine.run(name, &[&labels[..], &rest[..]].concat())
    };
    let deploys = || agent.metrics().value("container_deploys_total", &[("project", "shop"), ("service", "app")]);
    let first = service("app", "a");
    wait_until("the new service is a deployment", LIMIT, || (deploys() == Some(1.0)).then_some(()));
    drop(first);
    let second = service("app", "b");
    wait_until("the new configuration is another", LIMIT, || (deploys() == Some(2.0)).then_some(()));
    let at = agent.metrics().value("container_deploy_timestamp_seconds", &[("service", "app"), ("image", BASE)]);
    let created = Command::new("date").args(["+%s", "-d", &second.inspect("{{.Created}}")]).output().expect("date");
    assert_eq!(at, String::from_utf8_lossy(&created.stdout).trim().parse().ok());
    let told = events(&agent, "action=deploy");
    assert!(told[0]["detail"].as_str().expect("words").contains("other configuration"), "{told:?}");

    let page = agent.metrics();
    let advice =
        |setting| page.value("container_setting_advice_info", &[("name", second.name()), ("setting", setting)]);
    for setting in ["memory limit", "healthcheck", "restart", "maxmemory", "environment OPENAI_API_KEY"] {
        assert_eq!(advice(setting), Some(1.0), "{setting}");
    }
    assert!(!agent.metrics_as("text/plain").body.contains("hush-hush"));
}

#[test]
fn a_proxy_that_allows_little_is_enough() {
    let engine = DockerEngine::private();
    // What tecnativa/docker-socket-proxy lets through with CONTAINERS, EVENTS, PING and VERSION.
    let proxy = NginxProxy::start(engine.socket(), &["containers", "events", "_ping", "version"]);
    let agent = watch(&proxy.url());
    let url = format!("sidewatch.url={}/version", proxy.url().replace("tcp", "http"));
    let dies = engine.run("dies", &["--network", "none", "--label", &url, BASE, "sleep", "1000"]);
    wait_until("its target appears", LIMIT, || (agent.health().1["checks"][dies.name()] == "ok").then_some(()));
    dies.kill();
    wait_until("its death is counted", LIMIT, || (count(&agent, dies.name(), "die") == 1).then_some(()));
    let page = agent.metrics();
    assert_eq!(page.value("container_last_exit_code", &[("name", dies.name())]), Some(137.0));
    let denied = page.value("sidewatch_target_failures_total", &[("job", "cadvisor"), ("reason", "permission")]);
    assert_eq!(denied, Some(1.0), "what the proxy denies is said once");
}
