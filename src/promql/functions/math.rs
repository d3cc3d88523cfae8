//! Functions of one number.

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Sink};
use super::super::grid::{ABSENT, Grid};
use super::super::number::{go_max, go_min};
use super::super::plan::{Call, Kind};
use super::{Function, map_arg};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::map("abs", f64::abs),
    Function::map("ceil", f64::ceil),
    Function::map("floor", f64::floor),
    Function::map("exp", f64::exp),
    Function::map("ln", f64::ln),
    Function::map("log2", f64::log2),
    Function::map("log10", f64::log10),
    Function::map("sqrt", f64::sqrt),
    Function::map("sgn", sign),
    Function::map("deg", |value| value * 180.0 / std::f64::consts::PI),
    Function::map("rad", |value| value * std::f64::consts::PI / 180.0),
    Function::map("sin", f64::sin),
    Function::map("cos", f64::cos),
    Function::map("tan", f64::tan),
    Function::map("asin", f64::asin),
    Function::map("acos", f64::acos),
    Function::map("atan", f64::atan),
    Function::map("sinh", f64::sinh),
    Function::map("cosh", f64::cosh),
    Function::map("tanh", f64::tanh),
    Function::map("asinh", asinh),
    Function::map("acosh", acosh),
    Function::map("atanh", atanh),
    Function::vector("round", &[Kind::Vector, Kind::Scalar], round).variadic(1),
    Function::vector("clamp", &[Kind::Vector, Kind::Scalar, Kind::Scalar], clamp),
    Function::vector("clamp_min", &[Kind::Vector, Kind::Scalar], |e, c, grid, sink| {
        let least = e.scalar(&c.args[1], grid)?;
        map_arg(e, c, 0, grid, sink, |step, value| go_max(least[step], value))
    }),
    Function::vector("clamp_max", &[Kind::Vector, Kind::Scalar], |e, c, grid, sink| {
        let most = e.scalar(&c.args[1], grid)?;
        map_arg(e, c, 0, grid, sink, |step, value| go_min(most[step], value))
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

/// From here on a square plus or minus one is the square; below its inverse a square is nothing.
const LARGE: f64 = (1u64 << 28) as f64;

/// Go's way (FreeBSD's msun), where the crate's own would overflow or lose digits.
fn asinh(value: f64) -> f64 {
    let x = value.abs();
    let result = if !x.is_finite() || x < LARGE.recip() {
        x
    } else if x > LARGE {
        x.ln() + std::f64::consts::LN_2
    } else if x > 2.0 {
        (2.0 * x + 1.0 / ((x * x + 1.0).sqrt() + x)).ln()
    } else {
        (x + x * x / (1.0 + (1.0 + x * x).sqrt())).ln_1p()
    };
    result.copysign(value)
}

/// As [`asinh`].
fn acosh(x: f64) -> f64 {
    if x.is_nan() || x < 1.0 {
        f64::NAN
    } else if x >= LARGE {
        x.ln() + std::f64::consts::LN_2
    } else if x > 2.0 {
        (2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())).ln()
    } else {
        let above = x - 1.0;
        (above + (2.0 * above + above * above).sqrt()).ln_1p()
    }
}

/// As [`asinh`].
fn atanh(value: f64) -> f64 {
    let x = value.abs();
    let result = if x < LARGE.recip() {
        x
    } else if x < 0.5 {
        0.5 * (x + x + (x + x) * x / (1.0 - x)).ln_1p()
    } else {
        // NaN beyond 1, infinite at it.
        0.5 * ((x + x) / (1.0 - x)).ln_1p()
    };
    result.copysign(value)
}

/// Halves go up. Multiplying by the inverse is what Prometheus does, and where its rounding errors come from.
fn round(evaluator: &Evaluator<'_>, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
    let nearest = match call.args.get(1) {
        Some(nearest) => evaluator.scalar(nearest, grid)?,
        None => vec![1.0; grid.count],
    };
    map_arg(evaluator, call, 0, grid, sink, |step, value| {
        let inverse = 1.0 / nearest[step];
        (value * inverse + 0.5).floor() / inverse
    })
}

fn clamp(evaluator: &Evaluator<'_>, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
    let least = evaluator.scalar(&call.args[1], grid)?;
    let most = evaluator.scalar(&call.args[2], grid)?;
    map_arg(evaluator, call, 0, grid, sink, |step, value| {
        if most[step] < least[step] {
            // There is nothing between the two.
            return ABSENT;
        }
        go_max(least[step], go_min(most[step], value))
    })
}
