//! `sum by (…)` and its kin: each series goes straight into its group's column.

use crate::model::Labels;

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, has_values, is_absent};
use super::super::number::{Mean, Sum, quantile};
use super::super::plan::{Aggregate, AggregateOp};
use super::super::tag::{Groups, Tag};
use super::{Evaluator, Sink};

/// What a group knows at one step of the values it has taken.
trait Accumulator: Copy {
    fn first(value: f64) -> Self;
    fn add(&mut self, value: f64);
    fn result(&self) -> f64;
}

impl Accumulator for Sum {
    fn first(value: f64) -> Self {
        Self { sum: value, lost: 0.0 }
    }

    fn add(&mut self, value: f64) {
        *self = self.plus(value);
    }

    fn result(&self) -> f64 {
        self.total()
    }
}

impl Accumulator for Mean {
    fn first(value: f64) -> Self {
        Self::default().plus(value)
    }

    fn add(&mut self, value: f64) {
        *self = self.plus(value);
    }

    fn result(&self) -> f64 {
        self.value()
    }
}

/// NaN only if all values are.
#[derive(Clone, Copy)]
struct Extreme<const MAX: bool>(f64);

impl<const MAX: bool> Accumulator for Extreme<MAX> {
    fn first(value: f64) -> Self {
        Self(value)
    }

    fn add(&mut self, value: f64) {
        if self.0.is_nan() || (if MAX { value > self.0 } else { value < self.0 }) {
            self.0 = value;
        }
    }

    fn result(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Copy)]
struct Count(f64);

impl Accumulator for Count {
    fn first(_: f64) -> Self {
        Self(1.0)
    }

    fn add(&mut self, _: f64) {
        self.0 += 1.0;
    }

    fn result(&self) -> f64 {
        self.0
    }
}

#[derive(Clone, Copy)]
struct Group;

impl Accumulator for Group {
    fn first(_: f64) -> Self {
        Self
    }

    fn add(&mut self, _: f64) {}

    fn result(&self) -> f64 {
        1.0
    }
}

/// Welford's population variance, as Prometheus' aggregation computes it.
#[derive(Clone, Copy)]
struct Variance<const ROOT: bool> {
    count: f64,
    mean: f64,
    squares: f64,
}

impl<const ROOT: bool> Accumulator for Variance<ROOT> {
    fn first(value: f64) -> Self {
        // Of one value that is no number, neither is the variance.
        Self { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn result(&self) -> f64 {
        let variance = self.squares / self.count;
        if ROOT { variance.sqrt() } else { variance }
    }
}

impl Evaluator<'_> {
    /// The value of an aggregation to one value per group.
    pub(super) fn aggregate(&self, aggregation: &Aggregate, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        match aggregation.op {
            AggregateOp::Sum => self.fold::<Sum>(aggregation, grid, sink),
            AggregateOp::Avg => self.fold::<Mean>(aggregation, grid, sink),
            AggregateOp::Min => self.fold::<Extreme<false>>(aggregation, grid, sink),
            AggregateOp::Max => self.fold::<Extreme<true>>(aggregation, grid, sink),
            AggregateOp::Count => self.fold::<Count>(aggregation, grid, sink),
            AggregateOp::Stdvar => self.fold::<Variance<false>>(aggregation, grid, sink),
            AggregateOp::Stddev => self.fold::<Variance<true>>(aggregation, grid, sink),
            AggregateOp::Quantile => self.quantile(aggregation, grid, sink),
            _ => self.fold::<Group>(aggregation, grid, sink),
        }
    }

    fn fold<A: Accumulator>(&self, aggregation: &Aggregate, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let per_group = grid.count * size_of::<Option<A>>() / size_of::<f64>();
        let mut numbers = Groups::new(&aggregation.grouping);
        let mut groups: Vec<(Labels, Vec<Option<A>>)> = Vec::new();
        self.each(&aggregation.inner, grid, &mut |tag, column| {
            if !has_values(column) {
                return Ok(());
            }
            let number = numbers.number(&tag);
            if number == groups.len() {
                self.budget.hold(per_group)?;
                groups.push((tag.signature(&aggregation.grouping), vec![None; grid.count]));
            }
            for (state, value) in groups[number].1.iter_mut().zip(column.iter()) {
                if !is_absent(*value) {
                    match state {
                        Some(state) => state.add(*value),
                        None => *state = Some(A::first(*value)),
                    }
                }
            }
            Ok(())
        })?;
        let mut column = vec![ABSENT; grid.count];
        for (labels, states) in groups {
            for (slot, state) in column.iter_mut().zip(&states) {
                *slot = state.as_ref().map_or(ABSENT, Accumulator::result);
            }
            sink(Tag::new(labels), &mut column)?;
            self.budget.release(per_group);
        }
        Ok(())
    }

    /// Needs all values of a group at once.
    fn quantile(&self, aggregation: &Aggregate, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let param = self.param(aggregation, grid)?;
        let mut numbers = Groups::new(&aggregation.grouping);
        let mut groups: Vec<(Labels, Vec<Vec<f64>>)> = Vec::new();
        self.each(&aggregation.inner, grid, &mut |tag, column| {
            if !has_values(column) {
                return Ok(());
            }
            let number = numbers.number(&tag);
            if number == groups.len() {
                groups.push((tag.signature(&aggregation.grouping), Vec::new()));
            }
            self.budget.hold(column.len())?;
            groups[number].1.push(column.to_vec());
            Ok(())
        })?;
        self.noted.check_quantiles(aggregation.param_place, &param);
        let mut column = vec![ABSENT; grid.count];
        let mut values = Vec::new();
        for (labels, columns) in groups {
            for (step, slot) in column.iter_mut().enumerate() {
                values.clear();
                values.extend(columns.iter().map(|column| column[step]).filter(|value| !is_absent(*value)));
                *slot = if values.is_empty() { ABSENT } else { quantile(param[step], &mut values) };
            }
            sink(Tag::new(labels), &mut column)?;
            self.budget.release(columns.len() * grid.count);
        }
        Ok(())
    }
}
