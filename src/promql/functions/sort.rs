//! The order of an instant query's result. NaN comes last either way.

use super::super::number::nan_last;
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
        elements.sort_by(|a, b| a.value.is_nan().cmp(&b.value.is_nan()).then_with(|| nan_last(b.value, a.value)));
        Ok(Worked::Vector(elements))
    }),
];
