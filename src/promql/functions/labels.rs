//! `label_replace` and `label_join`.

use crate::model::Labels;

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Merge, Overlap, Sink};
use super::super::grid::Grid;
use super::super::pattern::anchored;
use super::super::plan::{Call, Kind};
use super::{Function, Names};

/// A label's value that is made is no longer than this, in bytes.
const MAX_VALUE: usize = 64 << 10;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("label_replace", &[Kind::Vector, Kind::String, Kind::String, Kind::String, Kind::String], replace)
        .names(Names::Rewritten),
    Function::vector("label_join", &[Kind::Vector, Kind::String, Kind::String, Kind::String], join)
        .variadic(-1)
        .names(Names::Rewritten),
];

fn replace(evaluator: &Evaluator<'_>, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
    let text = |arg: usize| call.args[arg].text();
    let (target, replacement, source, pattern) = (text(1), text(2), text(3), text(4));
    let regex = anchored(pattern)
        .map_err(|_| EvalError::data(format!("invalid regular expression in label_replace(): {pattern}")))?;
    check_name(target, "label_replace")?;
    relabelled(evaluator, call, grid, sink, |labels| {
        let source = labels.get(source).unwrap_or_default();
        let Some(found) = regex.captures(source) else { return Ok(labels) };
        // Each `$` can put in the whole source.
        check_length(replacement.len() + source.len().saturating_mul(replacement.matches('$').count()))?;
        let mut value = String::new();
        found.expand(replacement, &mut value);
        Ok(labels.with(target, value))
    })
}

fn join(evaluator: &Evaluator<'_>, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
    let (target, separator) = (call.args[1].text(), call.args[2].text());
    let sources: Vec<&str> = call.args[3..].iter().map(super::super::plan::Expr::text).collect();
    if let Some(wrong) = sources.iter().find(|source| source.is_empty()) {
        return Err(EvalError::data(format!("invalid source label name in label_join(): {wrong}")));
    }
    check_name(target, "label_join")?;
    relabelled(evaluator, call, grid, sink, |labels| {
        let values: Vec<&str> = sources.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
        check_length(values.iter().map(|value| value.len() + separator.len()).sum())?;
        Ok(labels.with(target, values.join(separator)))
    })
}

fn relabelled(
    evaluator: &Evaluator<'_>,
    call: &Call,
    grid: Grid,
    sink: &mut Sink<'_>,
    relabel: impl Fn(Labels) -> Result<Labels, EvalError>,
) -> Result<(), EvalError> {
    let mut merge = Merge::new(evaluator, grid, Overlap::Series);
    evaluator.each(&call.args[0], grid, &mut |tag, column| merge.add(relabel(tag.labels())?, column))?;
    merge.hand_out(sink)
}

/// Functions within each other can double a text each time: it is refused before it is made.
fn check_length(bytes: usize) -> Result<(), EvalError> {
    if bytes <= MAX_VALUE {
        return Ok(());
    }
    Err(EvalError::TooMuch(format!("a label's value would be longer than {MAX_VALUE} bytes")))
}

/// Any text may name a label, but not the empty one.
fn check_name(name: &str, function: &str) -> Result<(), EvalError> {
    if !name.is_empty() {
        return Ok(());
    }
    Err(EvalError::data(format!("invalid destination label name in {function}(): {name}")))
}
