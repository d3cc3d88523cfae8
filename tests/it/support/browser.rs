//! Chromium without a window, through its web driver: <https://www.w3.org/TR/webdriver2/>.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::{Running, free_port, wait_until};
use super::send_within;

/// A browser takes its time to start where others work.
const PATIENCE: Duration = Duration::from_mins(1);

/// A browser with one page.
pub struct Browser {
    port: u16,
    session: String,
    driver: Running,
    _folder: TempDir,
}

impl Browser {
    /// Starts one whose page is so many pixels wide, as a telephone's is.
    pub fn start(width: u32) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let mut command = Command::new("chromedriver");
        let driver = Running::start(command.arg(format!("--port={port}")), &folder.path().join("log"));
        wait_until("the driver is ready", PATIENCE, || super::request(port, "GET", "/status", &[], ""));
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &profile,
        ];
        let screen = json!({"deviceMetrics": {"width": width, "height": 800, "pixelRatio": 1.0, "touch": true}});
        let options = json!({"args": arguments, "mobileEmulation": screen});
        let wish = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let mut browser = Self { port, session: String::new(), driver, _folder: folder };
        let started = browser.ask("POST", "/session", &wish);
        browser.session = format!("/session/{}", started["sessionId"].as_str().expect("a session"));
        browser
    }

    /// Opens an address, and waits for its page.
    pub fn open(&self, url: &str) {
        self.ask("POST", &format!("{}/url", self.session), &json!({"url": url}));
    }

    /// What the body of a function gives in the page.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", &format!("{}/execute/sync", self.session), &json!({"script": script, "args": []}))
    }

    /// The page's text as it is seen.
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let kind = [("content-type", "application/json")];
        let body = body.to_string();
        let answer = send_within(PATIENCE, self.port, method, path, &kind, body.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser that it started.
        if !self.session.is_empty() {
            let _ = send_within(PATIENCE, self.port, "DELETE", &self.session, &[], b"");
        }
        self.driver.end("TERM");
    }
}
