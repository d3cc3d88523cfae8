//! Child processes, ports, and waiting for a state.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A child process that does not outlive the test.
pub struct Running(Child);

impl Running {
    /// Starts it with its output in `log`.
    pub fn start(command: &mut Command, log: &std::path::Path) -> Self {
        let out = std::fs::OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let err = out.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?} does not start, is it installed? {error}")))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let _ = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
    }

    /// Gives it the processor before all others, where we may: how long something takes is then its own doing.
    pub fn undisturbed(&self) {
        let id = self.id().to_string();
        let _ = try_run(Command::new("chrt").args(["--all-tasks", "--fifo", "--pid", "1", &id]));
    }

    /// Sends a signal by name and waits at most ten seconds for the end.
    pub fn end(&mut self, signal: &str) {
        self.signal(signal);
        let end = Instant::now() + Duration::from_secs(10);
        while self.is_running() && Instant::now() < end {
            sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills whatever still runs with a test's own folder on its command line, and what those started: a daemon that was killed leaves its
/// helpers, and they their containers.
pub fn end_all_in(folder: &std::path::Path) {
    let folder = folder.as_os_str().as_encoded_bytes();
    let all: Vec<(u32, u32, bool)> = std::fs::read_dir("/proc")
        .expect("a proc")
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The name before it, in brackets, may hold anything.
            let parent = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()?;
            let command = std::fs::read(entry.path().join("cmdline")).ok()?;
            Some((id, parent, id != std::process::id() && command.windows(folder.len()).any(|part| part == folder)))
        })
        .collect();
    let mut ending: Vec<u32> = all.iter().filter(|(_, _, ours)| *ours).map(|(id, _, _)| *id).collect();
    let mut at = 0;
    while let Some(parent) = ending.get(at).copied() {
        let children = all.iter().filter(|(id, of, _)| *of == parent && !ending.contains(id)).map(|(id, _, _)| *id);
        ending.extend(children.collect::<Vec<_>>());
        at += 1;
    }
    for id in ending {
        let _ = Command::new("kill").arg("-KILL").arg(id.to_string()).stderr(Stdio::null()).status();
    }
}

/// Runs a command to its end; its standard output, or a panic with all it said.
pub fn run(command: &mut Command) -> String {
    let (success, text) = try_run(command);
    assert!(success, "{command:?} failed: {text}");
    text
}

/// Runs a command to its end: whether it succeeded, and what it wrote to both outputs.
pub fn try_run(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} does not start, is it installed? {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || text.is_empty() {
        text += &String::from_utf8_lossy(&output.stderr);
    }
    (output.status.success(), text)
}

/// Runs a command with `input` on its standard input: its exit code and both outputs.
pub fn run_with_input(command: &mut Command, input: String) -> (Option<i32>, String) {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = piped.unwrap_or_else(|error| panic!("{command:?} does not start, is it installed? {error}"));
    let mut stdin = child.stdin.take().expect("piped above");
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
    let mut text = String::new();
    child.stdout.take().expect("piped above").read_to_string(&mut text).expect("text");
    child.stderr.take().expect("piped above").read_to_string(&mut text).expect("text");
    writer.join().expect("the writer does not panic").expect("the command reads its input");
    (child.wait().expect("an end").code(), text)
}

/// A port that nobody listens on, below those that the kernel gives to outgoing connections: a server that is stopped
/// and started again finds its port free. Tests in other processes keep away from it as long as this one lives.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static OURS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let claims = std::env::temp_dir().join("sidewatch-test-ports");
    std::fs::create_dir_all(&claims).expect("a folder");
    let start = std::process::id().wrapping_mul(97);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7);
        let port = u16::try_from(11_000 + start.wrapping_add(step) % 20_000).expect("below 31000");
        let claim = File::create(claims.join(port.to_string())).expect("a file");
        if claim.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            OURS.lock().expect("no test panics here").push(claim);
            return port;
        }
    }
}

/// Waits for a state, not a time: the first `Some` of `probe`, or a panic that says what was missing.
pub fn wait_until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(20));
    }
}
