//! The host's file trees, wherever they are mounted.

use std::io;
use std::path::{Path, PathBuf};

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

    /// A file of the host's first process. Inside a container `/proc/net` and `/proc/mounts` lead to our own
    /// network and mounts, whoever's `/proc` it is: they are links to `/proc/self`. The first process' are the host's.
    pub(super) fn init_proc(&self, path: &str) -> Result<String, CollectError> {
        self.proc(&format!("1/{path}")).or_else(|error| self.proc(path).map_err(|_| error))
    }

    /// The same for files that kernels may lack.
    pub(super) fn optional_init_proc(&self, path: &str) -> Result<Option<String>, CollectError> {
        match self.optional_proc(&format!("1/{path}")) {
            Ok(Some(text)) => Ok(Some(text)),
            Ok(None) | Err(_) => self.optional_proc(path),
        }
    }

    /// A small file below `/sys`, trimmed; `None` when it cannot be read (a link that is down has no speed).
    pub(super) fn sys_value(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.sysfs.join(path)).ok().map(|text| text.trim().to_owned())
    }

    /// The names in a folder below `/sys`, sorted.
    pub(super) fn sys_folder(&self, path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.sysfs.join(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// The host's name. With another root its `/etc/hostname`, since `/proc/sys/kernel/hostname` tells
    /// whoever reads it their own container's name.
    pub(super) fn host_name(&self) -> Option<String> {
        let file = self.rootfs.join("etc/hostname");
        let elsewhere = (self.rootfs != Path::new("/")).then(|| std::fs::read_to_string(file).ok()).flatten();
        let name = elsewhere.or_else(|| self.proc("sys/kernel/hostname").ok())?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    }
}

fn read(path: &Path) -> Result<String, CollectError> {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|error| explain(path, &error))
}

fn optional(path: &Path) -> Result<Option<String>, CollectError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        // A kernel without pressure accounting has the files, and refuses to read them.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::Unsupported) => Ok(None),
        Err(error) => Err(explain(path, &error)),
    }
}

fn explain(path: &Path, error: &io::Error) -> CollectError {
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => Reason::Permission,
        _ => Reason::Unreachable,
    };
    CollectError::new(reason, format!("cannot read {}: {error}", path.display()))
}
