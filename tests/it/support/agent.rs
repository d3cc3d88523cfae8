//! The agent: the very binary that is shipped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Running, free_port, wait_until};
use super::{Answer, Page, get, post, request};

/// A running agent with its own port, folder and configuration.
pub struct Agent {
    port: u16,
    folder: Arc<TempDir>,
    process: Running,
}

impl Agent {
    /// Starts it and waits until each target was looked at. `server` and `storage` are added to the configuration.
    pub fn start(config: &str) -> Self {
        let agent = Self::start_in(&Arc::new(tempfile::tempdir().expect("a folder")), config);
        agent.wait_for("/readyz");
        agent
    }

    /// Starts it in a folder that may hold the data of an earlier run, and waits for nothing.
    pub fn start_in(folder: &Arc<TempDir>, config: &str) -> Self {
        Self::start_with_retention(folder, config, "24h")
    }

    /// As [`Self::start_in`], keeping history for so long.
    pub fn start_with_retention(folder: &Arc<TempDir>, config: &str, retention: &str) -> Self {
        let port = free_port();
        write_config(folder, port, config, retention);
        let mut command = command();
        command.arg("run").arg("--config").arg(folder.path().join("sidewatch.yml")).current_dir(folder.path());
        let process = Running::start(&mut command, &folder.path().join("log"));
        Self { port, folder: Arc::clone(folder), process }
    }

    /// Starts it without a file, on the port that it has then.
    pub fn start_from_environment(folder: &Arc<TempDir>, variables: &[(&str, &str)]) -> Self {
        let mut command = command();
        command.arg("run").envs(variables.iter().copied()).current_dir(folder.path());
        let process = Running::start(&mut command, &folder.path().join("log"));
        Self { port: 9640, folder: Arc::clone(folder), process }
    }

    /// Writes another configuration; nothing happens until a reload.
    pub fn write_config(&self, config: &str) {
        write_config(&self.folder, self.port, config, "24h");
    }

    /// Sends a signal: HUP, …
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until a path answers 200; a panic shows the agent's log.
    pub fn wait_for(&self, path: &str) {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(&format!("the agent answers 200 on {path}"), Duration::from_secs(30), || {
                request(self.port, "GET", path, &[], "").filter(|answer| answer.status == 200)
            })
        }));
        assert!(told.is_ok(), "the agent is not there; its log:\n{}", self.log());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// GET on one of its paths.
    pub fn get(&self, path: &str) -> Answer {
        get(self.port, path)
    }

    /// Gives it the processor before all others.
    pub fn undisturbed(&self) {
        self.process.undisturbed();
    }

    /// POST of JSON; `None` when it died over it.
    pub fn post(&self, path: &str, json: &str) -> Option<Answer> {
        post(self.port, path, json)
    }

    /// `/metrics` in the text format.
    pub fn metrics(&self) -> Page {
        Page::parse(&self.metrics_as("text/plain;version=0.0.4").body)
    }

    /// `/metrics` as the `Accept` header asks for it.
    pub fn metrics_as(&self, accept: &str) -> Answer {
        let answer = request(self.port, "GET", "/metrics", &[("accept", accept)], "").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    /// `/health`: status code and body.
    pub fn health(&self) -> (u16, Value) {
        let answer = self.get("/health");
        (answer.status, answer.json())
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where it keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).expect("it runs").count()
    }

    /// What it holds in memory, in bytes.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has a size");
        line.trim_end_matches("kB").trim().parse::<usize>().expect("a number") * 1024
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) {
        self.process.end("TERM");
    }
}

fn write_config(folder: &TempDir, port: u16, config: &str, retention: &str) {
    let storage = folder.path().join("data");
    let storage = format!("storage: {{path: \"{}\", retention: {retention}}}\n", storage.display());
    // A configuration may begin with more of this section.
    let (server, config) = match config.strip_prefix("server: {").and_then(|rest| rest.split_once("}\n")) {
        Some((more, rest)) => (format!(", {more}"), rest),
        None => (String::new(), config),
    };
    let own = format!("server: {{listen: \"127.0.0.1:{port}\"{server}}}\n{storage}");
    std::fs::write(folder.path().join("sidewatch.yml"), format!("{own}{config}")).expect("our folder");
}

/// The agent's binary, with an environment that names no targets.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for name in
        ["APP_URL", "DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DOCKER_HOST", "SMTP_URL"]
    {
        command.env_remove(name);
    }
    command.env_remove("ALERT_EMAIL_TO").env_remove("ALERT_WEBHOOK_URL");
    command
}

/// The binary that is tested and shipped; `SIDEWATCH_BINARY` names another one.
pub fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        std::env::var_os("SIDEWATCH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_sidewatch").into(), PathBuf::from)
    });
    &BINARY
}
