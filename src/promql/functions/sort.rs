//! The order of an instant query's result. NaN comes last either way. A range's result is always in order of labels.

use std::cmp::Ordering;

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Sink};
use super::super::grid::Grid;
use super::super::number::{descending, nan_last};
use super::super::plan::{Call, Kind};
use super::{Function, Names};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("sort", &[Kind::Vector], |e, c, grid, sink| sorted(e, c, grid, sink, nan_last)).names(Names::Kept),
    Function::vector("sort_desc", &[Kind::Vector], |e, c, grid, sink| sorted(e, c, grid, sink, descending))
        .names(Names::Kept),
];

fn sorted(
    evaluator: &Evaluator<'_>,
    call: &Call,
    grid: Grid,
    sink: &mut Sink<'_>,
    order: fn(f64, f64) -> Ordering,
) -> Result<(), EvalError> {
    if grid.count > 1 {
        return evaluator.each(&call.args[0], grid, sink);
    }
    let mut rows = evaluator.rows(&call.args[0], grid)?;
    rows.sort_by(|a, b| order(a.column[0], b.column[0]));
    rows.into_iter().try_for_each(|mut row| sink(row.tag, &mut row.column))
}
