//! `and`, `or`, `unless`: elements of one side, by whether the other side has their signature at the same step.

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, is_absent, map_column};
use super::super::plan::{Binary, BinaryOp};
use super::super::tag::{Groups, Tag};
use super::{Evaluator, Merge, Overlap, Sink};

/// At which steps each signature is there.
struct Present<'g> {
    groups: Groups<'g>,
    steps: Vec<Vec<bool>>,
}

impl Evaluator<'_> {
    pub(super) fn set(&self, operation: &Binary, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let mut present = Present { groups: Groups::new(&operation.matching.labels), steps: Vec::new() };
        if operation.op == BinaryOp::Or {
            // A series may come from the left at some steps and from the right at others.
            let mut merge = Merge::new(self, grid, Overlap::Step);
            self.each(&operation.left, grid, &mut |tag, column| {
                self.note_presence(&mut present, &tag, column)?;
                merge.add(tag.labels(), column)
            })?;
            self.each(&operation.right, grid, &mut |tag, column| {
                if let Some(steps) = present.groups.find(&tag).map(|number| &present.steps[number]) {
                    map_column(column, |step, value| if steps[step] { ABSENT } else { value });
                }
                merge.add(tag.labels(), column)
            })?;
            return merge.hand_out(sink);
        }
        self.each(&operation.right, grid, &mut |tag, column| self.note_presence(&mut present, &tag, column))?;
        let wanted = operation.op == BinaryOp::And;
        self.each(&operation.left, grid, &mut |tag, column| {
            match present.groups.find(&tag).map(|number| &present.steps[number]) {
                Some(steps) => map_column(column, |step, value| if steps[step] == wanted { value } else { ABSENT }),
                None if wanted => return Ok(()),
                None => {}
            }
            sink(tag, column)
        })
    }

    fn note_presence(&self, present: &mut Present<'_>, tag: &Tag, column: &[f64]) -> Result<(), EvalError> {
        let number = present.groups.number(tag);
        if number == present.steps.len() {
            self.budget.hold(column.len() / 8 + 1)?;
            present.steps.push(vec![false; column.len()]);
        }
        for (there, value) in present.steps[number].iter_mut().zip(column) {
            *there |= !is_absent(*value);
        }
        Ok(())
    }
}
