//! Quantiles and fractions of classic histograms: series that differ only in `le`.

use std::collections::BTreeMap;

use crate::model::{Labels, Millis};

use super::super::error::EvalError;
use super::super::eval::{Evaluator, unique, without_name};
use super::super::plan::Expr;
use super::super::value::{Element, Worked};
use super::Function;

/// Differences between buckets that are smaller than this part of them come from rounding.
const TOLERANCE: f64 = 1e-12;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("histogram_quantile", |evaluator, call, at| {
        let q = evaluator.scalar(&call.args[0], at)?;
        of_buckets(evaluator, &call.args[1], at, |buckets| quantile(q, buckets))
    }),
    Function::vector("histogram_fraction", |evaluator, call, at| {
        let lower = evaluator.scalar(&call.args[0], at)?;
        let upper = evaluator.scalar(&call.args[1], at)?;
        of_buckets(evaluator, &call.args[2], at, |buckets| fraction(lower, upper, &buckets))
    }),
];

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Inclusive upper bound.
    upper: f64,
    /// Cumulative.
    count: f64,
}

fn of_buckets(
    evaluator: &Evaluator<'_>,
    arg: &Expr,
    at: Millis,
    apply: impl Fn(Vec<Bucket>) -> f64,
) -> Result<Worked, EvalError> {
    let mut histograms: BTreeMap<Labels, Vec<Bucket>> = BTreeMap::new();
    for element in evaluator.vector(arg, at)? {
        let Some(upper) = element.labels.get("le").and_then(bound) else {
            continue;
        };
        let labels = element.labels.without(|name| name == "le");
        histograms.entry(labels).or_default().push(Bucket { upper, count: element.value });
    }
    let one = |(labels, buckets): (Labels, Vec<Bucket>)| {
        let value = prepare(buckets).map_or(f64::NAN, &apply);
        Element { labels: without_name(&labels), value }
    };
    unique(histograms.into_iter().map(one).collect()).map(Worked::Vector)
}

/// A bound as Go's `ParseFloat` reads it.
fn bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Sorted, equal bounds merged; `None` without a bucket for everything.
fn prepare(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last()?.upper != f64::INFINITY {
        return None;
    }
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match merged.last_mut() {
            #[expect(clippy::float_cmp, reason = "only the same bound written twice is merged")]
            Some(last) if last.upper == bucket.upper => last.count += bucket.count,
            _ => merged.push(bucket),
        }
    }
    Some(merged)
}

/// Cumulative counts cannot fall; where scrapes or rates make them, the lower value is raised.
fn make_monotonic(buckets: &mut [Bucket]) {
    let Some(mut before) = buckets.first().map(|first| first.count) else {
        return;
    };
    for bucket in &mut buckets[1..] {
        if bucket.count < before || almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if !bucket.count.is_nan() {
            before = bucket.count;
        }
    }
}

#[expect(clippy::float_cmp, reason = "exact equality comes before the tolerance")]
fn almost_equal(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == b {
        true
    } else if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        difference < TOLERANCE * f64::MIN_POSITIVE
    } else {
        difference / sum.min(f64::MAX) < TOLERANCE
    }
}

fn quantile(q: f64, mut buckets: Vec<Bucket>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    make_monotonic(&mut buckets);
    let last = buckets.len() - 1;
    let total = buckets[last].count;
    if last == 0 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = q * total;
    let at = buckets[..last].partition_point(|bucket| bucket.count < rank);
    if at == last {
        return buckets[last - 1].upper;
    }
    let Bucket { upper, count } = buckets[at];
    if at == 0 {
        return if upper <= 0.0 { upper } else { upper * (rank / count) };
    }
    let below = buckets[at - 1];
    below.upper + (upper - below.upper) * ((rank - below.count) / (count - below.count))
}

#[expect(clippy::float_cmp, reason = "a bound asked for is the bucket's bound or lies within it")]
fn fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    // How many are below a value. Prometheus 3.5 takes the first bucket to reach down without end, so that nothing
    // can be said about a value within it: NaN.
    let below = |value: f64| {
        let (mut from, mut rank) = (f64::NEG_INFINITY, 0.0);
        for bucket in buckets {
            if value == from {
                return rank;
            }
            if value < bucket.upper {
                return rank + (bucket.count - rank) * (value - from) / (bucket.upper - from);
            }
            (from, rank) = (bucket.upper, bucket.count);
        }
        total
    };
    let (lower, upper) = (below(lower), below(upper));
    let capped = |rank: f64| if rank > total { total } else { rank };
    (capped(upper) - capped(lower)) / total
}
