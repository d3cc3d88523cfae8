//! History on disk: a write-ahead log of what came last, and sealed blocks of what came before.
//!
//! In: what the [`Journal`] gathered under the store's lock. Out: files in `log/` and `blocks/`, and [`Block`]s that
//! readers ask by position. One thread writes; nobody waits for it. While the disk is slow or full the journal fills, then
//! samples are kept in memory alone, which is counted and told, and made good by the next block.
//!
//! Invariants: what cannot be what was written is never read as data; a file of a later version is left alone; a kill
//! loses what the log's thread had not been given yet, about a second.

mod block;
mod blocks;
mod bytes;
mod columns;
mod damage;
mod folder;
mod frame;
mod handles;
mod journal;
mod keeper;
mod log;
mod names;
mod open;
mod seal;
mod segments;

use std::path::PathBuf;

use crate::model::Millis;

pub(super) use block::Block;
pub(super) use blocks::Blocks;
use damage::Damage;
use handles::Handles;
pub(super) use journal::{Journal, Taken};
pub(super) use keeper::Keeper;
pub(super) use open::open;

/// Reads a log's bytes as recovery does; for fuzzing.
#[doc(hidden)]
pub use log::fuzz as fuzz_log;

/// What was found on disk at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Series that are known again.
    pub series: usize,
    /// Series that were too many for [`Limits::max_series`](super::Limits::max_series): those that were seen longest ago.
    pub shed: usize,
    /// Samples in blocks.
    pub in_blocks: u64,
    /// Samples that the log brought back.
    pub from_log: u64,
    /// Places where something else stands than what was written; it was skipped.
    pub damaged: u64,
}

/// What the disk holds and how writing to it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskState {
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Places found damaged since the start.
    pub corruptions: u64,
    /// Writes that failed since the start.
    pub write_errors: u64,
    /// Samples that are in no log because the disk was slow or full. The next block holds them.
    pub unlogged: u64,
    /// When the log last took everything there was.
    pub last_written: Option<Millis>,
}

/// Why a folder cannot be used for history.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// Another process holds its lock.
    #[error("another agent uses the history in {0}: stop it, or give this one a `storage.path` of its own")]
    InUse(PathBuf),
    /// A later Sidewatch wrote it.
    #[error(
        "{file} was written by a later version of Sidewatch (format {version}, this one reads {}): run that version, or move the file away",
        frame::VERSION
    )]
    Later {
        /// The file.
        file: PathBuf,
        /// Its version of the format.
        version: u16,
    },
    /// The folder or a file cannot be made or read.
    #[error("cannot use {path} for the history")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests;
