//! Records by name in one file that outlasts a kill: what is still to be done, and what was done.
//!
//! Changes are appended in frames: length, checksum of the payload, checksum of these two, payload. One write and one sync
//! for as many changes as there are. What they replaced stays in the file until it is most of it; then what holds is written
//! anew beside it and takes its name.
//!
//! Invariants: the changes of one call up to [`FRAME`] bytes hold together or not at all. Bytes that nobody wrote are
//! skipped, at the end as after a kill, elsewhere as damage, and what stands behind them is found again: a file is never a
//! reason not to start.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KIND: [u8; 6] = *b"SWJRNL";
/// Files of this version are written and read. A later one is set aside.
const VERSION: u16 = 1;
const HEADER: usize = 12;
const HEAD: usize = 12;
/// A frame that has grown so long is ended.
pub const FRAME: usize = 4 << 20;
/// No frame is longer; what claims to be is damage.
const MOST: usize = 64 << 20;
/// A file shorter than this is not worth writing anew.
const SMALL: u64 = 1 << 20;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is this from now on.
    Put(Arc<str>, Vec<u8>),
    /// It is no more.
    Remove(Arc<str>),
}

/// What a file held.
#[derive(Debug, Default)]
pub struct Found {
    /// The records that hold, in the order in which they were last put.
    pub records: Vec<(Arc<str>, Vec<u8>)>,
    /// Places where something else stands than what was written.
    pub damaged: usize,
    /// Where a file went that a later version wrote; it is not ours to read.
    pub later: Option<PathBuf>,
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    live: HashMap<Arc<str>, Place>,
    live_bytes: u64,
    limit: u64,
}

/// Where a record stands: the whole change with its name.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: usize,
}

impl Journal {
    /// Reads the file, or starts it with its folder. Records may take up to `limit` bytes.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    pub fn open(path: &Path, limit: u64) -> io::Result<(Self, Found)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut found = match fs::read(path) {
            Ok(bytes) => read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::default(),
            Err(error) => return Err(error),
        };
        if found.later.is_some() {
            let aside = path.with_extension("later");
            fs::rename(path, &aside)?;
            found.later = Some(aside);
        }
        let changes = found.records.iter().map(|(name, value)| Change::Put(Arc::clone(name), value.clone()));
        let mut journal = Self {
            path: path.to_owned(),
            // Replaced at once; there is no file without a handle.
            file: File::open("/dev/null")?,
            length: 0,
            live: HashMap::new(),
            live_bytes: 0,
            limit,
        };
        let (bytes, places) = encode(&changes.collect::<Vec<_>>(), HEADER as u64);
        journal.replace(&[&header()[..], &bytes].concat())?;
        for (name, place) in places {
            journal.note(name, place);
        }
        Ok((journal, found))
    }

    /// Makes changes last. Says how many records found no room; of those there is none then.
    ///
    /// # Errors
    /// The disk refuses; then nothing has changed.
    pub fn write(&mut self, changes: Vec<Change>) -> io::Result<usize> {
        let (mut coming, mut refused) = (self.live_bytes, 0);
        let fitting = changes.into_iter().map(|change| match change {
            Change::Put(name, value) if coming + (name.len() + value.len()) as u64 > self.limit => {
                refused += 1;
                Change::Remove(name)
            }
            Change::Put(name, value) => {
                coming += (name.len() + value.len()) as u64;
                Change::Put(name, value)
            }
            remove @ Change::Remove(_) => remove,
        });
        let changes: Vec<_> = fitting.collect();
        let (bytes, places) = encode(&changes, self.length);
        let written = self.file.write_all_at(&bytes, self.length).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // What was written of it must not come back behind what is written next.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        for (name, place) in places {
            self.note(name, place);
        }
        Ok(refused)
    }

    /// Writes the file anew when most of it is of no use any more.
    ///
    /// # Errors
    /// The disk refuses; then all is as before.
    pub fn tidy(&mut self) -> io::Result<()> {
        if self.length < SMALL || self.length / 3 < self.live_bytes {
            return Ok(());
        }
        let mut places: Vec<_> = self.live.iter().map(|(name, place)| (Arc::clone(name), *place)).collect();
        places.sort_by_key(|(_, place)| place.offset);
        let (mut bytes, mut moved) = (header().to_vec(), Vec::new());
        for (name, place) in places {
            let mut payload = vec![0; place.length];
            self.file.read_exact_at(&mut payload, place.offset)?;
            moved.push((name, Place { offset: (bytes.len() + HEAD) as u64, length: place.length }));
            put_frame(&mut bytes, &payload);
        }
        self.replace(&bytes)?;
        self.live.extend(moved);
        Ok(())
    }

    /// Takes nothing from now on, as a full disk.
    #[cfg(test)]
    pub(crate) fn break_disk(&mut self) {
        self.file = File::open(&self.path).unwrap();
    }

    /// Takes something again.
    #[cfg(test)]
    pub(crate) fn mend_disk(&mut self) {
        self.file = File::options().read(true).write(true).open(&self.path).unwrap();
    }

    /// How many records hold.
    pub fn records(&self) -> usize {
        self.live.len()
    }

    /// How many bytes the file has.
    pub fn bytes(&self) -> u64 {
        self.length
    }

    fn note(&mut self, name: Arc<str>, place: Option<Place>) {
        let before = match place {
            Some(place) => {
                self.live_bytes += place.length as u64;
                self.live.insert(name, place)
            }
            None => self.live.remove(&name),
        };
        self.live_bytes -= before.map_or(0, |place| place.length as u64);
    }

    /// The file is this from now on, whole or as it was before.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let part = self.path.with_extension("part");
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        (self.file, self.length) = (file, bytes.len() as u64);
        Ok(())
    }
}

fn header() -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..6].copy_from_slice(&KIND);
    header[6..8].copy_from_slice(&VERSION.to_le_bytes());
    let sum = crc32fast::hash(&header[..8]);
    header[8..].copy_from_slice(&sum.to_le_bytes());
    header
}

const PUT: u8 = 1;
const REMOVE: u8 = 2;

/// Where each record stands; nowhere if it was removed.
type Places = Vec<(Arc<str>, Option<Place>)>;

/// Frames that begin at `start` in the file, and where each record stands then.
fn encode(changes: &[Change], start: u64) -> (Vec<u8>, Places) {
    let (mut out, mut payload, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        let begin = payload.len();
        let (tag, name, value) = match change {
            Change::Put(name, value) => (PUT, name, &value[..]),
            Change::Remove(name) => (REMOVE, name, &[][..]),
        };
        payload.push(tag);
        for part in [name.as_bytes(), value] {
            payload.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            payload.extend_from_slice(part);
        }
        let offset = start + (out.len() + HEAD + begin) as u64;
        let place = (tag == PUT).then_some(Place { offset, length: payload.len() - begin });
        places.push((Arc::clone(name), place));
        if payload.len() >= FRAME {
            put_frame(&mut out, &payload);
            payload.clear();
        }
    }
    if !payload.is_empty() {
        put_frame(&mut out, &payload);
    }
    (out, places)
}

fn put_frame(out: &mut Vec<u8>, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Reads a whole file, as recovery does.
fn read(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    if bytes.is_empty() {
        return found;
    }
    let start = bytes.get(..HEADER).unwrap_or_default();
    if start != header() {
        let is_ours = start.starts_with(&KIND) && number(&start[8..]) == Some(crc32fast::hash(&start[..8]));
        if is_ours && u16::from_le_bytes([start[6], start[7]]) > VERSION {
            found.later = Some(PathBuf::new());
            return found;
        }
        found.damaged += usize::from(bytes.len() >= HEADER);
    }
    let mut held: HashMap<Arc<str>, (usize, Vec<u8>)> = HashMap::new();
    let (mut at, mut order, mut is_lost) = (HEADER, 0, false);
    while at < bytes.len() {
        let Some(payload) = frame(&bytes[at..]) else {
            // What was cut off at the end by a kill is no damage, so this counts only when something good follows.
            is_lost = true;
            at += 1;
            continue;
        };
        found.damaged += usize::from(std::mem::take(&mut is_lost));
        at += HEAD + payload.len();
        let mut rest = payload;
        while let Some((tag, name, value)) = change(&mut rest) {
            order += 1;
            if tag == PUT {
                held.insert(name.into(), (order, value.to_vec()));
            } else {
                held.remove(name);
            }
        }
    }
    let mut records: Vec<_> = held.into_iter().collect();
    records.sort_by_key(|(_, (order, _))| *order);
    found.records = records.into_iter().map(|(name, (_, value))| (name, value)).collect();
    found
}

/// The payload of the frame that stands here, if one does.
fn frame(bytes: &[u8]) -> Option<&[u8]> {
    let head = bytes.get(..HEAD)?;
    if number(&head[8..])? != crc32fast::hash(&head[..8]) {
        return None;
    }
    let length = number(head)? as usize;
    let payload = bytes.get(HEAD..HEAD + length).filter(|_| (1..=MOST).contains(&length))?;
    (crc32fast::hash(payload) == number(&head[4..])?).then_some(payload)
}

/// Takes a change from the front.
fn change<'b>(rest: &mut &'b [u8]) -> Option<(u8, &'b str, &'b [u8])> {
    let (tag, mut left) = rest.split_first()?;
    let mut part = || {
        let (length, behind) = left.split_at_checked(4)?;
        let (part, behind) = behind.split_at_checked(number(length)? as usize)?;
        left = behind;
        Some(part)
    };
    let (name, value) = (part()?, part()?);
    *rest = left;
    Some((*tag, std::str::from_utf8(name).ok()?, value))
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
