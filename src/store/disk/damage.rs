//! Counts the places where a file is not what was written, and tells of each once.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// So many places are remembered. More of them are told and counted each time they are read.
const REMEMBERED: usize = 1024;

/// The damage found since the start.
#[derive(Debug, Default)]
pub(super) struct Damage {
    places: Mutex<BTreeSet<(PathBuf, u64)>>,
    count: AtomicU64,
}

impl Damage {
    /// Something was found at this offset of a file.
    pub(super) fn found(&self, file: &Path, offset: u64, what: &str) {
        if self.is_new(file, offset) {
            tracing::warn!(file = %file.display(), offset, "damaged history: {what}");
        }
    }

    /// The system does not give a file out.
    pub(super) fn unreadable(&self, file: &Path, error: &io::Error) {
        if self.is_new(file, 0) {
            tracing::warn!(
                file = %file.display(), %error,
                "a file of the history cannot be read and was skipped: check its rights and the disk, then start again"
            );
        }
    }

    /// Counts a place that was not known.
    fn is_new(&self, file: &Path, offset: u64) -> bool {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = places.len() >= REMEMBERED || places.insert((file.to_owned(), offset));
        self.count.fetch_add(u64::from(is_new), Ordering::Relaxed);
        is_new
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}
