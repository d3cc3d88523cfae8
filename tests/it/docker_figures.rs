//! A real engine's containers, as the agent sees them when things go wrong.

use std::time::{Duration, Instant};

use crate::support::{Agent, BASE, DockerEngine, NginxProxy, Podman, wait_until};

fn config(url: &str) -> String {
    format!("targets: [{{name: docker, kind: docker, url: \"{url}\", interval: 1s, timeout: 1s, instance: engine}}]\n")
}

/// Longer looks, for an engine that is slow on a busy machine.
fn slow_config(url: &str) -> String {
    config(url).replace("interval: 1s, timeout: 1s", "interval: 5s, timeout: 5s")
}

#[test]
fn an_engine_restarted_while_watched_is_down_and_then_up_with_its_containers() {
    let mut engine = DockerEngine::private();
    let agent = Agent::start(&config(&engine.url()));
    let name = {
        let container = engine
            .run("kept", &["--restart", "always", "--stop-signal", "KILL", "--network", "none", BASE, "sleep", "1000"]);
        let name = container.name().to_owned();
        std::mem::forget(container);
        name
    };
    let usage = |agent: &Agent| agent.metrics().value("container_memory_usage_bytes", &[("name", &name)]);
    wait_until("the container is seen", Duration::from_secs(10), || usage(&agent).map(drop));
    let up = |agent: &Agent| agent.metrics().value("up", &[("job", "cadvisor")]);
    assert_eq!(up(&agent), Some(1.0));
    let started = agent.metrics().value("container_start_time_seconds", &[("name", &name)]).expect("a start");

    engine.stop();
    wait_until("the engine is down", Duration::from_secs(10), || (up(&agent) == Some(0.0)).then_some(()));
    assert!(agent.metrics().find("container_memory_usage_bytes", &[]).next().is_none(), "nothing stale is shown");
    let failures = agent.metrics().sum("sidewatch_target_failures_total", &[("job", "cadvisor")]);
    assert!(failures.is_some_and(|count| count >= 1.0), "{failures:?}");

    engine.start_again();
    wait_until("the engine is up", Duration::from_secs(20), || (up(&agent) == Some(1.0)).then_some(()));
    wait_until("the container is seen anew", Duration::from_secs(20), || {
        let start = agent.metrics().value("container_start_time_seconds", &[("name", &name)]);
        (usage(&agent).is_some() && start.is_some_and(|start| start > started)).then_some(())
    });
    engine.docker(&["rm", "-f", &name]);
}

#[test]
fn a_container_that_dies_every_second_keeps_its_name_and_shows_its_restarts() {
    let engine = DockerEngine::start();
    let crashing =
        engine.run("crashing", &["--restart", "always", "--network", "none", BASE, "sh", "-c", "sleep 1; exit 3"]);
    let steady = engine.run("steady", &["--network", "none", BASE, "sleep", "1000"]);
    let agent = Agent::start(&config(&engine.url()));
    let value = |family: &str, name: &str| agent.metrics().value(family, &[("name", name)]);
    let first = wait_until("a restart is seen", Duration::from_secs(20), || {
        value("container_restarts", crashing.name()).filter(|count| *count >= 1.0)
    });
    wait_until("more restarts are seen", Duration::from_secs(30), || {
        value("container_restarts", crashing.name()).filter(|count| *count >= first + 2.0)
    });
    // It is at rest now and then: with the exit code, and under the same id as when it runs.
    wait_until("its exit code is seen", Duration::from_secs(30), || {
        (value("container_exit_code", crashing.name()) == Some(3.0)).then_some(())
    });
    let page = agent.metrics();
    let states: Vec<_> = page.0.iter().filter(|line| line.name == "container_state").collect();
    let of_it = states.iter().filter(|line| line.labels["name"] == crashing.name());
    let ids: Vec<_> = of_it.map(|line| &line.labels["id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(value("container_memory_usage_bytes", steady.name()).is_some(), "its neighbour is seen all the while");
    assert_eq!(agent.health().1["checks"]["docker"], "ok");
}

#[test]
fn a_proxy_that_allows_containers_events_ping_and_version_alone_is_enough() {
    let engine = DockerEngine::start();
    let container = engine.run("behind", &["--network", "none", "--label", "shop=yes", BASE, "sleep", "1000"]);
    let proxy = NginxProxy::start(engine.socket(), &["containers/", "events", "_ping", "version"]);
    // Nothing but the proxy tells anything: as in another machine's container.
    let elsewhere = config(&proxy.url()).replace("instance", "procfs: /nonexistent, sysfs: /nonexistent, instance");
    for config in [config(&proxy.url()), elsewhere] {
        let agent = Agent::start(&config);
        let name = [("name", container.name())];
        let usage = wait_until("the container's memory is seen", Duration::from_secs(10), || {
            agent.metrics().find("container_memory_usage_bytes", &name).next().cloned()
        });
        assert_eq!(usage.labels["container_label_shop"], "yes");
        assert!(usage.labels["id"].ends_with(&container.inspect("{{.Id}}")), "{:?}", usage.labels);
        assert_eq!(agent.health().1["checks"]["docker"], "ok");
        let denied = || {
            let labels = [("job", "cadvisor"), ("reason", "permission")];
            agent.metrics().sum("sidewatch_target_failures_total", &labels)
        };
        assert_eq!(denied(), Some(1.0), "/info is denied once and not asked again");
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(denied(), Some(1.0));
        assert!(agent.metrics().value("container_spec_memory_limit_bytes", &name).is_some());
    }
}

#[test]
fn podman_is_looked_at_as_docker_is() {
    let podman = Podman::start();
    let engine = podman.engine();
    let limits = ["--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000", "--memory", "64m", "--cpus", "0.5"];
    let arguments = [&["--network", "none"], limits.as_slice(), &[BASE, "sleep", "1000"]].concat();
    let container = engine.run("pod", &arguments);
    let id = container.inspect("{{.Id}}");
    let with_files = Agent::start(&config(&engine.url()));
    let without =
        Agent::start(&config(&engine.url()).replace("instance", "procfs: /nonexistent, sysfs: /nonexistent, instance"));
    let name = [("name", container.name())];
    // One page has it all: the next look may come too late on a busy machine.
    let seen = |agent: &Agent| {
        wait_until("its figures and settings are seen", Duration::from_secs(20), || {
            let page = agent.metrics();
            let all = ["container_memory_usage_bytes", "container_spec_memory_limit_bytes", "container_last_seen"];
            all.iter().all(|family| page.value(family, &name).is_some()).then_some(page)
        })
    };
    for agent in [&with_files, &without] {
        let page = seen(agent);
        let usage = page.find("container_memory_usage_bytes", &name).next().expect("it was seen");
        assert_eq!(usage.labels["id"], format!("/libpod_parent/libpod-{id}"));
        assert_eq!(page.value("container_spec_memory_limit_bytes", &name), Some(67_108_864.0));
        assert_eq!(page.value("container_spec_cpu_quota", &name), Some(50_000.0));
        assert_eq!(page.value("container_state", &[("name", container.name()), ("state", "running")]), Some(1.0));
        wait_until("it is well", Duration::from_secs(20), || {
            (agent.health().1["checks"]["docker"] == "ok").then_some(())
        });
    }
    assert!(seen(&with_files).value("container_memory_working_set_bytes", &name).is_some());
}

#[test]
fn two_hundred_containers_are_seen_in_every_look() {
    let engine = DockerEngine::private();
    let script = "for n in $(seq 200); do echo $n; done | xargs -P 4 -I{} docker run -d --name many-{} --network none \
        --log-driver none sidewatch-test/base:1 sleep 10000";
    let mut command = std::process::Command::new("sh");
    crate::support::run(command.args(["-c", script]).env("DOCKER_HOST", engine.url()));
    let agent = Agent::start(&slow_config(&engine.url()));
    let page = agent.metrics();
    let seen = |family: &str| page.find(family, &[]).filter(|line| line.labels.contains_key("name")).count();
    assert_eq!(seen("container_memory_working_set_bytes"), 200);
    assert_eq!(seen("container_last_seen"), 200);
    assert_eq!(page.sum("sidewatch_target_failures_total", &[("job", "cadvisor")]), Some(0.0));
    let second = Instant::now();
    let took = wait_until("a look that knows them", Duration::from_secs(15), || {
        let took = agent.metrics().value("scrape_duration_seconds", &[("job", "cadvisor")]);
        took.filter(|_| second.elapsed() > Duration::from_secs(6))
    });
    assert!(took < 1.0, "a look that has to ask nobody anew took {took} s");
    engine.docker(&["ps", "-q"]).split_whitespace().collect::<Vec<_>>().chunks(50).for_each(|some| {
        engine.docker(&[&["rm", "-f"], some].concat());
    });
}
