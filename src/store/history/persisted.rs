//! What the history has to do with the disk: it keeps a journal, knows the blocks, and takes in what they and the log say.
//! Nothing here waits for a file.

use std::sync::Arc;
use std::time::Duration;

use super::History;
use crate::model::{Labels, Millis};
use crate::store::cut::Shared;
use crate::store::disk::{Block, Blocks, Journal, Taken};
use crate::store::entry::{EXTERNAL, Fate};
use crate::store::shape::SeriesRef;
use crate::store::{OUT_OF_ORDER_WINDOW, Run};

/// While no block can be written, memory keeps as much as it does without a disk.
const IN_MEMORY: Duration = Duration::from_hours(2);
/// A block holds so much time, and less where the retention is short: whole blocks are dropped.
const IN_BLOCK: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
pub(super) struct Persisted {
    pub(super) journal: Option<Journal>,
    pub(super) blocks: Blocks,
    /// The earliest time to which the clock was set back since the block that is being written was begun.
    rewound: Option<Millis>,
}

impl Persisted {
    pub(super) fn note(&mut self, series: SeriesRef, at: Millis, value: f64) {
        if let Some(journal) = &mut self.journal {
            journal.sample(series, at, value);
        }
    }

    pub(super) fn rewind(&mut self, at: Millis) {
        self.blocks.rewind(at);
        self.rewound = Some(self.rewound.map_or(at, |before| before.min(at)));
        if let Some(journal) = &mut self.journal {
            journal.rewind(at);
        }
    }
}

/// For recovery, before there is a journal.
impl History {
    /// The series with these labels, as files name it. Which ones are too many is known only when all files have been read.
    pub(in crate::store) fn intern_read(&mut self, labels: &Labels) -> SeriesRef {
        self.series.intern_beyond(labels)
    }

    /// Between two files: so that files of ever other series do not fill the memory.
    pub(in crate::store) fn shed_between_files(&mut self) -> usize {
        let most = self.limits.max_series;
        if self.series.len() > most.saturating_mul(2) { self.series.keep_newest(most) } else { 0 }
    }

    /// Forgets the series beyond `max_series` that were seen longest ago. Says how many these were.
    pub(in crate::store) fn shed(&mut self) -> usize {
        self.series.keep_newest(self.limits.max_series)
    }

    /// The series' last sample is in a block.
    pub(in crate::store) fn restore(&mut self, series: SeriesRef, last: (Millis, f64)) {
        if let Some(entry) = self.series.get_mut(series) {
            entry.restore(last);
        }
    }

    /// Takes a sample out of the log, unless a block holds it. Says whether it did.
    pub(in crate::store) fn append_read(&mut self, series: SeriesRef, at: Millis, value: f64) -> bool {
        let fate = self.put_read(series, at, value, OUT_OF_ORDER_WINDOW);
        if let Some(entry) = self.series.get_mut(series) {
            entry.source = EXTERNAL;
        }
        matches!(fate, Fate::Appended | Fate::Inserted)
    }

    pub(in crate::store) fn set_newest(&mut self, at: Millis) {
        if at < self.newest() { self.clock.set_back(at) } else { self.clock.go_on(at) }
    }

    /// From here on what is appended is also for the disk.
    pub(in crate::store) fn keep_journal(&mut self, journal: Journal) {
        self.disk.journal = Some(journal);
    }
}

/// For the thread that writes.
impl History {
    pub(in crate::store) fn take_journal(&mut self) -> Option<Taken> {
        self.disk.journal.as_mut().map(Journal::take)
    }

    /// What series are called, of those that are not forgotten.
    pub(in crate::store) fn names(&self, series: &[SeriesRef]) -> Vec<(SeriesRef, Labels)> {
        let name = |series: &SeriesRef| Some((*series, self.series.get(*series)?.labels.clone()));
        series.iter().filter_map(name).collect()
    }

    pub(in crate::store) fn blocks(&self) -> Blocks {
        self.disk.blocks.clone()
    }

    /// How much time a block holds, if the log is not long before.
    pub(in crate::store) fn block_span(&self) -> Duration {
        self.chunk_span().min(IN_BLOCK)
    }

    pub(in crate::store) fn begin_seal(&mut self) {
        self.disk.rewound = None;
    }

    /// What is in no block yet, of some series from a slot on, to be put into one; and the slot to go on with.
    pub(in crate::store) fn unsaved(&mut self, from: usize, count: usize) -> (Vec<SeriesRef>, Vec<Run>, Option<usize>) {
        let (entries, next) = self.series.slots_from(from, count);
        let (mut shared, mut series, mut spans) = (Shared::default(), Vec::new(), Vec::new());
        for entry in entries {
            if let Some(span) = entry.take_unsaved(&mut shared) {
                series.push(entry.reference);
                spans.push((entry.labels.clone(), span));
            }
        }
        (series, shared.into_runs(spans), next)
    }

    /// A block is there. What was set back while it was written is not shown.
    pub(in crate::store) fn adopt(&mut self, block: Arc<Block>) {
        if let Some(at) = self.disk.rewound {
            block.rewind(at);
        }
        self.disk.blocks.add(block);
    }

    /// A block holds these series up to these times: memory need not.
    pub(in crate::store) fn saved(&mut self, series: &[(SeriesRef, Millis)]) {
        let rewound = self.disk.rewound.map_or(Millis(i64::MAX), |at| Millis(at.0.saturating_sub(1)));
        for (series, last) in series {
            if let Some(entry) = self.series.get_mut(*series) {
                entry.saved((*last).min(rewound));
            }
        }
    }

    pub(in crate::store) fn forget_block(&mut self, number: u64) {
        self.disk.blocks.take(|block| block.number() == number);
    }

    pub(in crate::store) fn has_old_blocks(&self) -> bool {
        let horizon = self.horizon();
        self.disk.blocks.iter().any(|block| block.is_before(horizon))
    }

    /// Takes out the blocks that are over.
    pub(in crate::store) fn take_old_blocks(&mut self) -> Vec<Arc<Block>> {
        let horizon = self.horizon();
        self.disk.blocks.take(|block| block.is_before(horizon))
    }

    /// Chunks before this are not kept in memory.
    pub(super) fn memory_horizon(&self) -> Millis {
        let horizon = self.horizon();
        match &self.disk.journal {
            Some(_) if self.newest().0 != i64::MIN => horizon.max(self.clock.believed() - IN_MEMORY),
            _ => horizon,
        }
    }
}
