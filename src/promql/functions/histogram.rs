//! Quantiles and fractions of classic histograms: series that differ only in `le`.

use crate::model::Labels;

use super::super::error::EvalError;
use super::super::eval::{Evaluator, Merge, Overlap, Sink};
use super::super::grid::{ABSENT, Grid, has_values, is_absent};
use super::super::notes::Note;
use super::super::plan::{Call, Grouping, Kind};
use super::super::tag::{Groups, Tag};
use super::{ApplyVector, Function};

/// Differences between buckets that are smaller than this part of them come from rounding.
const TOLERANCE: f64 = 1e-12;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::vector("histogram_quantile", &[Kind::Scalar, Kind::Vector], |evaluator, call, grid, sink| {
        let quantiles = evaluator.scalar(&call.args[0], grid)?;
        evaluator.noted.check_quantiles(call.places[0], &quantiles);
        of_buckets(evaluator, call, 1, grid, sink, |step, metric, buckets| {
            let (value, fixed) = quantile(quantiles[step], buckets);
            if fixed {
                evaluator.noted.add(call.places[1], Note::Monotonicity(metric.to_owned()));
            }
            value
        })
    }),
    Function::vector(
        "histogram_fraction",
        &[Kind::Scalar, Kind::Scalar, Kind::Vector],
        |evaluator, call, grid, sink| {
            let lower = evaluator.scalar(&call.args[0], grid)?;
            let upper = evaluator.scalar(&call.args[1], grid)?;
            of_buckets(evaluator, call, 2, grid, sink, |step, _, buckets| fraction(lower[step], upper[step], buckets))
        },
    ),
    of_native("histogram_avg", native),
    of_native("histogram_count", native),
    of_native("histogram_sum", native),
    of_native("histogram_stddev", native),
    of_native("histogram_stdvar", native),
];

const fn of_native(name: &'static str, apply: ApplyVector) -> Function {
    Function::vector(name, &[Kind::Vector], apply)
}

/// Floats are no native histograms, so that there is nothing to tell of them; what is wrong with them is still found.
fn native(evaluator: &Evaluator<'_>, call: &Call, grid: Grid, _: &mut Sink<'_>) -> Result<(), EvalError> {
    evaluator.each(&call.args[0], grid, &mut |_, _| Ok(()))
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Inclusive upper bound.
    upper: f64,
    /// Cumulative.
    count: f64,
}

/// The series of one histogram, by the upper bounds of their buckets.
struct Histogram {
    labels: Labels,
    metric: String,
    columns: Vec<(f64, Vec<f64>)>,
}

/// Applies a function to the buckets of each histogram at each step.
fn of_buckets(
    evaluator: &Evaluator<'_>,
    call: &Call,
    arg: usize,
    grid: Grid,
    sink: &mut Sink<'_>,
    mut apply: impl FnMut(usize, &str, &mut Vec<Bucket>) -> f64,
) -> Result<(), EvalError> {
    let without_le = Grouping::Without(vec!["le".to_owned()]);
    let mut numbers = Groups::with_name(&without_le);
    let mut histograms: Vec<Histogram> = Vec::new();
    evaluator.each(&call.args[arg], grid, &mut |tag, column| {
        if !has_values(column) {
            return Ok(());
        }
        let le = tag.get("le").unwrap_or_default();
        let Some(upper) = bound(le) else {
            let note = Note::BadBucket(tag.metric_name().to_owned(), le.to_owned());
            evaluator.noted.add(call.places[arg], note);
            return Ok(());
        };
        let number = numbers.number(&tag);
        if number == histograms.len() {
            let (labels, metric) = (tag.without(|name| name == "le"), tag.metric_name().to_owned());
            histograms.push(Histogram { labels, metric, columns: Vec::new() });
        }
        evaluator.budget.hold(grid.count)?;
        histograms[number].columns.push((upper, column.to_vec()));
        Ok(())
    })?;
    let mut merge = Merge::new(evaluator, grid, Overlap::Step);
    let (mut column, mut buckets) = (vec![ABSENT; grid.count], Vec::new());
    for Histogram { labels, metric, mut columns } in histograms {
        columns.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut is_first = true;
        for (step, slot) in column.iter_mut().enumerate() {
            let present = columns.iter().filter(|(_, column)| !is_absent(column[step]));
            gather(present.map(|(upper, column)| Bucket { upper: *upper, count: column[step] }), &mut buckets);
            if buckets.is_empty() {
                *slot = ABSENT;
                continue;
            }
            // Prometheus has forgotten the name when it comes to a histogram again.
            let metric = if std::mem::take(&mut is_first) { metric.as_str() } else { "" };
            *slot = apply(step, metric, &mut buckets);
        }
        evaluator.budget.release(columns.len() * grid.count);
        merge.add(Tag::new(labels).without_name().labels(), &column)?;
    }
    merge.hand_out(sink)
}

/// A bound as Go's `ParseFloat` reads it.
fn bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Takes buckets in order of their bounds; those of equal bounds are added up.
fn gather(sorted: impl Iterator<Item = Bucket>, buckets: &mut Vec<Bucket>) {
    buckets.clear();
    for bucket in sorted {
        match buckets.last_mut() {
            #[expect(clippy::float_cmp, reason = "only the same bound written twice is merged")]
            Some(last) if last.upper == bucket.upper => last.count += bucket.count,
            _ => buckets.push(bucket),
        }
    }
}

/// Whether there is no bucket for everything: then nothing can be told.
fn is_open(buckets: &[Bucket]) -> bool {
    buckets.last().is_none_or(|last| last.upper != f64::INFINITY)
}

/// Cumulative counts cannot fall; where scrapes or rates make them, the lower value is raised. Says whether that was
/// needed for more than rounding.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let Some(mut before) = buckets.first().map(|first| first.count) else {
        return false;
    };
    let mut fixed = false;
    for bucket in &mut buckets[1..] {
        if almost_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            bucket.count = before;
            fixed = true;
        } else if !bucket.count.is_nan() {
            before = bucket.count;
        }
    }
    fixed
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

/// The quantile, and whether the buckets had to be mended for it.
fn quantile(q: f64, buckets: &mut [Bucket]) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if is_open(buckets) {
        return (f64::NAN, false);
    }
    let fixed = make_monotonic(buckets);
    (interpolated(q, buckets), fixed)
}

fn interpolated(q: f64, buckets: &[Bucket]) -> f64 {
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
    if is_open(buckets) || total == 0.0 || lower.is_nan() || upper.is_nan() {
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
