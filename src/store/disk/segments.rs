//! The log's files: the one that is written, and those that wait until a block holds what they hold.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::journal::Event;
use super::log::SegmentWriter;
use crate::model::{Labels, Millis};
use crate::store::shape::SeriesRef;

/// A segment ends when it is so long or holds so much time: damage takes no more than the rest of one.
const LONGEST: u64 = 4 << 20;
const SPAN: Duration = Duration::from_mins(5);
/// What a power cut may take; a kill takes none of it.
const SYNC_EVERY: Duration = Duration::from_secs(10);

/// Says what series are called.
type Names<'n> = dyn Fn(&[SeriesRef]) -> Vec<(SeriesRef, Labels)> + 'n;

#[derive(Debug)]
pub(super) struct Segments {
    /// The number of the next segment.
    next: u64,
    open: Option<Open>,
    ended: Vec<Ended>,
    /// The store's clock when the first of them was begun.
    since: Option<Millis>,
    synced: Instant,
}

/// A segment that nothing is written to any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) number: u64,
    pub(super) length: u64,
    /// It could not be read to its end.
    pub(super) is_damaged: bool,
}

#[derive(Debug)]
struct Open {
    number: u64,
    file: File,
    writer: SegmentWriter,
    length: u64,
    since: Millis,
    is_dirty: bool,
}

impl Segments {
    /// Goes on behind segments that are there; `since` is the time from which on they hold something.
    pub(super) fn new(next: u64, ended: Vec<Ended>, since: Option<Millis>) -> Self {
        Self { next, open: None, ended, since, synced: Instant::now() }
    }

    /// Bytes of all segments.
    pub(super) fn bytes(&self) -> u64 {
        self.ended.iter().map(|ended| ended.length).sum::<u64>() + self.open.as_ref().map_or(0, |open| open.length)
    }

    pub(super) fn since(&self) -> Option<Millis> {
        self.since
    }

    /// Writes events behind what is there. After an error the segment is left as it is and the next try begins another:
    /// what is then written twice is read once.
    pub(super) fn write(
        &mut self,
        folder: &Folder,
        events: &[Event],
        newest: Millis,
        names: &Names<'_>,
    ) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let is_long = |open: &Open| open.length >= LONGEST || newest.since(open.since) >= SPAN || newest < open.since;
        if self.open.as_ref().is_some_and(is_long) {
            self.end();
        }
        let mut out = Vec::new();
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(folder, newest, &mut out)?,
        };
        for event in events {
            match event {
                Event::Samples(samples) => {
                    let mut new: Vec<_> = samples
                        .iter()
                        .map(|sample| sample.series)
                        .filter(|series| open.writer.is_new(*series))
                        .collect();
                    new.sort();
                    new.dedup();
                    let known = names(&new);
                    open.writer.name(known.iter().map(|(series, labels)| (*series, labels)), &mut out);
                    open.writer.samples(samples, newest, &mut out);
                }
                Event::Rewind(at) => open.writer.rewind(*at, &mut out),
            }
        }
        let written = open.file.write_all(&out);
        if let Err(error) = written {
            if open.length == 0 {
                // Tries on a full disk must not leave a file each.
                let _ = fs::remove_file(folder.segment(open.number));
            } else {
                let length = open.file.metadata().map_or(open.length, |metadata| metadata.len());
                self.ended.push(Ended { number: open.number, length, is_damaged: false });
            }
            return Err(error);
        }
        open.length += out.len() as u64;
        open.is_dirty = true;
        self.open = Some(open);
        // Before the first picture there is no clock, and no time since when.
        self.since = self.since.or(Some(newest).filter(|newest| newest.0 != i64::MIN));
        Ok(())
    }

    fn begin(&mut self, folder: &Folder, newest: Millis, out: &mut Vec<u8>) -> io::Result<Open> {
        let number = self.next;
        let file = File::options().write(true).create_new(true).open(folder.segment(number))?;
        self.next += 1;
        let writer = SegmentWriter::start(number, out);
        Ok(Open { number, file, writer, length: 0, since: newest, is_dirty: true })
    }

    /// Lets the disk take what was written, when it is time or when it `must`.
    pub(super) fn sync(&mut self, must: bool) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| open.is_dirty) else { return Ok(()) };
        if must || self.synced.elapsed() >= SYNC_EVERY {
            self.synced = Instant::now();
            open.file.sync_data()?;
            open.is_dirty = false;
        }
        Ok(())
    }

    /// Ends the open segment. Gives the number of the next.
    pub(super) fn end(&mut self) -> u64 {
        if let Err(error) = self.sync(true) {
            tracing::warn!(%error, "a segment of the history's log may not outlast a power cut");
        }
        if let Some(open) = self.open.take() {
            self.ended.push(Ended { number: open.number, length: open.length, is_damaged: false });
        }
        self.next
    }

    /// Removes the segments before `number`: a block holds what they held. Of a damaged one it holds what could be read.
    pub(super) fn drop_before(&mut self, folder: &Folder, number: u64, newest: Millis) {
        self.ended
            .retain(|ended| ended.number >= number || ended.drop_from(folder).is_err_and(|error| is_there(&error)));
        let holds = self.open.is_some() || !self.ended.is_empty();
        self.since = holds.then_some(newest).filter(|newest| newest.0 != i64::MIN);
    }
}

impl Ended {
    /// A block holds what could be read of it.
    pub(super) fn drop_from(self, folder: &Folder) -> io::Result<()> {
        if self.is_damaged { folder.set_aside(self.number) } else { fs::remove_file(folder.segment(self.number)) }
    }
}

fn is_there(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::NotFound
}
