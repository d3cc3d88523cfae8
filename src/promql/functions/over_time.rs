//! `…_over_time`: one number out of a window's values.

use std::collections::VecDeque;

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Rolling, Sample, Sink, Window};
use super::super::grid::Grid;
use super::super::number::{Mean, Sum, quantile};
use super::super::plan::{Call, Kind};
use super::super::tag::Tag;
use super::{ApplyVector, Function, Names};

pub(super) const FUNCTIONS: &[Function] = &[
    over_time("avg_over_time", |e, c, grid, sink| {
        e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| Some(w.values().fold(Mean::default(), Mean::plus).value()))
    }),
    over_time("sum_over_time", |e, c, grid, sink| {
        e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| Some(w.values().fold(Sum::default(), Sum::plus).total()))
    }),
    over_time("min_over_time", extreme::<false>),
    over_time("max_over_time", extreme::<true>),
    over_time("count_over_time", |e, c, grid, sink| {
        e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| Some(w.samples.len() as f64))
    }),
    over_time("last_over_time", |e, c, grid, sink| e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| w.values().last()))
        .names(Names::Kept),
    over_time("stdvar_over_time", |e, c, grid, sink| e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| Some(variance(w)))),
    over_time("stddev_over_time", |e, c, grid, sink| {
        e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| Some(variance(w).sqrt()))
    }),
    Function::vector("quantile_over_time", &[Kind::Scalar, Kind::Matrix], |e, c, grid, sink| {
        let quantiles = e.scalar(&c.args[0], grid)?;
        let mut values = Vec::new();
        e.roll(c, 1, grid, sink, &mut |w: &Window<'_>| {
            let q = quantiles[w.step];
            e.noted.check_quantile(c.places[0], q);
            values.clear();
            values.extend(w.values());
            Some(quantile(q, &mut values))
        })
    }),
];

const fn over_time(name: &'static str, apply: ApplyVector) -> Function {
    Function::vector(name, &[Kind::Matrix], apply)
}

fn extreme<const MAX: bool>(e: &Evaluator<'_>, c: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
    if grid.count > 1 {
        return e.roll(c, 0, grid, sink, &mut Extreme::<MAX>::default());
    }
    // A single window is looked through sooner than it is put in order.
    e.roll(c, 0, grid, sink, &mut |w: &Window<'_>| {
        let numbers = w.values().skip_while(|value| value.is_nan());
        Some(numbers.reduce(|best, value| if is_better::<MAX>(value, best) { value } else { best }).unwrap_or(f64::NAN))
    })
}

/// Whether a value is beyond another; NaN never is, nor is anything beyond it.
fn is_better<const MAX: bool>(value: f64, other: f64) -> bool {
    if MAX { value > other } else { value < other }
}

/// The places of samples that are the best of all windows that begin with them: the window's best stands in front.
/// NaN is the best only of nothing else.
#[derive(Default)]
struct Extreme<const MAX: bool> {
    candidates: VecDeque<(usize, f64)>,
    /// How many samples have been looked at.
    next: usize,
}

impl<const MAX: bool> Rolling for Extreme<MAX> {
    fn begin(&mut self, _: &Tag, _: &[Sample]) {
        self.candidates.clear();
        self.next = 0;
    }

    fn value(&mut self, window: &Window<'_>) -> Option<f64> {
        // What lies before the window has not been looked at when windows do not touch.
        self.next = self.next.max(window.from);
        for (place, (_, value)) in window.samples.iter().enumerate().skip(self.next - window.from) {
            if value.is_nan() {
                continue;
            }
            while self.candidates.back().is_some_and(|(_, other)| is_better::<MAX>(*value, *other)) {
                self.candidates.pop_back();
            }
            self.candidates.push_back((window.from + place, *value));
        }
        self.next = window.to;
        while self.candidates.front().is_some_and(|(place, _)| *place < window.from) {
            self.candidates.pop_front();
        }
        Some(self.candidates.front().map_or(f64::NAN, |(_, value)| *value))
    }
}

/// Welford's population variance with compensated sums.
fn variance(window: &Window<'_>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in window.values() {
        count += 1.0;
        let delta = value - (mean.sum + mean.lost);
        mean = mean.plus(delta / count);
        squares = squares.plus(delta * (value - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / count
}
