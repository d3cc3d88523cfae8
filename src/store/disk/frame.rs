//! What every file of the history starts with, and the sums that tell damage.

use super::bytes::Reader;

/// Files of this version are written and read. A newer one is refused and left alone.
pub(super) const VERSION: u16 = 1;
/// Kind (six bytes), version, a number of the file's own, checksum.
pub(super) const HEADER: usize = 6 + 2 + 8 + 4;

/// What the first bytes of a file say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Ours to read, with the file's number.
    Ours(u64),
    /// Written by a later Sidewatch, in this version of the format.
    Later(u16),
    /// Not what any version writes.
    Damaged,
}

pub(super) fn header(kind: [u8; 6], number: u64) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..6].copy_from_slice(&kind);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&number.to_le_bytes());
    let sum = checksum(0, &header[..16]);
    header[16..].copy_from_slice(&sum.to_le_bytes());
    header
}

/// The layout of the header is the same in every version, so that a later one is told from a damaged one.
pub(super) fn read_header(kind: [u8; 6], bytes: &[u8]) -> Header {
    let read = || {
        let mut reader = Reader(bytes);
        let (found, version) = (reader.array::<6>()?, u16::from_le_bytes(reader.array()?));
        let (number, sum) = (reader.u64()?, reader.u32()?);
        (found == kind && sum == checksum(0, &bytes[..16])).then_some((version, number))
    };
    match read() {
        Some((VERSION, number)) => Header::Ours(number),
        Some((version, _)) if version > VERSION => Header::Later(version),
        _ => Header::Damaged,
    }
}

/// CRC-32 of a piece and of its place, so that a piece in another's place is noticed too.
pub(super) fn checksum(place: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_ours_later_or_damaged() {
        let ours = header(*b"SWTEST", 7);
        assert_eq!(read_header(*b"SWTEST", &ours), Header::Ours(7));
        assert_eq!(read_header(*b"SWELSE", &ours), Header::Damaged);
        assert_eq!(read_header(*b"SWTEST", &ours[..19]), Header::Damaged);
        for bit in 0..HEADER * 8 {
            let mut flipped = ours;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_header(*b"SWTEST", &flipped), Header::Damaged, "bit {bit}");
        }
        let mut later = ours;
        later[6] = 9;
        let sum = checksum(0, &later[..16]);
        later[16..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(read_header(*b"SWTEST", &later), Header::Later(9));
    }
}
