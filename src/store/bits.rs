//! Bits into bytes and back, highest bit first, a word at a time.

/// Appends bits to a growing row of bytes.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// What is not in `bytes` yet, from the highest bit on.
    pending: u64,
    /// How many bits of `pending` are used: fewer than 64.
    used: u32,
}

impl BitWriter {
    /// Goes on behind the first `bits` bits of `written`.
    pub(super) fn resume(written: &[u8], bits: usize, room: usize) -> Self {
        let (whole, used) = (bits / 8, (bits % 8) as u32);
        let mut bytes = Vec::with_capacity(written.len() + room);
        bytes.extend_from_slice(&written[..whole]);
        let part = if used == 0 { 0 } else { written[whole] & !(u8::MAX >> used) };
        Self { bytes, pending: u64::from(part) << 56, used }
    }

    /// Appends the lowest `count` bits of `value`, at most 64.
    pub(super) fn write(&mut self, value: u64, count: u32) {
        if count == 0 {
            return;
        }
        // From the highest bit on, as `pending` is.
        let value = value << (64 - count);
        self.pending |= value >> self.used;
        let all = self.used + count;
        if all < 64 {
            self.used = all;
            return;
        }
        self.bytes.extend_from_slice(&self.pending.to_be_bytes());
        let written = 64 - self.used;
        self.pending = value.checked_shl(written).unwrap_or(0);
        self.used = all - 64;
    }

    /// All bytes; the last one is filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let rest = self.used.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_be_bytes()[..rest]);
        self.bytes
    }
}

/// Reads bits; behind the end there are zeros.
#[derive(Debug, Clone)]
pub(super) struct BitReader<'b> {
    bytes: &'b [u8],
    /// In bits.
    at: usize,
}

impl<'b> BitReader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What it reads.
    pub(super) fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// How many bits were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next bits, from the highest bit of the word on: at least 57 of them.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        let byte = self.at / 8;
        let word = match self.bytes.get(byte..byte + 8).and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) => u64::from_be_bytes(bytes),
            None => self.last_word(byte),
        };
        word << (self.at % 8)
    }

    #[inline]
    pub(super) fn skip(&mut self, count: u32) {
        self.at += count as usize;
    }

    /// The next `count` bits, at most 64.
    #[inline]
    pub(super) fn read(&mut self, count: u32) -> u64 {
        if count > 57 {
            let high = self.read(32);
            return (high << (count - 32)) | self.read(count - 32);
        }
        if count == 0 {
            return 0;
        }
        let value = self.peek() >> (64 - count);
        self.skip(count);
        value
    }

    #[cold]
    fn last_word(&self, byte: usize) -> u64 {
        let mut word = [0; 8];
        let left = self.bytes.get(byte..).unwrap_or_default();
        let len = left.len().min(8);
        word[..len].copy_from_slice(&left[..len]);
        u64::from_be_bytes(word)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lowest(value: u64, count: u32) -> u64 {
        if count == 0 { 0 } else { value & (u64::MAX >> (64 - count)) }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_also_when_the_writer_went_on_later(
            parts in prop::collection::vec((any::<u64>(), 0u32..=64), 0..50), cut in 0usize..50
        ) {
            let cut = cut.min(parts.len());
            let mut writer = BitWriter::default();
            parts[..cut].iter().for_each(|(value, count)| writer.write(*value, *count));
            let bits: u32 = parts[..cut].iter().map(|(_, count)| count).sum();
            let mut writer = BitWriter::resume(&writer.finish(), bits as usize, 8);
            parts[cut..].iter().for_each(|(value, count)| writer.write(*value, *count));
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for (value, count) in &parts {
                prop_assert_eq!(reader.read(*count), lowest(*value, *count));
            }
            prop_assert_eq!(reader.position().div_ceil(8), bytes.len());
            reader.skip(200);
            prop_assert_eq!(reader.read(64), 0);
        }
    }
}
