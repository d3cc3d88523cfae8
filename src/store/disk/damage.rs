//! Counts the places where a file is not what was written, and tells of each once.

use std::collections::BTreeSet;
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
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = places.len() >= REMEMBERED || places.insert((file.to_owned(), offset));
        drop(places);
        if is_new {
            self.count.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(file = %file.display(), offset, "damaged history: {what}");
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}
