//! How full the file systems are.
//!
//! Asking a dead network mount hangs for good, and no time-out ends it. So one thread asks all mounts in turn; when one
//! does not answer, its thread is left behind and another goes on. A mount with a thread left behind is not asked again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{StatVfs, statvfs};
use rustix::io::Errno;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::model::{Family, Suffix};

use super::mounts::{self, Mount};
use super::shared::Shared;
use super::{CollectError, Look, Reason};

/// How long one mount may take.
const PATIENCE: Duration = Duration::from_millis(500);

static SIZE: Family = Family::gauge("node_filesystem_size_bytes", "The file system's size in bytes.");
static FREE: Family = Family::gauge("node_filesystem_free_bytes", "Bytes that are free, those kept for root too.");
static AVAILABLE: Family = Family::gauge("node_filesystem_avail_bytes", "Bytes that others than root can still use.");
static PURGEABLE: Family =
    Family::gauge("node_filesystem_purgeable_bytes", "Bytes that the system can clear by itself: on Linux none.");
static FILES: Family = Family::gauge("node_filesystem_files", "Files that the file system can have.");
static FILES_FREE: Family = Family::gauge("node_filesystem_files_free", "Files that can still be made.");
static READ_ONLY: Family = Family::gauge("node_filesystem_readonly", "Whether it is mounted read-only (1).");
static DEVICE_ERROR: Family = Family::gauge(
    "node_filesystem_device_error",
    "Whether the file system could not be asked (1); why is in the labels.",
);
static MOUNT_INFO: Family = Family::gauge("node_filesystem_mount_info", "1, with the device's number in the labels.");

/// A mount and what it said of itself, or `node_exporter`'s words for why not.
struct Answer {
    mount: Mount,
    figures: Result<StatVfs, String>,
}

impl Answer {
    /// Adds `node_filesystem_*`.
    fn fill(&self, shared: &mut Shared, look: &mut Look) {
        let Mount { device, point, kind, read_only, number: (major, minor) } = &self.mount;
        let error = self.figures.as_ref().err().map_or("", String::as_str);
        let labels =
            shared.labels(&[("device", device), ("mountpoint", point), ("fstype", kind), ("device_error", error)]);
        let mut add = |family, value| look.point(family, Suffix::None, labels.clone(), value);
        add(&DEVICE_ERROR, f64::from(self.figures.is_err()));
        add(&READ_ONLY, f64::from(*read_only));
        let Ok(figures) = &self.figures else { return };
        let block = figures.f_frsize as f64;
        add(&SIZE, figures.f_blocks as f64 * block);
        add(&FREE, figures.f_bfree as f64 * block);
        add(&AVAILABLE, figures.f_bavail as f64 * block);
        add(&PURGEABLE, 0.0);
        add(&FILES, figures.f_files as f64);
        add(&FILES_FREE, figures.f_ffree as f64);
        let labels = shared.labels(&[("device", device), ("major", major), ("minor", minor), ("mountpoint", point)]);
        look.point(&MOUNT_INFO, Suffix::None, labels, 1.0);
    }
}

type Asked = Arc<Mutex<HashSet<PathBuf>>>;
type Figures = Result<StatVfs, String>;

/// The mounts of the machine, and which of them hang.
#[derive(Default)]
pub(super) struct Filesystems {
    /// Mounts that a thread is asking at this moment.
    asked: Asked,
    shared: Mutex<Shared>,
}

impl Filesystems {
    /// Asks every mount of the table, each at most for [`PATIENCE`], until `deadline`.
    pub(super) async fn look(
        &self,
        table: &str,
        rootfs: &Path,
        deadline: Instant,
        look: &mut Look,
    ) -> Result<(), CollectError> {
        let table = mounts::parse(table, rootfs);
        if table.left_out > 0 {
            let words = format!("{} more mounts than we look at are left out", table.left_out);
            look.missed(CollectError::new(Reason::TooLarge, words));
        }
        let answers = self.ask_all(table.mounts, rootfs, deadline).await?;
        let shared = &mut self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for answer in &answers {
            answer.fill(shared, look);
        }
        Ok(())
    }

    async fn ask_all(&self, mounts: Vec<Mount>, rootfs: &Path, deadline: Instant) -> Result<Vec<Answer>, CollectError> {
        let (hung, mut waiting): (Vec<_>, Vec<_>) = {
            let asked = lock(&self.asked);
            mounts.into_iter().partition(|mount| asked.contains(&mount.path(rootfs)))
        };
        let mut answers: Vec<_> = hung.into_iter().map(no_answer).collect();
        while !waiting.is_empty() && Instant::now() < deadline {
            let paths: Vec<_> = waiting.iter().map(|mount| mount.path(rootfs)).collect();
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

/// An error in `node_exporter`'s words, which are in small letters and without the number.
fn words(error: Errno) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Starts the thread that asks the paths in turn. It ends when nobody listens any more.
fn ask(paths: Vec<PathBuf>, asked: Asked) -> Result<mpsc::Receiver<Figures>, CollectError> {
    let (send, receive) = mpsc::channel(paths.len().max(1));
    let work = move || {
        for path in paths {
            lock(&asked).insert(path.clone());
            let figures = statvfs(&path).map_err(words);
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

    async fn look(filesystems: &Filesystems, table: &str) -> Look {
        let mut look = Look::new();
        let soon = Instant::now() + Duration::from_secs(2);
        filesystems.look(table, Path::new("/"), soon, &mut look).await.unwrap();
        look
    }

    #[tokio::test]
    async fn a_mount_that_cannot_be_asked_says_so_and_the_others_answer() {
        let table = "2 1 8:1 / /nonexistent/place ro - ext4 gone ro\n1 0 8:2 / / rw - ext4 /dev/x rw\n";
        let look = look(&Filesystems::default(), table).await;
        let root = [("device", "/dev/x"), ("mountpoint", "/"), ("fstype", "ext4")];
        assert_eq!(look.get("node_filesystem_device_error", &root), Some(0.0));
        assert!(look.get("node_filesystem_size_bytes", &root).unwrap() > 0.0);
        let errors = look.blocks().iter().find(|block| block.family.name == "node_filesystem_device_error").unwrap();
        assert_eq!(errors.points[0].labels.get("device_error"), Some("no such file or directory"));
        let info = [("device", "/dev/x"), ("major", "8"), ("minor", "2"), ("mountpoint", "/")];
        assert_eq!(look.get("node_filesystem_mount_info", &info), Some(1.0));
    }

    #[tokio::test]
    async fn a_mount_that_hangs_is_not_asked_again() {
        let table = "2 1 0:9 / /mnt rw - nfs server:/export rw\n1 0 8:2 / / rw - ext4 /dev/x rw\n";
        let filesystems = Filesystems::default();
        lock(&filesystems.asked).insert("/mnt".into());
        let look = look(&filesystems, table).await;
        let hung = [("device", "server:/export"), ("mountpoint", "/mnt"), ("fstype", "nfs")];
        let labels = [&hung[..], &[("device_error", "mountpoint timeout")]].concat();
        assert_eq!(look.get("node_filesystem_device_error", &labels), Some(1.0));
        assert_eq!(look.get("node_filesystem_size_bytes", &hung), None);
        assert!(look.blocks().iter().any(|block| block.family.name == "node_filesystem_size_bytes"));
    }
}
