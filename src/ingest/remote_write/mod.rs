//! Remote write 1.0: what a Prometheus sends, into the store.
//!
//! In: a body, packed with snappy: a `prometheus.WriteRequest` in protobuf. Out: its samples in the store, and how many of
//! them could not be taken, and why.
//!
//! Invariants: a body that cannot be read to its end changes nothing; memory is bounded by [`MAX_UNPACKED`] and by a
//! batch of [`BATCH`] series and [`BATCH_SAMPLES`] samples; the store is locked for one batch at a time.

mod label;
mod wire;

pub use wire::{Malformed, Series, WriteRequest};

use std::fmt;

use crate::model::{Labels, Millis};
use crate::store::{self, Rejection, Store};

/// Larger bodies are refused. Prometheus sends 2,000 samples in a request, packed well below 100 kB.
pub const MAX_PACKED: usize = 4 << 20;
/// Bodies that unpack to more are refused, before they are unpacked.
pub const MAX_UNPACKED: usize = 32 << 20;

/// Series handed to the store at once.
const BATCH: usize = 512;
/// Samples handed to the store at once, 16 bytes each: a series with more comes in pieces.
const BATCH_SAMPLES: usize = 32 << 10;

/// Why a whole body was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not snappy's block format.
    #[error("the body is not packed in snappy's block format: {0}")]
    Snappy(String),
    /// It would take too much memory.
    #[error("the body unpacks to {0} bytes, more than {MAX_UNPACKED}; send smaller requests (max_samples_per_send)")]
    TooLarge(usize),
    /// Not a `WriteRequest`.
    #[error("the body is no prometheus.WriteRequest: {0}")]
    Malformed(#[from] Malformed),
}

/// What became of a request's samples. One that was there already, with the same value, is in none of the figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Samples that were taken.
    pub taken: u64,
    /// Samples too far behind their series' newest one.
    pub out_of_order: u64,
    /// Samples older than the retention, or far in the future.
    pub out_of_bounds: u64,
    /// Samples at whose time another value is there.
    pub duplicate: u64,
    /// Samples of new series for which there was no place.
    pub no_place: u64,
    /// Samples of series whose labels cannot be.
    pub invalid: u64,
    /// Native histograms and exemplars: they are not kept, which is no reason to refuse anything.
    pub not_supported: u64,
    /// What is wrong with the first sample that was not taken.
    pub first_rejected: Option<String>,
}

impl Outcome {
    /// Every word for what became of samples, with how many.
    pub fn counts(&self) -> [(&'static str, u64); 7] {
        [
            ("taken", self.taken),
            ("out_of_order", self.out_of_order),
            ("out_of_bounds", self.out_of_bounds),
            ("duplicate", self.duplicate),
            ("no_place", self.no_place),
            ("invalid", self.invalid),
            ("not_supported", self.not_supported),
        ]
    }

    /// Whether all that can be kept was.
    pub fn is_whole(&self) -> bool {
        self.out_of_order + self.out_of_bounds + self.duplicate + self.no_place + self.invalid == 0
    }
}

impl fmt::Display for Outcome {
    /// What the sender reads of samples that were not taken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples taken", self.taken)?;
        let reasons = [
            (self.out_of_order, "out of order"),
            (self.out_of_bounds, "out of bounds (older than storage.retention, or in the future)"),
            (self.duplicate, "duplicate for their time with another value"),
            (self.no_place, "of new series beyond storage.max_series"),
            (self.invalid, "with labels that cannot be"),
        ];
        for (count, reason) in reasons.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} not: {reason}")?;
        }
        self.first_rejected.as_ref().map_or(Ok(()), |first| write!(f, "; the first: {first}"))
    }
}

/// Takes a packed body into the store.
///
/// # Errors
/// A body that cannot be read; then nothing of it was taken.
pub fn take(packed: &[u8], store: &Store) -> Result<Outcome, BodyError> {
    let body = unpack(packed)?;
    // Read to its end first: what breaks off is refused whole, and its sender does not come again with it.
    for series in WriteRequest::new(&body) {
        series?;
    }
    let mut outcome = Outcome::default();
    let mut texts = label::Texts::default();
    let mut batch = Batch::default();
    for series in WriteRequest::new(&body).flatten() {
        outcome.not_supported += series.exemplars + series.histograms;
        if let Err(why) = label::check(&series.labels) {
            outcome.invalid += series.samples;
            outcome.first_rejected.get_or_insert(why);
        } else if series.samples > 0 {
            let labels = Labels::new(series.labels.iter().map(|(name, value)| (texts.get(name), texts.get(value))));
            batch.add(&labels, series.samples(), |batch| hand_over(batch, store, &mut outcome));
        }
    }
    hand_over(&mut batch.series, store, &mut outcome);
    Ok(outcome)
}

/// Series on their way into the store.
#[derive(Debug, Default)]
struct Batch {
    series: Vec<store::Series>,
    samples: usize,
}

impl Batch {
    /// Adds a series and hands over whenever the batch is full, perhaps in the middle of the series.
    fn add(
        &mut self,
        labels: &Labels,
        samples: impl Iterator<Item = (Millis, f64)>,
        mut hand_over: impl FnMut(&mut Vec<store::Series>),
    ) {
        let mut samples = samples.peekable();
        while samples.peek().is_some() {
            let piece: Vec<_> = samples.by_ref().take(BATCH_SAMPLES - self.samples).collect();
            self.samples += piece.len();
            self.series.push(store::Series { labels: labels.clone(), samples: piece });
            if self.series.len() == BATCH || self.samples == BATCH_SAMPLES {
                hand_over(&mut self.series);
                self.samples = 0;
            }
        }
    }
}

fn hand_over(batch: &mut Vec<store::Series>, store: &Store, outcome: &mut Outcome) {
    if batch.is_empty() {
        return;
    }
    let appended = store.append_external(batch);
    outcome.taken += appended.appended;
    outcome.out_of_order += appended.out_of_order;
    outcome.out_of_bounds += appended.out_of_bounds;
    outcome.duplicate += appended.duplicate;
    outcome.no_place += appended.refused;
    if let Some((labels, why)) = appended.first_rejected {
        let why = match why {
            Rejection::OverLimit => "no place for a new series",
            Rejection::OutOfBounds => "out of bounds",
            Rejection::OutOfOrder => "out of order sample",
            Rejection::Duplicate => "duplicate sample for timestamp",
        };
        outcome.first_rejected.get_or_insert_with(|| format!("{why} in {labels}"));
    }
    batch.clear();
}

fn unpack(packed: &[u8]) -> Result<Vec<u8>, BodyError> {
    let corrupt = |error: snap::Error| BodyError::Snappy(error.to_string());
    let length = snap::raw::decompress_len(packed).map_err(corrupt)?;
    if length > MAX_UNPACKED {
        return Err(BodyError::TooLarge(length));
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(corrupt)
}

#[cfg(test)]
mod tests;
