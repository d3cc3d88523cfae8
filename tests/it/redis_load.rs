//! What looking costs a Redis, beside what the exporter's scrapes cost it.

use std::time::Duration;

use crate::parity::redis::Exporter;
use crate::support::{Agent, RealRedis, wait_until};

/// One more than fit into the minute after which the slower questions are due.
const LOOKS: u8 = 7;

/// What a server counted.
#[derive(Debug)]
struct Cost {
    commands: f64,
    connections: f64,
}

impl Cost {
    /// Of what was asked since the last reset, without our own asking here.
    fn of(redis: &RealRedis) -> Self {
        let stats = redis.cli(&["INFO", "stats"]);
        let number = |name: &str| -> f64 {
            let value = stats.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
            value.and_then(|value| value.parse().ok()).expect("a number")
        };
        // This connection is one.
        Self { commands: number("total_commands_processed"), connections: number("total_connections_received") - 1.0 }
    }
}

#[test]
fn a_minute_of_looks_costs_less_than_a_third_of_the_exporters_scrapes() {
    let redis = RealRedis::start();
    redis.cli(&["MSET", "a", "1", "b", "2"]);
    let exporter = Exporter::start(&redis, &[]);
    redis.cli(&["CONFIG", "RESETSTAT"]);
    for _ in 0..LOOKS {
        assert!(exporter.page().contains("redis_up 1"));
    }
    let theirs = Cost::of(&redis);

    let config = format!("global: {{scrape_interval: 10s}}\ntargets: [{{name: cache, url: \"{}\"}}]", redis.url());
    let agent = Agent::start(&config);
    redis.cli(&["CONFIG", "RESETSTAT"]);
    let looks = || agent.metrics().value("redis_exporter_scrapes_total", &[]).expect("looks");
    let before = looks();
    let last = before + f64::from(LOOKS);
    wait_until("the looks", Duration::from_mins(2), || (looks() >= last).then_some(()));
    let ours = Cost::of(&redis);
    assert!(ours.commands < theirs.commands / 3.0, "{ours:?} beside {theirs:?}");
    assert_eq!((ours.connections, theirs.connections), (0.0, f64::from(LOOKS)), "one connection is kept");
}
