//! One series: its labels, compressed chunks, and the newest samples as they came.

use std::time::Duration;

use super::chunk::{CHUNK_SAMPLES, Chunk};
use super::cut::{Latest, Shared, Span};
use super::disk::Blocks;
use super::shape::SeriesRef;
use super::tail::Tail;
use crate::model::{Labels, Millis, is_stale};

/// Writers that are no source of pictures, such as remote write. Nobody ends their series.
pub(super) const EXTERNAL: u32 = 0;

/// So many of the newest samples are kept as they came; then the older part of them goes into a chunk.
///
/// A sample here is read in a nanosecond instead of ten, and takes 12 bytes instead of about two. At 15 s the tail holds
/// five minutes at least, which is what most rules ask for, in at most 384 bytes a series.
const TAIL_SAMPLES: usize = 32;
/// So many samples go into a chunk at once.
const SEALED_AT_ONCE: usize = 12;

/// However long the retention is.
const LONGEST_CHUNK: Duration = Duration::from_hours(30 * 24);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) labels: Labels,
    /// Which series it is.
    pub(super) reference: SeriesRef,
    /// The record that showed the series last; tells which series of a source vanished.
    pub(super) seen: u64,
    /// Who wrote the last sample. Only that source may end the series.
    pub(super) source: u32,
    chunks: Vec<Chunk>,
    /// Later than all chunks; empty only in a series without samples.
    tail: Tail,
    /// Up to here its samples are in blocks on disk.
    stored: Millis,
    /// Up to here no late sample is taken: they are in a block, or in one that is being written. Not before `stored`.
    closed: Millis,
}

/// What became of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Newer than all before.
    Appended,
    /// Put between older ones.
    Inserted,
    /// It was there already, with this value.
    Known,
    /// There is another value at its time.
    Duplicate,
    /// Older than the newest by more than the window.
    TooOld,
}

impl Entry {
    pub(super) fn new(labels: Labels, reference: SeriesRef) -> Self {
        let (chunks, tail, never) = (Vec::new(), Tail::default(), Millis(i64::MIN));
        Self { labels, reference, seen: 0, source: EXTERNAL, chunks, tail, stored: never, closed: never }
    }

    /// The time of the last sample.
    pub(super) fn last(&self) -> Option<Millis> {
        self.tail.last().map(|(at, _)| at)
    }

    /// Whether the last sample is a staleness marker.
    pub(super) fn has_ended(&self) -> bool {
        self.tail.last().is_some_and(|(_, value)| is_stale(value))
    }

    /// Takes a sample; one that is not newer than the last, by up to `window` before it. A chunk ends when it is full or
    /// longer than `span`.
    pub(super) fn put(&mut self, at: Millis, value: f64, span: Duration, window: Duration) -> Fate {
        let Some((last, known)) = self.tail.last().filter(|(last, _)| at <= *last) else {
            self.append(at, value, span);
            return Fate::Appended;
        };
        if at == last {
            return same_or_duplicate(known, value);
        }
        // A block is not written again.
        if last.since(at) > window || at <= self.closed {
            return Fate::TooOld;
        }
        self.insert(at, value, span)
    }

    fn append(&mut self, at: Millis, value: f64, span: Duration) {
        if !self.tail.reaches(at) {
            self.seal(self.tail.len(), span);
        } else if self.tail.len() >= TAIL_SAMPLES {
            self.seal(SEALED_AT_ONCE, span);
        }
        self.tail.push(at, value);
    }

    fn insert(&mut self, at: Millis, value: f64, span: Duration) -> Fate {
        let behind = self.chunks.partition_point(|chunk| chunk.last() < at);
        let in_tail = behind == self.chunks.len();
        let mut samples = if in_tail { self.tail.samples() } else { self.chunks[behind].samples() };
        match samples.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(same) => return same_or_duplicate(samples[same].1, value),
            Err(place) => samples.insert(place, (at, value)),
        }
        if in_tail {
            self.tail.replace(samples);
            if self.tail.len() > TAIL_SAMPLES {
                self.seal(SEALED_AT_ONCE, span);
            }
        } else {
            // So that a sender that fills a gap sample by sample does not rewrite an ever longer chunk.
            let pieces = samples.chunks(samples.len().div_ceil(1 + samples.len() / (2 * CHUNK_SAMPLES)));
            self.chunks.splice(behind..=behind, pieces.map(Chunk::of));
        }
        Fate::Inserted
    }

    /// Moves the oldest `count` samples of the tail into the last chunk, or a new one.
    fn seal(&mut self, count: usize, span: Duration) {
        let samples = self.tail.take_first(count);
        // A chunk's length is 32 bits of milliseconds, 49 days; a late sample may still lengthen it.
        let longest = span.min(LONGEST_CHUNK);
        let mut rest = samples.as_slice();
        while let [(next, _), ..] = rest {
            let open = |chunk: &&mut Chunk| chunk.count() < CHUNK_SAMPLES && next.since(chunk.first()) <= longest;
            let open = self.chunks.last_mut().filter(open);
            let first = open.as_ref().map_or(*next, |chunk| chunk.first());
            let (now, later) = rest.split_at(rest.partition_point(|(at, _)| at.since(first) <= longest));
            match open {
                Some(chunk) => *chunk = chunk.with(now),
                None => self.chunks.push(Chunk::of(now)),
            }
            rest = later;
        }
    }

    /// Forgets the chunks that end before `memory`. Says whether nothing is left since `horizon`.
    pub(super) fn trim(&mut self, horizon: Millis, memory: Millis) -> bool {
        if self.last().is_none_or(|last| last < horizon) {
            return true;
        }
        let over = self.chunks.iter().take_while(|chunk| chunk.last() < memory).count();
        self.chunks.drain(..over);
        false
    }

    /// Forgets what is not before `at`. Says whether nothing is left. Only when memory does not reach back to `at` a block
    /// is read for the last sample before it: a clock is rarely set back so far.
    pub(super) fn rewind(&mut self, at: Millis, blocks: &Blocks) -> bool {
        let before = Millis(at.0.saturating_sub(1));
        self.stored = self.stored.min(before);
        self.closed = self.closed.min(before);
        if self.last().is_some_and(|last| last < at) {
            return false;
        }
        let mut kept = self.tail.samples();
        kept.retain(|sample| sample.0 < at);
        if kept.is_empty() {
            self.chunks.truncate(self.chunks.partition_point(|chunk| chunk.first() < at));
            if let Some(chunk) = self.chunks.pop() {
                chunk.copy_into(&mut kept, Millis(i64::MIN), before);
            }
        }
        if kept.is_empty() && self.stored > Millis(i64::MIN) {
            kept.extend(blocks.latest(self.reference, (Millis(i64::MIN), before)));
        }
        let newest = kept.split_off(kept.len().saturating_sub(SEALED_AT_ONCE));
        if !kept.is_empty() {
            self.chunks.push(Chunk::of(&kept));
        }
        self.tail.replace(newest);
        self.tail.last().is_none()
    }

    /// Which of the samples may lie in `(after, until]`: those of the chunks that reach into it, and the tail's. Nothing
    /// if there are none. What is found is added to `shared`.
    pub(super) fn cut(&self, after: Millis, until: Millis, shared: &mut Shared) -> Option<Span> {
        let stored = self.stored_until(shared.blocks(), after, until);
        let tail = self.tail.within(after, until);
        // The chunks are before the tail: where the tail begins in time, they are not looked at.
        let all_in_tail = self.chunks.is_empty() || tail.start > 0;
        let chunks = if all_in_tail { &[][..] } else { &self.chunks[self.chunks_within(after, until)] };
        if chunks.is_empty() && tail.is_empty() && stored <= after {
            return None;
        }
        let copy = |samples: &mut Vec<_>| self.tail.copy_into(tail, samples);
        Some(shared.add(chunks, copy, (self.reference, stored), (after, until)))
    }

    /// Until when blocks are to be asked for what is in `(after, until]`; `after`, if they need not be.
    fn stored_until(&self, blocks: &Blocks, after: Millis, until: Millis) -> Millis {
        // Memory is whole from its first sample on.
        let first = self.chunks.first().map(Chunk::first).or_else(|| self.tail.first());
        let before = first.map_or(until, |first| Millis(first.0.saturating_sub(1)));
        let stored = self.stored.min(until).min(before);
        if stored > after && blocks.hold(self.reference, (after, stored)) { stored } else { after }
    }

    /// What is in no block yet, to be put into one. A late sample between these would be in none, though it was taken. Should
    /// the block fail, late ones are refused all the same; that matters for a minute.
    pub(super) fn take_unsaved(&mut self, shared: &mut Shared) -> Option<Span> {
        self.closed = self.last().filter(|last| *last > self.stored)?;
        self.cut(self.stored, Millis(i64::MAX), shared)
    }

    /// Blocks hold what is up to `last`.
    pub(super) fn saved(&mut self, last: Millis) {
        self.stored = self.stored.max(last);
        self.closed = self.closed.max(last);
        let over = self.chunks.iter().take_while(|chunk| chunk.last() <= self.stored).count();
        self.chunks.drain(..over);
        self.chunks.shrink_to_fit();
    }

    /// Its last sample so far is in a block.
    pub(super) fn restore(&mut self, last: (Millis, f64)) {
        self.stored = self.stored.max(last.0);
        self.closed = self.closed.max(last.0);
        if self.last().is_none_or(|at| at < last.0) {
            self.tail.replace([last]);
        }
    }

    /// Whether [`Self::cut`] would find something.
    pub(super) fn reaches_into(&self, blocks: &Blocks, after: Millis, until: Millis) -> bool {
        !self.tail.within(after, until).is_empty()
            || !self.chunks_within(after, until).is_empty()
            || self.stored_until(blocks, after, until) > after
    }

    fn chunks_within(&self, after: Millis, until: Millis) -> std::ops::Range<usize> {
        let from = self.chunks.partition_point(|chunk| chunk.last() <= after);
        from..from + self.chunks[from..].partition_point(|chunk| chunk.first() <= until)
    }

    /// The last sample in `(after, until]`. Nearly always it is the very last one, and nothing need be decoded.
    #[inline]
    pub(super) fn latest(&self, blocks: &Blocks, after: Millis, until: Millis) -> Option<Latest> {
        let (at, value) = self.tail.last().filter(|(at, _)| *at > after)?;
        if at <= until {
            return Some(Latest::Known(at, value));
        }
        let tail = self.tail.within(after, until);
        if !tail.is_empty() {
            let (at, value) = self.tail.get(tail.end - 1);
            return Some(Latest::Known(at, value));
        }
        let begun = self.chunks.partition_point(|chunk| chunk.first() <= until);
        if let Some(chunk) = self.chunks[..begun].last().filter(|chunk| chunk.last() > after) {
            return Some(Latest::Within { chunk: chunk.clone(), after, until });
        }
        let until = self.stored_until(blocks, after, until);
        let (blocks, series) = (blocks.clone(), self.reference);
        (until > after).then_some(Latest::Stored { blocks, series, after, until })
    }

    #[cfg(test)]
    pub(super) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }
}

fn same_or_duplicate(known: f64, value: f64) -> Fate {
    if known.to_bits() == value.to_bits() { Fate::Known } else { Fate::Duplicate }
}

#[cfg(test)]
mod tests;
