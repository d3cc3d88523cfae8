//! A real Redis.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::peers::newest_root;
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

impl RealRedis {
    pub fn start() -> Self {
        Self::with(RedisSetup::default())
    }

    pub fn with(setup: RedisSetup) -> Self {
        let newest = setup.newest.is_some();
        let folder = if newest { tempfile::tempdir_in(newest_root().join("tmp")) } else { tempfile::tempdir() };
        let mut redis = Self { port: free_port(), folder: folder.expect("a folder"), setup, process: None };
        redis.start_again();
        redis
    }

    /// Starts it and waits until it answers.
    pub fn start_again(&mut self) {
        let mut command = Command::new(if self.setup.newest.is_some() { "chroot" } else { "redis-server" });
        if let Some(program) = self.setup.newest {
            command.arg(newest_root()).arg(program);
        }
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.home()).args(&self.setup.arguments);
        self.process = Some(Running::start(&mut command, &self.folder.path().join("log")));
        wait_until("Redis answers", Duration::from_secs(20), || self.cli(&["ping"]).starts_with("PONG").then_some(()));
    }

    /// Its folder as the server itself sees it.
    fn home(&self) -> PathBuf {
        match self.setup.newest {
            Some(_) => Path::new("/").join(self.folder.path().strip_prefix(newest_root()).expect("a folder inside")),
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
