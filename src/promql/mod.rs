//! `PromQL` as Prometheus 3.5 means it, without feature flags.
//!
//! In: a query's text, a [`Snapshot`] of the store, a time. Out: a [`Value`]. A [`Query`] is parsed once and asked often.
//!
//! The way of a query: `parse` makes the plan, `fetch` reads every selector's samples once for all the times asked about,
//! `eval` walks the plan for each of those times. Functions live in `functions/`, one file per family.
//!
//! Invariant: no I/O and no clock. The time is an argument; the same snapshot gives the same answer.

mod aggregate;
mod binary;
mod error;
mod eval;
mod fetch;
mod functions;
mod number;
mod parse;
pub mod pattern;
mod place;
mod plan;
mod value;

#[cfg(test)]
mod script;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::model::Millis;
use crate::store::{Matcher, Snapshot};

pub use error::{EvalError, ParseError};
pub use functions::names as function_names;
pub use number::render_plain;
pub use value::Value;

/// How a query is answered, and how much it may cost.
#[derive(Debug, Clone)]
pub struct Options {
    /// A sample as old as this is no longer current (Prometheus: 5 m).
    pub lookback: Duration,
    /// The step of subqueries that name none (Prometheus: the evaluation interval).
    pub subquery_step: Duration,
    /// How many samples may be loaded, and how many may be given back; one takes 16 bytes. By default 2 million, thus
    /// 32 MB, where Prometheus allows 50: the agent lives in a small container, and a rule that asks for more than
    /// there is room for must fail alone.
    pub max_samples: usize,
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

/// What is to be said of an answer although it could be given: as Prometheus words it, each text once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// The answer may be wrong, such as a quantile outside of 0 to 1.
    pub warnings: Vec<String>,
    /// The question may be meant otherwise, such as `rate` of what is no counter by its name.
    pub infos: Vec<String>,
}

/// A parsed query.
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    plan: plan::Expr,
    selectors: usize,
}

/// One selector of a query: which series it reads.
#[derive(Debug, Clone, Copy)]
pub struct Selector<'q> {
    /// The metric asked for by `=`, if there is one.
    pub name: Option<&'q str>,
    /// All conditions, that on `__name__` among them.
    pub matchers: &'q [Matcher],
}

impl Query {
    /// Parses a query.
    ///
    /// # Errors
    /// A text that is not `PromQL`, or uses a function that is not supported, with its place.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (plan, selectors) = parse::parse(text)?;
        Ok(Self { text: text.to_owned(), plan, selectors })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it reads, from left to right.
    pub fn selectors(&self) -> Vec<Selector<'_>> {
        let mut all = Vec::with_capacity(self.selectors);
        self.plan.visit_selectors(&mut |selector| {
            all.push(Selector { name: selector.metric_name(), matchers: &selector.matchers });
        });
        all
    }

    /// Whether it gives a number or an instant vector, as rules need.
    pub fn is_for_rules(&self) -> bool {
        matches!(self.plan.kind(), plan::Kind::Scalar | plan::Kind::Vector)
    }

    /// Answers for one time.
    pub fn instant(&self, snapshot: &Snapshot, at: Millis, options: &Options) -> Result<Answer, EvalError> {
        let value = eval::instant(&self.plan, self.selectors, snapshot, at, options)?;
        Ok(Answer { value, notes: Notes::default() })
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
        let value = eval::range(&self.plan, self.selectors, snapshot, (start, end, step), options)?;
        Ok(Answer { value, notes: Notes::default() })
    }
}
