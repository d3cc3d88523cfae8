//! Compressed runs of samples: Gorilla's delta-of-delta times and xored values
//! (Pelkonen et al., “Gorilla: A Fast, Scalable, In-Memory Time Series Database”, VLDB 2015).
//!
//! The classes of times are smaller than Prometheus': a look's time is off its slot by a few milliseconds, which must
//! not cost two bytes each time. A value whose changing bits became much fewer gets a new, narrower window at once.
//!
//! A chunk is one allocation: its head (how many samples, how long), the first sample, and the bits of the others. It is
//! never changed, so a reader holds it without copying; to go on with a chunk is to write a longer one in its place.
//!
//! Invariants: what goes in comes out bit for bit, whatever NaN it is; no bytes whatever make the reader fail.

use std::sync::Arc;

use super::bits::{BitReader, BitWriter};
use crate::model::Millis;

/// A chunk with so many samples is not gone on with. It can be read from its beginning alone: who looks at the last half hour
/// decodes half a chunk too much for each series.
pub(super) const CHUNK_SAMPLES: usize = 60;

/// Widths of a delta of deltas, each behind one more leading 1; what fits none takes 64 bits.
const TIME_WIDTHS: [u32; 3] = [7, 13, 22];
/// Number of samples and length in milliseconds.
const HEAD: usize = 2 + 4;
/// So narrow windows are nearly always in the word that was loaded.
const SURE: u32 = 40;
/// What a new window of bits costs to write down.
const WINDOW: u32 = 5 + 6;

/// Finished samples.
#[derive(Debug, Clone)]
pub(super) struct Chunk(Arc<[u8]>);

impl Chunk {
    /// Samples in order of time, at most 65,535 and not further apart than a `u32` of milliseconds.
    pub(super) fn of(samples: &[(Millis, f64)]) -> Self {
        Self::written(Encoder::default(), samples)
    }

    /// This chunk and the later `samples` as one.
    pub(super) fn with(&self, samples: &[(Millis, f64)]) -> Self {
        Self::written(Encoder::resume(self, samples.len()), samples)
    }

    fn written(mut encoder: Encoder, samples: &[(Millis, f64)]) -> Self {
        for (at, value) in samples {
            encoder.push(*at, *value);
        }
        encoder.finish()
    }

    /// The chunk as it may be stored elsewhere; [`Self::from_bytes`] makes it again.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the history on disk"))]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A chunk of bytes that [`Self::bytes`] gave. Nothing if they are too short to be one.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the history on disk"))]
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= HEAD + 16).then(|| Self(bytes.into()))
    }

    pub(super) fn count(&self) -> usize {
        usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }

    pub(super) fn first(&self) -> Millis {
        Millis(BitReader::new(&self.0[HEAD..]).read(64).cast_signed())
    }

    pub(super) fn last(&self) -> Millis {
        let length = u32::from_le_bytes([self.0[2], self.0[3], self.0[4], self.0[5]]);
        Millis(self.first().0.saturating_add(i64::from(length)))
    }

    /// Appends those of its samples that are in `(after, until]`.
    pub(super) fn copy_into(&self, out: &mut Vec<(Millis, f64)>, after: Millis, until: Millis) {
        out.reserve(self.count());
        let mut decoder = Decoder::of(self);
        let samples = (0..self.count()).map(|_| decoder.next()).skip_while(|(at, _)| *at <= after);
        // The chunk that reaches beyond the end is the rare one.
        if self.last() <= until {
            samples.for_each(|sample| out.push(sample));
        } else {
            samples.take_while(|(at, _)| *at <= until).for_each(|sample| out.push(sample));
        }
    }

    /// The last of its samples in `(after, until]`.
    pub(super) fn latest(&self, after: Millis, until: Millis) -> Option<(Millis, f64)> {
        let mut decoder = Decoder::of(self);
        let mut latest = None;
        for _ in 0..self.count() {
            let sample = decoder.next();
            if sample.0 > until {
                break;
            }
            latest = Some(sample);
        }
        latest.filter(|(at, _)| *at > after)
    }

    /// All of its samples.
    pub(super) fn samples(&self) -> Vec<(Millis, f64)> {
        let mut all = Vec::new();
        self.copy_into(&mut all, Millis(i64::MIN), Millis(i64::MAX));
        all
    }
}

/// Writes samples one behind the other. The first one's time must be before all others'.
#[derive(Debug, Default)]
struct Encoder {
    bits: BitWriter,
    count: u16,
    first: i64,
    state: State,
}

/// What a sample is written against: the one before it.
#[derive(Debug, Clone, Default)]
struct State {
    at: i64,
    delta: i64,
    value: u64,
    leading: u32,
    /// The width of the window of changing bits; 0: there is none yet.
    width: u32,
}

impl Encoder {
    fn resume(chunk: &Chunk, more: usize) -> Self {
        let mut decoder = Decoder::of(chunk);
        for _ in 0..chunk.count() {
            decoder.next();
        }
        let bits = BitWriter::resume(decoder.bits.bytes(), decoder.bits.position(), more * 4 + 8);
        Self { bits, count: chunk.count() as u16, first: chunk.first().0, state: decoder.state }
    }

    fn push(&mut self, at: Millis, value: f64) {
        let bits = value.to_bits();
        if self.count == 0 {
            self.bits.write(at.0.cast_unsigned(), 64);
            self.bits.write(bits, 64);
            self.first = at.0;
        } else {
            self.push_time(at.0);
            self.push_value(bits);
        }
        self.state.at = at.0;
        self.state.value = bits;
        self.count += 1;
    }

    fn push_time(&mut self, at: i64) {
        let delta = at.wrapping_sub(self.state.at);
        let change = delta.wrapping_sub(self.state.delta);
        self.state.delta = delta;
        if change == 0 {
            return self.bits.write(0, 1);
        }
        for (class, width) in (2..).zip(TIME_WIDTHS) {
            if fits(change, width) {
                // As many 1 as there are narrower classes, and a 0.
                self.bits.write((1 << class) - 2, class);
                return self.bits.write(change.cast_unsigned(), width);
            }
        }
        self.bits.write(0b1111, 4);
        self.bits.write(change.cast_unsigned(), 64);
    }

    fn push_value(&mut self, bits: u64) {
        let xor = bits ^ self.state.value;
        if xor == 0 {
            return self.bits.write(0, 1);
        }
        // Five bits hold the number of leading zeros, so 31 is the most that is used.
        let (leading, trailing) = (xor.leading_zeros().min(31), xor.trailing_zeros());
        let width = 64 - leading - trailing;
        let State { leading: before, width: window, .. } = self.state;
        let inside = window > 0 && leading >= before && trailing >= 64 - before - window;
        if inside && window <= width + WINDOW {
            self.bits.write(0b10, 2);
            return self.bits.write(xor >> (64 - before - window), window);
        }
        (self.state.leading, self.state.width) = (leading, width);
        // A width of 64 is written as 0: none is 0.
        self.bits.write((0b11 << WINDOW) | (u64::from(leading) << 6) | u64::from(width & 63), 2 + WINDOW);
        self.bits.write(xor >> trailing, width);
    }

    fn finish(self) -> Chunk {
        let length = u32::try_from(self.state.at.saturating_sub(self.first)).unwrap_or(u32::MAX);
        let head = self.count.to_le_bytes().into_iter().chain(length.to_le_bytes());
        Chunk(head.chain(self.bits.finish()).collect())
    }
}

fn fits(change: i64, width: u32) -> bool {
    let half = 1i64 << (width - 1);
    (-half..half).contains(&change)
}

struct Decoder<'c> {
    bits: BitReader<'c>,
    started: bool,
    state: State,
}

impl<'c> Decoder<'c> {
    fn of(chunk: &'c Chunk) -> Self {
        Self { bits: BitReader::new(&chunk.0[HEAD..]), started: false, state: State::default() }
    }

    #[inline]
    fn next(&mut self) -> (Millis, f64) {
        if self.started {
            self.step();
        } else {
            self.started = true;
            self.state.at = self.bits.read(64).cast_signed();
            self.state.value = self.bits.read(64);
        }
        (Millis(self.state.at), f64::from_bits(self.state.value))
    }

    /// One word holds most samples whole, so it is loaded once.
    #[inline]
    fn step(&mut self) {
        let word = self.bits.peek();
        let class = word.leading_ones().min(4);
        let (used, change) = match class {
            0 => (1, 0),
            4 => {
                self.bits.skip(4);
                let change = self.bits.read(64).cast_signed();
                (0, change)
            }
            _ => {
                let width = TIME_WIDTHS[class as usize - 1];
                // The sign bit goes to the top and comes back filled with itself.
                (class + 1 + width, (word << (class + 1)).cast_signed() >> (64 - width))
            }
        };
        self.state.delta = self.state.delta.wrapping_add(change);
        self.state.at = self.state.at.wrapping_add(self.state.delta);
        // The control bits of the value must be among the 57 that are sure.
        let (word, used) = if used == 0 { (self.bits.peek(), 0) } else { (word << used, used) };
        self.state.value ^= self.xor(word, used);
    }

    /// The changed bits, from a word whose first `used` bits were shifted out and are not skipped yet.
    #[inline]
    fn xor(&mut self, word: u64, used: u32) -> u64 {
        if word >> 63 == 0 {
            self.bits.skip(used + 1);
            return 0;
        }
        let fresh = word >> 62 == 0b11;
        let (leading, width) = ((word >> 57) as u32 & 31, (word >> 51) as u32 & 63);
        // Only damaged bytes ask for more than fits.
        let width = if width == 0 { 64 } else { width }.min(64 - leading);
        // Chosen, not branched on: which it is cannot be foreseen.
        let control = if fresh { 2 + WINDOW } else { 2 };
        let leading = if fresh { leading } else { self.state.leading };
        let width = if fresh { width } else { self.state.width };
        (self.state.leading, self.state.width) = (leading, width);
        // Wide ones are read anew even where they would fit: whether they do is chance from sample to sample.
        let changed = if width > 0 && width <= SURE && used + control + width <= 57 {
            self.bits.skip(used + control + width);
            (word << control) >> (64 - width)
        } else {
            self.bits.skip(used + control);
            self.bits.read(width)
        };
        changed.checked_shl(64 - leading - width).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stale_marker;

    fn all(chunk: &Chunk) -> Vec<(i64, u64)> {
        chunk.samples().into_iter().map(|(at, value)| (at.0, value.to_bits())).collect()
    }

    fn pairs(samples: &[(i64, u64)]) -> Vec<(Millis, f64)> {
        samples.iter().map(|(at, bits)| (Millis(*at), f64::from_bits(*bits))).collect()
    }

    fn any_bits() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            (0u32..1000).prop_map(|v| f64::from(v).to_bits()),
            Just(stale_marker().to_bits()),
            Just(f64::NAN.to_bits()),
            Just(0)
        ]
    }

    fn any_samples() -> impl Strategy<Value = Vec<(i64, u64)>> {
        let step = prop_oneof![9_900i64..10_100, 1i64..10_000_000];
        (-1_000_000_000_000i64..4_000_000_000_000, prop::collection::vec((step, any_bits()), 1..120)).prop_map(
            |(start, steps)| {
                let mut at = start;
                let next = |(step, bits)| {
                    at += step;
                    (at, bits)
                };
                steps.into_iter().map(next).collect()
            },
        )
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_bit_for_bit(samples in any_samples(), cut in 1usize..120) {
            let pairs = pairs(&samples);
            let chunk = Chunk::of(&pairs);
            prop_assert_eq!(all(&chunk), &samples[..]);
            let bounds = (chunk.count(), chunk.first().0, chunk.last().0);
            prop_assert_eq!(bounds, (samples.len(), samples[0].0, samples[samples.len() - 1].0));
            let cut = cut.min(samples.len());
            let gone_on = Chunk::of(&pairs[..cut]).with(&pairs[cut..]);
            prop_assert_eq!(gone_on.bytes(), chunk.bytes(), "the same as written at once");
            prop_assert_eq!(all(&Chunk::from_bytes(chunk.bytes()).unwrap()), samples);
        }

        #[test]
        fn a_cut_holds_what_is_after_and_until(samples in any_samples(), from in 0usize..120, to in 0usize..120) {
            let at = |n: usize| samples[n % samples.len()].0;
            let (after, until) = (Millis(at(from)), Millis(at(to)));
            let pairs = pairs(&samples);
            let wanted: Vec<_> = pairs.iter().filter(|(at, _)| *at > after && *at <= until).copied().collect();
            let mut out = Vec::new();
            let chunk = Chunk::of(&pairs);
            chunk.copy_into(&mut out, after, until);
            let bits = |all: &[(Millis, f64)]| all.iter().map(|(at, v)| (*at, v.to_bits())).collect::<Vec<_>>();
            prop_assert_eq!(bits(&out), bits(&wanted));
            let latest: Vec<_> = chunk.latest(after, until).into_iter().collect();
            prop_assert_eq!(bits(&latest), bits(&wanted[wanted.len().saturating_sub(1)..]));
        }

        #[test]
        fn no_bytes_make_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Some(chunk) = Chunk::from_bytes(&bytes) {
                prop_assert_eq!(chunk.samples().len(), chunk.count());
                chunk.latest(Millis(0), Millis(i64::MAX));
            }
        }
    }

    #[test]
    fn a_usual_sample_takes_less_than_three_bytes() {
        // Jitter of some milliseconds, and one of: a constant, a level that wanders, a counter that rises unevenly.
        let jitter = |n: i64| (n * 7919) % 13 - 6;
        let values: [fn(i64) -> f64; 3] = [|_| 1.0, |n| (50 + (n * n) % 7) as f64, |n| (1000 + n * 12 + n % 5) as f64];
        let sizes: Vec<usize> = values
            .iter()
            .map(|value| {
                let samples = (0..120i64).map(|n| (1_700_000_000_000 + n * 10_000 + jitter(n), value(n).to_bits()));
                Chunk::of(&pairs(&samples.collect::<Vec<_>>())).bytes().len()
            })
            .collect();
        let per_sample = sizes.iter().sum::<usize>() as f64 / 3.0 / CHUNK_SAMPLES as f64;
        assert!(per_sample < 3.0, "{per_sample} bytes a sample ({sizes:?})");
    }
}
