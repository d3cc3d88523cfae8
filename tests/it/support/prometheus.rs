//! A real Prometheus, to be believed about what it can read.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::http::get;
use super::process::{Running, free_port, wait_until};
use super::request;

/// A Prometheus with the given `scrape_configs`.
pub struct RealPrometheus {
    port: u16,
    folder: TempDir,
    _process: Running,
}

impl RealPrometheus {
    /// The installed one.
    pub fn start(scrape_configs: &str) -> Self {
        Self::start_as(Path::new("prometheus"), scrape_configs)
    }

    /// A given one.
    pub fn start_as(program: &Path, scrape_configs: &str) -> Self {
        Self::start_with(program, &format!("scrape_configs:\n{scrape_configs}"), &[])
    }

    /// A given one, with all of its configuration (but `global`, unless it is there), and with flags.
    pub fn start_with(program: &Path, config_text: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("prometheus.yml");
        let every_second = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}";
        let global = if config_text.contains("global:") { "" } else { every_second };
        std::fs::write(&config, format!("{global}\n{config_text}")).expect("our folder");
        let port = free_port();
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=debug");
        command.args(flags);
        let process = Running::start(&mut command, &folder.path().join("log"));
        let prometheus = Self { port, folder, _process: process };
        let ready = || request(port, "GET", "/-/ready", &[], "").filter(|answer| answer.status == 200);
        wait_until("Prometheus is ready", Duration::from_mins(1), ready);
        prometheus
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The value of the only series that an expression gives.
    pub fn value(&self, expression: &str) -> Option<f64> {
        let query: String = url::form_urlencoded::byte_serialize(expression.as_bytes()).collect();
        let answer = get(self.port, &format!("/api/v1/query?query={query}")).json();
        answer["data"]["result"][0]["value"][1].as_str().and_then(|value| value.parse().ok())
    }

    /// Whether any series of that name has data now.
    pub fn has(&self, name: &str) -> bool {
        self.value(&format!("count({name})")).is_some()
    }

    /// The active targets.
    pub fn targets(&self) -> Vec<Value> {
        get(self.port, "/api/v1/targets").json()["data"]["activeTargets"].as_array().expect("a list").clone()
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("our folder")
    }
}
