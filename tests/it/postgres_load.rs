//! What being watched costs a Postgres: sessions, statements and their time-outs, as the server itself counts them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::{Agent, RealPostgres, Running, free_port, get, peers, run};

const INTERVAL: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_mins(1);
/// Looks of the agent, and scrapes of the exporter, in a minute.
const LOOKS: f64 = 12.0;
const TABLES: usize = 50;

fn start_postgres() -> RealPostgres {
    let settings = [
        "shared_preload_libraries=pg_stat_statements",
        "log_connections=on",
        "max_connections=20",
        "log_line_prefix=%p ",
    ];
    let postgres = RealPostgres::start_with(&settings);
    postgres.sql("create extension pg_stat_statements");
    for role in ["sidewatch", "app"] {
        postgres.sql(&format!("alter role {role} set log_statement = 'all'; grant pg_monitor to {role}"));
    }
    for database in ["orders", "vectors"] {
        postgres.sql(&format!("create database {database}"));
        run(postgres.psql(database).arg("-c").arg("create table things as select 1 as id"));
    }
    let create = |table| format!("create table t{table} (id int primary key)");
    postgres.sql(&(0..TABLES).map(create).collect::<Vec<_>>().join(";"));
    postgres
}

/// Statements that a role has run, as the server counts them.
fn statements(postgres: &RealPostgres, role: &str) -> f64 {
    let counted = postgres.sql(&format!(
        "select coalesce(sum(calls), 0) from pg_stat_statements s join pg_roles r on r.oid = s.userid \
         where r.rolname = '{role}'"
    ));
    counted.trim().parse().expect("a number")
}

fn logins(postgres: &RealPostgres, role: &str) -> usize {
    postgres.log().matches(&format!("connection authorized: user={role} ")).count()
}

/// The most sessions of the agent, and the most statements under way, that the server ever showed.
struct Most {
    sessions: usize,
    active: usize,
    databases: BTreeSet<String>,
}

/// Watches the watcher for so long, over one session of its own.
fn watch_for(postgres: &RealPostgres, time: Duration) -> Most {
    let mut most = Most { sessions: 0, active: 0, databases: BTreeSet::new() };
    let until = Instant::now() + time;
    while Instant::now() < until {
        // One message, so that many moments are seen for one start of a client; each `select` sees anew.
        let moment = "select pg_stat_clear_snapshot(); select state, datname from pg_stat_activity \
                      where usename = 'sidewatch'; select '--', pg_sleep(0.02);\n";
        let seen = run(postgres
            .psql("postgres")
            .args(["-F", " ", "-c", "set application_name = 'watcher'"])
            .args(std::iter::repeat_n(["-c", moment], 25).flatten()));
        for moment in seen.split("--") {
            let sessions: Vec<&str> = moment.lines().filter(|line| !line.trim().is_empty()).collect();
            most.sessions = most.sessions.max(sessions.len());
            most.active = most.active.max(sessions.iter().filter(|line| line.starts_with("active ")).count());
            most.databases.extend(sessions.iter().filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned())));
        }
    }
    most
}

#[test]
fn a_minute_of_looking_is_one_kept_session_one_login_a_look_and_few_statements() {
    let postgres = start_postgres();
    let (url, seconds) = (postgres.url(), INTERVAL.as_secs());
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}\n\
         targets: [{{name: orders, url: \"{url}\", databases: [postgres, orders, vectors]}}]"
    ));
    let exporter = Exporter::start(&postgres);
    // The agent asks each question by itself once, and visits each database once.
    std::thread::sleep(INTERVAL * 4);
    let before = (statements(&postgres, "sidewatch"), logins(&postgres, "sidewatch"), statements(&postgres, "app"));
    let most = std::thread::scope(|scope| {
        scope.spawn(|| exporter.scrape_for(MINUTE));
        watch_for(&postgres, MINUTE)
    });
    let asked = statements(&postgres, "sidewatch") - before.0;
    let logins = logins(&postgres, "sidewatch") - before.1;
    let theirs = statements(&postgres, "app") - before.2;

    assert!(most.sessions <= 2, "{} sessions at once: one is kept, one comes and goes", most.sessions);
    assert_eq!(most.active, 1, "one statement at a time");
    assert!((logins as f64 - LOOKS).abs() <= 1.0, "{logins} logins in {LOOKS} looks");
    assert!(asked >= LOOKS, "{asked} statements: it does look");
    assert!(theirs >= LOOKS * 10.0, "{theirs} statements: the exporter does look");
    assert!(asked * 3.0 < theirs, "{asked} statements in a minute, the exporter's scrapes {theirs}");

    let page = agent.metrics();
    for database in ["orders", "vectors"] {
        let labels = [("datname", database), ("relname", "things")];
        assert_eq!(page.value("pg_stat_user_tables_n_tup_ins", &labels), Some(1.0), "{database}");
        assert!(page.value("pg_stat_user_tables_table_size_bytes", &labels).is_some(), "{database}");
    }
    assert_eq!(page.find("pg_stat_user_tables_seq_scan", &[("datname", "postgres")]).count(), TABLES);
    let failed: Vec<_> = page.find("pg_scrape_collector_success", &[]).filter(|line| line.value < 1.0).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn no_statement_runs_without_limits() {
    let postgres = start_postgres();
    let _agent = Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         targets: [{{name: orders, url: \"{}\", databases: [postgres, orders]}}]",
        postgres.url()
    ));
    std::thread::sleep(Duration::from_secs(6));
    let log = postgres.log();
    let (mut messages, mut limited) = (0, BTreeSet::new());
    for line in log.lines().filter(|line| line.contains("LOG:  statement: ")) {
        let (process, sql) = line.split_once(" LOG:  statement: ").expect("as log_line_prefix has it");
        messages += 1;
        let begins = ["SET statement_timeout=", "SET LOCAL statement_timeout="].iter().any(|set| sql.starts_with(set));
        let sets = begins && sql.contains(" search_path=pg_catalog,pg_temp;") && sql.contains("'lock_timeout'");
        if sets && sql.ends_with(",false)") {
            limited.insert(process);
        }
        assert!(sets || limited.contains(process), "without limits: {sql}");
    }
    assert!(messages > 20, "{messages} messages in the log");
    assert_eq!(limited.len(), 1, "only the kept session is its own");
    let slowest = postgres.sql(
        "select max(max_exec_time) from pg_stat_statements s join pg_roles r on r.oid = s.userid \
         where rolname = 'sidewatch'",
    );
    assert!(slowest.trim().parse::<f64>().expect("a number") < 1000.0, "{slowest} ms");
}

/// The newest exporter, logged in as the role `app`.
struct Exporter {
    port: u16,
    _folder: tempfile::TempDir,
    _process: Running,
}

impl Exporter {
    fn start(postgres: &RealPostgres) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut command = std::process::Command::new(peers::newest("postgres_exporter"));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.env("DATA_SOURCE_NAME", format!("{}?sslmode=disable", postgres.url().replace("sidewatch@", "app@")));
        let process = Running::start(&mut command, &folder.path().join("log"));
        Self { port, _folder: folder, _process: process }
    }

    fn scrape_for(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let due = Instant::now() + INTERVAL;
            assert_eq!(get(self.port, "/metrics").status, 200);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}
