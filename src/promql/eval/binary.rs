//! Operators between two expressions of which at least one is a number; `matching.rs` and `sets.rs` have those between vectors.

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, is_absent, map_column};
use super::super::plan::{Binary, BinaryOp, Kind};
use super::{Evaluator, Overlap, Sink};

impl Evaluator<'_> {
    /// The value of `left op right`, one of them a vector.
    pub(super) fn binary(&self, operation: &Binary, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        match (operation.left.kind(), operation.right.kind()) {
            (Kind::Vector, Kind::Vector) if operation.op.is_set() => self.set(operation, grid, sink),
            (Kind::Vector, Kind::Vector) => self.matched(operation, grid, sink),
            (Kind::Vector, _) => {
                let scalars = self.scalar(&operation.right, grid)?;
                self.with_scalar(operation, grid, sink, |step, value| (value, scalars[step]))
            }
            _ => {
                let scalars = self.scalar(&operation.left, grid)?;
                self.with_scalar(operation, grid, sink, |step, value| (scalars[step], value))
            }
        }
    }

    /// A filter keeps the vector's value, also when the scalar stands on the left.
    fn with_scalar(
        &self,
        operation: &Binary,
        grid: Grid,
        sink: &mut Sink<'_>,
        sides: impl Fn(usize, f64) -> (f64, f64),
    ) -> Result<(), EvalError> {
        let (op, vector) = (operation.op, operation.many());
        if operation.filters() {
            return self.each(vector, grid, &mut |tag, column| {
                map_column(column, |step, value| {
                    let (left, right) = sides(step, value);
                    if holds(op, left, right) { value } else { ABSENT }
                });
                sink(tag, column)
            });
        }
        self.nameless(vector, grid, Overlap::Step, sink, |sink| {
            self.each(vector, grid, &mut |tag, column| {
                map_column(column, |step, value| {
                    let (left, right) = sides(step, value);
                    of_scalars(op, left, right)
                });
                sink(tag.without_name(), column)
            })
        })
    }
}

/// The value of an operator between numbers; comparisons give 1 or 0.
pub(super) fn of_scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => f64::from(u8::from(holds(op, left, right))),
    }
}

#[expect(clippy::float_cmp, reason = "PromQL's == is exact")]
fn holds(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Less => left < right,
        BinaryOp::LessEqual => left <= right,
        BinaryOp::Greater => left > right,
        BinaryOp::GreaterEqual => left >= right,
        _ => false,
    }
}

/// The value of two matched elements; absent when one of them is, or a filter drops it.
pub(super) fn of_pair(operation: &Binary, left: f64, right: f64) -> f64 {
    if is_absent(left) || is_absent(right) {
        ABSENT
    } else if operation.filters() {
        if holds(operation.op, left, right) { left } else { ABSENT }
    } else {
        of_scalars(operation.op, left, right)
    }
}
