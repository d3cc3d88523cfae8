//! The host's file trees, wherever they are mounted.

use std::io;
use std::path::{Path, PathBuf};

use super::folder::{Folder, read_text};
use super::{CollectError, Reason};

/// Where the host's files are: `/proc`, `/sys` and `/` themselves, or their mounts inside our container.
#[derive(Debug, Clone, PartialEq)]
pub struct Files {
    /// The host's `/proc`.
    pub procfs: PathBuf,
    /// The host's `/sys`.
    pub sysfs: PathBuf,
    /// The host's `/`, below which its mount points are reachable.
    pub rootfs: PathBuf,
}

impl Files {
    /// A file below `/proc`.
    pub(super) fn proc(&self, path: &str) -> Result<String, CollectError> {
        read(&self.procfs.join(path))
    }

    /// A file below `/proc` that kernels may lack; `None` when it is not there.
    pub(super) fn optional_proc(&self, path: &str) -> Result<Option<String>, CollectError> {
        optional(&self.procfs.join(path))
    }

    /// A file of the host's first process. `/proc/net` and `/proc/mounts` lead to our own network and mounts, whoever's
    /// `/proc` it is: they are links to `/proc/self`. The first process' are the host's, and ours only stand in for
    /// them where `procfs` is our own.
    pub(super) fn init_proc(&self, path: &str) -> Result<String, CollectError> {
        let first = self.proc(&format!("1/{path}"));
        if self.procfs_is_ours() { first.or_else(|error| self.proc(path).map_err(|_| error)) } else { first }
    }

    /// The same for files that kernels may lack.
    pub(super) fn optional_init_proc(&self, path: &str) -> Result<Option<String>, CollectError> {
        match self.optional_proc(&format!("1/{path}")) {
            Ok(None) | Err(_) if self.procfs_is_ours() => self.optional_proc(path),
            answer => answer,
        }
    }

    fn procfs_is_ours(&self) -> bool {
        self.procfs == Path::new("/proc")
    }

    /// A folder below `/sys`; `None` when it is not there.
    pub(super) fn sys(&self, path: &str) -> Option<Folder> {
        Folder::open(&self.sysfs.join(path))
    }

    /// A file below the host's `/`; `None` when it cannot be read.
    pub(super) fn root(&self, path: &str) -> Option<String> {
        read_text(&self.rootfs.join(path)).ok()
    }

    /// The host's name. With another root its `/etc/hostname`, since `/proc/sys/kernel/hostname` tells
    /// whoever reads it their own container's name. A container's id, which its next one does not have, is no name.
    pub(super) fn host_name(&self) -> Option<String> {
        let trimmed = |text: String| Some(text.trim().to_owned()).filter(|name| !name.is_empty());
        let elsewhere = (self.rootfs != Path::new("/"))
            .then(|| std::fs::read_to_string(self.rootfs.join("etc/hostname")).ok().and_then(trimmed))
            .flatten();
        elsewhere.or_else(|| {
            let name = trimmed(self.proc("sys/kernel/hostname").ok()?)?;
            (!is_container_id(&name) || !in_container()).then_some(name)
        })
    }
}

/// Where our container has the host's root, by the convention of `node_exporter` and of the shipped Compose file.
const USUAL_ROOT: &str = "/host";

/// The name of the machine we run on, for kinds that have no settings for where its files are; `localhost` where it
/// cannot be told from inside our container.
pub(in crate::collect) fn host_name() -> String {
    let files = Files { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: USUAL_ROOT.into() };
    files.host_name().unwrap_or_else(|| "localhost".to_owned())
}

/// How Docker and Podman name a container's host unless told otherwise.
fn is_container_id(name: &str) -> bool {
    name.len() == 12 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
}

fn read(path: &Path) -> Result<String, CollectError> {
    read_text(path).map_err(|error| explain(path, &error))
}

fn optional(path: &Path) -> Result<Option<String>, CollectError> {
    match read_text(path) {
        Ok(text) => Ok(Some(text)),
        // A kernel without pressure accounting has the files, and refuses to read them.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Unsupported) => Ok(None),
        Err(error) => Err(explain(path, &error)),
    }
}

fn explain(path: &Path, error: &io::Error) -> CollectError {
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => Reason::Permission,
        io::ErrorKind::FileTooLarge => Reason::TooLarge,
        _ => Reason::Unreachable,
    };
    CollectError::new(reason, format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_network_is_not_shown_as_the_hosts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("net")).unwrap();
        std::fs::write(folder.path().join("net/dev"), "ours").unwrap();
        let files = Files { procfs: folder.path().into(), sysfs: "/sys".into(), rootfs: "/".into() };
        assert!(files.init_proc("net/dev").unwrap_err().to_string().contains("1/net/dev"));
        assert_eq!(files.optional_init_proc("net/dev"), Ok(None));
    }

    #[test]
    fn the_hosts_name_stands_in_its_own_root() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::fs::write(folder.path().join("etc/hostname"), "engine-1\n").unwrap();
        let files = Files { procfs: "/nonexistent".into(), sysfs: "/sys".into(), rootfs: folder.path().into() };
        assert_eq!(files.host_name().as_deref(), Some("engine-1"));
        std::fs::write(folder.path().join("etc/hostname"), "\n").unwrap();
        assert_eq!(files.host_name(), None);
    }

    #[test]
    fn a_containers_id_is_told_from_a_name() {
        assert!(is_container_id("3f9c0a1b2d4e"));
        assert!(!is_container_id("shop-app-1") && !is_container_id("engine000001"));
    }
}
