//! PgBouncer, beside `pgbouncer_exporter`.

use std::process::Command;
use std::time::Duration;

use super::{Difference, What, compare};
use crate::support::{Agent, Page, RealPgBouncer, RealPostgres, Running, free_port, get, peers, wait_until};

const DIFFERENCES: &[Difference] = &[
    Difference {
        family: "pgbouncer_exporter_build_info",
        what: What::Missing,
        why: "it tells of the exporter, not of PgBouncer",
    },
    Difference {
        family: "pgbouncer_client_connections",
        what: What::Series,
        why: "who looks is among the clients: the exporter sees its own session, which is over when we look",
    },
    Difference { family: "pgbouncer_used_clients", what: What::Value, why: "as above: the exporter counts itself" },
    Difference { family: "pgbouncer_free_clients", what: What::Value, why: "as above" },
    Difference {
        family: "pgbouncer_pools_client_active_connections",
        what: What::Value,
        why: "as above, in the console's own pool",
    },
];

#[test]
fn pgbouncer_is_seen_as_its_exporter_sees_it() {
    let postgres = RealPostgres::start();
    let pgbouncer = RealPgBouncer::start(&postgres);
    let clients: Vec<_> = (0..3).map(|_| pgbouncer.client("shop")).collect();
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let console = format!("postgres://stats:stats@{}/pgbouncer?sslmode=disable", pgbouncer.instance());
    let mut exporter = Command::new(peers::newest("pgbouncer_exporter"));
    exporter.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    // With a name, so that all its series have the same labels.
    exporter.arg(format!("--pgBouncer.connectionString={console}&application_name=exporter"));
    let _exporter = Running::start(&mut exporter, &folder.path().join("log"));
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\ntargets: [{{name: pool, url: \"{}\"}}]\n",
        pgbouncer.url("stats", "stats")
    );
    let agent = Agent::start(&config);
    let ours = || agent.get("/metrics?job=pgbouncer").body;
    let waited = |page: &str| Page::parse(page).sum("pgbouncer_pools_client_maxwait_seconds", &[]);
    let before = wait_until("a client waits, as the exporter sees it", Duration::from_secs(20), || {
        let page = crate::support::request(port, "GET", "/metrics", &[], "")?.body;
        waited(&page).is_some_and(|wait| wait > 1.0).then_some(page)
    });
    let ours = wait_until("the agent has looked since", Duration::from_secs(10), || {
        let page = ours();
        (waited(&page) > waited(&before)).then_some(page)
    });
    let after = wait_until("the exporter has seen as much", Duration::from_secs(10), || {
        let page = get(port, "/metrics").body;
        (waited(&page) >= waited(&ours)).then_some(page)
    });
    drop(clients);
    compare(&before, &ours, &after, DIFFERENCES);
    both_spellings(&Page::parse(&ours));
}

/// What the exporter called the totals before.
fn both_spellings(page: &Page) {
    let totals: Vec<_> = page.0.iter().filter(|line| line.name.starts_with("pgbouncer_stats_totals_")).collect();
    assert!(totals.len() > 7, "{totals:?}");
    for line in totals {
        let old = line.name.replace("_totals_", "_");
        let database = [("database", line.labels["database"].as_str())];
        assert_eq!(page.value(&old, &database), Some(line.value), "{old}");
    }
}
