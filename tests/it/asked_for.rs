//! What community dashboards and rules ask for has data behind a real Prometheus with the shipped scrape configuration.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::peers::{inside_newest, newest, newest_root};
use crate::support::{
    Agent, BASE, DockerEngine, GrpcServer, HttpApp, PostgresSetup, RealPgBouncer, RealPostgres, RealPrometheus,
    RealRedis, RedisSetup, Running, as_newest, free_port, repository, run, wait_until,
};

const ASKED_FOR: &str = include_str!("asked_for.txt");

/// What this kernel and these containers do not have, whoever asks.
const NOT_HERE: [&str; 4] = [
    // Control groups of version 2 alone account for pressure.
    "container_pressure_cpu_stalled_seconds_total",
    "container_pressure_cpu_waiting_seconds_total",
    "container_pressure_io_stalled_seconds_total",
    "container_pressure_io_waiting_seconds_total",
];

#[test]
fn what_dashboards_ask_for_has_data() {
    let primary = primary();
    let _standby = standby(&primary);
    let pool = RealPgBouncer::start(&primary);
    let redis = |arguments: &[&str]| {
        RealRedis::with(RedisSetup {
            newest: Some("redis-server"),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        })
    };
    let cache = redis(&["--appendonly", "yes"]);
    let replica = redis(&["--replicaof", "127.0.0.1", &cache.port().to_string()]);
    let sentinel = redis(&["--sentinel"]);
    sentinel.cli(&["sentinel", "monitor", "shop", "127.0.0.1", &cache.port().to_string(), "1"]);
    let docker = DockerEngine::start();
    let _worker = docker.run("worker", &["--memory", "64m", "--cpus", "0.5", BASE, "/bin/sleep", "3600"]);
    let folder = tempfile::tempdir().expect("a folder");
    let (app, secure) = (HttpApp::start(), GrpcServer::start_tls(folder.path()));
    let agent = Agent::start(&format!(
        r#"
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
targets:
  - {{name: app, url: "{app}"}}
  - {{name: secure, url: "tls://127.0.0.1:{secure}", tls: {{insecure_skip_verify: true}}}}
  - {{name: host-answers, url: "icmp://127.0.0.1"}}
  - {{name: orders, url: "{orders}"}}
  - {{name: pool, url: "{pool}"}}
  - {{name: cache, url: "{cache}"}}
  - {{name: replica, url: "{replica}"}}
  - {{name: sentinel, url: "{sentinel}"}}
  - {{name: docker, kind: docker, url: "{docker}"}}
  - {{name: host, kind: host}}
"#,
        app = app.url("/health"),
        secure = secure.port(),
        orders = primary.url(),
        pool = pool.url("stats", "stats"),
        cache = cache.url(),
        replica = replica.url(),
        sentinel = sentinel.url(),
        docker = docker.url(),
    ));
    // The shipped scrape configuration, for where the agent listens here.
    let shipped = std::fs::read_to_string(repository().join("config/prometheus.yml")).expect("it is shipped");
    let jobs = shipped.split_once("scrape_configs:\n").expect("a scrape configuration").1;
    let jobs = jobs.replace("sidewatch:9640", &format!("127.0.0.1:{}", agent.port())).replace("10s", "1s");
    let prometheus = RealPrometheus::start_as(&newest("prometheus"), &jobs);
    let asked: BTreeSet<&str> = ASKED_FOR
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|name| !NOT_HERE.contains(name))
        .collect();
    let missing = || -> Vec<&str> { asked.iter().filter(|name| !prometheus.has(name)).copied().collect() };
    let mut last = Vec::new();
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until("everything has data", Duration::from_secs(90), || {
            last = missing();
            std::thread::sleep(Duration::from_secs(1));
            last.is_empty().then_some(())
        });
    }));
    assert!(told.is_ok(), "{} of {} without data:\n{}", last.len(), asked.len(), last.join("\n"));
}

/// PostgreSQL 18 with what the optional collectors need, and something to tell in each.
fn primary() -> RealPostgres {
    let settings = ["max_connections=50", "max_wal_senders=5", "shared_preload_libraries=pg_stat_statements"];
    let settings = settings.map(str::to_owned).to_vec();
    let primary = RealPostgres::with(PostgresSetup { newest: true, settings });
    for statement in [
        "create extension pg_stat_statements",
        "create extension pg_buffercache",
        "create table orders (id int primary key, what text)",
        "insert into orders select n, 'x' from generate_series(1, 1000) n",
        "analyze orders",
        "select count(*) from orders where id = 5",
    ] {
        primary.sql(statement);
    }
    primary
}

/// A standby: it stands in `pg_stat_replication` with how far it has got.
fn standby(primary: &RealPostgres) -> (Running, TempDir) {
    let folder = tempfile::tempdir_in(newest_root().join("tmp")).expect("a folder");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("our folder");
    let data = inside_newest(folder.path()).join("data");
    let from = format!("postgres://postgres@{}/", primary.instance());
    run(as_newest("pg_basebackup").arg("-D").arg(&data).args(["-R", "-C", "-S", "standby", "-d", &from]));
    let mut server = as_newest("postgres");
    server.arg("-D").arg(&data).arg("-k").arg(inside_newest(folder.path()));
    server.args(["-p", &free_port().to_string(), "-c", "listen_addresses=", "-c", "max_connections=50"]);
    server.args(["-c", "dynamic_shared_memory_type=mmap"]);
    (Running::start(&mut server, &folder.path().join("log")), folder)
}
