//! From number to vector and back, and the times of samples and evaluations.

use crate::model::{Labels, Millis};

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Overlap, Sink};
use super::super::grid::{Grid, is_absent};
use super::super::plan::{Call, Expr, Kind};
use super::super::tag::Tag;
use super::{Function, map_arg};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::scalar("time", &[], |_, _, grid| Ok(grid.times().map(Millis::as_seconds).collect())).tells_time(),
    Function::scalar("pi", &[], |_, _, grid| Ok(vec![std::f64::consts::PI; grid.count])),
    Function::scalar("scalar", &[Kind::Vector], scalar),
    Function::vector("vector", &[Kind::Scalar], |evaluator, call, grid, sink| {
        sink(Tag::new(Labels::empty()), &mut evaluator.scalar(&call.args[0], grid)?)
    }),
    Function::vector("timestamp", &[Kind::Vector], timestamp).tells_time(),
];

/// The value of the only series at each step; NaN where there is none, or another.
fn scalar(evaluator: &Evaluator<'_>, call: &Call, grid: Grid) -> Result<Vec<f64>, EvalError> {
    let mut found = vec![0u8; grid.count];
    let mut only = vec![f64::NAN; grid.count];
    evaluator.each(&call.args[0], grid, &mut |_, column| {
        for ((found, only), value) in found.iter_mut().zip(&mut only).zip(column) {
            if !is_absent(*value) {
                *found = found.saturating_add(1);
                *only = if *found == 1 { *value } else { f64::NAN };
            }
        }
        Ok(())
    })?;
    Ok(only)
}

/// The time of the sample itself, but only for a bare selector; of anything computed, the time of the evaluation.
fn timestamp(evaluator: &Evaluator<'_>, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
    let arg = &call.args[0];
    let Expr::Instant(selector) = arg else {
        return map_arg(evaluator, call, 0, grid, sink, |step, _| grid.time(step).as_seconds());
    };
    evaluator.nameless(arg, grid, Overlap::Step, sink, |sink| {
        evaluator.sample_times(selector, grid, &mut |tag, column| sink(tag.without_name(), column))
    })
}
