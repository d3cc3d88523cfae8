//! The write-ahead log: what was appended since the last block, in the order in which it came.
//!
//! A segment is a header and frames: length, checksums (which cover the frame's place in the segment), payload. It says
//! anew what each of its series is called and what value it begins with, so a segment that is lost takes nothing with it.
//! Behind a damaged frame the rest of its segment is skipped: values are differences, and one that is missing would make
//! all that follow wrong.

use std::collections::HashMap;
use std::io::{self, Read};

use super::bytes::{Reader, put_number, put_signed};
use super::columns::{ValueReader, ValueWriter, put_steps, read_steps};
use super::frame::{HEADER, Header, checksum, header, read_header};
use super::names::{NameReader, NameWriter};
use crate::model::{Labels, Millis};
use crate::store::shape::SeriesRef;

const KIND: [u8; 6] = *b"SWLOG\0";
/// A frame's length, its payload's checksum, and the checksum of these two: a length that was damaged must not pass for a
/// frame that was cut off.
const FRAME: usize = 12;
/// No frame is longer. What claims to be is damage.
const MAX_PAYLOAD: usize = 16 << 20;
/// A frame of samples holds no more.
pub(super) const MAX_SAMPLES: usize = 1 << 16;
/// A frame of names ends when it is so long.
const NAMES: usize = 1 << 20;

const NAMED: u8 = 1;
const SAMPLES: u8 = 2;
const REWIND: u8 = 3;

/// A sample as the log takes it.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Sample {
    pub(super) series: SeriesRef,
    pub(super) at: Millis,
    pub(super) value: f64,
}

/// Makes the bytes of one segment.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    frames: u64,
    /// By the number of the series' slot: which series it is here, and its last value's bits.
    known: HashMap<u32, (u32, u64)>,
    payload: Vec<u8>,
}

impl SegmentWriter {
    /// Starts the segment in `out`.
    pub(super) fn start(number: u64, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&header(KIND, number));
        Self { frames: 0, known: HashMap::new(), payload: Vec::new() }
    }

    /// Whether the segment has not said yet what the series is called.
    pub(super) fn is_new(&self, series: SeriesRef) -> bool {
        self.known.get(&series.id).is_none_or(|(generation, _)| *generation != series.generation)
    }

    /// Says what series are called. One whose labels fill a frame by themselves is left out, and its samples with it.
    pub(super) fn name<'l>(&mut self, series: impl Iterator<Item = (SeriesRef, &'l Labels)>, out: &mut Vec<u8>) {
        let (mut names, mut ids) = (NameWriter::default(), Vec::new());
        for (reference, labels) in series {
            if labels.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > NAMES {
                continue;
            }
            names.put(labels);
            ids.push(reference);
            if names.size() >= NAMES {
                self.put_names(std::mem::take(&mut names), &mut ids, out);
            }
        }
        self.put_names(names, &mut ids, out);
    }

    fn put_names(&mut self, names: NameWriter, series: &mut Vec<SeriesRef>, out: &mut Vec<u8>) {
        if series.is_empty() {
            return;
        }
        self.payload.push(NAMED);
        put_number(&mut self.payload, series.len() as u64);
        put_steps(&mut self.payload, series.iter().map(|series| i64::from(series.id)));
        names.finish(&mut self.payload);
        self.end_frame(out);
        for SeriesRef { id, generation } in series.drain(..) {
            self.known.insert(id, (generation, 0));
        }
    }

    /// Appends samples of series that were named. `newest` is the store's clock.
    pub(super) fn samples(&mut self, samples: &[Sample], newest: Millis, out: &mut Vec<u8>) {
        let named: Vec<_> = samples.iter().filter(|sample| !self.is_new(sample.series)).collect();
        for samples in named.chunks(MAX_SAMPLES) {
            self.payload.push(SAMPLES);
            put_signed(&mut self.payload, newest.0);
            put_number(&mut self.payload, samples.len() as u64);
            put_steps(&mut self.payload, samples.iter().map(|sample| i64::from(sample.series.id)));
            put_steps(&mut self.payload, samples.iter().map(|sample| sample.at.0));
            let mut values = ValueWriter::new(&mut self.payload);
            for sample in samples {
                let bits = sample.value.to_bits();
                if let Some((_, last)) = self.known.get_mut(&sample.series.id) {
                    values.put(*last, bits);
                    *last = bits;
                }
            }
            values.finish();
            self.end_frame(out);
        }
    }

    /// The clock was set back: what is not before `at` is forgotten.
    pub(super) fn rewind(&mut self, at: Millis, out: &mut Vec<u8>) {
        self.payload.push(REWIND);
        put_signed(&mut self.payload, at.0);
        self.end_frame(out);
    }

    fn end_frame(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&(self.payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&checksum(self.frames, &self.payload).to_le_bytes());
        let head = checksum(self.frames, &out[start..]);
        out.extend_from_slice(&head.to_le_bytes());
        out.extend_from_slice(&self.payload);
        self.payload.clear();
        self.frames += 1;
    }
}

/// Takes what a segment says.
pub(super) trait Replay {
    /// A series by its name, if there is place for it.
    fn series(&mut self, labels: Labels) -> Option<SeriesRef>;
    fn sample(&mut self, series: SeriesRef, at: Millis, value: f64);
    fn newest(&mut self, at: Millis);
    fn rewind(&mut self, at: Millis);
}

/// How far a segment could be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// To its end.
    Whole,
    /// Its last frame was not written to its end, as a kill leaves it: all before this offset is good.
    Torn(u64),
    /// What stands at this offset is not what was written; it and what follows was skipped.
    Damaged(u64),
    /// A later version of Sidewatch wrote it.
    Later(u16),
}

/// Reads a segment from its beginning. Whole frames are handed over, others not at all.
pub(super) fn read_segment(number: u64, mut from: impl Read, replay: &mut impl Replay) -> io::Result<Extent> {
    let mut start = [0; HEADER];
    let got = fill(&mut from, &mut start)?;
    match read_header(KIND, &start[..got]) {
        Header::Ours(found) if found == number => {}
        Header::Later(version) => return Ok(Extent::Later(version)),
        _ if header(KIND, number).starts_with(&start[..got]) => return Ok(Extent::Torn(0)),
        _ => return Ok(Extent::Damaged(0)),
    }
    let mut known = HashMap::new();
    let (mut offset, mut payload) = (HEADER as u64, Vec::new());
    for frame in 0.. {
        let mut head = [0; FRAME];
        match fill(&mut from, &mut head)? {
            0 => break,
            FRAME => {}
            _ => return Ok(Extent::Torn(offset)),
        }
        let Some((length, sum)) = read_head(frame, &head) else { return Ok(Extent::Damaged(offset)) };
        payload.clear();
        if (&mut from).take(length as u64).read_to_end(&mut payload)? < length {
            return Ok(Extent::Torn(offset));
        }
        if checksum(frame, &payload) != sum || read_payload(&payload, &mut known, replay).is_none() {
            return Ok(Extent::Damaged(offset));
        }
        offset += (FRAME + length) as u64;
    }
    Ok(Extent::Whole)
}

/// The payload's length and checksum.
fn read_head(frame: u64, head: &[u8; FRAME]) -> Option<(usize, u32)> {
    let mut reader = Reader(head);
    let (length, sum, of_head) = (reader.u32()? as usize, reader.u32()?, reader.u32()?);
    let is_ours = of_head == checksum(frame, &head[..8]) && (1..=MAX_PAYLOAD).contains(&length);
    is_ours.then_some((length, sum))
}

/// Reads until the buffer is full or the end is reached; says how much that was.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match from.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// By the number that the segment gives a series: which it is here, if there was place for it, and its last value's bits.
type Known = HashMap<i64, (Option<SeriesRef>, u64)>;

fn read_payload(payload: &[u8], known: &mut Known, replay: &mut impl Replay) -> Option<()> {
    let mut reader = Reader(payload);
    match reader.byte()? {
        NAMED => {
            let ids = read_ids(&mut reader)?;
            let names = NameReader::read(&mut reader)?;
            for id in ids {
                let labels = names.set(&mut reader)?;
                known.insert(id, (replay.series(labels), 0));
            }
        }
        SAMPLES => {
            let newest = Millis(reader.signed()?);
            let ids = read_ids(&mut reader)?;
            let mut times = Vec::with_capacity(ids.len());
            read_steps(&mut reader, ids.len(), |at| times.push(Millis(at)))?;
            let mut values = ValueReader::new(&mut reader);
            let mut samples = Vec::with_capacity(ids.len());
            for (id, at) in ids.into_iter().zip(times) {
                let (series, last) = known.get_mut(&id)?;
                *last = values.next(*last)?;
                samples.push((*series, at, f64::from_bits(*last)));
            }
            replay.newest(newest);
            for (series, at, value) in samples {
                if let Some(series) = series {
                    replay.sample(series, at, value);
                }
            }
        }
        REWIND => replay.rewind(Millis(reader.signed()?)),
        _ => return None,
    }
    reader.is_empty().then_some(())
}

fn read_ids(reader: &mut Reader<'_>) -> Option<Vec<i64>> {
    // A run of many series takes few bytes, so their number is bounded by itself.
    let count = usize::try_from(reader.number()?).ok().filter(|count| *count <= NAMES)?;
    let mut ids = Vec::new();
    read_steps(reader, count, |id| ids.push(id))?;
    Some(ids)
}

/// Reads bytes as recovery does: as a segment, and as the payloads of frames whose checksums are right, which no fuzzer
/// would find. Says how many samples there were.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) -> usize {
    struct Count(u32, usize);
    impl Replay for Count {
        fn series(&mut self, _: Labels) -> Option<SeriesRef> {
            self.0 += 1;
            Some(SeriesRef { id: self.0, generation: 0 })
        }
        fn sample(&mut self, _: SeriesRef, _: Millis, _: f64) {
            self.1 += 1;
        }
        fn newest(&mut self, _: Millis) {}
        fn rewind(&mut self, _: Millis) {}
    }
    let mut count = Count(0, 0);
    let _ = read_segment(1, bytes, &mut count);
    let (mut known, mut reader) = (HashMap::new(), Reader(bytes));
    while let Some(payload) = reader.number().and_then(|length| reader.bytes(usize::try_from(length).ok()?)) {
        if read_payload(payload, &mut known, &mut count).is_none() {
            break;
        }
    }
    count.1
}

#[cfg(test)]
mod tests;
