//! `…_over_time`: one number out of a window's values.

use super::super::aggregate::extreme;
use super::super::number::{Mean, Sum, quantile};
use super::{Function, Window, windows};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("avg_over_time", |e, c, at| {
        windows(e, &c.args[0], at, false, |w| Some(w.values().fold(Mean::default(), Mean::plus).value()))
    }),
    Function::vector("sum_over_time", |e, c, at| {
        windows(e, &c.args[0], at, false, |w| Some(w.values().fold(Sum::default(), Sum::plus).total()))
    }),
    Function::vector("min_over_time", |e, c, at| {
        windows(e, &c.args[0], at, false, |w| Some(extreme(&values(w), |a, b| a < b)))
    }),
    Function::vector("max_over_time", |e, c, at| {
        windows(e, &c.args[0], at, false, |w| Some(extreme(&values(w), |a, b| a > b)))
    }),
    Function::vector("count_over_time", |e, c, at| windows(e, &c.args[0], at, false, |w| Some(w.samples.len() as f64))),
    Function::vector("last_over_time", |e, c, at| windows(e, &c.args[0], at, true, |w| w.values().last())),
    Function::vector("first_over_time", |e, c, at| windows(e, &c.args[0], at, true, |w| w.values().next())),
    Function::vector("stdvar_over_time", |e, c, at| windows(e, &c.args[0], at, false, |w| Some(variance(w)))),
    Function::vector("stddev_over_time", |e, c, at| windows(e, &c.args[0], at, false, |w| Some(variance(w).sqrt()))),
    Function::vector("quantile_over_time", |e, c, at| {
        let q = e.scalar(&c.args[0], at)?;
        windows(e, &c.args[1], at, false, |w| Some(quantile(q, &mut values(w))))
    }),
    Function::vector("mad_over_time", |e, c, at| windows(e, &c.args[0], at, false, |w| Some(deviation(w)))),
];

fn values(window: &Window<'_>) -> Vec<f64> {
    window.values().collect()
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

/// The median of the distances from the median.
fn deviation(window: &Window<'_>) -> f64 {
    let mut values = values(window);
    let median = quantile(0.5, &mut values);
    let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    quantile(0.5, &mut distances)
}
