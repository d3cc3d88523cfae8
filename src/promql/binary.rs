//! Operators between two expressions, and how vectors find their partners.

use std::collections::{HashMap, HashSet};

use crate::model::{Labels, METRIC_NAME, Millis};

use super::error::EvalError;
use super::eval::{Evaluator, unique, without_name};
use super::plan::{Binary, BinaryOp, Cardinality, Grouping, Matching};
use super::value::{Element, Worked};

/// The value of `left op right`.
pub(super) fn eval(evaluator: &Evaluator<'_>, operation: &Binary, at: Millis) -> Result<Worked, EvalError> {
    let left = evaluator.eval(&operation.left, at)?;
    let right = evaluator.eval(&operation.right, at)?;
    match (left, right) {
        (Worked::Scalar(left), Worked::Scalar(right)) => Ok(Worked::Scalar(scalars(operation.op, left, right))),
        (Worked::Vector(left), Worked::Scalar(right)) => {
            with_scalar(operation, left, |value| (value, right)).map(Worked::Vector)
        }
        (Worked::Scalar(left), Worked::Vector(right)) => {
            with_scalar(operation, right, |value| (left, value)).map(Worked::Vector)
        }
        (Worked::Vector(left), Worked::Vector(right)) if operation.op.is_set() => {
            Ok(Worked::Vector(sets(operation.op, &operation.matching.labels, left, right)))
        }
        (Worked::Vector(left), Worked::Vector(right)) => vectors(operation, left, right).map(Worked::Vector),
        _ => Err(EvalError::data("binary expression must contain only scalar and instant vector types")),
    }
}

fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    if op.is_comparison() { f64::from(u8::from(holds(op, left, right))) } else { arithmetic(op, left, right) }
}

fn arithmetic(op: BinaryOp, left: f64, right: f64) -> f64 {
    match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => left.powf(right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => f64::NAN,
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

/// A filter keeps the vector's value, also when the scalar stands on the left.
fn with_scalar(
    operation: &Binary,
    elements: Vec<Element>,
    sides: impl Fn(f64) -> (f64, f64),
) -> Result<Vec<Element>, EvalError> {
    let filters = operation.op.is_comparison() && !operation.bool;
    let work = |element: Element| {
        let (left, right) = sides(element.value);
        if filters {
            return holds(operation.op, left, right).then_some(element);
        }
        Some(Element { value: scalars(operation.op, left, right), labels: without_name(&element.labels) })
    };
    unique(elements.into_iter().filter_map(work).collect())
}

/// The labels by which two sides are compared, or by which a group is known.
pub(super) fn signature(grouping: &Grouping, labels: &Labels) -> Labels {
    match grouping {
        Grouping::Only(names) => labels.without(|name| !names.iter().any(|wanted| wanted == name)),
        Grouping::Without(names) => {
            labels.without(|name| name == METRIC_NAME || names.iter().any(|unwanted| unwanted == name))
        }
    }
}

fn sets(op: BinaryOp, on: &Grouping, left: Vec<Element>, right: Vec<Element>) -> Vec<Element> {
    let signatures = |elements: &[Element]| -> HashSet<Labels> {
        elements.iter().map(|element| signature(on, &element.labels)).collect()
    };
    if op == BinaryOp::Or {
        let known = signatures(&left);
        let others = right.into_iter().filter(|element| !known.contains(&signature(on, &element.labels)));
        return left.into_iter().chain(others).collect();
    }
    let known = signatures(&right);
    let wanted = op == BinaryOp::And;
    left.into_iter().filter(|element| known.contains(&signature(on, &element.labels)) == wanted).collect()
}

fn vectors(operation: &Binary, left: Vec<Element>, right: Vec<Element>) -> Result<Vec<Element>, EvalError> {
    if left.is_empty() || right.is_empty() {
        return Ok(Vec::new());
    }
    let matching = &operation.matching;
    let swapped = matches!(matching.cardinality, Cardinality::GroupRight(_));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let ones = index(matching, &one, if swapped { "left" } else { "right" })?;
    let mut result = Vec::new();
    let mut seen: HashSet<Labels> = HashSet::new();
    for element in &many {
        let key = signature(&matching.labels, &element.labels);
        let Some(partner) = ones.get(&key) else {
            continue;
        };
        let (left, right) = if swapped { (partner.value, element.value) } else { (element.value, partner.value) };
        let Some(value) = pair(operation, left, right) else {
            continue;
        };
        let labels = result_labels(operation, &element.labels, &partner.labels);
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        if !seen.insert(if one_to_one { key } else { labels.clone() }) {
            return Err(EvalError::data(if one_to_one {
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            } else {
                "multiple matches for labels: grouping labels must ensure unique matches"
            }));
        }
        result.push(Element { labels, value });
    }
    unique(result)
}

/// The value of a pair; `None` when a filter drops it.
fn pair(operation: &Binary, left: f64, right: f64) -> Option<f64> {
    if !operation.op.is_comparison() {
        return Some(arithmetic(operation.op, left, right));
    }
    let holds = holds(operation.op, left, right);
    if operation.bool { Some(f64::from(u8::from(holds))) } else { holds.then_some(left) }
}

/// The "one" side by signature. A signature that occurs twice is an error even if nobody asks for it.
fn index<'e>(
    matching: &Matching,
    elements: &'e [Element],
    side: &str,
) -> Result<HashMap<Labels, &'e Element>, EvalError> {
    let mut index: HashMap<Labels, &Element> = HashMap::with_capacity(elements.len());
    for element in elements {
        let key = signature(&matching.labels, &element.labels);
        let shown = key.clone();
        if let Some(other) = index.insert(key, element) {
            return Err(EvalError::data(format!(
                "found duplicate series for the match group {shown} on the {side} hand-side of the operation: [{}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                element.labels, other.labels
            )));
        }
    }
    Ok(index)
}

fn result_labels(operation: &Binary, many: &Labels, one: &Labels) -> Labels {
    let drops_name = !operation.op.is_comparison() || operation.bool;
    let labels = if drops_name { without_name(many) } else { many.clone() };
    match &operation.matching.cardinality {
        Cardinality::OneToOne => match &operation.matching.labels {
            Grouping::Only(names) => labels.without(|name| !names.iter().any(|wanted| wanted == name)),
            Grouping::Without(names) => labels.without(|name| names.iter().any(|unwanted| unwanted == name)),
        },
        Cardinality::GroupLeft(include) | Cardinality::GroupRight(include) => {
            include.iter().fold(labels, |labels, name| labels.with(name, one.get(name).unwrap_or_default()))
        }
    }
}
