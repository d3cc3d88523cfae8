//! A real Alertmanager, to be told what the agent is told.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Running, free_port, wait_until};
use super::{get, peers, request};

/// The newest Alertmanager, alone.
pub struct RealAlertmanager {
    port: u16,
    folder: TempDir,
    process: Running,
}

impl RealAlertmanager {
    /// Starts it with a configuration and waits until it is ready.
    pub fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        std::fs::write(folder.path().join("alertmanager.yml"), config).expect("our folder");
        let process = run(&folder, port);
        Self { port, folder, process }
    }

    /// SIGKILL. It keeps no alerts.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        self.process = run(&self.folder, self.port);
    }

    /// The alerts that fire.
    pub fn alerts(&self) -> Vec<Value> {
        let answer = get(self.port, "/api/v2/alerts");
        answer.json().as_array().expect("a list").clone()
    }

    /// Where it answers.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its configuration's file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("alertmanager.yml")
    }
}

fn run(folder: &TempDir, port: u16) -> Running {
    let mut command = Command::new(peers::newest("alertmanager"));
    command.arg(format!("--config.file={}", folder.path().join("alertmanager.yml").display()));
    command.arg(format!("--storage.path={}", folder.path().join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--cluster.listen-address=");
    let process = Running::start(&mut command, &folder.path().join("log"));
    let ready = || request(port, "GET", "/-/ready", &[], "").filter(|answer| answer.status == 200);
    wait_until("Alertmanager is ready", Duration::from_mins(1), ready);
    process
}
