//! `sum by (…)`, `topk`, `quantile` and their kin.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Labels, Millis, is_valid_label_name};

use super::binary::signature;
use super::error::EvalError;
use super::eval::{Evaluator, unique};
use super::number::{Mean, Sum, descending, nan_last, quantile, render_plain};
use super::plan::{Aggregate, AggregateOp};
use super::value::{Element, Worked};

/// The value of an aggregation.
pub(super) fn eval(evaluator: &Evaluator<'_>, aggregation: &Aggregate, at: Millis) -> Result<Vec<Element>, EvalError> {
    let param = match &aggregation.param {
        Some(param) => Some(evaluator.eval(param, at)?),
        None => None,
    };
    let elements = evaluator.vector(&aggregation.inner, at)?;
    let number = match &param {
        Some(Worked::Scalar(value)) => *value,
        _ => f64::NAN,
    };
    match (aggregation.op, &param) {
        (AggregateOp::CountValues, Some(Worked::String(label))) => count_values(aggregation, elements, label),
        (AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK, _) => pick(aggregation, elements, number),
        _ => Ok(reduce(aggregation, elements, number)),
    }
}

fn groups(aggregation: &Aggregate, elements: Vec<Element>) -> Vec<(Labels, Vec<Element>)> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<Element>)> = Vec::new();
    for element in elements {
        let key = signature(&aggregation.grouping, &element.labels);
        let at = *places.entry(key.clone()).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(element);
    }
    groups
}

fn reduce(aggregation: &Aggregate, elements: Vec<Element>, param: f64) -> Vec<Element> {
    let one = |(labels, members): (Labels, Vec<Element>)| {
        let mut values: Vec<f64> = members.iter().map(|member| member.value).collect();
        Element { labels, value: reduced(aggregation.op, &mut values, param) }
    };
    groups(aggregation, elements).into_iter().map(one).collect()
}

fn reduced(op: AggregateOp, values: &mut [f64], param: f64) -> f64 {
    match op {
        AggregateOp::Sum => values.iter().fold(Sum::default(), |sum, value| sum.plus(*value)).total(),
        AggregateOp::Avg => values.iter().fold(Mean::default(), |mean, value| mean.plus(*value)).value(),
        AggregateOp::Min => extreme(values, |a, b| a < b),
        AggregateOp::Max => extreme(values, |a, b| a > b),
        AggregateOp::Count => values.len() as f64,
        AggregateOp::Stdvar => variance(values),
        AggregateOp::Stddev => variance(values).sqrt(),
        AggregateOp::Quantile => quantile(param, values),
        _ => 1.0,
    }
}

/// NaN only if all values are.
pub(super) fn extreme(values: &[f64], better: impl Fn(f64, f64) -> bool) -> f64 {
    values.iter().copied().fold(f64::NAN, |best, value| if best.is_nan() || better(value, best) { value } else { best })
}

/// Welford's population variance, as Prometheus' aggregation computes it.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares, mut count) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean;
        mean += delta / count;
        squares += delta * (value - mean);
    }
    squares / count
}

fn count_values(aggregation: &Aggregate, elements: Vec<Element>, label: &str) -> Result<Vec<Element>, EvalError> {
    if !is_valid_label_name(label) {
        return Err(EvalError::data(format!("invalid label name {label:?} in count_values")));
    }
    let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
    for element in elements {
        let labels = signature(&aggregation.grouping, &element.labels).with(label, render_plain(element.value));
        *counts.entry(labels).or_default() += 1.0;
    }
    Ok(counts.into_iter().map(|(labels, value)| Element { labels, value }).collect())
}

fn pick(aggregation: &Aggregate, elements: Vec<Element>, k: f64) -> Result<Vec<Element>, EvalError> {
    if k.is_nan() {
        return Err(EvalError::data("parameter value is NaN"));
    }
    if k < 1.0 {
        return Ok(Vec::new());
    }
    let k = k as usize;
    let mut picked = Vec::new();
    for (_, mut members) in groups(aggregation, elements) {
        match aggregation.op {
            AggregateOp::TopK => members.sort_by(|a, b| descending(a.value, b.value)),
            AggregateOp::BottomK => members.sort_by(|a, b| nan_last(a.value, b.value)),
            _ => {}
        }
        members.truncate(k);
        picked.append(&mut members);
    }
    unique(picked)
}
