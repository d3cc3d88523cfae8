//! What a query may cost: samples read, memory held, and time until whoever asked gives up.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use super::Options;
use super::error::EvalError;

/// Counts while the query is answered. A series is read, worked on and let go; only what is held counts as memory.
pub(super) struct Budget<'o> {
    options: &'o Options,
    read: Cell<usize>,
    /// Values that are held, of 8 bytes each.
    held: Cell<usize>,
}

impl<'o> Budget<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        Self { options, read: Cell::new(0), held: Cell::new(0) }
    }

    /// A series with so many samples was read. Called for each, so it also looks whether anybody still waits.
    pub(super) fn read(&self, samples: usize) -> Result<(), EvalError> {
        self.go_on()?;
        let read = self.read.get() + samples;
        self.read.set(read);
        let limit = self.options.max_samples_read;
        if read > limit {
            return Err(EvalError::TooMuch(format!("it reads more than {limit} samples")));
        }
        Ok(())
    }

    /// So many values of a column are kept until [`Self::release`].
    pub(super) fn hold(&self, values: usize) -> Result<(), EvalError> {
        self.go_on()?;
        let held = self.held.get() + values;
        self.held.set(held);
        // A sample is a time and a value, a column's value stands alone.
        if held.div_ceil(2) > self.options.max_samples {
            let limit = self.options.max_samples;
            return Err(EvalError::TooMuch(format!("it needs more than {limit} samples in memory at once")));
        }
        Ok(())
    }

    pub(super) fn release(&self, values: usize) {
        self.held.set(self.held.get().saturating_sub(values));
    }

    /// Whether anybody still waits.
    pub(super) fn go_on(&self) -> Result<(), EvalError> {
        match &self.options.cancel {
            Some(cancel) if cancel.load(Ordering::Relaxed) => Err(EvalError::Cancelled),
            _ => Ok(()),
        }
    }
}
