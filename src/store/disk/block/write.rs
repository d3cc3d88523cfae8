//! Writes a block, series by series, so that only its index is in memory.

use std::collections::HashMap;
use std::io::{self, Write};

use super::super::bytes::{put_number, put_signed};
use super::super::columns::{ValueWriter, put_steps};
use super::super::frame::{checksum, header};
use super::super::names::NameWriter;
use super::{Footer, KIND, MAX_COLUMN, Place};
use crate::model::{Labels, Millis};

/// Writes one block into `to`.
#[derive(Debug)]
pub(in crate::store::disk) struct BlockWriter<W> {
    to: W,
    written: u64,
    names: NameWriter,
    series: u64,
    samples: u64,
    first: Millis,
    last: Millis,
    /// The columns of times, by their bytes' hash and length: one that is there already is not written again.
    times: HashMap<u128, Place>,
    scratch: Vec<u8>,
}

impl<W: Write> BlockWriter<W> {
    pub(in crate::store::disk) fn start(number: u64, mut to: W) -> io::Result<Self> {
        let head = header(KIND, number);
        to.write_all(&head)?;
        Ok(Self {
            to,
            written: head.len() as u64,
            names: NameWriter::default(),
            series: 0,
            samples: 0,
            first: Millis(i64::MAX),
            last: Millis(i64::MIN),
            times: HashMap::new(),
            scratch: Vec::new(),
        })
    }

    /// Appends a series with all its samples, in order of time.
    pub(in crate::store::disk) fn put(&mut self, labels: &Labels, samples: &[(Millis, f64)]) -> io::Result<()> {
        let (Some((first, _)), Some((last, value))) = (samples.first(), samples.last()) else { return Ok(()) };
        let mut columns = Vec::new();
        for part in samples.chunks(MAX_COLUMN) {
            let times = self.times(part)?;
            columns.push(self.values(times, part)?);
        }
        let said = self.names.put(labels);
        put_signed(said, last.0);
        said.extend_from_slice(&value.to_bits().to_le_bytes());
        put_number(said, columns.len() as u64);
        for column in columns {
            column.write(said);
        }
        self.series += 1;
        self.samples += samples.len() as u64;
        self.first = self.first.min(*first);
        self.last = self.last.max(*last);
        Ok(())
    }

    fn times(&mut self, part: &[(Millis, f64)]) -> io::Result<Place> {
        self.scratch.clear();
        put_steps(&mut self.scratch, part.iter().map(|(at, _)| at.0));
        let key = fingerprint(&self.scratch);
        if let Some(place) = self.times.get(&key) {
            return Ok(*place);
        }
        let place = self.column()?;
        self.times.insert(key, place);
        Ok(place)
    }

    fn values(&mut self, times: Place, part: &[(Millis, f64)]) -> io::Result<Place> {
        self.scratch.clear();
        times.write(&mut self.scratch);
        put_number(&mut self.scratch, part.len() as u64);
        let mut values = ValueWriter::new(&mut self.scratch);
        let mut before = 0;
        for (_, value) in part {
            values.put(before, value.to_bits());
            before = value.to_bits();
        }
        values.finish();
        self.column()
    }

    /// Writes what is in `scratch` as a column.
    fn column(&mut self) -> io::Result<Place> {
        let (Ok(at), Ok(length)) = (u32::try_from(self.written), u32::try_from(self.scratch.len())) else {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a block cannot be longer than 4 GB"));
        };
        let sum = checksum(self.written, &self.scratch);
        self.to.write_all(&self.scratch)?;
        self.to.write_all(&sum.to_le_bytes())?;
        self.written += u64::from(length) + 4;
        Ok(Place { at, length })
    }

    /// Writes the index and the footer; gives back the file, or nothing if there was no sample.
    pub(in crate::store::disk) fn finish(mut self, newest: Millis) -> io::Result<Option<W>> {
        if self.samples == 0 {
            return Ok(None);
        }
        let mut index = Vec::new();
        put_number(&mut index, self.series);
        self.names.finish(&mut index);
        let footer = Footer {
            index_at: self.written,
            index_length: index.len() as u64,
            index_sum: checksum(self.written, &index),
            samples: self.samples,
            first: self.first,
            last: self.last,
            newest,
        };
        footer.write(&mut index);
        self.to.write_all(&index)?;
        Ok(Some(self.to))
    }
}

/// 128 bits of SHA-256: two columns that are not the same never have the same.
fn fingerprint(bytes: &[u8]) -> u128 {
    use sha2::{Digest as _, Sha256};
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(half)
}
