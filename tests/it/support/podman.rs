//! A real Podman behind Docker's API.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::DockerEngine;
use super::process::{Running, end_all_in, try_run, wait_until};

/// Podman's service with everything of its own in one folder. It runs as root, without systemd.
pub struct Podman {
    folder: TempDir,
    _process: Running,
}

impl Podman {
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("sw-podman").tempdir().expect("a folder");
        let socket = folder.path().join("podman.sock");
        let mut command = podman(&folder);
        command.args(["system", "service", "-t", "0"]).arg(format!("unix://{}", socket.display()));
        let process = Running::start(&mut command, &folder.path().join("log"));
        wait_until("podman listens", Duration::from_secs(30), || socket.exists().then_some(()));
        Self { folder, _process: process }
    }

    /// Docker's client for it.
    pub fn engine(&self) -> DockerEngine {
        DockerEngine::at(&self.folder.path().join("podman.sock"))
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        try_run(podman(&self.folder).args(["rm", "-f", "-a", "-t", "0"]));
        end_all_in(self.folder.path());
        let _ = Command::new("umount").arg("-l").arg(self.folder.path().join("root/overlay")).output();
    }
}

fn podman(folder: &TempDir) -> Command {
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut command = Command::new("podman");
    command.args(["--root", &at("root"), "--runroot", &at("run"), "--cgroup-manager", "cgroupfs"]);
    command.args(["--storage-driver", "overlay"]);
    command
}
