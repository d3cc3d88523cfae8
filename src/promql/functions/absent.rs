//! `absent` and its kin: whether there is anything at all.

use crate::model::{Labels, METRIC_NAME};
use crate::store::{MatchOp, Matcher};

use super::super::error::EvalError;
use super::super::eval::{Sink, Window};
use super::super::grid::{ABSENT, is_absent};
use super::super::plan::{Expr, Kind};
use super::super::tag::Tag;
use super::Function;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("absent", &[Kind::Vector], |evaluator, call, grid, sink| {
        let mut found = vec![false; grid.count];
        evaluator.each(&call.args[0], grid, &mut |_, column| {
            found.iter_mut().zip(column).for_each(|(found, value)| *found |= !is_absent(*value));
            Ok(())
        })?;
        nothing(&call.args[0], &found, sink)
    }),
    Function::vector("absent_over_time", &[Kind::Matrix], |evaluator, call, grid, sink| {
        let mut found = vec![false; grid.count];
        evaluator.windows_of(&call.args[0], grid, &mut |_, windows, samples| {
            windows.over(samples, |window| {
                found[window.step] |= !window.samples.is_empty();
                Ok(())
            })
        })?;
        nothing(&call.args[0], &found, sink)
    }),
    Function::vector("present_over_time", &[Kind::Matrix], |evaluator, call, grid, sink| {
        evaluator.roll(call, 0, grid, sink, &mut |_: &Window<'_>| Some(1.0))
    }),
];

fn nothing(arg: &Expr, found: &[bool], sink: &mut Sink<'_>) -> Result<(), EvalError> {
    let mut column: Vec<f64> = found.iter().map(|found| if *found { ABSENT } else { 1.0 }).collect();
    sink(Tag::new(expected_labels(arg)), &mut column)
}

/// What a missing series would be labelled: the selector's `=` matchers. A name used twice tells nothing.
fn expected_labels(arg: &Expr) -> Labels {
    let matchers: &[Matcher] = match arg {
        Expr::Instant(selector) | Expr::Range(selector, _) => &selector.matchers,
        _ => &[],
    };
    // In the order into which Prometheus' look-up brings them: those that only take series away come last.
    let must_be_set = |name: &str| matchers.iter().any(|matcher| matcher.name == name && !matcher.takes_value(""));
    let takes_away = |matcher: &Matcher| {
        let is_negative = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotMatches(_));
        !must_be_set(&matcher.name) || (is_negative && matcher.takes_value(""))
    };
    let mut ordered: Vec<&Matcher> = matchers.iter().filter(|matcher| matcher.name != METRIC_NAME).collect();
    ordered.sort_by_key(|matcher| takes_away(matcher));
    let mut seen: Vec<&str> = Vec::new();
    let mut labels = Labels::empty();
    for matcher in ordered {
        let told = !seen.contains(&matcher.name.as_str()) && matches!(matcher.op, MatchOp::Equal);
        labels = labels.with(&matcher.name, if told { matcher.value.as_str() } else { "" });
        if told {
            seen.push(&matcher.name);
        }
    }
    labels
}
