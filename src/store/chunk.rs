//! Compressed runs of samples: Gorilla's delta-of-delta times and xored values
//! (Pelkonen et al., “Gorilla: A Fast, Scalable, In-Memory Time Series Database”, VLDB 2015).
//!
//! The classes of times are smaller than Prometheus': a look's time is off its slot by a few milliseconds, which must
//! not cost two bytes each time.
//!
//! Invariant: what goes in comes out bit for bit, whatever NaN it is.

use super::bits::{BitReader, BitWriter};
use crate::model::Millis;

/// After so many samples a chunk is sealed.
pub(super) const CHUNK_SAMPLES: u16 = 120;

/// Widths of a delta of deltas, each behind one more leading 1; what fits none takes 64 bits.
const TIME_WIDTHS: [u8; 3] = [7, 13, 22];

/// A finished chunk.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) first: Millis,
    pub(super) last: Millis,
    count: u16,
    bytes: Box<[u8]>,
}

impl Chunk {
    /// Appends those of its samples that are in `(after, until]`.
    pub(super) fn copy_into(&self, out: &mut Vec<(Millis, f64)>, after: Millis, until: Millis) {
        decode(&self.bytes, self.count, out, after, until);
    }

    /// What it takes in memory, without its allocations' overhead.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }
}

/// A chunk that is still being written.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenChunk {
    bits: BitWriter,
    count: u16,
    first: i64,
    last: i64,
    delta: i64,
    value: u64,
    leading: u8,
    trailing: u8,
}

impl OpenChunk {
    pub(super) fn count(&self) -> u16 {
        self.count
    }

    pub(super) fn first(&self) -> Millis {
        Millis(self.first)
    }

    pub(super) fn last(&self) -> Millis {
        Millis(self.last)
    }

    /// Appends a sample; its time must be after the last one's.
    pub(super) fn push(&mut self, at: Millis, value: f64) {
        let bits = value.to_bits();
        if self.count == 0 {
            self.bits.write(at.0.cast_unsigned(), 64);
            self.bits.write(bits, 64);
            self.first = at.0;
            self.leading = u8::MAX;
        } else {
            self.push_time(at.0);
            self.push_value(bits);
        }
        self.last = at.0;
        self.value = bits;
        self.count += 1;
    }

    fn push_time(&mut self, at: i64) {
        let delta = at.wrapping_sub(self.last);
        let change = delta.wrapping_sub(self.delta);
        self.delta = delta;
        if change == 0 {
            return self.bits.write(0, 1);
        }
        for width in TIME_WIDTHS {
            self.bits.write(1, 1);
            if fits(change, width) {
                self.bits.write(0, 1);
                return self.bits.write(change.cast_unsigned(), width);
            }
        }
        self.bits.write(1, 1);
        self.bits.write(change.cast_unsigned(), 64);
    }

    fn push_value(&mut self, bits: u64) {
        let xor = bits ^ self.value;
        if xor == 0 {
            return self.bits.write(0, 1);
        }
        // Five bits hold the number of leading zeros, so 31 is the most that is used.
        let (leading, trailing) = ((xor.leading_zeros() as u8).min(31), xor.trailing_zeros() as u8);
        if self.leading != u8::MAX && leading >= self.leading && trailing >= self.trailing {
            self.bits.write(0b10, 2);
            return self.bits.write(xor >> self.trailing, 64 - self.leading - self.trailing);
        }
        (self.leading, self.trailing) = (leading, trailing);
        let width = 64 - leading - trailing;
        self.bits.write(0b11, 2);
        self.bits.write(u64::from(leading), 5);
        // A width of 64 is written as 0: none is 0.
        self.bits.write(u64::from(width & 63), 6);
        self.bits.write(xor >> trailing, width);
    }

    /// Ends the chunk and starts the next.
    pub(super) fn seal(&mut self) -> Chunk {
        let done = std::mem::take(self);
        Chunk { first: done.first(), last: done.last(), count: done.count, bytes: done.bits.bytes().into() }
    }

    /// Its bytes and the number of samples in them, for a reader that decodes later.
    pub(super) fn copy(&self) -> Chunk {
        Chunk { first: self.first(), last: self.last(), count: self.count, bytes: self.bits.bytes().into() }
    }
}

fn fits(change: i64, width: u8) -> bool {
    let half = 1i64 << (width - 1);
    (-half..half).contains(&change)
}

fn decode(bytes: &[u8], count: u16, out: &mut Vec<(Millis, f64)>, after: Millis, until: Millis) {
    let mut bits = BitReader::new(bytes);
    let (mut at, mut delta, mut value) = (0i64, 0i64, 0u64);
    let (mut leading, mut trailing) = (0u8, 0u8);
    for n in 0..count {
        if n == 0 {
            at = bits.read(64).cast_signed();
            value = bits.read(64);
        } else {
            delta = delta.wrapping_add(read_change(&mut bits));
            at = at.wrapping_add(delta);
            value ^= read_xor(&mut bits, &mut leading, &mut trailing);
        }
        if at > until.0 {
            return;
        }
        if at > after.0 {
            out.push((Millis(at), f64::from_bits(value)));
        }
    }
}

fn read_change(bits: &mut BitReader<'_>) -> i64 {
    if !bits.bit() {
        return 0;
    }
    for width in TIME_WIDTHS {
        if !bits.bit() {
            let raw = bits.read(width).cast_signed();
            // The sign bit goes to the top and comes back filled with itself.
            return (raw << (64 - width)) >> (64 - width);
        }
    }
    bits.read(64).cast_signed()
}

fn read_xor(bits: &mut BitReader<'_>, leading: &mut u8, trailing: &mut u8) -> u64 {
    if !bits.bit() {
        return 0;
    }
    if bits.bit() {
        *leading = bits.read(5) as u8;
        let width = match bits.read(6) as u8 {
            0 => 64,
            width => width,
        };
        *trailing = 64 - *leading - width;
    }
    bits.read(64 - *leading - *trailing) << *trailing
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stale_marker;

    fn all(chunk: &Chunk) -> Vec<(i64, u64)> {
        let mut out = Vec::new();
        chunk.copy_into(&mut out, Millis(i64::MIN), Millis(i64::MAX));
        out.into_iter().map(|(at, value)| (at.0, value.to_bits())).collect()
    }

    fn chunk(samples: &[(i64, u64)]) -> Chunk {
        let mut open = OpenChunk::default();
        for (at, bits) in samples {
            open.push(Millis(*at), f64::from_bits(*bits));
        }
        assert_eq!(all(&open.copy()), samples);
        open.seal()
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

    proptest! {
        #[test]
        fn what_goes_in_comes_out_bit_for_bit(
            start in -1_000_000_000_000i64..4_000_000_000_000,
            steps in prop::collection::vec((prop_oneof![9_900i64..10_100, 1i64..10_000_000_000], any_bits()), 1..120),
        ) {
            let mut at = start;
            let mut samples = Vec::new();
            for (step, bits) in steps {
                samples.push((at, bits));
                at += step;
            }
            prop_assert_eq!(all(&chunk(&samples)), samples);
        }
    }

    #[test]
    fn a_cut_holds_what_is_after_and_until() {
        let samples: Vec<_> = (0..10).map(|n| (n * 10, (n as f64).to_bits())).collect();
        let mut out = Vec::new();
        chunk(&samples).copy_into(&mut out, Millis(20), Millis(50));
        assert_eq!(out, [(Millis(30), 3.0), (Millis(40), 4.0), (Millis(50), 5.0)]);
    }

    #[test]
    fn a_usual_sample_takes_less_than_three_bytes() {
        // Jitter of some milliseconds, and one of: a constant, a level that wanders, a counter that rises unevenly.
        let jitter = |n: i64| (n * 7919) % 13 - 6;
        let values: [fn(i64) -> f64; 3] = [|_| 1.0, |n| (50 + (n * n) % 7) as f64, |n| (1000 + n * 12 + n % 5) as f64];
        let sizes: Vec<usize> = values
            .iter()
            .map(|value| {
                let samples = (0..i64::from(CHUNK_SAMPLES))
                    .map(|n| (1_700_000_000_000 + n * 10_000 + jitter(n), value(n).to_bits()));
                chunk(&samples.collect::<Vec<_>>()).size()
            })
            .collect();
        let per_sample = sizes.iter().sum::<usize>() as f64 / 3.0 / f64::from(CHUNK_SAMPLES);
        assert!(per_sample < 3.0, "{per_sample} bytes a sample ({sizes:?})");
    }
}
