//! The functions of `PromQL`, one file per family.
//!
//! A new function: its code in the family's file, one line in that file's table. A function that only looks at one
//! window of one series is `Rolling`; one that maps each value of a vector is a `map`; the rest get the plan.

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

use super::error::EvalError;
use super::eval::{Evaluator, Overlap, Sink};
use super::grid::{Grid, map_column};
use super::plan::{Call, Kind};

/// How a function that gives a vector hands out its series.
type ApplyVector = fn(&Evaluator<'_>, &Call, Grid, &mut Sink<'_>) -> Result<(), EvalError>;
/// How a function that gives a number at each step is computed.
type ApplyScalar = fn(&Evaluator<'_>, &Call, Grid) -> Result<Vec<f64>, EvalError>;

/// How a function is computed.
#[derive(Clone, Copy)]
pub(super) enum Apply {
    Vector(ApplyVector),
    Scalar(ApplyScalar),
    /// Each value of the vector by itself.
    Map(fn(f64) -> f64),
}

/// What becomes of the metrics' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Dropped,
    Kept,
    /// Labels are changed, the name perhaps among them.
    Rewritten,
}

/// A function of `PromQL`.
pub(super) struct Function {
    pub name: &'static str,
    /// The types of its arguments; the last one holds for further ones too.
    pub args: &'static [Kind],
    /// As Prometheus counts: 0 for exactly `args`; else the last may be missing, and this many may stand in its place
    /// (any number if negative).
    pub variadic: i32,
    pub returns: Kind,
    pub names: Names,
    /// Whether the value depends on the time of the evaluation even where the data do not.
    pub tells_time: bool,
    pub apply: Apply,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    const fn vector(name: &'static str, args: &'static [Kind], apply: ApplyVector) -> Self {
        let (names, apply) = (Names::Dropped, Apply::Vector(apply));
        Self { name, args, variadic: 0, returns: Kind::Vector, names, tells_time: false, apply }
    }

    const fn map(name: &'static str, map: fn(f64) -> f64) -> Self {
        let (args, names, apply) = (&[Kind::Vector], Names::Dropped, Apply::Map(map));
        Self { name, args, variadic: 0, returns: Kind::Vector, names, tells_time: false, apply }
    }

    const fn scalar(name: &'static str, args: &'static [Kind], apply: ApplyScalar) -> Self {
        let (names, apply) = (Names::Dropped, Apply::Scalar(apply));
        Self { name, args, variadic: 0, returns: Kind::Scalar, names, tells_time: false, apply }
    }

    const fn variadic(self, variadic: i32) -> Self {
        Self { variadic, ..self }
    }

    const fn names(self, names: Names) -> Self {
        Self { names, ..self }
    }

    const fn tells_time(self) -> Self {
        Self { tells_time: true, ..self }
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

/// Prometheus 3.5 has them only behind a feature flag.
const EXPERIMENTAL: [&str; 8] = [
    "double_exponential_smoothing",
    "info",
    "mad_over_time",
    "sort_by_label",
    "sort_by_label_desc",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];

/// The function of a name, if there is one.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FAMILIES.iter().flat_map(|family| family.iter()).find(|function| function.name == name)
}

/// The names of all functions, sorted.
pub(super) fn all() -> Vec<&'static str> {
    let mut names: Vec<_> = FAMILIES.iter().flat_map(|family| family.iter()).map(|function| function.name).collect();
    names.sort_unstable();
    names
}

/// What is to be said of a name that is no function here.
pub(super) fn unknown(name: &str) -> String {
    if EXPERIMENTAL.contains(&name) {
        format!("function {name:?} is not enabled")
    } else {
        format!("unknown function with name {name:?}")
    }
}

/// Maps every value of the instant vector that is argument `arg`; names are dropped.
fn map_arg(
    evaluator: &Evaluator<'_>,
    call: &Call,
    arg: usize,
    grid: Grid,
    sink: &mut Sink<'_>,
    mut apply: impl FnMut(usize, f64) -> f64,
) -> Result<(), EvalError> {
    let arg = &call.args[arg];
    evaluator.nameless(arg, grid, Overlap::Step, sink, |sink| {
        evaluator.each(arg, grid, &mut |tag, column| {
            map_column(column, &mut apply);
            sink(tag.without_name(), column)
        })
    })
}

/// Maps every value of the call's first argument by a function of the value alone; names are dropped.
pub(super) fn map(
    evaluator: &Evaluator<'_>,
    call: &Call,
    grid: Grid,
    sink: &mut Sink<'_>,
    apply: impl Fn(f64) -> f64,
) -> Result<(), EvalError> {
    map_arg(evaluator, call, 0, grid, sink, |_, value| apply(value))
}
