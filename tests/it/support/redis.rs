//! A real Redis.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::peers::{inside_newest, newest_root};
use super::process::{Running, free_port, try_run, wait_until};

/// Which server, and with which arguments beside the usual.
#[derive(Default, Clone)]
pub struct RedisSetup {
    /// A program of the newest set instead of the installed one: `redis-server` (8), `valkey-server` (9).
    pub newest: Option<&'static str>,
    /// Arguments as the server takes them: `--maxmemory`, `2mb`.
    pub arguments: Vec<String>,
}

/// A server on its own port that can be stopped and started again.
pub struct RealRedis {
    port: u16,
    folder: TempDir,
    setup: RedisSetup,
    process: Option<Running>,
}

impl RedisSetup {
    /// The installed server with these arguments.
    pub fn installed(arguments: &[&str]) -> Self {
        Self { newest: None, arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect() }
    }
}

impl RealRedis {
    pub fn start() -> Self {
        Self::with(RedisSetup::default())
    }

    /// On a port that somebody counts on.
    pub fn start_at(port: u16) -> Self {
        Self::with_port(RedisSetup::default(), port)
    }

    pub fn with(setup: RedisSetup) -> Self {
        Self::with_port(setup, free_port())
    }

    fn with_port(setup: RedisSetup, port: u16) -> Self {
        let newest = setup.newest.is_some();
        let folder = if newest { tempfile::tempdir_in(newest_root().join("tmp")) } else { tempfile::tempdir() };
        let mut redis = Self { port, folder: folder.expect("a folder"), setup, process: None };
        redis.start_again();
        redis
    }

    /// Starts it and waits until it answers.
    pub fn start_again(&mut self) {
        let mut command = Command::new(if self.setup.newest.is_some() { "chroot" } else { "redis-server" });
        if let Some(program) = self.setup.newest {
            command.arg(newest_root()).arg(program);
        }
        // A sentinel insists on a file that it can write.
        std::fs::write(self.folder.path().join("redis.conf"), "").expect("our folder");
        command.arg(self.home().join("redis.conf"));
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.home()).args(&self.setup.arguments);
        self.process = Some(Running::start(&mut command, &self.folder.path().join("log")));
        // One that asks for a password or reads its data first is there too.
        let there = |answer: &str| ["PONG", "NOAUTH", "LOADING", "MASTERDOWN"].iter().any(|word| answer.contains(word));
        wait_until("Redis answers", Duration::from_secs(20), || there(&self.cli(&["ping"])).then_some(()));
    }

    /// Stops it at once and starts it with other arguments, on the data that it saved.
    pub fn start_again_with(&mut self, arguments: &[&str]) {
        self.stop();
        self.setup.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.start_again();
    }

    /// Sends it a signal by name.
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("a running server").signal(name);
    }

    /// Gives it the processor before all others.
    pub fn undisturbed(&self) {
        self.process.as_ref().expect("a running server").undisturbed();
    }

    /// For how many microseconds the machine let a process stand still that only counts, and comes before all others where
    /// we may: `redis-cli --intrinsic-latency`.
    pub fn longest_standstill(&self) -> u64 {
        let seconds = "20";
        let mut first = Command::new("chrt");
        let (allowed, text) = try_run(first.args(["--fifo", "1", "redis-cli", "--intrinsic-latency", seconds]));
        let text = if allowed { text } else { self.cli(&["--intrinsic-latency", seconds]) };
        let mut micros =
            text.lines().filter_map(|line| line.strip_prefix("Max latency so far: ")?.split(' ').next()?.parse().ok());
        micros.next_back().unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder as the server itself sees it.
    fn home(&self) -> PathBuf {
        match self.setup.newest {
            Some(_) => inside_newest(self.folder.path()),
            None => self.folder.path().to_owned(),
        }
    }

    /// Stops it at once.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// What `redis-cli` prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        try_run(Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(arguments)).1
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.instance())
    }

    pub fn instance(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
