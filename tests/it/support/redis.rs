//! A real Redis.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Running, free_port, try_run, wait_until};

/// A server on its own port that can be stopped and started again.
pub struct RealRedis {
    port: u16,
    folder: TempDir,
    process: Option<Running>,
}

impl RealRedis {
    pub fn start() -> Self {
        let mut redis = Self { port: free_port(), folder: tempfile::tempdir().expect("a folder"), process: None };
        redis.start_again();
        redis
    }

    /// Starts it and waits until it answers.
    pub fn start_again(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.folder.path());
        self.process = Some(Running::start(&mut command, &self.folder.path().join("log")));
        wait_until("Redis answers", Duration::from_secs(20), || self.cli(&["ping"]).starts_with("PONG").then_some(()));
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
