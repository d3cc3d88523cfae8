//! Samples that belong to no picture, such as remote write's: they come in any order, from clocks that are not ours.

use std::time::Duration;

use super::entry::{EXTERNAL, Fate};
use super::history::{History, Noticed};
use super::{OUT_OF_ORDER_WINDOW, Series};
use crate::model::{Labels, Millis, is_stale};

/// A sender's clock may be ahead of the newest picture by this.
const FUTURE: Duration = Duration::from_mins(10);

/// What became of samples handed to [`Store::append_external`](super::Store::append_external). A sample that was there
/// already, with the same value, is in none of the figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// Taken.
    pub appended: u64,
    /// Refused because [`Limits::max_series`](super::Limits::max_series) was reached.
    pub refused: u64,
    /// Dropped: older than the retention, or far in the future.
    pub out_of_bounds: u64,
    /// Dropped: older than their series' newest by more than [`OUT_OF_ORDER_WINDOW`].
    pub out_of_order: u64,
    /// Dropped: another value is there at the same time.
    pub duplicate: u64,
    /// The first series one of whose samples was not taken, and why, for the answer to the sender.
    pub first_rejected: Option<(Labels, Rejection)>,
}

/// Why a sample was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// There are as many series as there may be.
    OverLimit,
    /// Older than the retention, or far in the future.
    OutOfBounds,
    /// Too far behind its series' newest sample.
    OutOfOrder,
    /// Another value is there at the same time.
    Duplicate,
}

impl Appended {
    /// How many samples were not taken.
    pub fn rejected(&self) -> u64 {
        self.refused + self.out_of_bounds + self.out_of_order + self.duplicate
    }

    fn reject(&mut self, labels: &Labels, why: Rejection, count: u64) {
        if count == 0 {
            return;
        }
        *match why {
            Rejection::OverLimit => &mut self.refused,
            Rejection::OutOfBounds => &mut self.out_of_bounds,
            Rejection::OutOfOrder => &mut self.out_of_order,
            Rejection::Duplicate => &mut self.duplicate,
        } += count;
        self.first_rejected.get_or_insert_with(|| (labels.clone(), why));
    }
}

impl History {
    /// Takes samples series by series.
    pub(super) fn append_external(&mut self, series: &[Series]) -> (Appended, Noticed) {
        // A time far ahead would keep its series from ever being forgotten, and its own later samples out.
        let latest = if self.newest().0 == i64::MIN { Millis(i64::MAX) } else { self.newest() + FUTURE };
        let times = self.horizon()..=latest;
        let mut outcome = Appended::default();
        let mut refused = None;
        for Series { labels, samples } in series {
            let fresh = samples.iter().filter(|(at, _)| times.contains(at));
            let count = fresh.clone().count() as u64;
            outcome.reject(labels, Rejection::OutOfBounds, samples.len() as u64 - count);
            // Markers alone make no series.
            let ends_only = count == 0 || fresh.clone().all(|(_, value)| is_stale(*value));
            if ends_only && !self.series().contains(labels) {
                self.counts.dropped += count;
                continue;
            }
            let Some(reference) = self.intern(labels) else {
                outcome.reject(labels, Rejection::OverLimit, count);
                refused.get_or_insert_with(|| labels.clone());
                continue;
            };
            for (at, value) in fresh {
                match self.append(reference, *at, *value, EXTERNAL, OUT_OF_ORDER_WINDOW) {
                    Fate::Appended | Fate::Inserted => outcome.appended += 1,
                    Fate::Known => {}
                    Fate::Duplicate => outcome.reject(labels, Rejection::Duplicate, 1),
                    Fate::TooOld => outcome.reject(labels, Rejection::OutOfOrder, 1),
                }
            }
        }
        self.counts.refused += outcome.refused;
        self.counts.dropped += outcome.out_of_bounds + outcome.out_of_order + outcome.duplicate;
        (outcome, Noticed { refused: self.due_warning(refused), step_back: None })
    }
}
