//! The functions of `PromQL`, one file per family.
//!
//! A new function: its code in the family's file, one line in that file's table. A function that only looks at one
//! window of one series is a [`Window`] function; one that maps each value of a vector is a `map`; the rest get the plan.

mod absent;
mod date;
mod histogram;
mod labels;
mod math;
mod over_time;
mod rate;
mod regression;
mod sort;
mod vector;

use crate::model::Millis;

use super::error::EvalError;
use super::eval::{Evaluator, unique, without_name};
use super::plan::{Call, Expr, Kind};
use super::value::{Element, Worked};

/// How a function is computed at one time.
pub(super) type Apply = fn(&Evaluator<'_>, &Call, Millis) -> Result<Worked, EvalError>;

/// A function of `PromQL`.
pub(super) struct Function {
    pub name: &'static str,
    pub returns: Kind,
    pub apply: Apply,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    const fn vector(name: &'static str, apply: Apply) -> Self {
        Self { name, returns: Kind::Vector, apply }
    }

    const fn scalar(name: &'static str, apply: Apply) -> Self {
        Self { name, returns: Kind::Scalar, apply }
    }
}

const FAMILIES: [&[Function]; 10] = [
    absent::FUNCTIONS,
    date::FUNCTIONS,
    histogram::FUNCTIONS,
    labels::FUNCTIONS,
    math::FUNCTIONS,
    over_time::FUNCTIONS,
    rate::FUNCTIONS,
    regression::FUNCTIONS,
    sort::FUNCTIONS,
    vector::FUNCTIONS,
];

/// The function of a name, if there is one.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FAMILIES.iter().flat_map(|family| family.iter()).find(|function| function.name == name)
}

/// The names of all functions, in no order.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.iter()).map(|function| function.name)
}

/// One series within one window. Never empty; no staleness markers.
struct Window<'s> {
    samples: &'s [(Millis, f64)],
    /// The window's edges in milliseconds: `(after, until]`.
    after: i64,
    until: i64,
    /// The time of the evaluation, which is not `until` behind an offset.
    at: Millis,
}

impl Window<'_> {
    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().map(|(_, value)| *value)
    }
}

/// Applies a function to the window of each series of the range vector that is argument `arg`.
fn windows(
    evaluator: &Evaluator<'_>,
    arg: &Expr,
    at: Millis,
    keep_name: bool,
    apply: impl Fn(&Window<'_>) -> Option<f64>,
) -> Result<Worked, EvalError> {
    let matrix = evaluator.matrix(arg, at)?;
    let mut result = Vec::with_capacity(matrix.series.len());
    for series in &matrix.series {
        let window = Window { samples: &series.samples, after: matrix.after, until: matrix.until, at };
        if let Some(value) = apply(&window) {
            let labels = if keep_name { series.labels.clone() } else { without_name(&series.labels) };
            result.push(Element { labels, value });
        }
    }
    unique(result).map(Worked::Vector)
}

/// Maps every value of the instant vector that is the call's first argument; names are dropped.
fn map(evaluator: &Evaluator<'_>, call: &Call, at: Millis, apply: impl Fn(f64) -> f64) -> Result<Worked, EvalError> {
    let mut elements = evaluator.vector(&call.args[0], at)?;
    for element in &mut elements {
        *element = Element { labels: without_name(&element.labels), value: apply(element.value) };
    }
    unique(elements).map(Worked::Vector)
}

/// The text of an argument that the parser promised to be one.
fn text(call: &Call, arg: usize) -> Result<&str, EvalError> {
    match call.args.get(arg) {
        Some(Expr::String(text)) => Ok(text),
        _ => Err(EvalError::data(format!("{} expects a text as argument {}", call.function.name, arg + 1))),
    }
}
