//! A real Postgres with few connections to give.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::peers::{inside_newest, newest_root};
use super::process::{Running, free_port, run, try_run, wait_until};

/// Connections in all, and those of them that only superusers get.
const MAX_CONNECTIONS: usize = 10;
const RESERVED: usize = 3;

/// Which server, and with which settings beside the usual.
#[derive(Default, Clone)]
pub struct PostgresSetup {
    /// PostgreSQL 18 with pgvector instead of the installed one.
    pub newest: bool,
    /// Settings as `postgres -c` takes them; they win over the usual ones.
    pub settings: Vec<String>,
}

/// A server on its own port, with the role `sidewatch` (`pg_monitor`) and the role `app`, both without a password.
pub struct RealPostgres {
    port: u16,
    folder: TempDir,
    setup: PostgresSetup,
    process: Option<Running>,
}

impl RealPostgres {
    pub fn start() -> Self {
        Self::with(PostgresSetup::default())
    }

    pub fn with(setup: PostgresSetup) -> Self {
        let folder = if setup.newest { tempfile::tempdir_in(newest_root().join("tmp")) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder");
        open_to_all(folder.path());
        let mut postgres = Self { port: free_port(), folder, setup, process: None };
        let data = postgres.data();
        let mut initdb = postgres.program("initdb");
        run(initdb.arg("-D").arg(data).args(["-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"]));
        postgres.start_again();
        for statement in ["create role sidewatch login", "grant pg_monitor to sidewatch", "create role app login"] {
            postgres.sql(statement);
        }
        postgres
    }

    /// Its folder as the server itself sees it.
    fn home(&self) -> PathBuf {
        if self.setup.newest { inside_newest(self.folder.path()) } else { self.folder.path().to_owned() }
    }

    /// The data folder as the server itself sees it.
    fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// The folder of `pg_hba.conf` and the like, as we see it.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn program(&self, name: &str) -> Command {
        if self.setup.newest { as_newest(name) } else { as_postgres(name) }
    }

    /// The same with further settings, each as `name=value`.
    pub fn start_with(settings: &[&str]) -> Self {
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        Self::with(PostgresSetup { settings, ..PostgresSetup::default() })
    }

    /// Adds a setting, or gives it another value, from the next start on.
    pub fn set(&mut self, setting: &str) {
        self.setup.settings.push(setting.to_owned());
    }

    /// Starts it and waits until it answers.
    pub fn start_again(&mut self) {
        self.start_deaf();
        wait_until("Postgres answers", Duration::from_mins(1), || self.try_sql("select 1").0.then_some(()));
    }

    /// Starts it without waiting, since it may take no sessions at all.
    pub fn start_deaf(&mut self) {
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.home());
        let usual = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".into(),
            "fsync=off".into(),
            format!("max_connections={MAX_CONNECTIONS}"),
            format!("superuser_reserved_connections={RESERVED}"),
            "max_wal_senders=0".into(),
            "dynamic_shared_memory_type=mmap".into(),
        ];
        for setting in usual.iter().chain(&self.setup.settings) {
            command.args(["-c", setting]);
        }
        self.process = Some(Running::start(&mut command, &self.folder.path().join("log")));
    }

    /// Replaces what decides who may log in, and how. The superuser always may.
    pub fn admit(&self, rules: &str) {
        let rules = format!("host all postgres 127.0.0.1/32 trust\n{rules}\n");
        std::fs::write(self.folder().join("pg_hba.conf"), rules).expect("the server's folder");
        self.sql("select pg_reload_conf()");
    }

    /// Stops all its processes where they are (`STOP`), or lets them go on (`CONT`).
    pub fn signal_all(&self, signal: &str) {
        let postmaster = self.pid().expect("a running server").to_string();
        let children = format!("/proc/{postmaster}/task/{postmaster}/children");
        let children = std::fs::read_to_string(children).expect("children of the postmaster");
        let all = std::iter::once(postmaster.as_str()).chain(children.split_whitespace());
        run(Command::new("kill").arg(format!("-{signal}")).args(all));
    }

    /// The server's own process.
    pub fn pid(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.folder().join("postmaster.pid")).ok()?;
        text.lines().next()?.parse().ok()
    }

    /// Stops it at once, with its sessions: the immediate shutdown.
    pub fn stop(&mut self) {
        // The child may be `chroot`; the server's own id is the first line of its pid file.
        if let Some(pid) = self.pid() {
            try_run(Command::new("kill").args(["-QUIT", &pid.to_string()]));
            let alive = || Path::new("/proc").join(pid.to_string()).exists();
            wait_until("Postgres has ended", Duration::from_secs(20), || (!alive() || self.reaped()).then_some(()));
        }
        self.process = None;
    }

    fn reaped(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| !process.is_running())
    }

    /// Runs a statement as the superuser.
    pub fn sql(&self, statement: &str) -> String {
        let (success, text) = self.try_sql(statement);
        assert!(success, "{statement}: {text}");
        text
    }

    fn try_sql(&self, statement: &str) -> (bool, String) {
        try_run(self.psql("postgres").args(["-c", statement]))
    }

    /// The superuser's client, whose answers are bare.
    pub fn psql(&self, database: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres", "-d", database, "-XAtq"]);
        psql
    }

    /// Takes every connection that an ordinary role can get, and keeps them until dropped.
    pub fn take_all_connections(&self) -> Held {
        let mut held = Vec::new();
        let ordinary = MAX_CONNECTIONS - RESERVED;
        // The agent's short logins come and go: its slot is taken when it is free. One session is the agent's to keep.
        wait_until("every connection is taken", Duration::from_secs(20), || {
            match self.log_in("app") {
                Some(session) => held.push(session),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
            (held.len() >= ordinary - 1
                && self.log_in("app").is_none_or(|session| {
                    held.push(session);
                    false
                }))
            .then_some(())
        });
        Held { sessions: held }
    }

    /// A session, by the start-up message of the protocol alone; `None` when the server refuses it.
    fn log_in(&self, role: &str) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let body = format!("\0\x03\0\0user\0{role}\0database\0postgres\0application_name\0hoarder\0\0");
        let length = u32::try_from(body.len() + 4).expect("a short message").to_be_bytes();
        stream.write_all(&[&length, body.as_bytes()].concat()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        // The role is known, and the slot refused, only after AuthenticationOk: ReadyForQuery decides.
        loop {
            let mut head = [0; 5];
            stream.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize - 4];
            stream.read_exact(&mut body).ok()?;
            match head[0] {
                b'Z' => return Some(stream),
                b'E' => return None,
                _ => {}
            }
        }
    }

    /// A session of the superuser in which a statement was run, open until dropped: it holds what the statement took.
    pub fn hold(&self, application: &str, statement: &str) -> Holding {
        let mut psql = self.psql("postgres");
        psql.env("PGAPPNAME", application).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = psql.spawn().expect("psql starts");
        let stdin = child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "begin;\n{statement};\n\\echo held").expect("psql reads");
        let mut told = [0; 4];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut told).expect("the statement worked");
        Holding(child)
    }

    /// The URL of the role that watches.
    pub fn url(&self) -> String {
        format!("postgres://sidewatch@{}/postgres", self.instance())
    }

    pub fn instance(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for RealPostgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A session that ends when dropped, and its transaction with it.
pub struct Holding(Child);

impl Drop for Holding {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Sessions that end when dropped.
pub struct Held {
    sessions: Vec<TcpStream>,
}

impl Held {
    pub fn count(&self) -> usize {
        self.sessions.len()
    }
}

/// Lets the server's own user work in a folder of ours.
pub(super) fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).expect("our folder");
}

/// Where a program of Postgres is: the newest of Debian's folders, else the path.
pub fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions.map(|folder| folder.join("bin").join(name)).filter(|path| path.exists()).max();
    newest.unwrap_or_else(|| name.into())
}

/// Postgres refuses to run as root: then it runs as the user that its package made.
pub fn as_postgres(name: &str) -> Command {
    let root = std::fs::metadata("/proc/self").is_ok_and(|itself| itself.uid() == 0);
    if !root {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program(name));
    command.current_dir("/");
    command
}

/// A program of the newest PostgreSQL, run inside its own root file system.
pub fn as_newest(name: &str) -> Command {
    let mut command = Command::new("chroot");
    command.arg(newest_root()).args(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]);
    command.arg(format!("/usr/lib/postgresql/18/bin/{name}")).current_dir("/");
    command
}
