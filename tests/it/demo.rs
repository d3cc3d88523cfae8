//! The first thing a newcomer runs.

use std::time::Duration;

use crate::support::{command, get, request, wait_until};

#[test]
fn the_demo_needs_nothing_and_names_its_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let out = std::fs::File::create(&log).expect("our folder");
    let mut command = command();
    command.arg("demo").current_dir(folder.path()).env_remove("PATH");
    command.stdout(out.try_clone().expect("a second handle")).stderr(out).stdin(std::process::Stdio::null());
    let mut demo = Ended(command.spawn().expect("the agent starts"));
    let port = wait_until("the demo prints its address", Duration::from_secs(20), || {
        let said = std::fs::read_to_string(&log).ok()?;
        assert!(matches!(demo.0.try_wait(), Ok(None)), "the demo ended: {said}");
        port_in(&said)
    });
    wait_until("the demo is ready", Duration::from_secs(30), || {
        request(port, "GET", "/readyz", &[], "").filter(|answer| answer.status == 200)
    });
    let page = get(port, "/metrics").body;
    for name in ["pg_up", "redis_up", "probe_success", "llm_tokens_total"] {
        assert!(page.contains(name), "the demo shows {name}");
    }
}

/// The port of the first `http://…:PORT` in a text.
fn port_in(text: &str) -> Option<u16> {
    let (_, address) = text.split_once("http://")?;
    let (_, port) = address.split_once(':')?;
    let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
