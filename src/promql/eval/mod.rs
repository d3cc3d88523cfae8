//! Walks the plan once, series by series: each node hands its series, one after the other and each with its values at all
//! steps, to whoever asked. What is not held on purpose is in memory for one series only.
//!
//! Invariant: a node hands out each label set at most once. A column may be without any value.

mod aggregate;
mod binary;
mod count_values;
mod matching;
mod merge;
mod pick;
mod select;
mod sets;
mod windows;

#[cfg(test)]
mod tests;

pub(super) use merge::{Merge, Overlap};
pub(super) use windows::{Rolling, Sample, Window};

use crate::model::{Labels, Millis};
use crate::store::{Series, Snapshot};

use super::budget::Budget;
use super::error::EvalError;
use super::functions::{Apply, map};
use super::grid::{ABSENT, Grid, has_values, is_absent, map_column};
use super::notes::{Noted, Notes};
use super::plan::{Aggregate, AggregateOp, Expr, Kind};
use super::tag::Tag;
use super::{Options, Value};

/// Takes one series: what it is called and its value at each step, to be changed at will.
pub(super) type Sink<'s> = dyn FnMut(Tag, &mut [f64]) -> Result<(), EvalError> + 's;

/// The plan's environment.
pub(super) struct Evaluator<'q> {
    pub snapshot: &'q Snapshot,
    /// First and last time of the whole query, which `start()` and `end()` mean.
    pub bounds: (Millis, Millis),
    pub options: &'q Options,
    pub budget: Budget<'q>,
    pub noted: Noted,
}

/// A series that is held.
pub(super) struct Row {
    pub tag: Tag,
    pub column: Vec<f64>,
}

/// Answers at one time.
pub(super) fn instant(
    plan: &Expr,
    text: &str,
    snapshot: &Snapshot,
    at: Millis,
    options: &Options,
) -> Result<(Value, Notes), EvalError> {
    let evaluator = Evaluator::new(snapshot, (at, at), options);
    let grid = Grid::instant(at);
    let value = match plan.kind() {
        Kind::Scalar => Value::Scalar(evaluator.scalar(plan, grid)?[0]),
        Kind::String => Value::String(plan.text().to_owned()),
        Kind::Vector => {
            let mut elements = Vec::new();
            evaluator.each(plan, grid, &mut |tag, column| {
                if !is_absent(column[0]) {
                    evaluator.budget.hold(2)?;
                    elements.push((tag.labels(), column[0]));
                }
                Ok(())
            })?;
            if !plan.is_ordered() {
                elements.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            }
            Value::Vector(elements)
        }
        Kind::Matrix => {
            let mut all = Vec::new();
            evaluator.series_of(plan, grid, &mut |tag, samples| {
                evaluator.budget.hold(2 * samples.len())?;
                all.push(Series { labels: tag.labels(), samples: samples.to_vec() });
                Ok(())
            })?;
            all.retain(|series| !series.samples.is_empty());
            all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
            Value::Matrix(all)
        }
    };
    Ok((value, evaluator.noted.written(text)))
}

/// Answers at every step of a range.
pub(super) fn range(
    plan: &Expr,
    text: &str,
    snapshot: &Snapshot,
    (start, end, step): (Millis, Millis, i64),
    options: &Options,
) -> Result<(Value, Notes), EvalError> {
    if step <= 0 || end < start {
        return Err(EvalError::data("the step must be positive and the end not before the start"));
    }
    if !matches!(plan.kind(), Kind::Scalar | Kind::Vector) {
        let kind = plan.kind().as_str();
        return Err(EvalError::data(format!(
            "invalid expression type {kind:?} for range query, must be Scalar or instant Vector"
        )));
    }
    let steps = (end.0.saturating_sub(start.0) / step).saturating_add(1);
    if steps > i64::try_from(options.max_steps).unwrap_or(i64::MAX) {
        return Err(EvalError::TooMuch(format!("it has {steps} steps, more than {}", options.max_steps)));
    }
    let evaluator = Evaluator::new(snapshot, (start, end), options);
    let grid = Grid { start, step, count: steps as usize };
    let mut all = Vec::new();
    let mut take = |tag: Tag, column: &mut [f64]| {
        if has_values(column) {
            let present = grid.times().zip(column.iter()).filter(|(_, value)| !is_absent(**value));
            let mut samples: Vec<_> = Vec::with_capacity(column.len());
            samples.extend(present.map(|(at, value)| (at, *value)));
            evaluator.budget.hold(2 * samples.len())?;
            samples.shrink_to_fit();
            all.push(Series { labels: tag.labels(), samples });
        }
        Ok(())
    };
    if plan.kind() == Kind::Scalar {
        take(Tag::new(Labels::empty()), &mut evaluator.scalar(plan, grid)?)?;
    } else {
        evaluator.each(plan, grid, &mut take)?;
    }
    all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok((Value::Matrix(all), evaluator.noted.written(text)))
}

impl<'q> Evaluator<'q> {
    fn new(snapshot: &'q Snapshot, bounds: (Millis, Millis), options: &'q Options) -> Self {
        Self { snapshot, bounds, options, budget: Budget::new(options), noted: Noted::default() }
    }

    /// Hands out the series of an instant vector.
    pub(super) fn each(&self, plan: &Expr, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        if grid.count > 1 && plan.is_fixed() {
            return self.each_fixed(plan, grid, sink);
        }
        match plan {
            Expr::Instant(selector) => self.select(selector, grid, sink),
            Expr::Negate(inner) => self.nameless(inner, grid, Overlap::Series, sink, |sink| {
                self.each(inner, grid, &mut |tag, column| {
                    map_column(column, |_, value| -value);
                    sink(tag.without_name(), column)
                })
            }),
            Expr::Binary(operation) => self.binary(operation, grid, sink),
            Expr::Aggregate(aggregation) => match aggregation.op {
                AggregateOp::TopK | AggregateOp::BottomK => self.pick(aggregation, grid, sink),
                AggregateOp::CountValues => self.count_values(aggregation, grid, sink),
                _ => self.aggregate(aggregation, grid, sink),
            },
            Expr::Call(call) => match call.function.apply {
                Apply::Vector(apply) => apply(self, call, grid, sink),
                Apply::Map(apply) => map(self, call, grid, sink, apply),
                Apply::Scalar(_) => Err(EvalError::data("expected an instant vector")),
            },
            Expr::Number(_) | Expr::String(_) | Expr::Range(..) | Expr::Subquery(_) => {
                Err(EvalError::data("expected an instant vector"))
            }
        }
    }

    /// What does not depend on the step is asked once and stands at every step.
    fn each_fixed(&self, plan: &Expr, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let mut wide = vec![ABSENT; grid.count];
        self.each(plan, Grid::instant(grid.start), &mut |tag, column| {
            wide.fill(column[0]);
            sink(tag, &mut wide)
        })
    }

    /// The values of an expression that is a number at each step.
    pub(super) fn scalar(&self, plan: &Expr, grid: Grid) -> Result<Vec<f64>, EvalError> {
        self.budget.hold(grid.count)?;
        match plan {
            Expr::Number(value) => Ok(vec![*value; grid.count]),
            Expr::Negate(inner) => {
                let mut column = self.scalar(inner, grid)?;
                for value in &mut column {
                    *value = -*value;
                }
                Ok(column)
            }
            Expr::Binary(operation) => {
                let mut left = self.scalar(&operation.left, grid)?;
                let right = self.scalar(&operation.right, grid)?;
                for (left, right) in left.iter_mut().zip(&right) {
                    *left = binary::of_scalars(operation.op, *left, *right);
                }
                Ok(left)
            }
            Expr::Call(call) => match call.function.apply {
                Apply::Scalar(apply) => apply(self, call, grid),
                Apply::Vector(_) | Apply::Map(_) => Err(EvalError::data("expected a scalar")),
            },
            _ => Err(EvalError::data("expected a scalar")),
        }
    }

    /// The values of an aggregation's parameter, such as the number of `topk`; none where it has no parameter.
    fn param(&self, aggregation: &Aggregate, grid: Grid) -> Result<Vec<f64>, EvalError> {
        aggregation.param.as_ref().map_or_else(|| Ok(Vec::new()), |param| self.scalar(param, grid))
    }

    /// All series of an instant vector, held.
    pub(super) fn rows(&self, plan: &Expr, grid: Grid) -> Result<Vec<Row>, EvalError> {
        let mut rows = Vec::new();
        self.each(plan, grid, &mut |tag, column| {
            if has_values(column) {
                self.budget.hold(column.len())?;
                rows.push(Row { tag, column: column.to_vec() });
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs what drops the metric names of `of`. Where the names may differ, series that became equal are found.
    pub(super) fn nameless(
        &self,
        of: &Expr,
        grid: Grid,
        overlap: Overlap,
        sink: &mut Sink<'_>,
        run: impl FnOnce(&mut Sink<'_>) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        if of.has_one_name() {
            return run(sink);
        }
        let mut merge = Merge::new(self, grid, overlap);
        run(&mut |tag, column| merge.add(tag.labels(), column))?;
        merge.hand_out(sink)
    }
}
