//! The times that an expression is asked about, and the columns of values at them.

use crate::model::{Millis, STALE_BITS};

/// Evenly spaced times: `count` of them, one for an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub start: Millis,
    /// Milliseconds between two times; of no meaning where there is one.
    pub step: i64,
    /// At least 1.
    pub count: usize,
}

impl Grid {
    pub(super) fn instant(at: Millis) -> Self {
        Self { start: at, step: 1, count: 1 }
    }

    pub(super) fn time(&self, step: usize) -> Millis {
        Millis(self.start.0.saturating_add(self.step.saturating_mul(step.cast_signed() as i64)))
    }

    pub(super) fn end(&self) -> Millis {
        self.time(self.count - 1)
    }

    pub(super) fn times(self) -> impl Iterator<Item = Millis> {
        (0..self.count).map(move |step| self.time(step))
    }
}

/// Stands in a column where a series has no value at a step. The staleness marker's bits: no value of a series has them.
pub(super) const ABSENT: f64 = f64::from_bits(STALE_BITS);

/// Whether there is no value.
pub(super) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}

/// Whether a column has any value.
pub(super) fn has_values(column: &[f64]) -> bool {
    !column.iter().all(|value| is_absent(*value))
}

/// Replaces each value that is there.
pub(super) fn map_column(column: &mut [f64], mut apply: impl FnMut(usize, f64) -> f64) {
    for (step, value) in column.iter_mut().enumerate() {
        if !is_absent(*value) {
            *value = apply(step, *value);
        }
    }
}
