//! A real Alertmanager, to be told what the agent is told.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Running, free_port, wait_until};
use super::{peers, post, request};

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
        write(folder.path(), config);
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

    /// Hands alerts over, as API v2 takes them.
    pub fn tell(&self, alerts: &Value) {
        self.post("/api/v2/alerts", alerts);
    }

    /// Posts to any path, and gives the answer's text back.
    pub fn post(&self, path: &str, body: &Value) -> String {
        let answer = post(self.port, path, &body.to_string()).expect("Alertmanager answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    /// Takes up another configuration.
    pub fn reload(&self, config: &str) {
        write(self.folder.path(), config);
        self.post("/-/reload", &Value::Null);
    }
}

fn write(folder: &Path, config: &str) {
    std::fs::write(folder.join("alertmanager.yml"), config).expect("our folder");
}
