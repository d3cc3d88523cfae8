//! Against `postgres_exporter` with all its collectors, on the installed server, its standby, and the newest server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::parity::{Difference, What, compare};
use crate::support::peers;
use crate::support::{Agent, Page, Running, as_postgres, free_port, get, program, run, try_run, wait_until};

/// What the exporter does not do by itself, and we always do.
const COLLECTORS: [&str; 11] = [
    "buffercache_summary",
    "database_wraparound",
    "long_running_transactions",
    "postmaster",
    "process_idle",
    "stat_activity_autovacuum",
    "stat_checkpointer",
    "stat_statements",
    "stat_wal_receiver",
    "statio_user_indexes",
    "xlog_location",
];

const EACH_OTHERS_SESSION: &str = "each sees the session of the other and leaves out its own, with labels of its own";

const ALL_GROUPS: &str = "the exporter shows one group of sessions, we show all";

/// What may differ on every server.
const DIFFERENCES: &[Difference] = &[
    Difference {
        family: "postgres_exporter_*",
        what: What::Missing,
        why: "the exporter's own build and configuration file; the agent tells its own (sidewatch_build_info)",
    },
    Difference { family: "pg_exporter_*", what: What::Value, why: "how often and how fast each itself looked" },
    Difference {
        family: "pg_scrape_collector_*",
        what: What::Series,
        why: "collectors that have nothing to ask this server are not listed; ours that the exporter lacks are",
    },
    Difference { family: "pg_scrape_collector_*", what: What::Value, why: "how fast each itself was" },
    Difference { family: "pg_stat_activity_count", what: What::Labels, why: EACH_OTHERS_SESSION },
    Difference { family: "pg_stat_activity_count", what: What::Series, why: EACH_OTHERS_SESSION },
    Difference { family: "pg_stat_activity_count", what: What::Value, why: EACH_OTHERS_SESSION },
    Difference { family: "pg_stat_activity_max_tx_duration", what: What::Labels, why: EACH_OTHERS_SESSION },
    Difference { family: "pg_stat_activity_max_tx_duration", what: What::Series, why: EACH_OTHERS_SESSION },
    Difference { family: "pg_stat_activity_max_tx_duration", what: What::Value, why: EACH_OTHERS_SESSION },
    Difference { family: "pg_process_idle_seconds", what: What::Labels, why: ALL_GROUPS },
    Difference { family: "pg_process_idle_seconds", what: What::Series, why: ALL_GROUPS },
    Difference { family: "pg_process_idle_seconds", what: What::Value, why: EACH_OTHERS_SESSION },
    Difference {
        family: "pg_locks_count",
        what: What::Value,
        why: "the exporter counts the lock that its own question holds",
    },
    Difference {
        family: "pg_settings_extra_float_digits",
        what: What::Value,
        why: "the exporter's driver sets it for its session; we show the server's",
    },
    Difference {
        family: "pg_stat_statements_*",
        what: What::Series,
        why: "the exporter leaves out the cheapest tenth, which costs a second run of the view's function",
    },
    Difference {
        family: "pg_replication_slot_slot_confirmed_flush_lsn",
        what: What::Series,
        why: "the exporter has 0 for a physical slot, which confirms nothing, and none for a logical one at rest",
    },
    Difference {
        family: "pg_stat_replication_*",
        what: What::Labels,
        why: "the exporter has the process id under slot_name; we have both, as from 0.20 on",
    },
];

/// What differs beside from 17 on, where dead rows are kept in a set whose size is in bytes.
const DIFFERENCES_SINCE_17: &[Difference] = &[
    Difference {
        family: "pg_stat_progress_vacuum_max_dead_tuples",
        what: What::Missing,
        why: "the exporter shows bytes as a number of rows",
    },
    Difference {
        family: "pg_stat_progress_vacuum_num_dead_tuples",
        what: What::Value,
        why: "the exporter shows bytes; we show the rows, which the view has too",
    },
];

#[test]
fn the_installed_server_and_its_standby_look_as_the_exporter_shows_them() {
    let primary = Cluster::start(&Home::Installed);
    primary.load();
    let standby = primary.standby();
    let ours = side_by_side(&primary, DIFFERENCES);
    let walreceiver = [("application_name", "walreceiver"), ("slot_name", "standby"), ("state", "streaming")];
    assert!(ours.value("pg_stat_replication_pg_wal_lsn_diff", &walreceiver).is_some_and(|behind| behind >= 0.0));
    assert!(ours.value("pg_stat_replication_reply_time", &walreceiver).is_some_and(|when| when > 1e9));
    assert_eq!(ours.value("pg_replication_slots_slot_is_active", &[("slot_name", "standby")]), Some(1.0));
    let of_standby = side_by_side(&standby, DIFFERENCES);
    assert_eq!(of_standby.value("pg_replication_is_replica", &[]), Some(1.0));
    let stream = [("slot_name", "standby"), ("status", "streaming"), ("upstream_host", "127.0.0.1")];
    assert!(of_standby.value("pg_stat_wal_receiver_flushed_lsn", &stream).is_some_and(|position| position > 0.0));
}

#[test]
fn the_newest_server_looks_as_the_exporter_shows_it() {
    let server = Cluster::start(&Home::Newest(peers::newest_root()));
    server.load();
    let all: Vec<&Difference> = DIFFERENCES.iter().chain(DIFFERENCES_SINCE_17).collect();
    let all: Vec<Difference> = all.into_iter().map(|one| Difference { ..*one }).collect();
    let ours = side_by_side(&server, &all);
    assert!(ours.value("pg_buffercache_summary_buffers_used", &[]).is_some_and(|buffers| buffers > 0.0));
    let (new, old) = ("pg_stat_checkpointer_num_timed_total", "pg_stat_bgwriter_checkpoints_timed_total");
    assert!(ours.value(new, &[]).is_some(), "17 and later count checkpoints apart");
    assert_eq!(ours.value(old, &[]), ours.value(new, &[]), "what asks by the older name goes on");
    assert!(ours.value("pg_stat_bgwriter_buffers_backend_total", &[]).is_some_and(|blocks| blocks > 0.0));
}

/// Compares the pages of exporter and agent, and what both must say of the load; gives the agent's page.
fn side_by_side(server: &Cluster, differences: &[Difference]) -> Page {
    let exporter = Exporter::start(server);
    let before = exporter.page();
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
         targets: [{{name: orders, url: \"{}\"}}]\n",
        server.url()
    ));
    // In the first look each question is asked by itself, from the second on they are asked together.
    wait_until("the agent has looked thrice", Duration::from_secs(20), || {
        agent.metrics().value("pg_exporter_scrapes_total", &[]).filter(|looks| *looks >= 3.0)
    });
    let ours = agent.metrics_as("text/plain;version=0.0.4").body;
    let after = exporter.page();
    compare(&before, &ours, &after, differences);
    let (theirs, page) = (Page::parse(&after), Page::parse(&ours));
    assert_eq!(page.value("pg_exporter_last_scrape_error", &[]), Some(0.0), "{}", agent.log());
    for collector in
        COLLECTORS.iter().filter(|name| page.find("pg_scrape_collector_success", &[("collector", name)]).count() > 0)
    {
        assert_eq!(page.value("pg_scrape_collector_success", &[("collector", collector)]), Some(1.0), "{collector}");
    }
    if !server.recovers {
        both_see_the_load(&theirs, &page);
    }
    page
}

/// What a difference above keeps from being compared.
fn both_see_the_load(theirs: &Page, ours: &Page) {
    let worker = [("application_name", "worker"), ("state", "active"), ("wait_event", "PgSleep"), ("usename", "app")];
    let lock = [("datname", "orders"), ("mode", "sharerowexclusivelock")];
    for (name, labels) in [("pg_stat_activity_count", &worker[..]), ("pg_locks_count", &lock)] {
        assert_eq!((theirs.sum(name, labels), ours.sum(name, labels)), (Some(1.0), Some(1.0)), "{name}");
    }
    let idle = [("application_name", "waiter"), ("state", "idle"), ("le", "+Inf")];
    assert_eq!(ours.value("pg_process_idle_seconds_bucket", &idle), Some(1.0));
    // The statements of the load are over: what they cost stands still.
    let (user, name) = ([("user", "app"), ("datname", "orders")], "pg_stat_statements_calls_total");
    let most = |page: &Page| page.find(name, &user).map(|line| line.value as usize).max();
    assert_eq!((most(theirs), most(ours)), (Some(LOOKUPS), Some(LOOKUPS)));
}

/// The real exporter, watching one server.
struct Exporter {
    port: u16,
    _process: Running,
    _folder: TempDir,
}

impl Exporter {
    fn start(server: &Cluster) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut command = Command::new(peers::newest("postgres_exporter"));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        command.args(COLLECTORS.map(|collector| format!("--collector.{collector}")));
        command.env("DATA_SOURCE_NAME", format!("{}?sslmode=disable", server.url())).current_dir(folder.path());
        let process = Running::start(&mut command, &folder.path().join("log"));
        let exporter = Self { port, _process: process, _folder: folder };
        wait_until("the exporter sees the server", Duration::from_secs(20), || {
            let up = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            (up && exporter.page().contains("\npg_up 1\n")).then_some(())
        });
        exporter
    }

    fn page(&self) -> String {
        let answer = get(self.port, "/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

/// How often the load looks something up by key.
const LOOKUPS: usize = 200;

/// Whose programs a server is made of.
enum Home {
    Installed,
    /// A root file system with the newest.
    Newest(PathBuf),
}

impl Home {
    fn command(&self, name: &str) -> Command {
        let Self::Newest(root) = self else { return as_postgres(name) };
        let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).expect("servers in the root file system");
        let newest = versions.flatten().map(|entry| entry.file_name()).max().expect("a server");
        let mut command = Command::new("chroot");
        command.arg("--userspec=postgres:postgres").arg(root);
        command.arg(Path::new("/usr/lib/postgresql").join(newest).join("bin").join(name)).current_dir("/");
        command
    }

    fn folder(&self) -> TempDir {
        let folder = match self {
            Self::Installed => tempfile::tempdir(),
            Self::Newest(root) => tempfile::tempdir_in(root.join("tmp")),
        };
        let folder = folder.expect("a folder");
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("ours");
        folder
    }

    /// A path as the programs see it.
    fn inside(&self, path: &Path) -> PathBuf {
        match self {
            Self::Newest(root) => Path::new("/").join(path.strip_prefix(root).expect("below the root")),
            Self::Installed => path.to_owned(),
        }
    }
}

/// A server that has all the exporter looks for.
struct Cluster {
    folder: TempDir,
    port: u16,
    /// Whether it is a standby.
    recovers: bool,
    process: Option<Running>,
    /// Sessions of the load.
    clients: std::cell::RefCell<Vec<Running>>,
}

impl Cluster {
    fn start(home: &Home) -> Self {
        let folder = home.folder();
        let data = home.inside(folder.path()).join("data");
        run(home.command("initdb").arg("-D").arg(data).args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        ]));
        Self::run(home, folder, false)
    }

    fn run(home: &Home, folder: TempDir, recovers: bool) -> Self {
        let (port, inside) = (free_port(), home.inside(folder.path()));
        let mut command = home.command("postgres");
        command.arg("-D").arg(inside.join("data")).arg("-k").arg(&inside);
        for setting in [
            &format!("port={port}"),
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "shared_preload_libraries=pg_stat_statements",
            "track_io_timing=on",
            "wal_level=logical",
            // Only the table that says otherwise is vacuumed: catalogs that change their size cannot be compared.
            "autovacuum_naptime=1s",
            "autovacuum_vacuum_threshold=1000000000",
            "autovacuum_vacuum_insert_threshold=1000000000",
            "autovacuum_analyze_threshold=1000000000",
        ] {
            command.args(["-c", setting]);
        }
        let process = Some(Running::start(&mut command, &folder.path().join("log")));
        let server = Self { folder, port, recovers, process, clients: std::cell::RefCell::default() };
        wait_until("Postgres answers", Duration::from_mins(1), || {
            try_run(&mut server.psql("postgres", "postgres", "select 1")).0.then_some(())
        });
        server
    }

    /// A server that follows this one.
    fn standby(&self) -> Self {
        let folder = Home::Installed.folder();
        self.sql("select pg_create_physical_replication_slot('standby', true)");
        let port = self.port.to_string();
        run(as_postgres("pg_basebackup")
            .args(["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-R", "-S", "standby", "-c", "fast", "-D"])
            .arg(folder.path().join("data")));
        let standby = Self::run(&Home::Installed, folder, true);
        wait_until("the standby streams", Duration::from_secs(20), || {
            (self.sql("select state from pg_stat_replication").trim() == "streaming").then_some(())
        });
        standby
    }

    /// Tables that are used, statements, slots, a lock, a session that works, one that waits, and a vacuum under way.
    fn load(&self) {
        for sql in [
            "create role sidewatch login in role pg_monitor",
            "create role app login connection limit 20",
            "create database orders owner app",
        ] {
            run(&mut self.psql("postgres", "postgres", sql));
        }
        for sql in [
            "create extension pg_stat_statements; create extension pg_buffercache",
            "create schema stock authorization app; grant all on schema public to app",
            "select pg_create_logical_replication_slot('changes', 'test_decoding')",
            "select pg_create_physical_replication_slot('copy', true)",
        ] {
            self.sql(sql);
        }
        run(&mut self.psql(
            "app",
            "orders",
            "create table items (id int primary key, body text); \
             create table plain (n int); \
             insert into items select n, repeat(md5(n::text), 100) from generate_series(1, 2000) n; \
             update items set body = body where id < 100; delete from items where id > 1990; \
             create table stock.big (n int, t text) with (autovacuum_vacuum_cost_delay = 100, \
             autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0); \
             insert into stock.big select n, md5(n::text) from generate_series(1, 50000) n; delete from stock.big where n % 2 = 0",
        ));
        self.sql("vacuum analyze items");
        let lookups = "select body from items where id = 7;\n".repeat(LOOKUPS);
        run(self.psql("app", "orders", "").arg("-f").arg(self.file("lookups", &lookups)));
        self.client("worker", "begin; lock table plain in share row exclusive mode; select pg_sleep(600)");
        self.client("waiter", "select 1 \\watch 600");
        wait_until("the load is there", Duration::from_mins(1), || {
            let sql = "select (select count(*) from pg_stat_progress_vacuum) + (select count(*) from pg_stat_activity \
                where application_name = 'worker' and wait_event = 'PgSleep' or application_name = 'waiter' and state = 'idle')";
            (self.sql(sql).trim() == "3").then_some(())
        });
    }

    /// A session of the application that stays until the server ends.
    fn client(&self, name: &str, script: &str) {
        let mut command = self.psql("app", "orders", "");
        command.env("PGAPPNAME", name);
        command.arg("-f").arg(self.file(name, script));
        self.clients.borrow_mut().push(Running::start(&mut command, &self.folder.path().join("clients")));
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).expect("our folder");
        file
    }

    /// A statement of the superuser.
    fn sql(&self, sql: &str) -> String {
        run(&mut self.psql("postgres", "orders", sql))
    }

    fn psql(&self, role: &str, database: &str, sql: &str) -> Command {
        let mut command = Command::new(program("psql"));
        let port = self.port.to_string();
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", role, "-d", database, "-XAtq"]);
        if !sql.is_empty() {
            command.args(["-c", sql]);
        }
        command
    }

    fn url(&self) -> String {
        format!("postgres://sidewatch@127.0.0.1:{}/orders", self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.end("QUIT");
        }
    }
}
