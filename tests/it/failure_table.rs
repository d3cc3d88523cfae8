//! The table of how the exporters fail, row by row: here the peers that cannot be reached or never answer, for every kind.
//!
//! The other rows stand where their servers are: a frozen and a resumed one, a table under an exclusive lock, every connection
//! taken and logins rejected in `postgres_faults`; frozen and resumed ones also in `redis_faults`, `pgbouncer_faults` and
//! `probe_faults`; PgBouncer and the agent in either order of start below.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::support::{
    Agent, BlackHole, Page, RealPgBouncer, RealPostgres, RealRedis, Silent, free_port, request, wait_until,
};

/// The kinds, their URLs at a port, and the metric that says whether they are well.
const KINDS: [(&str, &str, &str); 4] = [
    ("postgres", "postgres://sidewatch@127.0.0.1:PORT/postgres", "pg_up"),
    ("redis", "redis://127.0.0.1:PORT", "redis_up"),
    ("pgbouncer", "pgbouncer://stats@127.0.0.1:PORT", "pgbouncer_up"),
    ("http", "http://127.0.0.1:PORT/health", "probe_success"),
];

#[test]
fn who_is_not_there_or_silent_is_down_within_a_look_and_costs_nothing() {
    let (silent, hole, closed) = (Silent::start(), BlackHole::start(), free_port());
    let faults =
        [("refused", closed, "refused"), ("silent", silent.port(), "timeout"), ("dropped", hole.port(), "timeout")];
    let mut config = String::from("global: {scrape_interval: 1s, scrape_timeout: 900ms}\ntargets:\n");
    for (fault, port, _) in faults {
        for (kind, url, _) in KINDS {
            let url = url.replace("PORT", &port.to_string());
            let _ = writeln!(config, "  - {{name: {kind}-{fault}, url: \"{url}\", instance: {kind}-{fault}}}");
        }
    }
    let agent = Agent::start(&config);
    let (_, health) = agent.health();
    let page = agent.metrics();
    for (fault, _, reason) in faults {
        for (kind, _, verdict) in KINDS {
            let name = format!("{kind}-{fault}");
            let told = health["checks"][&name].as_str().unwrap_or_default();
            assert!(told.starts_with(reason), "{name}: {told}");
            assert_eq!(page.value(verdict, &[("instance", &name)]), Some(0.0), "{name} is told as a value, in time");
            assert_eq!(page.value("up", &[("instance", &name)]), Some(1.0), "{name}: the agent itself answers");
        }
    }
    // A dead target makes an exporter grow by connections and memory each minute. An attempt takes a socket while it lasts:
    // the most that were open in ten seconds counts.
    let most_open = || {
        let (since, mut most) = (Instant::now(), 0);
        while since.elapsed() < Duration::from_secs(10) {
            let asked = Instant::now();
            agent.metrics();
            assert!(asked.elapsed() < Duration::from_secs(1), "/metrics took {:?}", asked.elapsed());
            most = most.max(agent.open_files());
            std::thread::sleep(Duration::from_millis(50));
        }
        most
    };
    let (files, memory) = (most_open(), agent.resident());
    std::thread::sleep(Duration::from_secs(20));
    let (later, grown) = (most_open(), agent.resident());
    assert!(later <= files + 2, "{files} open files at most became {later}");
    assert!(grown <= memory + memory / 10, "{memory} bytes became {grown}");
}

#[test]
fn the_order_of_starting_does_not_matter() {
    let (port, since) = (free_port(), Instant::now());
    let folder = std::sync::Arc::new(tempfile::tempdir().expect("a folder"));
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\ntargets: [{{name: cache, url: \"redis://127.0.0.1:{port}\"}}]\n"
    );
    let agent = Agent::start_in(&folder, &config);
    let page = |agent: &Agent| {
        let answer = request(agent.port(), "GET", "/metrics", &[], "").filter(|answer| answer.status == 200)?;
        Some(Page::parse(&answer.body))
    };
    wait_until("/metrics answers with nothing of what it watches there", Duration::from_secs(5), || page(&agent));
    assert!(since.elapsed() < Duration::from_secs(5));
    let mut redis = RealRedis::start_at(port);
    wait_until("the cache is up", Duration::from_secs(5), || {
        (page(&agent)?.value("redis_up", &[]) == Some(1.0)).then_some(())
    });
    redis.stop();

    let postgres = RealPostgres::start();
    let mut pgbouncer = RealPgBouncer::start(&postgres);
    pgbouncer.stop();
    let url = pgbouncer.url("stats", "stats");
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\ntargets: [{{name: pool, url: \"{url}\"}}]\n"
    ));
    assert_eq!(agent.metrics().value("pgbouncer_up", &[]), Some(0.0));
    pgbouncer.start_again();
    wait_until("the pool is up", Duration::from_secs(5), || {
        (agent.metrics().value("pgbouncer_up", &[]) == Some(1.0)).then_some(())
    });
}
