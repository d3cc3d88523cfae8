//! Rows of numbers, packed: what changes evenly or not at all takes next to nothing.
//!
//! Two kinds. *Steps* are whole numbers that rise evenly (times, series' numbers): the change of their differences.
//! *Values* are floats, each beside the one that its series had before: as a run of unchanged ones, as the difference
//! of two whole numbers or of two with up to three decimals (most of what exporters show), or as the bits that changed.
//!
//! Invariant: what goes in comes out bit for bit, whatever NaN it is.

use super::bytes::{Reader, put_number, put_signed, unzigzag, zigzag};

/// Appends numbers as the changes of their differences; zeros as one run.
pub(super) fn put_steps(out: &mut Vec<u8>, numbers: impl Iterator<Item = i64>) {
    let (mut last, mut delta, mut evenly) = (0i64, 0i64, 0u64);
    for number in numbers {
        let step = number.wrapping_sub(last);
        let change = step.wrapping_sub(delta);
        (last, delta) = (number, step);
        if change == 0 {
            evenly += 1;
            continue;
        }
        put_run(out, &mut evenly);
        put_signed(out, change);
    }
    put_run(out, &mut evenly);
}

fn put_run(out: &mut Vec<u8>, count: &mut u64) {
    if *count > 0 {
        out.push(0);
        put_number(out, *count);
        *count = 0;
    }
}

/// Gives `count` numbers to `take`; nothing if these are not bytes of [`put_steps`].
pub(super) fn read_steps(reader: &mut Reader<'_>, count: usize, mut take: impl FnMut(i64)) -> Option<()> {
    let (mut last, mut delta, mut left) = (0i64, 0i64, count as u64);
    while left > 0 {
        let change = reader.signed()?;
        let times = if change == 0 { reader.number()? } else { 1 };
        if times == 0 || times > left {
            return None;
        }
        left -= times;
        delta = delta.wrapping_add(change);
        for _ in 0..times {
            last = last.wrapping_add(delta);
            take(last);
        }
    }
    Some(())
}

/// So many values are unchanged.
const RUN: u64 = 0;
/// The difference of two whole numbers.
const WHOLE: u64 = 1;
/// The difference of two numbers of thousandths.
const THOUSANDTHS: u64 = 2;
/// The bytes of the two values' bits that differ.
const BITS: u64 = 3;

/// Packs values, each given with the value before it.
#[derive(Debug)]
pub(super) struct ValueWriter<'o> {
    out: &'o mut Vec<u8>,
    unchanged: u64,
}

impl<'o> ValueWriter<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, unchanged: 0 }
    }

    pub(super) fn put(&mut self, before: u64, bits: u64) {
        if before == bits {
            self.unchanged += 1;
            return;
        }
        self.end_run();
        let difference = |scale| Some(zigzag(scaled(bits, scale)? - scaled(before, scale)?));
        if let Some(difference) = difference(1.0) {
            put_number(self.out, difference << 2 | WHOLE);
        } else if let Some(difference) = difference(1000.0) {
            put_number(self.out, difference << 2 | THOUSANDTHS);
        } else {
            let xor = before ^ bits;
            let skipped = xor.trailing_zeros() / 8;
            let count = 8 - xor.leading_zeros() / 8 - skipped;
            put_number(self.out, (u64::from(skipped) << 3 | u64::from(count - 1)) << 2 | BITS);
            self.out.extend_from_slice(&(xor >> (8 * skipped)).to_le_bytes()[..count as usize]);
        }
    }

    pub(super) fn finish(mut self) {
        self.end_run();
    }

    fn end_run(&mut self) {
        if self.unchanged > 0 {
            put_number(self.out, self.unchanged << 2 | RUN);
            self.unchanged = 0;
        }
    }
}

/// The float as a number of parts of one, if that says it exactly. Small enough that differences fit.
fn scaled(bits: u64, scale: f64) -> Option<i64> {
    const MOST: f64 = (1u64 << 53) as f64;
    let value = f64::from_bits(bits);
    let parts = (value * scale).round();
    // NaN fails the first comparison, minus zero the second.
    (parts.abs() < MOST && (parts as i64 as f64 / scale).to_bits() == bits).then_some(parts as i64)
}

/// Unpacks what [`ValueWriter`] packed.
#[derive(Debug)]
pub(super) struct ValueReader<'r, 'b> {
    reader: &'r mut Reader<'b>,
    unchanged: u64,
}

impl<'r, 'b> ValueReader<'r, 'b> {
    pub(super) fn new(reader: &'r mut Reader<'b>) -> Self {
        Self { reader, unchanged: 0 }
    }

    /// The next value, of the one before it; nothing for bytes that no writer wrote.
    pub(super) fn next(&mut self, before: u64) -> Option<u64> {
        if self.unchanged > 0 {
            self.unchanged -= 1;
            return Some(before);
        }
        let token = self.reader.number()?;
        let number = token >> 2;
        let moved = |scale: f64| {
            let parts = scaled(before, scale)?.checked_add(unzigzag(number))?;
            Some((parts as f64 / scale).to_bits())
        };
        match token & 3 {
            RUN => {
                self.unchanged = number.checked_sub(1)?;
                Some(before)
            }
            WHOLE => moved(1.0),
            THOUSANDTHS => moved(1000.0),
            _ => {
                let (skipped, count) = (number >> 3, (number & 7) as usize + 1);
                if skipped + count as u64 > 8 {
                    return None;
                }
                let mut xor = [0; 8];
                xor[..count].copy_from_slice(self.reader.bytes(count)?);
                Some(before ^ (u64::from_le_bytes(xor) << (8 * skipped)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::STALE_BITS;

    fn steps(numbers: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        put_steps(&mut out, numbers.iter().copied());
        let mut read = Vec::new();
        let mut reader = Reader(&out);
        read_steps(&mut reader, numbers.len(), |number| read.push(number)).expect("our own bytes");
        assert!(reader.is_empty());
        assert_eq!(read, numbers);
        out
    }

    fn values(all: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = ValueWriter::new(&mut out);
        let mut before = 0;
        for bits in all {
            writer.put(before, *bits);
            before = *bits;
        }
        writer.finish();
        let mut reader = Reader(&out);
        let mut values = ValueReader::new(&mut reader);
        let mut before = 0;
        for bits in all {
            before = values.next(before).expect("our own bytes");
            assert_eq!(before, *bits, "{} became {}", f64::from_bits(*bits), f64::from_bits(before));
        }
        assert!(reader.is_empty());
        out
    }

    fn any_bits() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            any::<f64>().prop_map(f64::to_bits),
            (-1000i64..1000).prop_map(|v| (v as f64).to_bits()),
            (-100_000i64..100_000).prop_map(|v| (v as f64 / 100.0).to_bits()),
            Just((-0.0f64).to_bits()),
            Just(9_007_199_254_740_993.0f64.to_bits()),
            Just(f64::INFINITY.to_bits()),
            Just(STALE_BITS),
        ]
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(all in prop::collection::vec((any_bits(), 1usize..4), 0..100)) {
            let all: Vec<u64> = all.into_iter().flat_map(|(bits, times)| std::iter::repeat_n(bits, times)).collect();
            values(&all);
        }

        #[test]
        fn steps_come_back(all in prop::collection::vec(prop_oneof![any::<i64>(), -5i64..5], 0..100)) {
            steps(&all);
        }

        #[test]
        fn foreign_bytes_are_refused_or_read_within_bounds(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut read = 0;
            let _ = read_steps(&mut Reader(&bytes), 1000, |_| read += 1);
            prop_assert!(read <= 1000);
            let mut reader = Reader(&bytes);
            let mut values = ValueReader::new(&mut reader);
            let mut before = 0;
            for _ in 0..1000 {
                let Some(next) = values.next(before) else { break };
                before = next;
            }
        }
    }

    #[test]
    fn what_stays_or_rises_evenly_takes_next_to_nothing() {
        assert!(steps(&(0..10_000).map(|n| 1_700_000_000_000 + n * 10_000).collect::<Vec<_>>()).len() < 20);
        assert!(values(&vec![1.0f64.to_bits(); 10_000]).len() < 16);
        let counter: Vec<_> = (0..1000).map(|n| f64::from(100_000 + n * 7).to_bits()).collect();
        assert!(values(&counter).len() < 1010);
        let seconds: Vec<_> = (0..1000).map(|n| (f64::from(100_000 + n * 7) / 100.0).to_bits()).collect();
        assert!(values(&seconds).len() < 2010);
    }
}
