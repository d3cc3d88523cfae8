//! One series: its labels, sealed chunks and the open one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::chunk::{CHUNK_SAMPLES, Chunk, OpenChunk};
use crate::model::{Labels, Millis, is_stale};

/// Writers that are no source of pictures, such as remote write. Nobody ends their series.
pub(super) const EXTERNAL: u32 = 0;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) labels: Labels,
    /// Who wrote the last sample. Only that source may end the series.
    pub(super) source: u32,
    /// The record that showed the series last; tells which series of a source vanished.
    pub(super) seen: u64,
    sealed: VecDeque<Arc<Chunk>>,
    open: OpenChunk,
    last: Option<(Millis, f64)>,
}

/// The samples of a series in a time range, still compressed: copied out under the lock, decoded outside it.
#[derive(Debug)]
pub(super) struct Cut {
    sealed: Vec<Arc<Chunk>>,
    open: Option<Chunk>,
    after: Millis,
    until: Millis,
}

/// The last sample of a series in a time range: at hand, or still to be decoded.
#[derive(Debug)]
pub(super) enum Latest {
    Known(Millis, f64),
    Within(Cut),
}

impl Latest {
    pub(super) fn decode(self) -> Option<(Millis, f64)> {
        match self {
            Self::Known(at, value) => Some((at, value)),
            Self::Within(cut) => cut.decode().pop(),
        }
    }
}

impl Cut {
    pub(super) fn decode(&self) -> Vec<(Millis, f64)> {
        let mut samples = Vec::new();
        self.decode_into(&mut samples);
        samples
    }

    pub(super) fn decode_into(&self, samples: &mut Vec<(Millis, f64)>) {
        for chunk in self.sealed.iter().map(AsRef::as_ref).chain(self.open.as_ref()) {
            chunk.copy_into(samples, self.after, self.until);
        }
    }
}

impl Entry {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, source: EXTERNAL, seen: 0, sealed: VecDeque::new(), open: OpenChunk::default(), last: None }
    }

    /// The time of the last sample.
    pub(super) fn last(&self) -> Option<Millis> {
        self.last.map(|(at, _)| at)
    }

    /// Whether the last sample is a staleness marker.
    pub(super) fn has_ended(&self) -> bool {
        self.last.is_some_and(|(_, value)| is_stale(value))
    }

    /// Appends a sample, unless it is not newer than the last one. A chunk ends when it is full or longer than `span`.
    pub(super) fn push(&mut self, at: Millis, value: f64, span: Duration) -> bool {
        if self.last.is_some_and(|(last, _)| at <= last) {
            return false;
        }
        let full = self.open.count() >= CHUNK_SAMPLES;
        if full || (self.open.count() > 0 && at > self.open.first() + span) {
            let chunk = self.open.seal();
            self.sealed.push_back(Arc::new(chunk));
        }
        self.open.push(at, value);
        self.last = Some((at, value));
        true
    }

    /// Forgets the chunks that end before `horizon`. Says whether nothing is left.
    pub(super) fn trim(&mut self, horizon: Millis) -> bool {
        if self.last.is_none_or(|(last, _)| last < horizon) {
            return true;
        }
        while self.sealed.front().is_some_and(|chunk| chunk.last < horizon) {
            self.sealed.pop_front();
        }
        false
    }

    /// Forgets what is not before `at`. Says whether nothing is left.
    pub(super) fn rewind(&mut self, at: Millis) -> bool {
        if self.last.is_some_and(|(last, _)| last < at) {
            return false;
        }
        self.sealed.truncate(self.sealed.partition_point(|chunk| chunk.first < at));
        let in_open = self.open.count() > 0 && self.open.first() < at;
        let tail = if in_open { Some(Arc::new(self.open.copy())) } else { self.sealed.pop_back() };
        let mut kept = Vec::new();
        if let Some(tail) = tail {
            tail.copy_into(&mut kept, Millis(i64::MIN), Millis(at.0.saturating_sub(1)));
        }
        self.open = OpenChunk::default();
        for (at, value) in &kept {
            self.open.push(*at, *value);
        }
        self.last = kept.last().copied();
        self.last.is_none()
    }

    /// What lies in `(after, until]`, or nothing if no chunk reaches into it.
    pub(super) fn cut(&self, after: Millis, until: Millis) -> Option<Cut> {
        let overlaps = |first: Millis, last: Millis| last > after && first <= until;
        let from = self.sealed.partition_point(|chunk| chunk.last <= after);
        let sealed: Vec<_> =
            self.sealed.range(from..).take_while(|chunk| chunk.first <= until).map(Arc::clone).collect();
        let in_open = self.open.count() > 0 && overlaps(self.open.first(), self.open.last());
        let open = in_open.then(|| self.open.copy());
        (!sealed.is_empty() || open.is_some()).then_some(Cut { sealed, open, after, until })
    }

    /// The last sample in `(after, until]`. Nearly always it is the very last one, and nothing need be decoded.
    pub(super) fn latest(&self, after: Millis, until: Millis) -> Option<Latest> {
        let (at, value) = self.last.filter(|(at, _)| *at > after)?;
        if at <= until { Some(Latest::Known(at, value)) } else { self.cut(after, until).map(Latest::Within) }
    }

    #[cfg(test)]
    pub(super) fn sealed(&self) -> impl Iterator<Item = &Chunk> {
        self.sealed.iter().map(AsRef::as_ref)
    }
}
