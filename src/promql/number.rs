//! Arithmetic as Prometheus does it: compensated sums, Go's `math.Min` and number texts.

use std::cmp::Ordering;

/// A Kahan-Babuška (Neumaier) sum: what rounding loses is kept beside it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub sum: f64,
    pub lost: f64,
}

impl Sum {
    #[must_use]
    pub(super) fn plus(self, add: f64) -> Self {
        let total = self.sum + add;
        let lost = if total.is_infinite() {
            0.0
        } else if self.sum.abs() >= add.abs() {
            self.lost + ((self.sum - total) + add)
        } else {
            self.lost + ((add - total) + self.sum)
        };
        Self { sum: total, lost }
    }

    pub(super) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

/// A mean that sums as long as the sum fits, and goes on incrementally when it would overflow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    sum: Sum,
    count: f64,
    incremental: bool,
}

impl Mean {
    #[must_use]
    pub(super) fn plus(mut self, value: f64) -> Self {
        self.count += 1.0;
        if self.count <= 1.0 {
            self.sum = Sum { sum: value, lost: 0.0 };
            return self;
        }
        if !self.incremental {
            let next = self.sum.plus(value);
            if !next.sum.is_infinite() {
                self.sum = next;
                return self;
            }
            self.incremental = true;
            let before = self.count - 1.0;
            self.sum = Sum { sum: self.sum.sum / before, lost: self.sum.lost / before };
        }
        let share = (self.count - 1.0) / self.count;
        self.sum = Sum { sum: share * self.sum.sum, lost: share * self.sum.lost }.plus(value / self.count);
        self
    }

    pub(super) fn value(self) -> f64 {
        if self.incremental {
            self.sum.sum + self.sum.lost
        } else {
            self.sum.sum / self.count + self.sum.lost / self.count
        }
    }
}

/// The φ-quantile of the values, which are sorted in place; NaN counts as the smallest.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| nan_first(*a, *b));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = rank.floor();
    let weight = rank - lower;
    let lower = lower as usize;
    values[lower] * (1.0 - weight) + values[(lower + 1).min(last)] * weight
}

/// Ascending, NaN before all numbers.
pub(super) fn nan_first(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Ascending, NaN behind all numbers.
pub(super) fn nan_last(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Descending, NaN behind all numbers.
pub(super) fn descending(a: f64, b: f64) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then_with(|| nan_last(b, a))
}

/// Go's `math.Min`: NaN if either is, unless the other is the least there can be.
pub(super) fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// Go's `math.Max`: NaN if either is, unless the other is the most there can be.
pub(super) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compensated_sum_keeps_what_rounding_loses() {
        let sum = [1.0, 1e100, 1.0, -1e100].iter().fold(Sum::default(), |sum, value| sum.plus(*value));
        assert!((sum.total() - 2.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_mean_survives_an_overflowing_sum() {
        let mean = [f64::MAX, f64::MAX].iter().fold(Mean::default(), |mean, value| mean.plus(*value));
        assert!(mean.value() >= f64::MAX);
    }
}
