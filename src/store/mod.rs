//! Bounded recent history, and what each source shows now.
//!
//! In: everything measured, one [`Picture`] of a source at a time. Out: [`Snapshot`]s for PromQL, and the current pictures for `/metrics`.
//!
//! A series that a source showed before and does not show now ends with a staleness marker, as in Prometheus.
//! A picture's sample not newer than its series' last one is dropped and counted; others may be late by up to
//! [`OUT_OF_ORDER_WINDOW`]. When the wall clock is set back by more than a
//! minute, what was recorded under times that are yet to come is forgotten and recording goes on at the new time.
//!
//! Behind the interface: labels are interned, an inverted index finds series by label. The last minutes of a series are
//! kept as they came (`tail`), what is older in compressed chunks (`chunk`). One lock guards all of it and is held
//! briefly: a writer holds it for one picture, a reader while it notes which chunks it will decode.
//!
//! Invariants: never more series than [`Limits::max_series`]; no sample much older than [`Limits::retention`]; a
//! [`Snapshot`] sees a picture whole or not at all (but not what a clock that was set back made forgotten).

mod bits;
mod chunk;
mod condition;
mod cut;
mod disk;
mod entry;
mod external;
mod find;
mod history;
mod index;
mod matcher;
mod overlay;
mod postings;
mod shape;
mod snapshot;
mod table;
mod tail;

pub use disk::{DiskState, OpenStoreError, Recovery, fuzz_log};
pub use external::{Appended, Rejection};
pub use matcher::{MatchOp, Matcher};
pub(crate) use overlay::disjoint;
pub use overlay::overlay;
pub use snapshot::{Newest, Run, Snapshot};

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::model::{Block, Labels, Millis, render_duration};
use history::{History, Noticed};

/// A sample that belongs to no picture may be older than its series' newest by this: two senders' batches overtake each
/// other by seconds. Prometheus' default is none at all.
pub const OUT_OF_ORDER_WINDOW: Duration = Duration::from_mins(1);

/// What the store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long samples are kept.
    pub retention: Duration,
    /// How many series may live at once; further ones are refused and counted.
    pub max_series: usize,
}

/// All that one source showed at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Who showed it: stable over looks. A target's name, `rule:<group>/<rule>`, `sidewatch`.
    pub source: Arc<str>,
    /// Labels that go on every point and win over the point's own, whose equal names become `exported_<name>`.
    pub labels: Labels,
    /// What was seen.
    pub blocks: Vec<Block>,
    /// When.
    pub at: Millis,
}

/// A series with samples in order of time, as a snapshot hands it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// All labels, `__name__` among them.
    pub labels: Labels,
    /// Times and values, staleness markers among them.
    pub samples: Vec<(Millis, f64)>,
}

/// The history. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    history: Arc<RwLock<History>>,
    /// Writes what is kept to disk, if it is.
    keeper: Option<Arc<disk::Keeper>>,
}

impl Store {
    /// An empty store that is gone at the end of the process.
    pub fn new(limits: Limits) -> Self {
        Self { history: Arc::new(RwLock::new(History::new(limits))), keeper: None }
    }

    /// A store that keeps its history in a folder, with what the folder holds.
    ///
    /// # Errors
    /// Another agent uses the folder, a later version wrote it, or it cannot be read or made. Damage is no error: it is
    /// skipped, told and counted.
    pub fn open(limits: Limits, folder: &Path) -> Result<(Self, Recovery), OpenStoreError> {
        let history = Arc::new(RwLock::new(History::new(limits)));
        let (keeper, recovery) = disk::open(&history, folder)?;
        Ok((Self { history, keeper: Some(Arc::new(keeper)) }, recovery))
    }

    /// Writes to disk what is not there yet and ends the writing. Says whether that was done within `limit`. Blocks.
    pub fn close(&self, limit: Duration) -> bool {
        self.keeper.as_ref().is_none_or(|keeper| keeper.close(limit))
    }

    /// Waits until the log holds what was appended before. Says whether that was done within `limit`. Blocks.
    pub fn flush(&self, limit: Duration) -> bool {
        self.keeper.as_ref().is_none_or(|keeper| keeper.flush(false, limit))
    }

    /// As [`Self::flush`], until a block holds it.
    pub fn seal(&self, limit: Duration) -> bool {
        self.keeper.as_ref().is_none_or(|keeper| keeper.flush(true, limit))
    }

    /// What the disk holds, if there is one.
    pub fn disk(&self) -> Option<DiskState> {
        self.keeper.as_ref().map(|keeper| keeper.state())
    }

    /// Takes a source's whole picture: appends its samples, marks what vanished since its last picture as stale.
    pub fn record(&self, picture: Picture) {
        let noticed = self.write().record(picture);
        noticed.log();
    }

    /// As [`Self::record`], for what was computed out of the store. Its time is an evaluation's, which may lie well back
    /// (`query_offset`), so it says nothing of the clock.
    pub fn record_computed(&self, picture: Picture) {
        let noticed = self.write().record_computed(picture);
        noticed.log();
    }

    /// A source is gone for good: all it showed ends.
    pub fn end(&self, source: &str, at: Millis) {
        self.write().end(source, at);
    }

    /// Appends samples that belong to no picture, such as remote write's. Nobody but their sender ends such series.
    /// They need not come in order, within [`OUT_OF_ORDER_WINDOW`].
    pub fn append_external(&self, series: &[Series]) -> Appended {
        let (outcome, noticed) = self.write().append_external(series);
        noticed.log();
        outcome
    }

    /// What every source shows now, in order of their names.
    pub fn current(&self) -> Vec<Arc<Picture>> {
        self.read().current()
    }

    /// A view of the history that later pictures do not change.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { version: self.read().version(), store: self.clone() }
    }

    /// How many samples were refused because `max_series` was reached.
    pub fn refused(&self) -> u64 {
        self.read().counts.refused
    }

    /// How many samples were dropped: not newer than their series' last one, too late, or out of all bounds.
    pub fn dropped(&self) -> u64 {
        self.read().counts.dropped
    }

    /// How often the wall clock was found set back by more than a minute.
    pub fn clock_steps(&self) -> u64 {
        self.read().counts.clock_steps
    }

    /// How many samples were taken since the start.
    pub fn samples_appended(&self) -> u64 {
        self.read().counts.appended
    }

    /// How many series live now.
    pub fn series_count(&self) -> usize {
        self.read().series().len()
    }

    // A panic while the lock was held leaves at most one picture half taken: better to go on with that than to stop.
    fn read(&self) -> RwLockReadGuard<'_, History> {
        self.history.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, History> {
        self.history.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noticed {
    fn log(self) {
        if let Some(series) = self.refused {
            tracing::warn!(%series, "the store holds as many series as it may (storage.max_series): new ones are refused");
        }
        if let Some(by) = self.step_back {
            let by = render_duration(by);
            tracing::warn!(by, "the clock was set back; samples whose time is yet to come are forgotten");
        }
    }
}

#[cfg(test)]
mod tests;
