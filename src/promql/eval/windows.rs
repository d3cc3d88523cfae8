//! Range vectors: series with their samples, and windows that slide over them.

use crate::model::{Millis, is_stale};

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, is_absent};
use super::super::plan::{Call, Expr, Shift, Subquery};
use super::super::tag::Tag;
use super::{Evaluator, Overlap, Sink};

/// A time and a value.
pub(in super::super) type Sample = (Millis, f64);

/// Takes one series of a range vector: all its samples that any window can see, staleness markers left out.
pub(in super::super) type SampleSink<'s> = dyn FnMut(Tag, &[Sample]) -> Result<(), EvalError> + 's;

/// Takes one series of a range vector with the windows on it.
type WindowsSink<'s> = dyn FnMut(Tag, Windows, &[Sample]) -> Result<(), EvalError> + 's;

/// What a function sees of one series at one step. Never empty.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Window<'s> {
    pub samples: &'s [Sample],
    /// Where the window begins and ends among all samples of the series.
    pub from: usize,
    pub to: usize,
    /// The window's edges in milliseconds: `(after, until]`.
    pub after: i64,
    pub until: i64,
    /// The time of the evaluation, which is not `until` behind an offset.
    pub at: Millis,
    /// The number of the step.
    pub step: usize,
}

impl Window<'_> {
    pub(in super::super) fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().map(|(_, value)| *value)
    }
}

/// A function of a window. The windows of one series come in order, so that it can keep what they share.
pub(in super::super) trait Rolling {
    /// Another series begins.
    fn begin(&mut self, _tag: &Tag, _samples: &[Sample]) {}

    /// The value at a step, if there is one.
    fn value(&mut self, window: &Window<'_>) -> Option<f64>;
}

impl<F: FnMut(&Window<'_>) -> Option<f64>> Rolling for F {
    fn value(&mut self, window: &Window<'_>) -> Option<f64> {
        self(window)
    }
}

impl Evaluator<'_> {
    /// Applies a function to each window of each series of the range vector that is argument `arg` of a call.
    pub(in super::super) fn roll(
        &self,
        call: &Call,
        arg: usize,
        grid: Grid,
        sink: &mut Sink<'_>,
        rolling: &mut impl Rolling,
    ) -> Result<(), EvalError> {
        let keeps_name = call.function.names == super::super::functions::Names::Kept;
        let arg = &call.args[arg];
        let mut run = |sink: &mut Sink<'_>| {
            let mut column = vec![ABSENT; grid.count];
            self.windows_of(arg, grid, &mut |tag, windows, samples| {
                rolling.begin(&tag, samples);
                let mut any = false;
                windows.over(samples, |window| {
                    // Long windows at many steps take a while for one series already.
                    if window.step % 64 == 63 {
                        self.budget.go_on()?;
                    }
                    let value = if window.samples.is_empty() { None } else { rolling.value(&window) };
                    any |= value.is_some();
                    column[window.step] = value.unwrap_or(ABSENT);
                    Ok(())
                })?;
                if !any {
                    return Ok(());
                }
                sink(if keeps_name { tag } else { tag.without_name() }, &mut column)
            })
        };
        if keeps_name { run(sink) } else { self.nameless(arg, grid, Overlap::Series, sink, run) }
    }

    /// Hands out each series of a range vector with the windows on it.
    pub(in super::super) fn windows_of(
        &self,
        arg: &Expr,
        grid: Grid,
        sink: &mut WindowsSink<'_>,
    ) -> Result<(), EvalError> {
        let (shift, range) = match arg {
            Expr::Range(selector, range) => (selector.shift, *range),
            Expr::Subquery(subquery) => (subquery.shift, subquery.range),
            _ => return Err(EvalError::data("expected a range vector")),
        };
        let windows = Windows { shift, range, grid, bounds: self.bounds };
        self.series_of(arg, grid, &mut |tag, samples| sink(tag, windows, samples))
    }

    /// Hands out each series of a range vector with all samples that the windows of the grid can see.
    pub(in super::super) fn series_of(
        &self,
        arg: &Expr,
        grid: Grid,
        sink: &mut SampleSink<'_>,
    ) -> Result<(), EvalError> {
        match arg {
            Expr::Range(selector, range) => {
                let first = selector.shift.apply(grid.start, self.bounds);
                let last = selector.shift.apply(grid.end(), self.bounds);
                let after = Millis(first.0.saturating_sub(*range));
                let mut samples: Vec<Sample> = Vec::new();
                for run in self.snapshot.runs(&selector.matchers, after, last) {
                    run.decode_into(&mut samples);
                    self.budget.read(samples.len())?;
                    if samples.iter().any(|(_, value)| is_stale(*value)) {
                        samples.retain(|(_, value)| !is_stale(*value));
                    }
                    if !samples.is_empty() {
                        sink(Tag::new(run.labels), &samples)?;
                    }
                }
                Ok(())
            }
            Expr::Subquery(subquery) => self.subquery(subquery, grid, sink),
            _ => Err(EvalError::data("expected a range vector")),
        }
    }

    /// The inner expression once, at all the times that any window sees.
    fn subquery(&self, subquery: &Subquery, grid: Grid, sink: &mut SampleSink<'_>) -> Result<(), EvalError> {
        let first = subquery.shift.apply(grid.start, self.bounds);
        let last = subquery.shift.apply(grid.end(), self.bounds);
        let step = subquery.step(self.options.subquery_step);
        let start = subquery.start(first.0, step);
        if start > last.0 {
            return Ok(());
        }
        let count = usize::try_from((last.0 - start) / step + 1).unwrap_or(usize::MAX);
        if count > self.options.max_samples {
            return Err(EvalError::TooMuch(format!("a subquery has {count} steps")));
        }
        // A column for each of the nodes in it, and the samples.
        self.budget.hold(4 * count)?;
        let inner = Grid { start: Millis(start), step, count };
        let mut samples: Vec<Sample> = Vec::new();
        self.each(&subquery.inner, inner, &mut |tag, column| {
            self.budget.read(column.len())?;
            samples.clear();
            let present = inner.times().zip(column.iter()).filter(|(_, value)| !is_absent(**value));
            samples.extend(present.map(|(at, value)| (at, *value)));
            if samples.is_empty() { Ok(()) } else { sink(tag, &samples) }
        })?;
        self.budget.release(4 * count);
        Ok(())
    }
}

/// The windows of all steps on one series.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Windows {
    shift: Shift,
    range: i64,
    grid: Grid,
    bounds: (Millis, Millis),
}

impl Windows {
    /// Visits the windows in order. Both edges only move forward, so that each sample comes in and goes out once.
    pub(in super::super) fn over(
        &self,
        samples: &[Sample],
        mut visit: impl FnMut(Window<'_>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let (mut from, mut to) = (0, 0);
        for (step, at) in self.grid.times().enumerate() {
            let until = self.shift.apply(at, self.bounds);
            let after = until.0.saturating_sub(self.range);
            while samples.get(to).is_some_and(|(time, _)| *time <= until) {
                to += 1;
            }
            while from < to && samples[from].0.0 <= after {
                from += 1;
            }
            visit(Window { samples: &samples[from..to], from, to, after, until: until.0, at, step })?;
        }
        Ok(())
    }
}
