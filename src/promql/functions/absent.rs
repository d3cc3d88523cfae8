//! `absent` and its kin: whether there is anything at all.

use crate::model::{Labels, METRIC_NAME};
use crate::store::{MatchOp, Matcher};

use super::super::plan::Expr;
use super::super::value::{Element, Worked};
use super::{Function, windows};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("absent", |evaluator, call, at| {
        let found = evaluator.vector(&call.args[0], at)?;
        Ok(nothing(&call.args[0], found.is_empty()))
    }),
    Function::vector("absent_over_time", |evaluator, call, at| {
        let found = evaluator.matrix(&call.args[0], at)?;
        Ok(nothing(&call.args[0], found.series.is_empty()))
    }),
    Function::vector("present_over_time", |evaluator, call, at| {
        windows(evaluator, &call.args[0], at, false, |_| Some(1.0))
    }),
];

fn nothing(arg: &Expr, is_empty: bool) -> Worked {
    let element = Element { labels: expected_labels(arg), value: 1.0 };
    Worked::Vector(if is_empty { vec![element] } else { Vec::new() })
}

/// What a missing series would be labelled: the selector's `=` matchers. A name used twice tells nothing.
fn expected_labels(arg: &Expr) -> Labels {
    let matchers: &[Matcher] = match arg {
        Expr::Instant(selector) | Expr::Range(selector, _) => &selector.matchers,
        _ => &[],
    };
    let mut seen: Vec<&str> = Vec::new();
    let mut labels = Labels::empty();
    for matcher in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        let first = !seen.contains(&matcher.name.as_str());
        let told = first && matches!(matcher.op, MatchOp::Equal);
        labels = labels.with(&matcher.name, if told { matcher.value.as_str() } else { "" });
        if told {
            seen.push(&matcher.name);
        }
    }
    labels
}
