//! A real PgBouncer in front of a real Postgres.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::RealPostgres;
use super::postgres::as_postgres;
use super::process::{Running, free_port, try_run, wait_until};

/// A server on its own port with the database `orders` in a pool of two, the console users `stats` and `admin`, and the
/// user `app`; each has its name as password.
pub struct RealPgBouncer {
    port: u16,
    database: String,
    folder: TempDir,
    /// Further lines of its configuration.
    settings: Vec<String>,
    process: Option<Running>,
}

impl RealPgBouncer {
    pub fn start(postgres: &RealPostgres) -> Self {
        Self::start_with(postgres, |_| Vec::new())
    }

    /// The same with further lines of its configuration, which are told the folder that it can read.
    pub fn start_with(postgres: &RealPostgres, settings: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        super::postgres::open_to_all(folder.path());
        let (host, port) = postgres
            .instance()
            .split_once(':')
            .map(|(host, port)| (host.to_owned(), port.to_owned()))
            .expect("an address");
        let database = format!("host={host} port={port} dbname=postgres");
        let settings = settings(folder.path());
        let mut pgbouncer = Self { port: free_port(), database, folder, settings, process: None };
        pgbouncer.set_passwords("");
        pgbouncer.start_again();
        pgbouncer
    }

    /// Each user's password: its name and what is given here. Counts from the next start or `RELOAD` on.
    pub fn set_passwords(&self, suffix: &str) {
        let lines = ["stats", "admin", "app"].map(|user| format!("\"{user}\" \"{user}{suffix}\"\n"));
        // A password that the console must keep working with.
        let operator = "\"operator\" \"operator\"\n";
        std::fs::write(self.file("users"), lines.concat() + operator).expect("our folder");
    }

    /// Starts it and waits until it answers.
    pub fn start_again(&mut self) {
        let lines = [
            "[databases]".to_owned(),
            format!("orders = {} pool_size=2", self.database),
            format!("vectors = {} pool_mode=transaction max_db_connections=7", self.database),
            "[pgbouncer]".into(),
            format!("listen_port = {}", self.port),
            "listen_addr = 127.0.0.1".into(),
            "unix_socket_dir =".into(),
            "auth_type = md5".into(),
            format!("auth_file = {}", self.file("users").display()),
            "admin_users = admin, operator".into(),
            "stats_users = stats".into(),
            "max_client_conn = 20".into(),
            // As the manual of the exporter asks: its driver sets it.
            "ignore_startup_parameters = extra_float_digits".into(),
        ];
        let config = self.file("pgbouncer.ini");
        std::fs::write(&config, [&lines, self.settings.as_slice()].concat().join("\n") + "\n").expect("our folder");
        self.process = Some(Running::start(as_postgres("pgbouncer").arg(&config), &self.file("log")));
        wait_until("PgBouncer answers", Duration::from_secs(20), || self.try_console("show version").0.then_some(()));
    }

    /// Stops it at once.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Sends a signal: STOP, CONT, …
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("it runs").signal(name);
    }

    /// Runs a command on the console as an operator, with a row a line and `|` between columns.
    pub fn console(&self, command: &str) -> String {
        let (success, text) = self.try_console(command);
        assert!(success, "{command}: {text}");
        text
    }

    fn try_console(&self, command: &str) -> (bool, String) {
        try_run(self.psql("operator", "operator", "pgbouncer").args(["-Atc", command]))
    }

    /// A client of an application that holds a server, or waits for one, until dropped.
    pub fn client(&self, application: &str) -> Running {
        let mut psql = self.psql("app", "app", "orders");
        psql.env("PGAPPNAME", application).args(["-Atc", "select pg_sleep(300)"]);
        Running::start(&mut psql, &self.file("clients"))
    }

    fn psql(&self, user: &str, password: &str, database: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", user, "-d", database, "-X"]);
        psql.env("PGPASSWORD", password);
        psql
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// The URL of a user's console.
    pub fn url(&self, user: &str, password: &str) -> String {
        format!("pgbouncer://{user}:{password}@{}", self.instance())
    }

    pub fn instance(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
