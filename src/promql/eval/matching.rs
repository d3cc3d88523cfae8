//! Arithmetic and comparison between vectors: which series meet is worked out once, then their columns are.

use crate::model::{Labels, METRIC_NAME};

use super::super::error::EvalError;
use super::super::grid::{Grid, has_values, is_absent};
use super::super::plan::{Binary, Cardinality, Grouping};
use super::super::tag::{Groups, Tag};
use super::binary::of_pair;
use super::{Evaluator, Merge, Overlap, Row, Sink};

const MANY_TO_ONE: &str = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
const NOT_UNIQUE: &str = "multiple matches for labels: grouping labels must ensure unique matches";

impl Evaluator<'_> {
    /// The value of an operator, no set operator, between two vectors.
    pub(super) fn matched(&self, operation: &Binary, grid: Grid, sink: &mut Sink<'_>) -> Result<(), EvalError> {
        let matching = &operation.matching;
        let swapped = matches!(matching.cardinality, Cardinality::GroupRight(_));
        let (left, right) = (self.rows(&operation.left, grid)?, self.rows(&operation.right, grid)?);
        if left.is_empty() || right.is_empty() {
            return Ok(());
        }
        let held = (left.len() + right.len()) * grid.count;
        let (many, ones) = if swapped { (right, left) } else { (left, right) };

        let mut groups = Groups::new(&matching.labels);
        let mut by_group: Vec<Vec<&Row>> = Vec::new();
        for one in &ones {
            let number = groups.number(&one.tag);
            by_group.resize_with(groups.len(), Vec::new);
            by_group[number].push(one);
        }
        check_ones(operation, &many, &by_group, if swapped { "left" } else { "right" })?;

        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let mut members = vec![0usize; by_group.len()];
        for row in &many {
            if let Some(number) = groups.find(&row.tag) {
                members[number] += 1;
            }
        }
        let alone = members.iter().all(|count| *count <= 1) && by_group.iter().all(|ones| ones.len() == 1);
        let includes_nothing = !matches!(
            &matching.cardinality,
            Cardinality::GroupLeft(include) | Cardinality::GroupRight(include) if !include.is_empty()
        );
        let single_ones = by_group.iter().all(|ones| ones.len() == 1);
        let is_unique = if one_to_one {
            alone
        } else {
            single_ones && includes_nothing && (operation.filters() || operation.many().has_one_name())
        };
        let mut merge = Merge::new(self, grid, Overlap::Step).saying(if one_to_one { MANY_TO_ONE } else { NOT_UNIQUE });
        // Which steps of a group have given a result; of one-to-one matches only where several could.
        let mut given: Vec<Vec<bool>> = vec![Vec::new(); by_group.len()];
        for mut row in many {
            let Some(number) = groups.find(&row.tag) else { continue };
            for one in &by_group[number] {
                let column =
                    if by_group[number].len() == 1 { std::mem::take(&mut row.column) } else { row.column.clone() };
                let column = pair(operation, column, &one.column, swapped);
                if one_to_one && members[number] > 1 {
                    let given = &mut given[number];
                    given.resize(grid.count, false);
                    for (given, _) in given.iter_mut().zip(&column).filter(|(_, value)| !is_absent(**value)) {
                        if std::mem::replace(given, true) {
                            return Err(EvalError::data(MANY_TO_ONE));
                        }
                    }
                }
                let labels = result_labels(operation, &row.tag, &one.tag);
                if is_unique {
                    let mut column = column;
                    if has_values(&column) {
                        sink(Tag::new(labels), &mut column)?;
                    }
                } else {
                    merge.add(labels, &column)?;
                }
            }
        }
        drop(by_group);
        drop(ones);
        self.budget.release(held);
        merge.hand_out(sink)
    }
}

fn pair(operation: &Binary, mut many: Vec<f64>, one: &[f64], swapped: bool) -> Vec<f64> {
    for (many, one) in many.iter_mut().zip(one) {
        let value = if swapped { of_pair(operation, *one, *many) } else { of_pair(operation, *many, *one) };
        *many = value;
    }
    many
}

/// A signature that the "one" side has twice at a step is an error there, even if nobody asks for it, unless the other
/// side has nothing at all at that step.
fn check_ones(operation: &Binary, many: &[Row], by_group: &[Vec<&Row>], side: &str) -> Result<(), EvalError> {
    if by_group.iter().all(|ones| ones.len() == 1) {
        return Ok(());
    }
    let steps = many.first().map_or(0, |row| row.column.len());
    for step in 0..steps {
        if many.iter().all(|row| is_absent(row.column[step])) {
            continue;
        }
        for ones in by_group.iter().filter(|ones| ones.len() > 1) {
            let mut present = ones.iter().filter(|one| !is_absent(one.column[step]));
            let (Some(first), Some(second)) = (present.next(), present.next()) else { continue };
            let group = first.tag.signature(&operation.matching.labels);
            return Err(EvalError::data(format!(
                "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                second.tag.labels(),
                first.tag.labels()
            )));
        }
    }
    Ok(())
}

fn result_labels(operation: &Binary, many: &Tag, one: &Tag) -> Labels {
    let drops_name = !operation.filters();
    let dropped = |name: &str| drops_name && name == METRIC_NAME;
    match &operation.matching.cardinality {
        Cardinality::OneToOne => match &operation.matching.labels {
            Grouping::Only(names) => many.without(|name| dropped(name) || !names.iter().any(|wanted| wanted == name)),
            Grouping::Without(names) => {
                many.without(|name| dropped(name) || names.iter().any(|unwanted| unwanted == name))
            }
        },
        Cardinality::GroupLeft(include) | Cardinality::GroupRight(include) => {
            let labels = many.without(dropped);
            include.iter().fold(labels, |labels, name| labels.with(name, one.get(name).unwrap_or_default()))
        }
    }
}
