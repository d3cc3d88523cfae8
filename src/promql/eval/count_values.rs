//! `count_values`: how many series have each value.

use std::collections::HashMap;

use super::super::error::EvalError;
use super::super::grid::{ABSENT, Grid, is_absent};
use super::super::plan::{Aggregate, Grouping};
use super::super::tag::Tag;
use super::{Evaluator, Merge, Overlap, Sink};
use crate::model::{Labels, render_plain};

impl Evaluator<'_> {
    pub(super) fn count_values(
        &self,
        aggregation: &Aggregate,
        grid: Grid,
        sink: &mut Sink<'_>,
    ) -> Result<(), EvalError> {
        let label = aggregation.param.as_ref().map_or("", |param| param.text());
        if label.is_empty() {
            return Err(EvalError::data(format!("invalid label name {label:?}")));
        }
        // The value stands in for the label that has its name, before series are grouped.
        let grouping = match &aggregation.grouping {
            Grouping::Only(names) => Grouping::Only(names.iter().cloned().chain([label.to_owned()]).collect()),
            without @ Grouping::Without(_) => without.clone(),
        };
        let mut counts: HashMap<Labels, Vec<f64>> = HashMap::new();
        self.each(&aggregation.inner, grid, &mut |tag, column| {
            let all = tag.labels();
            // Values often stay the same from step to step.
            let mut last: Option<(u64, Labels)> = None;
            for (step, value) in column.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
                let labels = match &last {
                    Some((bits, labels)) if *bits == value.to_bits() => labels.clone(),
                    _ => Tag::new(all.with(label, render_plain(*value))).signature(&grouping),
                };
                if !counts.contains_key(&labels) {
                    self.budget.hold(grid.count)?;
                    counts.insert(labels.clone(), vec![ABSENT; grid.count]);
                }
                if let Some(count) = counts.get_mut(&labels).and_then(|counts| counts.get_mut(step)) {
                    *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
                }
                last = Some((value.to_bits(), labels));
            }
            Ok(())
        })?;
        let mut merge = Merge::new(self, grid, Overlap::Step);
        for (labels, column) in counts {
            self.budget.release(grid.count);
            merge.add(labels, &column)?;
        }
        merge.hand_out(sink)
    }
}
