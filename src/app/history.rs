//! The history's folder: opened at the start, written to its end at the stop, told of in the own metrics.

use std::path::Path;
use std::time::Duration;

use tracing::{info, warn};

use super::own::block;
use crate::config::Storage;
use crate::model::{Block, Family, Labels};
use crate::store::Store;

static LOG_BYTES: Family =
    Family::gauge("sidewatch_storage_log_bytes", "Size of the history's write-ahead log on disk, in bytes.");
static BLOCKS: Family = Family::gauge("sidewatch_storage_blocks", "Sealed blocks of history on disk.");
static BLOCK_BYTES: Family =
    Family::gauge("sidewatch_storage_blocks_bytes", "Size of all sealed blocks of history on disk, in bytes.");
static CORRUPTIONS: Family = Family::counter(
    "sidewatch_storage_corruptions_total",
    "Places in the history's files where something else stands than what was written; they are skipped.",
);
static WRITE_ERRORS: Family =
    Family::counter("sidewatch_storage_write_errors_total", "Writes to the history's files that failed.");
static UNLOGGED: Family = Family::counter(
    "sidewatch_storage_samples_unlogged_total",
    "Samples that the log could not take because the disk was slow or full; they are in memory until the next block.",
);
static WRITTEN: Family = Family::gauge(
    "sidewatch_storage_last_write_timestamp_seconds",
    "When the history's log last held all there was, in seconds since the epoch.",
);

/// The store in `<storage.path>/history`, or in memory with `path: none`.
pub async fn open(storage: &Storage) -> Result<Store, String> {
    let Some(path) = &storage.path else { return Ok(Store::new(storage.limits)) };
    let (limits, folder) = (storage.limits, path.join("history"));
    let opened = tokio::task::spawn_blocking(move || open_folder(limits, &folder)).await;
    opened.map_err(|error| error.to_string())?
}

fn open_folder(limits: crate::store::Limits, folder: &Path) -> Result<Store, String> {
    let (store, found) = Store::open(limits, folder).map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| {
            format!(": {cause}; check storage.path and its rights, or write `path: none`")
        });
        format!("{error}{cause}")
    })?;
    if found.damaged > 0 {
        warn!(places = found.damaged, folder = %folder.display(), "parts of the history are damaged and were skipped");
    }
    if found.shed > 0 {
        let kept = limits.max_series;
        warn!(
            series = found.shed,
            kept, "the history held more series than storage.max_series: those seen longest ago are not shown"
        );
    }
    info!(series = found.series, in_blocks = found.in_blocks, from_log = found.from_log, "history read");
    Ok(store)
}

/// Lets the disk take what it has not, for at most so long.
pub async fn close(store: &Store, limit: Duration) {
    let store = store.clone();
    let closed = tokio::task::spawn_blocking(move || store.close(limit)).await;
    if !matches!(closed, Ok(true)) {
        warn!("the disk did not take the end of the history in time");
    }
}

/// What is shown of the disk; nothing when there is none.
pub fn blocks(store: &Store) -> Vec<Block> {
    let Some(disk) = store.disk() else { return Vec::new() };
    let mut shown = vec![
        block(&LOG_BYTES, Labels::empty(), disk.log_bytes as f64),
        block(&BLOCKS, Labels::empty(), disk.blocks as f64),
        block(&BLOCK_BYTES, Labels::empty(), disk.block_bytes as f64),
        block(&CORRUPTIONS, Labels::empty(), disk.corruptions as f64),
        block(&WRITE_ERRORS, Labels::empty(), disk.write_errors as f64),
        block(&UNLOGGED, Labels::empty(), disk.unlogged as f64),
    ];
    shown.extend(disk.last_written.map(|at| block(&WRITTEN, Labels::empty(), at.as_seconds())));
    shown
}
