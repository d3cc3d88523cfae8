//! What a Postgres can suffer: each fault has its reason, loses no more than it must, and is over when it is over.

use std::time::{Duration, Instant};

use crate::support::{Agent, Page, RealPostgres, as_postgres, run, wait_until};

/// Of the targets below.
const INTERVAL: Duration = Duration::from_secs(1);
/// A look in which the fault is met, the next one in which it surely is, and a busy machine.
const SOON: Duration = Duration::from_secs(10);

fn watch(url: &str) -> Agent {
    Agent::start(&config(url))
}

fn config(url: &str) -> String {
    let seconds = INTERVAL.as_secs();
    format!(
        "global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}\ntargets: [{{name: orders, url: \"{url}\"}}]"
    )
}

/// What `/health` says of the server.
fn verdict(agent: &Agent) -> String {
    agent.health().1["checks"]["orders"].as_str().unwrap_or_default().to_owned()
}

fn assert_ill(agent: &Agent, words: &[&str]) -> Page {
    let what = format!("the reason holds {words:?}");
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until(&what, SOON, || {
            let reason = verdict(agent).to_lowercase();
            words.iter().all(|word| reason.contains(&word.to_lowercase())).then_some(())
        });
    }));
    assert!(told.is_ok(), "the reason is: {}", verdict(agent));
    let page = agent.metrics();
    assert_eq!(page.value("pg_up", &[]), Some(0.0));
    assert_eq!(page.value("up", &[("job", "postgres")]), Some(1.0), "the exporter would have answered");
    page
}

fn assert_well(agent: &Agent) -> Page {
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until("the server is well", SOON, || (verdict(agent) == "ok").then_some(()));
    }));
    assert!(told.is_ok(), "the reason is: {}", verdict(agent));
    let page = agent.metrics();
    assert_eq!(page.value("pg_up", &[]), Some(1.0));
    page
}

fn counted(page: &Page, reason: &str) -> f64 {
    page.value("sidewatch_target_failures_total", &[("reason", reason)]).unwrap_or_default()
}

/// Waits until a page is as it should be.
fn wait_for(agent: &Agent, what: &str, is_so: impl Fn(&Page) -> bool) -> Page {
    wait_until(what, SOON, || Some(agent.metrics()).filter(&is_so))
}

/// Changes what the server can be asked, so that slow questions are asked again at once.
fn ask_anew(postgres: &RealPostgres) {
    postgres.sql(
        "do $$ begin if exists (select from pg_extension where extname = 'pgcrypto') \
         then drop extension pgcrypto; else create extension pgcrypto; end if; end $$",
    );
}

#[test]
fn a_restarted_server_is_seen_as_it_is_now() {
    let mut postgres = RealPostgres::start();
    let agent = watch(&postgres.url());
    let page = assert_well(&agent);
    assert_eq!(page.value("pg_settings_work_mem_bytes", &[]), Some(f64::from(4 << 20)));
    postgres.stop();
    let page = assert_ill(&agent, &["refused"]);
    assert_eq!(page.value("pg_settings_work_mem_bytes", &[]), None, "what was not obtained is gone");
    assert!(page.names("pg_stat_").is_empty(), "{:?}", page.names("pg_stat_"));
    postgres.set("work_mem=8MB");
    postgres.start_again();
    let page = assert_well(&agent);
    assert_eq!(page.value("pg_settings_work_mem_bytes", &[]), Some(f64::from(8 << 20)), "nothing of before is kept");
}

#[test]
fn a_standby_is_up_and_one_that_only_recovers_is_not() {
    let mut postgres = RealPostgres::start();
    let agent = watch(&postgres.url());
    assert_eq!(assert_well(&agent).value("pg_replication_is_replica", &[]), Some(0.0));
    postgres.stop();
    std::fs::write(postgres.folder().join("standby.signal"), "").expect("the server's folder");
    postgres.start_again();
    let is_replica = |page: &Page| page.value("pg_replication_is_replica", &[]) == Some(1.0);
    let page = wait_for(&agent, "it is a standby", is_replica);
    assert_eq!(page.value("pg_up", &[]), Some(1.0));
    // A server that has just started may be slower than a question's budget; the next look asks again.
    let all_asked = |page: &Page| page.find("pg_scrape_collector_success", &[]).all(|line| line.value > 0.0);
    wait_for(&agent, "all can be asked in recovery", all_asked);

    postgres.stop();
    postgres.set("hot_standby=off");
    postgres.start_deaf();
    let page = assert_ill(&agent, &["unreachable", "57P03"]);
    assert!(counted(&page, "sqlstate_57P03") >= 1.0);
    postgres.stop();
    std::fs::remove_file(postgres.folder().join("standby.signal")).expect("the server's folder");
    postgres.set("hot_standby=on");
    postgres.start_again();
    assert_eq!(assert_well(&agent).value("pg_replication_is_replica", &[]), Some(0.0));
}

#[test]
fn used_up_connections_are_told_with_who_holds_them() {
    let postgres = RealPostgres::start();
    let agent = watch(&postgres.url());
    assert_well(&agent);
    let held = postgres.take_all_connections();
    let page = assert_ill(&agent, &["limit", "53300"]);
    assert!(counted(&page, "sqlstate_53300") >= 1.0);
    let page = wait_for(&agent, "no slot is left", |page| page.value("pg_connections_available", &[]) == Some(0.0));
    assert_eq!(page.value("pg_connections_reserved", &[]), Some(3.0));
    let hoarded = page.sum("pg_connections", &[("application_name", "hoarder"), ("usename", "app")]);
    assert_eq!(hoarded, Some(held.count() as f64), "the kept session still sees");
    drop(held);
    let free = wait_for(&agent, "slots are free again", |page| {
        page.value("pg_connections_available", &[]).is_some_and(|available| available >= 4.0)
    });
    assert_eq!(free.sum("pg_connections", &[("application_name", "hoarder")]), None);
    assert_well(&agent);
}

#[test]
fn a_locked_table_costs_its_own_size_and_nothing_else() {
    let postgres = RealPostgres::start();
    for table in ["orders", "users"] {
        postgres.sql(&format!("create table {table} as select generate_series(1, 1000) as id"));
    }
    let lock = postgres.hold("migrate", "lock table orders in access exclusive mode");
    let agent = watch(&postgres.url());
    let page = assert_well(&agent);
    let size = |page: &Page, table| page.value("pg_stat_user_tables_table_size_bytes", &[("relname", table)]);
    assert_eq!(size(&page, "orders"), None);
    assert!(size(&page, "users").is_some_and(|bytes| bytes > 0.0));
    assert!(
        page.value("pg_stat_user_tables_n_live_tup", &[("relname", "orders")]).is_some(),
        "statistics need no lock"
    );
    let failed: Vec<_> = page.find("pg_scrape_collector_success", &[]).filter(|line| line.value < 1.0).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let took = page.value("pg_exporter_last_scrape_duration_seconds", &[]).expect("a duration");
    assert!(took < INTERVAL.as_secs_f64(), "a look took {took} s");

    std::thread::scope(|scope| {
        scope.spawn(|| postgres.sql("select count(*) from orders"));
        let page = wait_for(&agent, "somebody waits", |page| page.value("pg_blocked_sessions", &[]) == Some(1.0));
        let who = [("application_name", "migrate"), ("datname", "postgres"), ("usename", "postgres")];
        assert_eq!(page.value("pg_blocking_sessions", &who), Some(1.0));
        assert!(page.value("pg_blocked_longest_wait_seconds", &[("mode", "accesssharelock")]).is_some());
        let idle = [("application_name", "migrate"), ("state", "idle in transaction")];
        assert!(page.value("pg_connections_idle_in_transaction_max_seconds", &idle).is_some_and(|age| age > 0.0));
        drop(lock);
    });
    let page = wait_for(&agent, "nobody waits", |page| page.value("pg_blocked_sessions", &[]) == Some(0.0));
    assert_eq!(page.sum("pg_blocking_sessions", &[]), None);
    ask_anew(&postgres);
    wait_for(&agent, "the table has its size", |page| size(page, "orders").is_some());
}

#[test]
fn without_pg_monitor_what_is_not_seen_is_absent() {
    let postgres = RealPostgres::start();
    postgres.sql("revoke pg_monitor from sidewatch");
    let agent = watch(&postgres.url());
    let page = assert_well(&agent);
    assert!(counted(&page, "permission") + counted(&page, "sqlstate_42501") >= 1.0);
    for family in ["pg_stat_activity_count", "pg_connections", "pg_blocked_sessions", "pg_wal_segments"] {
        assert_eq!(page.sum(family, &[]), None, "{family}");
    }
    let success = |collector| page.value("pg_scrape_collector_success", &[("collector", collector)]);
    assert_eq!((success("stat_activity"), success("wal"), success("stat_database")), (Some(0.0), Some(0.0), Some(1.0)));
    postgres.sql("grant pg_monitor to sidewatch");
    wait_for(&agent, "the right is noticed", |page| {
        page.sum("pg_stat_activity_count", &[]).is_some() && page.value("pg_wal_segments", &[]).is_some()
    });
}

#[test]
fn a_wrong_password_is_told_and_forgotten_when_it_is_right() {
    let postgres = RealPostgres::start();
    postgres.sql("alter role sidewatch password 'right'");
    postgres.admit("host all sidewatch 127.0.0.1/32 scram-sha-256");
    let agent = watch(&postgres.url().replace("sidewatch@", "sidewatch:hush-hush@"));
    let page = assert_ill(&agent, &["auth", "28P01"]);
    assert!(counted(&page, "sqlstate_28P01") >= 1.0);
    assert!(page.names("pg_stat_").is_empty());
    assert!(!verdict(&agent).contains("hush-hush") && !agent.log().contains("hush-hush"));
    postgres.sql("alter role sidewatch password 'hush-hush'");
    assert_well(&agent);
}

#[test]
fn whoever_insists_on_tls_is_understood() {
    let mut postgres = RealPostgres::start();
    let agent = watch(&format!("{}?sslmode=require", postgres.url()));
    let page = assert_ill(&agent, &["tls"]);
    assert!(counted(&page, "tls") >= 1.0, "the server has none");
    let (key, certificate) = (postgres.folder().join("server.key"), postgres.folder().join("server.crt"));
    run(as_postgres("openssl")
        .args(["req", "-new", "-x509", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate));
    postgres.stop();
    postgres.set("ssl=on");
    postgres.start_again();
    let page = assert_well(&agent);
    assert!(page.value("pg_login_duration_seconds", &[("phase", "tls")]).is_some_and(|took| took > 0.0));

    postgres.admit("hostssl all all 127.0.0.1/32 trust");
    assert_well(&watch(&postgres.url()));
    let plain = watch(&format!("{}?sslmode=disable", postgres.url()));
    let page = assert_ill(&plain, &["tls", "28000"]);
    assert!(counted(&page, "sqlstate_28000") >= 1.0);
    postgres.admit("host all all 127.0.0.1/32 trust");
    let page = assert_well(&plain);
    assert_eq!(page.value("pg_login_duration_seconds", &[("phase", "tls")]), None);
}

#[test]
fn a_frozen_server_is_told_in_time_and_seen_again_when_it_goes_on() {
    let postgres = RealPostgres::start();
    let agent = watch(&postgres.url());
    assert_well(&agent);
    postgres.signal_all("STOP");
    let frozen = Instant::now();
    let page = assert_ill(&agent, &["timeout"]);
    assert!(page.names("pg_stat_").is_empty(), "nothing of before is shown");
    while frozen.elapsed() < INTERVAL * 4 {
        let asked = Instant::now();
        agent.metrics();
        assert!(asked.elapsed() < Duration::from_secs(1), "/metrics took {:?}", asked.elapsed());
        std::thread::sleep(Duration::from_millis(200));
    }
    postgres.signal_all("CONT");
    assert_well(&agent);
    let sessions = || postgres.sql("select count(*) from pg_stat_activity where usename = 'sidewatch'");
    wait_until("no session of the frozen time is left", SOON, || (sessions().trim() <= "2").then_some(()));
}

#[test]
fn rejected_logins_are_told_while_the_kept_session_still_sees() {
    let postgres = RealPostgres::start();
    let agent = watch(&postgres.url());
    assert_well(&agent);
    postgres.admit("host all all 127.0.0.1/32 reject");
    let page = assert_ill(&agent, &["auth", "28000"]);
    assert!(page.sum("pg_stat_activity_count", &[]).is_some() && page.value("pg_wal_segments", &[]).is_some());
    postgres.admit("host all all 127.0.0.1/32 trust");
    assert_well(&agent);
}

#[test]
fn a_question_that_is_always_too_slow_is_paused_and_that_is_shown() {
    let postgres = RealPostgres::start_with(&["shared_preload_libraries=pg_stat_statements"]);
    postgres.sql("create extension pg_stat_statements");
    let slow = "begin perform pg_sleep(9); return; end";
    postgres.sql(&format!(
        "do $$ begin execute 'create or replace function pg_stat_statements(' || \
         pg_get_function_arguments('pg_stat_statements(boolean)'::regprocedure) || \
         ') returns setof record language plpgsql as ''{slow}'''; end $$"
    ));
    let agent = watch(&postgres.url());
    let page = assert_well(&agent);
    let statements = [("collector", "stat_statements")];
    assert_eq!(page.value("pg_scrape_collector_success", &statements), Some(0.0));
    assert!(counted(&page, "sqlstate_57014") >= 1.0, "the server's own time-out cut it");
    for times in [2.0, 3.0] {
        ask_anew(&postgres);
        wait_for(&agent, "it is asked again", |page| counted(page, "sqlstate_57014") >= times);
    }
    let page = wait_for(&agent, "it is paused", |page| page.value("pg_scrape_collector_paused", &statements).is_some());
    assert_eq!(page.value("pg_scrape_collector_paused", &statements), Some(1.0));
    assert_eq!(page.sum("pg_scrape_collector_paused", &[]), Some(1.0), "no other question is");
    let cancelled = counted(&page, "sqlstate_57014");
    ask_anew(&postgres);
    std::thread::sleep(INTERVAL * 4);
    let page = assert_well(&agent);
    assert!((counted(&page, "sqlstate_57014") - cancelled).abs() < 0.5, "it is not asked meanwhile");
}
