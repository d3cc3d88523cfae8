//! A real Alertmanager, to be told what the agent is told.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Running, free_port, wait_until};
use super::{peers, request};

/// The newest Alertmanager, alone.
pub struct RealAlertmanager {
    port: u16,
    folder: TempDir,
    _process: Running,
}

impl RealAlertmanager {
    /// Starts it with a configuration and waits until it is ready.
    pub fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        std::fs::write(folder.path().join("alertmanager.yml"), config).expect("our folder");
        let mut command = Command::new(peers::newest("alertmanager"));
        command.arg(format!("--config.file={}", folder.path().join("alertmanager.yml").display()));
        command.arg(format!("--storage.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--cluster.listen-address=");
        let process = Running::start(&mut command, &folder.path().join("log"));
        let alertmanager = Self { port, folder, _process: process };
        let ready = || request(port, "GET", "/-/ready", &[], "").filter(|answer| answer.status == 200);
        wait_until("Alertmanager is ready", Duration::from_mins(1), ready);
        alertmanager
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
