//! `metric{…}`: the latest sample of each series within the lookback.

use crate::model::{Millis, is_stale};

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, is_absent};
use super::super::plan::{At, Selector};
use super::super::tag::Tag;
use super::{Evaluator, Sample, Sink};

/// What of a sample is wanted.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Value,
    /// Its time in seconds.
    Time,
}

impl Evaluator<'_> {
    /// The values of a selector.
    pub(super) fn select(&self, selector: &Selector, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        self.look_up(selector, grid, Wanted::Value, sink)
    }

    /// The times of a selector's samples, in seconds.
    pub(in super::super) fn sample_times(
        &self,
        selector: &Selector,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        self.look_up(selector, grid, Wanted::Time, sink)
    }

    fn look_up(&self, selector: &Selector, grid: Grid, wanted: Wanted, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let first = selector.shift.apply(grid.start, self.bounds);
        if grid.count > 1 && selector.shift.at != At::Now {
            let mut wide = vec![ABSENT; grid.count];
            return self.look_up(selector, Grid::instant(grid.start), wanted, &mut |tag, column| {
                wide.fill(column[0]);
                sink(tag, &mut wide)
            });
        }
        let after = first - self.options.lookback;
        if grid.count == 1 {
            // At one time, only the latest sample counts.
            for newest in self.snapshot.newest(&selector.matchers, after, first) {
                self.budget.read(1)?;
                if !is_stale(newest.value) {
                    sink(Tag::new(newest.labels), &mut [wanted.of((newest.at, newest.value))])?;
                }
            }
            return Ok(());
        }
        let last = selector.shift.apply(grid.end(), self.bounds);
        let lookback = i64::try_from(self.options.lookback.as_millis()).unwrap_or(i64::MAX);
        let mut samples: Vec<Sample> = Vec::new();
        let mut column = vec![ABSENT; grid.count];
        let shifted = Grid { start: first, ..grid };
        for run in self.snapshot.runs(&selector.matchers, after, last) {
            run.decode_into(&mut samples);
            self.budget.read(samples.len())?;
            if fill(&samples, shifted, lookback, wanted, &mut column) {
                sink(Tag::new(run.labels), &mut column)?;
            }
        }
        Ok(())
    }
}

impl Wanted {
    fn of(self, (at, value): Sample) -> f64 {
        match self {
            Self::Value => value,
            Self::Time => at.as_seconds(),
        }
    }
}

/// Puts the latest sample at each step into the column; a staleness marker ends a series at once. Says whether there was any.
fn fill(samples: &[Sample], grid: Grid, lookback: i64, wanted: Wanted, column: &mut [f64]) -> bool {
    let (mut next, mut any) = (0, false);
    let (mut time, mut value) = (Millis(i64::MIN), ABSENT);
    for (at, slot) in grid.times().zip(column) {
        while let Some(sample) = samples.get(next).filter(|(time, _)| *time <= at) {
            time = sample.0;
            value = if is_stale(sample.1) { ABSENT } else { wanted.of(*sample) };
            next += 1;
        }
        *slot = if time.0 > at.0.saturating_sub(lookback) { value } else { ABSENT };
        any |= !is_absent(*slot);
    }
    any
}
