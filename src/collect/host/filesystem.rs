//! How full the file systems are.
//!
//! Asking a dead network mount hangs for good, and no time-out ends it. So one thread asks all mounts in turn; when one
//! does not answer, its thread is left behind and another goes on. A mount with a thread left behind is not asked again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{StatVfs, statvfs};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::model::{Family, Labels, Suffix};

use super::aside::Aside;
use super::files::Files;
use super::mounts::{self, Mount};
use super::{CollectError, Look, Reason};

/// How long one mount may take.
const PATIENCE: Duration = Duration::from_millis(500);

static SIZE: Family = Family::gauge("node_filesystem_size_bytes", "Filesystem size in bytes.");
static FREE: Family = Family::gauge("node_filesystem_free_bytes", "Filesystem free space in bytes.");
static AVAILABLE: Family =
    Family::gauge("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.");
static FILES: Family = Family::gauge("node_filesystem_files", "Filesystem total file nodes.");
static FILES_FREE: Family = Family::gauge("node_filesystem_files_free", "Filesystem total free file nodes.");
static READ_ONLY: Family = Family::gauge("node_filesystem_readonly", "Filesystem read-only status.");
static DEVICE_ERROR: Family = Family::gauge(
    "node_filesystem_device_error",
    "Whether an error occurred while getting statistics for the given device.",
);

/// A mount and what it said of itself, or `node_exporter`'s words for why not.
pub(super) struct Answer {
    mount: Mount,
    figures: Result<StatVfs, String>,
}

impl Answer {
    /// Adds `node_filesystem_*`.
    pub(super) fn fill(&self, look: &mut Look) {
        let Mount { device, point, kind, read_only } = &self.mount;
        let error = self.figures.as_ref().err().map_or("", String::as_str);
        let labels =
            Labels::new([("device", &**device), ("mountpoint", point), ("fstype", kind), ("device_error", error)]);
        let mut add = |family, value| look.point(family, Suffix::None, labels.clone(), value);
        add(&DEVICE_ERROR, f64::from(self.figures.is_err()));
        add(&READ_ONLY, f64::from(*read_only));
        if let Ok(figures) = &self.figures {
            let block = figures.f_frsize as f64;
            add(&SIZE, figures.f_blocks as f64 * block);
            add(&FREE, figures.f_bfree as f64 * block);
            add(&AVAILABLE, figures.f_bavail as f64 * block);
            add(&FILES, figures.f_files as f64);
            add(&FILES_FREE, figures.f_ffree as f64);
        }
    }
}

type Asked = Arc<Mutex<HashSet<PathBuf>>>;
type Figures = Result<StatVfs, String>;

/// The mounts of the machine, and which of them hang.
#[derive(Default)]
pub(super) struct Filesystems {
    /// Mounts that a thread is asking at this moment.
    asked: Asked,
    /// Reads the table of mounts.
    table: Aside,
}

impl Filesystems {
    /// Asks every mount, each at most for [`PATIENCE`], until `deadline`.
    pub(super) async fn look(&self, files: &Files, deadline: Instant) -> Result<Vec<Answer>, CollectError> {
        let host = files.clone();
        let text = self.table.run("mounts", deadline, move || host.init_proc("mounts")).await??;
        let mounts = mounts::parse(&text, &files.rootfs);
        let (hung, mut waiting): (Vec<_>, Vec<_>) = {
            let asked = lock(&self.asked);
            mounts.into_iter().partition(|mount| asked.contains(&mount.path(&files.rootfs)))
        };
        let mut answers: Vec<_> = hung.into_iter().map(no_answer).collect();
        while !waiting.is_empty() && Instant::now() < deadline {
            let paths: Vec<_> = waiting.iter().map(|mount| mount.path(&files.rootfs)).collect();
            let mut replies = ask(paths, Arc::clone(&self.asked))?;
            let mut rest = waiting.into_iter();
            for mount in rest.by_ref() {
                let until = deadline.min(Instant::now() + PATIENCE);
                let Ok(Some(figures)) = timeout_at(until, replies.recv()).await else {
                    answers.push(no_answer(mount));
                    break;
                };
                answers.push(Answer { mount, figures });
            }
            waiting = rest.collect();
        }
        answers.extend(waiting.into_iter().map(no_answer));
        Ok(answers)
    }
}

fn no_answer(mount: Mount) -> Answer {
    Answer { mount, figures: Err("mountpoint timeout".to_owned()) }
}

/// Starts the thread that asks the paths in turn. It ends when nobody listens any more.
fn ask(paths: Vec<PathBuf>, asked: Asked) -> Result<mpsc::Receiver<Figures>, CollectError> {
    let (send, receive) = mpsc::channel(paths.len().max(1));
    let work = move || {
        for path in paths {
            lock(&asked).insert(path.clone());
            let figures = statvfs(&path).map_err(|error| error.to_string());
            lock(&asked).remove(&path);
            if send.blocking_send(figures).is_err() {
                return;
            }
        }
    };
    let started = std::thread::Builder::new().name("filesystems".into()).spawn(work);
    started
        .map(|_| receive)
        .map_err(|error| CollectError::new(Reason::Limit, format!("cannot start a thread: {error}")))
}

fn lock(asked: &Mutex<HashSet<PathBuf>>) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
    // The set stays true after a panic elsewhere.
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(mounts: &str) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("1")).unwrap();
        std::fs::write(folder.path().join("1/mounts"), mounts).unwrap();
        let files = Files { procfs: folder.path().into(), sysfs: "/sys".into(), rootfs: "/".into() };
        (folder, files)
    }

    async fn look(filesystems: &Filesystems, files: &Files) -> Look {
        let mut look = Look::new();
        let answers = filesystems.look(files, Instant::now() + Duration::from_secs(2)).await.unwrap();
        for answer in &answers {
            answer.fill(&mut look);
        }
        look
    }

    #[tokio::test]
    async fn a_mount_that_cannot_be_asked_says_so_and_the_others_answer() {
        let (_folder, files) = files("gone /nonexistent/place ext4 ro 0 0\n/dev/x / ext4 rw 0 0\n");
        let look = look(&Filesystems::default(), &files).await;
        let root = [("device", "/dev/x"), ("mountpoint", "/"), ("fstype", "ext4")];
        assert_eq!(look.get("node_filesystem_device_error", &root), Some(0.0));
        assert!(look.get("node_filesystem_size_bytes", &root).unwrap() > 0.0);
        let errors = look.blocks().iter().find(|block| block.family.name == "node_filesystem_device_error").unwrap();
        assert!(errors.points[0].labels.get("device_error").unwrap().contains("No such file"));
    }

    #[tokio::test]
    async fn a_mount_that_hangs_is_not_asked_again() {
        let (_folder, files) = files("server:/export /mnt nfs rw 0 0\n/dev/x / ext4 rw 0 0\n");
        let filesystems = Filesystems::default();
        lock(&filesystems.asked).insert("/mnt".into());
        let look = look(&filesystems, &files).await;
        let hung = [("device", "server:/export"), ("mountpoint", "/mnt"), ("fstype", "nfs")];
        let labels = [&hung[..], &[("device_error", "mountpoint timeout")]].concat();
        assert_eq!(look.get("node_filesystem_device_error", &labels), Some(1.0));
        assert_eq!(look.get("node_filesystem_size_bytes", &hung), None);
        assert!(look.blocks().iter().any(|block| block.family.name == "node_filesystem_size_bytes"));
    }
}
