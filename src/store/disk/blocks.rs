//! The blocks there are, in the order in which they were written. Cheap to clone; a clone stays as it is.

use std::sync::Arc;

use super::block::Block;
use crate::model::Millis;
use crate::store::shape::SeriesRef;

#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Blocks(Arc<Vec<Arc<Block>>>);

impl Blocks {
    pub(in crate::store) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Block>> {
        self.0.iter()
    }

    pub(in crate::store) fn add(&mut self, block: Arc<Block>) {
        Arc::make_mut(&mut self.0).push(block);
    }

    /// Takes out those for which it is said so.
    pub(in crate::store) fn take(&mut self, is_over: impl Fn(&Block) -> bool) -> Vec<Arc<Block>> {
        let (over, kept) = self.0.iter().cloned().partition(|block| is_over(block));
        self.0 = Arc::new(kept);
        over
    }

    /// Shows nothing any more that is not before `at`.
    pub(in crate::store) fn rewind(&self, at: Millis) {
        self.0.iter().for_each(|block| block.rewind(at));
    }

    /// Whether a block may hold samples of the series in `(after, until]`.
    pub(in crate::store) fn hold(&self, series: SeriesRef, (after, until): (Millis, Millis)) -> bool {
        self.0.iter().any(|block| block.reaches_into(after, until) && block.holds(series))
    }

    /// The series' last sample in `(after, until]`. Reads files.
    pub(in crate::store) fn latest(
        &self,
        series: SeriesRef,
        (after, until): (Millis, Millis),
    ) -> Option<(Millis, f64)> {
        let mut samples = Vec::new();
        self.0.iter().rev().filter(|block| block.reaches_into(after, until)).find_map(|block| {
            block.read(series, (after, until), &mut samples);
            samples.last().copied()
        })
    }

    /// Appends what the series has in `(after, until]`. Reads files.
    pub(in crate::store) fn read(
        &self,
        series: SeriesRef,
        (after, until): (Millis, Millis),
        samples: &mut Vec<(Millis, f64)>,
    ) {
        for block in self.0.iter().filter(|block| block.reaches_into(after, until)) {
            block.read(series, (after, until), samples);
        }
    }
}
