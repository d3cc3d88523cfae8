//! From number to vector and back, and the times of samples and evaluations.

use crate::model::{Labels, Millis};

use super::super::error::EvalError;
use super::super::eval::{Evaluator, unique, without_name};
use super::super::plan::{Call, Expr};
use super::super::value::{Element, Worked};
use super::{Function, map};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::scalar("time", |_, _, at| Ok(Worked::Scalar(at.as_seconds()))),
    Function::scalar("pi", |_, _, _| Ok(Worked::Scalar(std::f64::consts::PI))),
    Function::scalar("scalar", |evaluator, call, at| {
        let elements = evaluator.vector(&call.args[0], at)?;
        Ok(Worked::Scalar(if let [only] = &elements[..] { only.value } else { f64::NAN }))
    }),
    Function::vector("vector", |evaluator, call, at| {
        let value = evaluator.scalar(&call.args[0], at)?;
        Ok(Worked::Vector(vec![Element { labels: Labels::empty(), value }]))
    }),
    Function::vector("timestamp", timestamp),
];

/// The time of the sample itself, but only for a bare selector; of anything computed, the time of the evaluation.
fn timestamp(evaluator: &Evaluator<'_>, call: &Call, at: Millis) -> Result<Worked, EvalError> {
    let Expr::Instant(selector) = &call.args[0] else {
        return map(evaluator, call, at, |_| at.as_seconds());
    };
    let times = evaluator
        .latest(selector, at)
        .map(|(labels, time, _)| Element { labels: without_name(&labels), value: time.as_seconds() });
    unique(times.collect()).map(Worked::Vector)
}
