//! Finds the series of a picture by the source's picture before: most looks show what the last one showed, in the same order.

use super::index::SeriesId;
use crate::model::{Block, Labels, Point};

/// A series as a source remembers it. The generation tells whether the slot still holds the same series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesRef {
    pub(super) id: SeriesId,
    pub(super) generation: u32,
}

impl SeriesRef {
    /// A point without a series: it was refused.
    pub(super) const NONE: Self = Self { id: SeriesId::MAX, generation: u32::MAX };
}

/// How many points of the picture before may have vanished in a row before the points behind them are looked up anew.
const LOOK_AHEAD: usize = 8;

/// Goes through the picture before, beside the new one.
pub(super) struct Before<'b> {
    blocks: &'b [Block],
    /// One for each point, in order.
    refs: &'b [SeriesRef],
    /// The block expected next, and the place of its first point among `refs`.
    next: (usize, usize),
}

impl<'b> Before<'b> {
    pub(super) fn new(blocks: &'b [Block], refs: &'b [SeriesRef]) -> Self {
        Self { blocks, refs, next: (0, 0) }
    }

    /// The points that the family had before.
    pub(super) fn family(&mut self, name: &str) -> PointsBefore<'b> {
        let (at, start) = match self.blocks.get(self.next.0) {
            Some(block) if block.family.name == name => self.next,
            _ => match self.search(name) {
                Some(found) => found,
                None => return PointsBefore { points: &[], refs: &[], at: 0 },
            },
        };
        let points = self.blocks[at].points.as_slice();
        let end = start + points.len();
        self.next = (at + 1, end);
        PointsBefore { points, refs: &self.refs[start..end], at: 0 }
    }

    fn search(&self, name: &str) -> Option<(usize, usize)> {
        let mut start = 0;
        for (at, block) in self.blocks.iter().enumerate() {
            if block.family.name == name {
                return Some((at, start));
            }
            start += block.points.len();
        }
        None
    }
}

/// The points of one family, as they were before.
pub(super) struct PointsBefore<'b> {
    points: &'b [Point],
    refs: &'b [SeriesRef],
    at: usize,
}

impl<'b> PointsBefore<'b> {
    /// The series that this point had, with its label set of then, if it is found where it is expected.
    pub(super) fn find(&mut self, point: &Point) -> Option<(SeriesRef, &'b Labels)> {
        let ahead = self.points[self.at..].iter().take(LOOK_AHEAD);
        let steps = ahead.into_iter().position(|old| old.suffix == point.suffix && old.labels == point.labels)?;
        self.at += steps + 1;
        Some((self.refs[self.at - 1], &self.points[self.at - 1].labels))
    }
}
