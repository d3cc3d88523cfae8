//! A server behind a pooler, which hands the server's session on to others after each transaction: nothing of ours may
//! stay in it.

use std::process::Command;
use std::time::Duration;

use crate::support::{Agent, RealPgBouncer, RealPostgres, run, wait_until};

#[test]
fn behind_a_pooler_nothing_stays_set_or_prepared() {
    let postgres = RealPostgres::start_with(&["log_line_prefix=%p "]);
    postgres.sql("grant pg_monitor to app; alter role app set log_statement = 'all'");
    let pgbouncer = RealPgBouncer::start(&postgres);
    // Its database `vectors` is pooled by transaction.
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         targets: [{{name: pooled, url: \"postgres://app:app@{}/vectors\"}}]",
        pgbouncer.instance()
    ));
    let page = wait_until("the agent has looked five times", Duration::from_secs(20), || {
        let page = agent.metrics();
        page.value("pg_exporter_scrapes_total", &[]).filter(|looks| *looks >= 5.0).map(|_| page)
    });
    assert_eq!(page.value("pg_up", &[]), Some(1.0));
    assert_eq!(page.value("pg_exporter_last_scrape_error", &[]), Some(0.0), "{}", agent.log());
    assert_eq!(
        page.sum("sidewatch_target_failures_total", &[]).filter(|failures| *failures > 0.0),
        None,
        "{}",
        agent.log()
    );
    assert!(page.sum("pg_stat_activity_count", &[]).is_some());

    let log = postgres.log();
    let asked = |what: &str| log.lines().filter(|line| line.contains("statement: ") && line.contains(what)).count();
    assert!(asked("SELECT 0 AS arm") >= 3, "questions are asked together here, too");
    assert_eq!(
        (asked("PREPARE"), asked("EXECUTE"), asked(",false)")),
        (0, 0, 0),
        "all that is set ends with the message"
    );
    // What the application's next client meets in the sessions that we used.
    let mut psql = Command::new("psql");
    let (host, port) = (pgbouncer.instance(), pgbouncer.instance());
    psql.args(["-h", host.split(':').next().expect("a host"), "-p", port.rsplit(':').next().expect("a port")]);
    psql.args(["-U", "app", "-d", "vectors", "-XAtqF", " ", "-c"]).env("PGPASSWORD", "app");
    psql.arg(
        "select current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('jit'), \
              replace(current_setting('search_path'), ' ', ''), \
              (select count(*) from pg_prepared_statements)",
    );
    assert_eq!(run(&mut psql).trim(), "0 0 on \"$user\",public 0");
}
