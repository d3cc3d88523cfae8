//! `PromQL` as Prometheus 3.5 means it, without feature flags.
//!
//! In: a query's text, a [`Snapshot`] of the store, a time. Out: a [`Value`]. A [`Query`] is parsed once and asked often.
//!
//! The way of a query: `lex` makes words of the text, `parse` the plan, `eval` walks the plan once, series by series over
//! all steps. Functions live in `functions/`, one file per family.
//!
//! Invariant: no I/O and no clock. The time is an argument; the same snapshot gives the same answer.

mod budget;
mod comparison;
mod error;
mod eval;
mod functions;
mod grid;
mod lex;
pub mod notation;
mod notes;
mod number;
mod parse;
pub mod pattern;
mod plan;
mod presence;
mod tag;
mod value;

#[cfg(test)]
mod script;
#[cfg(test)]
mod soup;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::model::Millis;
use crate::store::{Matcher, Snapshot};

pub use comparison::Comparison;
pub use error::{EvalError, ParseError};
pub use notes::Notes;
pub use value::Value;

/// How a query is answered, and how much it may cost.
#[derive(Debug, Clone)]
pub struct Options {
    /// A sample as old as this is no longer current (Prometheus: 5 m).
    pub lookback: Duration,
    /// The step of subqueries that name none (Prometheus: the evaluation interval).
    pub subquery_step: Duration,
    /// How many samples may be in memory at once, those given back among them; one takes 16 bytes. By default 2 million,
    /// thus 32 MB, where Prometheus allows 50: the agent lives in a small container, and a rule that asks for more than
    /// there is room for must fail alone.
    pub max_samples: usize,
    /// How many samples may be read, one series after the other. By default 50 million, some seconds of work.
    pub max_samples_read: usize,
    /// How many steps a range may have (Prometheus' API: 11,000).
    pub max_steps: usize,
    /// Raised by whoever does not want to wait any longer.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback: Duration::from_mins(5),
            subquery_step: Duration::from_mins(1),
            max_samples: 2_000_000,
            max_samples_read: 50_000_000,
            max_steps: 11_000,
            cancel: None,
        }
    }
}

/// What a query gives, and what is to be said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// Prometheus' annotations.
    pub notes: Notes,
}

/// A parsed query.
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    plan: plan::Expr,
}

/// One selector of a query: which series it reads.
#[derive(Debug, Clone, Copy)]
pub struct Selector<'q> {
    /// The metric asked for by `=`, if there is one.
    pub name: Option<&'q str>,
    /// All conditions, that on `__name__` among them.
    pub matchers: &'q [Matcher],
}

/// Parses plain selectors, as `match[]` takes them, each into its conditions. All patterns of one request share what
/// those of one query may take.
///
/// # Errors
/// A text that is anything but a selector without modifiers. One that takes every series is none.
pub fn parse_selectors<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<Vec<Matcher>>, ParseError> {
    let mut allowance = pattern::Allowance::default();
    texts.into_iter().map(|text| parse::parse_selector(text, &mut allowance)).collect()
}

/// The names of all functions that a query may use, sorted.
pub fn function_names() -> Vec<&'static str> {
    functions::all()
}

impl Query {
    /// Parses a query.
    ///
    /// # Errors
    /// A text that is not `PromQL`, or uses a function that is not supported, with its place.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { text: text.to_owned(), plan: parse::parse(text, &mut pattern::Allowance::default())? })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it reads, from left to right.
    pub fn selectors(&self) -> Vec<Selector<'_>> {
        let mut all = Vec::new();
        self.plan.visit_selectors(&mut |selector| {
            all.push(Selector { name: selector.metric_name(), matchers: &selector.matchers });
        });
        all
    }

    /// Whether it gives a number or an instant vector, as a range query needs.
    pub fn is_for_ranges(&self) -> bool {
        matches!(self.plan.kind(), plan::Kind::Scalar | plan::Kind::Vector)
    }

    /// What it gives, as Prometheus' errors call it: `scalar`, `instant vector`, `range vector`, `string`.
    pub fn type_name(&self) -> &'static str {
        self.plan.kind().as_str()
    }

    /// Answers for one time.
    pub fn instant(&self, snapshot: &Snapshot, at: Millis, options: &Options) -> Result<Answer, EvalError> {
        let (value, notes) = eval::instant(&self.plan, &self.text, snapshot, at, options)?;
        Ok(Answer { value, notes })
    }

    /// Answers for every `step` from `start` to `end`, both included. Always a [`Value::Matrix`].
    pub fn range(
        &self,
        snapshot: &Snapshot,
        start: Millis,
        end: Millis,
        step: Duration,
        options: &Options,
    ) -> Result<Answer, EvalError> {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        let (value, notes) = eval::range(&self.plan, &self.text, snapshot, (start, end, step), options)?;
        Ok(Answer { value, notes })
    }
}
