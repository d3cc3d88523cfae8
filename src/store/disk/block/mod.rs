//! A block: all that was appended between two moments, sealed in a file.
//!
//! Header; columns, each with its checksum; an index of series and where their columns are; a footer that says where the
//! index is. Series that one look showed have the same times, so a column of times stands once however many share it.
//!
//! The number of a block is that of the log's segment behind it: what lies in segments before is in blocks.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub(in crate::store) use read::Block;
pub(super) use read::{Indexed, OpenError};
pub(super) use write::BlockWriter;

use super::bytes::{Reader, put_number};
use super::frame::checksum;
use crate::model::Millis;

const KIND: [u8; 6] = *b"SWBLK\0";
const END: [u8; 8] = *b"SWBLKEND";
const FOOTER: usize = 8 + 8 + 4 + 8 + 8 + 8 + 8 + 4 + 8;
/// A column holds no more samples; a series with more of them has more columns.
const MAX_COLUMN: usize = 4096;

/// What a block says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    index_at: u64,
    index_length: u64,
    index_sum: u32,
    /// How many samples it holds.
    pub(super) samples: u64,
    /// The time of its first sample.
    pub(super) first: Millis,
    /// The time of its last sample.
    pub(super) last: Millis,
    /// The store's clock when it was written.
    pub(super) newest: Millis,
}

impl Footer {
    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.index_at.to_le_bytes());
        out.extend_from_slice(&self.index_length.to_le_bytes());
        out.extend_from_slice(&self.index_sum.to_le_bytes());
        out.extend_from_slice(&self.samples.to_le_bytes());
        for at in [self.first, self.last, self.newest] {
            out.extend_from_slice(&at.0.to_le_bytes());
        }
        let sum = checksum(self.index_at, &out[start..]);
        out.extend_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&END);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (index_at, index_length, index_sum) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let samples = reader.u64()?;
        let mut time = || reader.u64().map(|at| Millis(at.cast_signed()));
        let (first, last, newest) = (time()?, time()?, time()?);
        let (sum, end) = (reader.u32()?, reader.array::<8>()?);
        let is_good = end == END && sum == checksum(index_at, &bytes[..FOOTER - 12]);
        is_good.then_some(Self { index_at, index_length, index_sum, samples, first, last, newest })
    }
}

/// Where a column is, its checksum not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    at: u32,
    length: u32,
}

impl Place {
    fn write(self, out: &mut Vec<u8>) {
        put_number(out, u64::from(self.at));
        put_number(out, u64::from(self.length));
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut part = || u32::try_from(reader.number()?).ok();
        Some(Self { at: part()?, length: part()? })
    }
}
