//! Bits into bytes and back, highest bit first.

/// Appends bits to a growing row of bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// How many bits of the last byte are still free.
    free: u8,
}

impl BitWriter {
    /// Appends the lowest `count` bits of `value`, at most 64.
    pub(super) fn write(&mut self, value: u64, count: u8) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = (value >> (left - now)) & mask(now);
            if let Some(last) = self.bytes.last_mut() {
                *last |= (part as u8) << (self.free - now);
            }
            self.free -= now;
            left -= now;
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads bits; behind the end there are zeros.
pub(super) struct BitReader<'b> {
    bytes: &'b [u8],
    /// In bits.
    at: usize,
}

impl<'b> BitReader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn read(&mut self, count: u8) -> u64 {
        let mut value = 0;
        let mut left = count;
        while left > 0 {
            let byte = self.bytes.get(self.at / 8).copied().unwrap_or_default();
            let used = (self.at % 8) as u8;
            let now = left.min(8 - used);
            let part = u64::from(byte >> (8 - used - now)) & mask(now);
            value = (value << now) | part;
            self.at += usize::from(now);
            left -= now;
        }
        value
    }

    pub(super) fn bit(&mut self) -> bool {
        self.read(1) == 1
    }
}

fn mask(count: u8) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}
