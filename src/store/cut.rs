//! What a reader takes along from under the lock: chunks by reference, the newest samples copied. Decoded outside of it.

use std::ops::Range;
use std::sync::Arc;

use super::Run;
use super::chunk::Chunk;
use super::disk::Blocks;
use super::shape::SeriesRef;
use crate::model::{Labels, Millis};

/// What all series of one question found, one behind the other: two growing rows, not two allocations per series.
#[derive(Debug, Default)]
pub(super) struct Shared {
    chunks: Vec<Chunk>,
    samples: Vec<(Millis, f64)>,
    /// For what memory does not hold any more.
    blocks: Blocks,
}

/// One series' part.
#[derive(Debug)]
pub(super) struct Span {
    chunks: Range<usize>,
    samples: Range<usize>,
    /// The series in the blocks, and until when they are to be asked; until `after`: not at all.
    stored: (SeriesRef, Millis),
    after: Millis,
    until: Millis,
}

impl Shared {
    /// For a question that may go back to blocks.
    pub(super) fn with(blocks: &Blocks) -> Self {
        Self { blocks: blocks.clone(), ..Self::default() }
    }

    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Takes one series' chunks, and the newer samples that `copy` appends.
    pub(super) fn add(
        &mut self,
        chunks: &[Chunk],
        copy: impl FnOnce(&mut Vec<(Millis, f64)>),
        stored: (SeriesRef, Millis),
        (after, until): (Millis, Millis),
    ) -> Span {
        let from = (self.chunks.len(), self.samples.len());
        self.chunks.extend_from_slice(chunks);
        copy(&mut self.samples);
        Span { chunks: from.0..self.chunks.len(), samples: from.1..self.samples.len(), stored, after, until }
    }

    /// The series to be read one after the other.
    pub(super) fn into_runs(self, spans: Vec<(Labels, Span)>) -> Vec<Run> {
        let shared = Arc::new(self);
        spans.into_iter().map(|(labels, span)| Run { labels, cut: Cut { shared: Arc::clone(&shared), span } }).collect()
    }
}

/// The samples of a series in a time range, to be decoded.
#[derive(Debug)]
pub(super) struct Cut {
    shared: Arc<Shared>,
    span: Span,
}

impl Cut {
    pub(super) fn decode_into(&self, out: &mut Vec<(Millis, f64)>) {
        let Span { chunks, samples, stored: (series, stored), after, until } = &self.span;
        if stored > after {
            self.shared.blocks.read(*series, (*after, *stored), out);
        }
        for chunk in &self.shared.chunks[chunks.clone()] {
            chunk.copy_into(out, *after, *until);
        }
        out.extend_from_slice(&self.shared.samples[samples.clone()]);
    }
}

/// The last sample of a series in a time range: at hand, or still to be decoded.
#[derive(Debug)]
pub(super) enum Latest {
    Known(Millis, f64),
    Within { chunk: Chunk, after: Millis, until: Millis },
    Stored { blocks: Blocks, series: SeriesRef, after: Millis, until: Millis },
}

impl Latest {
    pub(super) fn decode(self) -> Option<(Millis, f64)> {
        match self {
            Self::Known(at, value) => Some((at, value)),
            Self::Within { chunk, after, until } => chunk.latest(after, until),
            Self::Stored { blocks, series, after, until } => blocks.latest(series, (after, until)),
        }
    }
}
