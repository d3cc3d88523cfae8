//! Brings series together that have become equal by losing labels.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::model::Labels;

use super::super::error::EvalError;
use super::super::grid::{Grid, has_values, is_absent};
use super::super::tag::Tag;
use super::{Evaluator, Sink};

/// When two series of equal labels are an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Overlap {
    /// When both have a value at one step; else they are one series.
    Step,
    /// Always.
    Series,
}

/// Series by labels, in the order in which they came.
pub(in super::super) struct Merge<'e, 'q> {
    evaluator: &'e Evaluator<'q>,
    overlap: Overlap,
    steps: usize,
    places: HashMap<Labels, usize>,
    rows: Vec<(Labels, Vec<f64>)>,
    message: &'static str,
}

impl<'e, 'q> Merge<'e, 'q> {
    pub(in super::super) fn new(evaluator: &'e Evaluator<'q>, grid: Grid, overlap: Overlap) -> Self {
        let message = "vector cannot contain metrics with the same labelset";
        Self { evaluator, overlap, steps: grid.count, places: HashMap::new(), rows: Vec::new(), message }
    }

    /// Says something else of equal labels.
    pub(in super::super) fn saying(self, message: &'static str) -> Self {
        Self { message, ..self }
    }

    pub(in super::super) fn add(&mut self, labels: Labels, column: &[f64]) -> Result<(), EvalError> {
        if !has_values(column) {
            return Ok(());
        }
        match self.places.entry(labels) {
            Entry::Vacant(vacant) => {
                self.evaluator.budget.hold(self.steps)?;
                self.rows.push((vacant.key().clone(), column.to_vec()));
                vacant.insert(self.rows.len() - 1);
            }
            Entry::Occupied(known) => {
                let kept = &mut self.rows[*known.get()].1;
                for (kept, value) in kept.iter_mut().zip(column).filter(|(_, value)| !is_absent(**value)) {
                    if !is_absent(*kept) || self.overlap == Overlap::Series {
                        return Err(EvalError::data(self.message));
                    }
                    *kept = *value;
                }
            }
        }
        Ok(())
    }

    pub(in super::super) fn hand_out(self, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        for (labels, mut column) in self.rows {
            sink(Tag::new(labels), &mut column)?;
            self.evaluator.budget.release(self.steps);
        }
        Ok(())
    }
}
