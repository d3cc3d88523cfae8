//! `label_replace` and `label_join`.

use crate::model::{Millis, is_valid_label_name};

use super::super::error::EvalError;
use super::super::eval::{Evaluator, unique};
use super::super::pattern::anchored;
use super::super::plan::Call;
use super::super::value::Worked;
use super::{Function, text};

pub(super) const FUNCTIONS: &[Function] =
    &[Function::vector("label_replace", replace), Function::vector("label_join", join)];

fn replace(evaluator: &Evaluator<'_>, call: &Call, at: Millis) -> Result<Worked, EvalError> {
    let (target, replacement, source, pattern) = (text(call, 1)?, text(call, 2)?, text(call, 3)?, text(call, 4)?);
    let regex = anchored(pattern)
        .map_err(|_| EvalError::data(format!("invalid regular expression in label_replace(): {pattern}")))?;
    check_name(target, "label_replace")?;
    let mut elements = evaluator.vector(&call.args[0], at)?;
    for element in &mut elements {
        if let Some(found) = regex.captures(element.labels.get(source).unwrap_or_default()) {
            let mut value = String::new();
            found.expand(replacement, &mut value);
            element.labels = element.labels.with(target, value);
        }
    }
    unique(elements).map(Worked::Vector)
}

fn join(evaluator: &Evaluator<'_>, call: &Call, at: Millis) -> Result<Worked, EvalError> {
    let (target, separator) = (text(call, 1)?, text(call, 2)?);
    check_name(target, "label_join")?;
    let sources = (3..call.args.len()).map(|arg| text(call, arg)).collect::<Result<Vec<_>, _>>()?;
    let mut elements = evaluator.vector(&call.args[0], at)?;
    for element in &mut elements {
        let values: Vec<&str> = sources.iter().map(|name| element.labels.get(name).unwrap_or_default()).collect();
        element.labels = element.labels.with(target, values.join(separator));
    }
    unique(elements).map(Worked::Vector)
}

fn check_name(name: &str, function: &str) -> Result<(), EvalError> {
    if is_valid_label_name(name) {
        return Ok(());
    }
    Err(EvalError::data(format!("invalid destination label name in {function}(): {name}")))
}
