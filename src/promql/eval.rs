//! Walks the plan for one time after the other.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;

use crate::model::{Labels, METRIC_NAME, Millis, is_stale};
use crate::store::{Series, Snapshot};

use super::error::EvalError;
use super::fetch::{self, Fetched};
use super::plan::{Expr, Kind, Selector, Subquery};
use super::value::{Element, Matrix, Run, Worked};
use super::{Options, Value, aggregate, binary};

/// Answers at one time.
pub(super) fn instant(
    plan: &Expr,
    selectors: usize,
    snapshot: &Snapshot,
    at: Millis,
    options: &Options,
) -> Result<Value, EvalError> {
    let fetched = fetch::fetch(plan, selectors, snapshot, (at, at), options)?;
    let evaluator = Evaluator { fetched: &fetched, bounds: (at, at), options };
    Ok(match evaluator.eval(plan, at)? {
        Worked::Scalar(value) => Value::Scalar(value),
        Worked::String(text) => Value::String(text),
        Worked::Vector(elements) => {
            Value::Vector(elements.into_iter().map(|element| (element.labels, element.value)).collect())
        }
        Worked::Matrix(matrix) => Value::Matrix(matrix.series.into_iter().map(Series::from).collect()),
    })
}

/// Answers at every step of a range; `when` is start, end and step in milliseconds.
pub(super) fn range(
    plan: &Expr,
    selectors: usize,
    snapshot: &Snapshot,
    when: (Millis, Millis, i64),
    options: &Options,
) -> Result<Value, EvalError> {
    let (start, end, step) = when;
    if step <= 0 || end < start {
        return Err(EvalError::data("the step must be positive and the end not before the start"));
    }
    if !matches!(plan.kind(), Kind::Scalar | Kind::Vector) {
        let kind = plan.kind().as_str();
        return Err(EvalError::data(format!("a range query needs a scalar or instant vector, this is a {kind}")));
    }
    let steps = (end.0 - start.0) / step + 1;
    if steps > i64::try_from(options.max_steps).unwrap_or(i64::MAX) {
        return Err(EvalError::TooMuch(format!("it has {steps} steps, more than {}", options.max_steps)));
    }
    let fetched = fetch::fetch(plan, selectors, snapshot, (start, end), options)?;
    let evaluator = Evaluator { fetched: &fetched, bounds: (start, end), options };
    let series = evaluator.over(plan, start, end, step)?;
    Ok(Value::Matrix(series))
}

/// The plan's environment: data, and first and last time of the whole query.
pub(super) struct Evaluator<'d> {
    pub fetched: &'d Fetched,
    pub bounds: (Millis, Millis),
    pub options: &'d Options,
}

impl Evaluator<'_> {
    /// The value of an expression at one time.
    pub(super) fn eval(&self, plan: &Expr, at: Millis) -> Result<Worked, EvalError> {
        if self.options.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
            return Err(EvalError::Cancelled);
        }
        match plan {
            Expr::Number(value) => Ok(Worked::Scalar(*value)),
            Expr::String(text) => Ok(Worked::String(text.clone())),
            Expr::Instant(selector) => {
                let latest = self.latest(selector, at).map(|(labels, _, value)| Element { labels, value });
                Ok(Worked::Vector(latest.collect()))
            }
            Expr::Range(selector, range) => Ok(Worked::Matrix(self.window(selector, *range, at))),
            Expr::Subquery(subquery) => Ok(Worked::Matrix(self.subquery(subquery, at)?)),
            Expr::Negate(inner) => self.negate(inner, at),
            Expr::Binary(operation) => binary::eval(self, operation, at),
            Expr::Aggregate(aggregation) => Ok(Worked::Vector(aggregate::eval(self, aggregation, at)?)),
            Expr::Call(call) => (call.function.apply)(self, call, at),
        }
    }

    /// The latest sample of each series within the lookback, with its time. A staleness marker ends a series at once.
    pub(super) fn latest<'a>(
        &'a self,
        selector: &Selector,
        at: Millis,
    ) -> impl Iterator<Item = (Labels, Millis, f64)> + 'a {
        let until = selector.shift.apply(at, self.bounds);
        let after = until - self.options.lookback;
        self.fetched.of(selector).iter().filter_map(move |series| {
            let end = series.samples.partition_point(|(time, _)| *time <= until);
            let (time, value) = *series.samples[..end].last()?;
            (time > after && !is_stale(value)).then(|| (series.labels.clone(), time, value))
        })
    }

    fn window(&self, selector: &Selector, range: i64, at: Millis) -> Matrix {
        let until = selector.shift.apply(at, self.bounds);
        let after = until.0.saturating_sub(range);
        let cut = |run: &Run| {
            let samples = run.samples.between(Millis(after), until);
            (!samples.is_empty()).then(|| Run { labels: run.labels.clone(), samples })
        };
        Matrix { series: self.fetched.of(selector).iter().filter_map(cut).collect(), after, until: until.0 }
    }

    fn subquery(&self, subquery: &Subquery, at: Millis) -> Result<Matrix, EvalError> {
        let until = subquery.shift.apply(at, self.bounds);
        let step = subquery.step(self.options.subquery_step);
        let start = subquery.start(until.0, step);
        let steps = usize::try_from((until.0 - start) / step + 1).unwrap_or(0);
        if steps > self.options.max_samples {
            return Err(EvalError::TooMuch(format!("a subquery has {steps} steps")));
        }
        let series = self.over(&subquery.inner, Millis(start), until, step)?.into_iter().map(Run::from).collect();
        Ok(Matrix { series, after: until.0.saturating_sub(subquery.range), until: until.0 })
    }

    /// The values of an expression over time, one series per label set, sorted by labels.
    fn over(&self, plan: &Expr, start: Millis, end: Millis, step: i64) -> Result<Vec<Series>, EvalError> {
        let mut gathered: BTreeMap<Labels, Vec<(Millis, f64)>> = BTreeMap::new();
        let mut count = 0;
        let mut at = start;
        while at <= end {
            let elements = match self.eval(plan, at)? {
                Worked::Scalar(value) => vec![Element { labels: Labels::empty(), value }],
                Worked::Vector(elements) => elements,
                Worked::Matrix(_) | Worked::String(_) => {
                    return Err(EvalError::data("expected a scalar or an instant vector at every step"));
                }
            };
            count += elements.len();
            if count > self.options.max_samples {
                let limit = self.options.max_samples;
                return Err(EvalError::TooMuch(format!("it gives more than {limit} samples")));
            }
            for element in elements {
                gathered.entry(element.labels).or_default().push((at, element.value));
            }
            at = Millis(at.0.saturating_add(step));
        }
        Ok(gathered.into_iter().map(|(labels, samples)| Series { labels, samples }).collect())
    }

    fn negate(&self, inner: &Expr, at: Millis) -> Result<Worked, EvalError> {
        match self.eval(inner, at)? {
            Worked::Scalar(value) => Ok(Worked::Scalar(-value)),
            Worked::Vector(mut elements) => {
                for element in &mut elements {
                    *element = Element { labels: without_name(&element.labels), value: -element.value };
                }
                unique(elements).map(Worked::Vector)
            }
            Worked::Matrix(_) | Worked::String(_) => Err(EvalError::data("only numbers and vectors can be negated")),
        }
    }

    /// The value of an expression that the parser promised to be a number.
    pub(super) fn scalar(&self, plan: &Expr, at: Millis) -> Result<f64, EvalError> {
        match self.eval(plan, at)? {
            Worked::Scalar(value) => Ok(value),
            _ => Err(EvalError::data("expected a scalar")),
        }
    }

    /// The value of an expression that the parser promised to be an instant vector.
    pub(super) fn vector(&self, plan: &Expr, at: Millis) -> Result<Vec<Element>, EvalError> {
        match self.eval(plan, at)? {
            Worked::Vector(elements) => Ok(elements),
            _ => Err(EvalError::data("expected an instant vector")),
        }
    }

    /// The value of an expression that the parser promised to be a range vector.
    pub(super) fn matrix(&self, plan: &Expr, at: Millis) -> Result<Matrix, EvalError> {
        match self.eval(plan, at)? {
            Worked::Matrix(matrix) => Ok(matrix),
            _ => Err(EvalError::data("expected a range vector")),
        }
    }
}

/// The labels without the metric's name.
pub(super) fn without_name(labels: &Labels) -> Labels {
    if labels.get(METRIC_NAME).is_none() { labels.clone() } else { labels.without(|name| name == METRIC_NAME) }
}

/// A vector may hold each label set once; two that became equal are an error of the query.
pub(super) fn unique(elements: Vec<Element>) -> Result<Vec<Element>, EvalError> {
    let mut seen = HashSet::with_capacity(elements.len());
    if elements.iter().all(|element| seen.insert(&element.labels)) {
        return Ok(elements);
    }
    Err(EvalError::data("vector cannot contain metrics with the same labelset"))
}
