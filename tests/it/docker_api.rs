//! Which version of the Engine API is spoken, as a proxy before a real engine sees it.

use std::time::Duration;

use crate::support::{Agent, BASE, DockerEngine, DockerProxy, wait_until};

/// What an engine of API 1.24 says of itself: nothing in the answer to a ping.
const OLD: &[(&str, &str)] = &[
    ("/_ping", "HTTP/1.1 200 OK\r\nServer: Docker/1.12.6 (linux)\r\nContent-Length: 2\r\n\r\nOK"),
    (
        "/version",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 68\r\n\r\n\
         {\"Version\": \"1.12.6\", \"ApiVersion\": \"1.24\", \"MinAPIVersion\": \"1.12\"}",
    ),
];

/// Looks at a container through the proxy without any file of the machine, until all kinds of request were sent.
fn looked_at_through(proxy: &DockerProxy, container: &str) -> Agent {
    let agent = Agent::start(&format!(
        "targets: [{{name: docker, kind: docker, url: \"{}\", interval: 2s, timeout: 2s, procfs: /nonexistent, \
         sysfs: /nonexistent}}]\nrule_files: []\n",
        proxy.url()
    ));
    let name = [("name", container)];
    let families = [
        "container_memory_usage_bytes",
        "container_spec_memory_limit_bytes",
        "container_fs_usage_bytes",
        "container_events_total",
    ];
    wait_until("all is seen of the container", Duration::from_secs(30), || {
        let page = agent.metrics();
        let seen = |family: &&str| page.find(family, &name).next().is_some();
        (families.iter().all(seen) && page.find("machine_cpu_cores", &[]).next().is_some()).then_some(())
    });
    wait_until("its events are followed", Duration::from_secs(10), || {
        agent.metrics().value("container_event_streams_total", &[])
    });
    agent
}

/// Everything but the agreement itself was asked for in this version.
fn assert_spoken(proxy: &DockerProxy, version: &str, agreeing: &[&str]) {
    let asked = proxy.asked();
    let (agreement, rest): (Vec<_>, Vec<_>) = asked.iter().partition(|path| agreeing.contains(&path.as_str()));
    assert!(!agreement.is_empty(), "{asked:?}");
    for path in &rest {
        assert!(path.starts_with(version), "{path} does not begin with {version}");
    }
    for kind in ["/containers/json", "/json", "/stats", "/events", "/info", "size=true"] {
        assert!(rest.iter().any(|path| path.contains(kind)), "no {kind} in {rest:?}");
    }
}

#[test]
fn every_request_names_the_version_that_was_agreed_on() {
    let engine = DockerEngine::private();
    let container =
        engine.run("spoken", &["--network", "none", "--label", "sidewatch.url=tcp://none:1", BASE, "sleep", "1000"]);
    let version = format!("/v{}/", engine.docker(&["version", "--format", "{{.Server.APIVersion}}"]));
    let proxy = DockerProxy::start(engine.socket(), &[]);
    let _agent = looked_at_through(&proxy, container.name());
    assert_spoken(&proxy, &version, &["/_ping"]);
}

#[test]
fn an_engine_of_api_1_24_is_spoken_to_in_1_24() {
    let engine = DockerEngine::private();
    let container = engine.run("old", &["--network", "none", "-m", "64m", BASE, "sleep", "1000"]);
    let proxy = DockerProxy::start(engine.socket(), OLD);
    let agent = looked_at_through(&proxy, container.name());
    assert_spoken(&proxy, "/v1.24/", &["/_ping", "/version"]);
    container.kill();
    let died = [("name", container.name()), ("action", "die")];
    wait_until("its death is told", Duration::from_secs(10), || {
        agent.metrics().value("container_events_total", &died).filter(|count| *count >= 1.0)
    });
    assert_eq!(agent.metrics().value("container_last_exit_code", &[("name", container.name())]), Some(137.0));
}
