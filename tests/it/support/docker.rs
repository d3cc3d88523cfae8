//! A real Docker Engine, and images without a registry.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Running, end_all_in, run, try_run, wait_until};

/// The image that [`DockerEngine::start`] makes of the static busybox.
pub const BASE: &str = "sidewatch-test/base:1";

/// The machine's engine where one runs, else one of our own that ends with the test.
///
/// A second engine on one machine would flush the first one's firewall chains (and `--bridge none` would remove its bridge): hence
/// never beside another, and tests that need one take turns by a lock on a file. Nothing foreign is touched: names and tags are ours.
pub struct DockerEngine {
    socket: PathBuf,
    own: Option<(Running, TempDir)>,
    _turn: Option<File>,
}

impl DockerEngine {
    pub fn start() -> Self {
        let turn = File::create(std::env::temp_dir().join("sidewatch-test-docker.lock")).expect("a lock file");
        turn.lock().expect("a lock");
        let usual = PathBuf::from("/var/run/docker.sock");
        let engine = if answers(&usual) {
            Self { socket: usual, own: None, _turn: Some(turn) }
        } else {
            let folder = engine_folder();
            let process = start_engine(&folder, PLAINLY);
            Self { socket: folder.path().join("docker.sock"), own: Some((process, folder)), _turn: Some(turn) }
        };
        engine.import_base();
        engine
    }

    /// An engine of the test's own, which it may stop: in a network of its own, so that it disturbs no other.
    pub fn private() -> Self {
        let folder = engine_folder();
        let process = start_engine(&folder, PRIVATELY);
        let engine = Self { socket: folder.path().join("docker.sock"), own: Some((process, folder)), _turn: None };
        engine.import_base();
        engine
    }

    /// Ends a private engine, as `systemctl stop docker` does; its containers end with it.
    pub fn stop(&mut self) {
        self.own.as_mut().expect("an engine of our own").0.end("TERM");
    }

    /// SIGKILL to a private engine: its containers live on.
    pub fn crash(&mut self) {
        self.own.as_mut().expect("an engine of our own").0.kill();
    }

    /// Starts it again, with the containers that restart always.
    pub fn start_again(&mut self) {
        let (process, folder) = self.own.as_mut().expect("an engine of our own");
        *process = start_engine(folder, PRIVATELY);
    }

    /// The address, as `DOCKER_HOST` has it.
    pub fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// A client for another engine that speaks Docker's API, with an image of ours.
    pub fn at(socket: &Path) -> Self {
        let engine = Self { socket: socket.to_owned(), own: None, _turn: None };
        engine.import_base();
        engine
    }

    /// The socket's path.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The client, for this engine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", self.url()).env("DOCKER_BUILDKIT", "0").args(arguments);
        command
    }

    /// Runs the client to its end; its output.
    pub fn docker(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments)).trim().to_owned()
    }

    /// Starts a container with a private name: `docker run -d --name … ARGUMENTS`.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Container<'_> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let all: Vec<&str> = ["run", "-d", "--name", &name].iter().chain(arguments).copied().collect();
        self.docker(&all);
        Container { engine: self, name }
    }

    /// An image of nothing but the static busybox, as there is no registry to take one from.
    fn import_base(&self) {
        if try_run(&mut self.command(&["image", "inspect", BASE])).0 {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).expect("our folder");
        std::fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is installed");
        for name in ["sh", "sleep", "httpd", "wget", "cat", "dd", "touch", "nslookup", "id"] {
            std::os::unix::fs::symlink("busybox", bin.join(name)).expect("our folder");
        }
        let archive = folder.path().join("base.tar");
        run(Command::new("tar").arg("-C").arg(folder.path()).arg("-cf").arg(&archive).arg("bin"));
        self.docker(&["import", archive.to_str().expect("our path"), BASE]);
    }
}

impl Drop for DockerEngine {
    fn drop(&mut self) {
        if let Some((process, folder)) = &mut self.own {
            // An engine waits ten seconds for each container that does not heed its signal, and one that is killed while it
            // waits leaves them all behind.
            let socket = format!("DOCKER_HOST=unix://{}", self.socket.display());
            let remove = "timeout 60 docker ps -aq | xargs -r timeout 60 docker rm -f";
            let _ = Command::new("env").args([&socket, "sh", "-c", remove]).output();
            process.end("TERM");
            end_all_in(folder.path());
            // What the engine left mounted would keep the folder from being removed.
            let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
            let inside = folder.path().display().to_string();
            for mount in
                mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| path.starts_with(&inside))
            {
                let _ = Command::new("umount").args(["-l", mount]).status();
            }
        }
    }
}

/// A container; removed when dropped.
pub struct Container<'a> {
    engine: &'a DockerEngine,
    name: String,
}

impl Container<'_> {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SIGKILL from outside, as the OOM killer or an operator does it.
    pub fn kill(&self) {
        self.engine.docker(&["kill", &self.name]);
    }

    pub fn start(&self) {
        self.engine.docker(&["start", &self.name]);
    }

    /// `docker inspect` with a format.
    pub fn inspect(&self, format: &str) -> String {
        self.engine.docker(&["inspect", "--format", format, &self.name])
    }

    /// Runs a command inside: whether it succeeded, and its output.
    pub fn exec(&self, arguments: &[&str]) -> (bool, String) {
        let all: Vec<&str> = ["exec", &self.name].iter().chain(arguments).copied().collect();
        try_run(&mut self.engine.command(&all))
    }

    /// What it wrote.
    pub fn logs(&self) -> String {
        self.engine.docker(&["logs", &self.name])
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        try_run(&mut self.engine.command(&["rm", "-f", "-v", &self.name]));
    }
}

fn answers(socket: &Path) -> bool {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).args([
        "version",
        "--format",
        "{{.Server.Version}}",
    ]);
    socket.exists() && try_run(&mut command).0
}

/// Without a bridge an engine removes that of any other in the same network.
const PRIVATELY: &str = "exec setpriv --pdeathsig TERM unshare --net dockerd --bridge=none --iptables=false";
/// Either ends even when the test is killed.
const PLAINLY: &str = "exec setpriv --pdeathsig TERM dockerd";

fn engine_folder() -> TempDir {
    tempfile::Builder::new().prefix("sw-docker").tempdir().expect("a folder")
}

/// An engine with everything of its own in one folder.
fn start_engine(folder: &TempDir, how: &str) -> Running {
    let at = |name: &str| folder.path().join(name).display().to_string();
    // One that was killed leaves its own behind.
    let _ = std::fs::remove_file(folder.path().join("pid"));
    let mut command = Command::new("sh");
    command.args([
        "-c",
        &format!("{how} \"$@\""),
        "dockerd",
        "-H",
        &format!("unix://{}", at("docker.sock")),
        "--pidfile",
        &at("pid"),
    ]);
    command.args(["--data-root", &at("data"), "--exec-root", &at("exec")]);
    let mut process = Running::start(&mut command, &folder.path().join("log"));
    let socket = folder.path().join("docker.sock");
    wait_until("dockerd answers", Duration::from_mins(1), || {
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(process.is_running(), "dockerd ended (it needs root):\n{}", log());
        answers(&socket).then_some(())
    });
    process
}
