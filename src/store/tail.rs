//! The newest samples of a series, as they came.

use crate::model::Millis;

/// Samples with the time as a distance from the first: twelve bytes each instead of sixteen, in one allocation.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The time that distances count from. Not after the first sample.
    base: i64,
    /// Distance in milliseconds; the lower and the higher half of the value's bits.
    samples: Vec<[u32; 3]>,
}

impl Tail {
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// The time of the first sample.
    pub(super) fn first(&self) -> Option<Millis> {
        self.samples.first().map(|sample| self.time(sample))
    }

    #[inline]
    pub(super) fn last(&self) -> Option<(Millis, f64)> {
        self.samples.last().map(|sample| self.read(sample))
    }

    /// Whether a later sample at this time can stand with the others.
    pub(super) fn reaches(&self, at: Millis) -> bool {
        self.samples.is_empty() || u32::try_from(at.0.wrapping_sub(self.base)).is_ok()
    }

    /// Appends a sample that is later than all and that the tail [reaches](Self::reaches).
    pub(super) fn push(&mut self, at: Millis, value: f64) {
        if self.samples.is_empty() {
            self.base = at.0;
        }
        let sample = self.packed(at, value);
        // Not by doubling: it would leave room for twenty samples that never come, in every series.
        if self.samples.len() == self.samples.capacity() {
            self.samples.reserve_exact(if self.samples.is_empty() { 4 } else { 10 });
        }
        self.samples.push(sample);
    }

    /// Which samples are in `(after, until]`.
    #[inline]
    pub(super) fn within(&self, after: Millis, until: Millis) -> std::ops::Range<usize> {
        // Nearly always the end is what is asked for: looked for from there.
        let behind = |bound: Millis| {
            let later = self.samples.iter().rev().take_while(|sample| self.time(sample) > bound).count();
            self.samples.len() - later
        };
        let until = behind(until);
        behind(after).min(until)..until
    }

    pub(super) fn copy_into(&self, range: std::ops::Range<usize>, out: &mut Vec<(Millis, f64)>) {
        out.extend(self.samples[range].iter().map(|sample| self.read(sample)));
    }

    /// The sample with this number.
    pub(super) fn get(&self, at: usize) -> (Millis, f64) {
        self.read(&self.samples[at])
    }

    /// Takes the first `count` samples out.
    pub(super) fn take_first(&mut self, count: usize) -> Vec<(Millis, f64)> {
        let taken = self.samples[..count].iter().map(|sample| self.read(sample)).collect();
        let kept: Vec<_> = self.samples[count..].iter().map(|sample| self.read(sample)).collect();
        self.replace(kept);
        taken
    }

    /// Puts samples in the place of all.
    pub(super) fn replace(&mut self, samples: impl IntoIterator<Item = (Millis, f64)>) {
        self.samples.clear();
        for (at, value) in samples {
            self.push(at, value);
        }
    }

    /// All samples.
    pub(super) fn samples(&self) -> Vec<(Millis, f64)> {
        self.samples.iter().map(|sample| self.read(sample)).collect()
    }

    fn packed(&self, at: Millis, value: f64) -> [u32; 3] {
        let bits = value.to_bits();
        [at.0.wrapping_sub(self.base) as u32, bits as u32, (bits >> 32) as u32]
    }

    #[inline]
    fn time(&self, sample: &[u32; 3]) -> Millis {
        Millis(self.base.wrapping_add(i64::from(sample[0])))
    }

    #[inline]
    fn read(&self, sample: &[u32; 3]) -> (Millis, f64) {
        (self.time(sample), f64::from_bits(u64::from(sample[1]) | u64::from(sample[2]) << 32))
    }
}
