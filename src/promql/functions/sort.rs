//! The order of an instant query's result. NaN comes last either way.

use super::super::number::{descending, nan_last};
use super::super::value::Worked;
use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("sort", |evaluator, call, at| {
        let mut elements = evaluator.vector(&call.args[0], at)?;
        elements.sort_by(|a, b| nan_last(a.value, b.value));
        Ok(Worked::Vector(elements))
    }),
    Function::vector("sort_desc", |evaluator, call, at| {
        let mut elements = evaluator.vector(&call.args[0], at)?;
        elements.sort_by(|a, b| descending(a.value, b.value));
        Ok(Worked::Vector(elements))
    }),
];
