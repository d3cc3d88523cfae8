//! Functions of one number.

use crate::model::Millis;

use super::super::error::EvalError;
use super::super::eval::Evaluator;
use super::super::number::{go_max, go_min};
use super::super::plan::Call;
use super::super::value::Worked;
use super::{Function, map};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("abs", |e, c, at| map(e, c, at, f64::abs)),
    Function::vector("ceil", |e, c, at| map(e, c, at, f64::ceil)),
    Function::vector("floor", |e, c, at| map(e, c, at, f64::floor)),
    Function::vector("exp", |e, c, at| map(e, c, at, f64::exp)),
    Function::vector("ln", |e, c, at| map(e, c, at, f64::ln)),
    Function::vector("log2", |e, c, at| map(e, c, at, f64::log2)),
    Function::vector("log10", |e, c, at| map(e, c, at, f64::log10)),
    Function::vector("sqrt", |e, c, at| map(e, c, at, f64::sqrt)),
    Function::vector("sgn", |e, c, at| map(e, c, at, sign)),
    Function::vector("deg", |e, c, at| map(e, c, at, |value| value * 180.0 / std::f64::consts::PI)),
    Function::vector("rad", |e, c, at| map(e, c, at, |value| value * std::f64::consts::PI / 180.0)),
    Function::vector("sin", |e, c, at| map(e, c, at, f64::sin)),
    Function::vector("cos", |e, c, at| map(e, c, at, f64::cos)),
    Function::vector("tan", |e, c, at| map(e, c, at, f64::tan)),
    Function::vector("asin", |e, c, at| map(e, c, at, f64::asin)),
    Function::vector("acos", |e, c, at| map(e, c, at, f64::acos)),
    Function::vector("atan", |e, c, at| map(e, c, at, f64::atan)),
    Function::vector("sinh", |e, c, at| map(e, c, at, f64::sinh)),
    Function::vector("cosh", |e, c, at| map(e, c, at, f64::cosh)),
    Function::vector("tanh", |e, c, at| map(e, c, at, f64::tanh)),
    Function::vector("asinh", |e, c, at| map(e, c, at, f64::asinh)),
    Function::vector("acosh", |e, c, at| map(e, c, at, f64::acosh)),
    Function::vector("atanh", |e, c, at| map(e, c, at, f64::atanh)),
    Function::vector("round", round),
    Function::vector("clamp", clamp),
    Function::vector("clamp_min", |e, c, at| {
        let least = e.scalar(&c.args[1], at)?;
        map(e, c, at, |value| go_max(least, value))
    }),
    Function::vector("clamp_max", |e, c, at| {
        let most = e.scalar(&c.args[1], at)?;
        map(e, c, at, |value| go_min(most, value))
    }),
];

fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// Halves go up. Multiplying by the inverse is what Prometheus does, and where its rounding errors come from.
fn round(evaluator: &Evaluator<'_>, call: &Call, at: Millis) -> Result<Worked, EvalError> {
    let inverse = match call.args.get(1) {
        Some(nearest) => 1.0 / evaluator.scalar(nearest, at)?,
        None => 1.0,
    };
    map(evaluator, call, at, |value| (value * inverse + 0.5).floor() / inverse)
}

fn clamp(evaluator: &Evaluator<'_>, call: &Call, at: Millis) -> Result<Worked, EvalError> {
    let least = evaluator.scalar(&call.args[1], at)?;
    let most = evaluator.scalar(&call.args[2], at)?;
    if most < least {
        return Ok(Worked::Vector(Vec::new()));
    }
    map(evaluator, call, at, |value| go_max(least, go_min(most, value)))
}
