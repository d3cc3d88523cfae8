//! Reads blocks by position: nothing but where the series' columns are is kept in memory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::super::Damage;
use super::super::Handles;
use super::super::bytes::Reader;
use super::super::columns::{ValueReader, read_steps};
use super::super::frame::{HEADER, Header, checksum, read_header};
use super::super::names::NameReader;
use super::{FOOTER, Footer, KIND, MAX_COLUMN, Place};
use crate::model::{Labels, Millis};
use crate::store::shape::SeriesRef;

/// An index that claims to be longer is damage.
const MAX_INDEX: u64 = 1 << 30;

/// A sealed block.
#[derive(Debug)]
pub(in crate::store) struct Block {
    pub(in crate::store::disk) number: u64,
    pub(in crate::store::disk) footer: Footer,
    pub(in crate::store::disk) size: u64,
    path: Mutex<PathBuf>,
    handles: Arc<Handles>,
    /// Its file when it was deleted: who reads it goes on.
    deleted: OnceLock<Arc<File>>,
    /// What is behind this was forgotten when the clock was set back.
    visible: AtomicI64,
    /// Where the series' columns are: sorted by series, those of one series by time.
    columns: Vec<(SeriesRef, Place)>,
    /// The column of times that was read last, and where it is.
    times: Mutex<Option<(Place, Arc<[Millis]>)>>,
    damage: Arc<Damage>,
}

/// A series as a block's index names it.
#[derive(Debug)]
pub(in crate::store::disk) struct Indexed {
    pub(in crate::store::disk) labels: Labels,
    /// Its last sample here.
    pub(in crate::store::disk) last: (Millis, f64),
}

/// Why a column cannot be read.
#[derive(Debug)]
enum ReadError {
    Io(io::Error),
    /// What stands at this offset is not what was written.
    Damaged(u64),
}

/// Why a block cannot be used.
#[derive(Debug)]
pub(in crate::store::disk) enum OpenError {
    Io(io::Error),
    Later(u16),
    /// What stands at this offset is not what was written.
    Damaged(u64),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Block {
    /// Opens a block and gives each series of it to `take`, which says which one it is in the store.
    pub(in crate::store::disk) fn open(
        number: u64,
        path: &Path,
        visible: Millis,
        (damage, handles): (&Arc<Damage>, &Arc<Handles>),
        mut take: impl FnMut(Indexed) -> Option<SeriesRef>,
    ) -> Result<Self, OpenError> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut head = vec![0; HEADER.min(usize::try_from(size).unwrap_or(HEADER))];
        file.read_exact_at(&mut head, 0)?;
        match read_header(KIND, &head) {
            Header::Ours(found) if found == number => {}
            Header::Later(version) => return Err(OpenError::Later(version)),
            _ => return Err(OpenError::Damaged(0)),
        }
        let footer_at = size.checked_sub(FOOTER as u64).ok_or(OpenError::Damaged(0))?;
        let mut bytes = [0; FOOTER];
        file.read_exact_at(&mut bytes, footer_at)?;
        let footer = Footer::read(&bytes).ok_or(OpenError::Damaged(footer_at))?;
        let damaged = || OpenError::Damaged(footer.index_at);
        if footer.index_length > MAX_INDEX || footer.index_at.checked_add(footer.index_length) != Some(footer_at) {
            return Err(OpenError::Damaged(footer_at));
        }
        let mut index = vec![0; footer.index_length as usize];
        file.read_exact_at(&mut index, footer.index_at)?;
        if checksum(footer.index_at, &index) != footer.index_sum {
            return Err(damaged());
        }
        let columns = read_index(&index, &mut take).ok_or_else(damaged)?;
        Ok(Self {
            number,
            footer,
            size,
            path: Mutex::new(path.to_owned()),
            handles: Arc::clone(handles),
            deleted: OnceLock::new(),
            visible: AtomicI64::new(visible.0),
            columns,
            times: Mutex::new(None),
            damage: Arc::clone(damage),
        })
    }

    /// Gives its file another name.
    pub(in crate::store::disk) fn rename(&self, to: PathBuf) -> io::Result<()> {
        let mut path = self.lock_path();
        fs::rename(&*path, &to)?;
        *path = to;
        Ok(())
    }

    /// Deletes its file. Who reads it goes on; when nobody does, it is gone from the disk.
    pub(in crate::store::disk) fn delete(&self) -> io::Result<()> {
        if let Ok(file) = self.file() {
            let _ = self.deleted.set(file);
        }
        self.handles.close(self.number);
        fs::remove_file(&*self.lock_path())
    }

    fn file(&self) -> io::Result<Arc<File>> {
        let deleted = self.deleted.get().cloned();
        deleted.map_or_else(|| self.handles.get(self.number, || File::open(&*self.lock_path())), Ok)
    }

    fn lock_path(&self) -> MutexGuard<'_, PathBuf> {
        self.path.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time behind which nothing of it is shown.
    pub(in crate::store::disk) fn visible(&self) -> Millis {
        Millis(self.visible.load(Ordering::Relaxed)).min(self.footer.last)
    }

    /// Shows nothing that is not before `at` any more.
    pub(in crate::store) fn rewind(&self, at: Millis) {
        self.visible.fetch_min(at.0.saturating_sub(1), Ordering::Relaxed);
    }

    pub(in crate::store) fn number(&self) -> u64 {
        self.number
    }

    /// Whether all that it shows is before `at`.
    pub(in crate::store) fn is_before(&self, at: Millis) -> bool {
        self.visible() < at
    }

    /// Whether it may hold samples in `(after, until]`.
    pub(in crate::store::disk) fn reaches_into(&self, after: Millis, until: Millis) -> bool {
        self.footer.first <= until && self.visible() > after
    }

    /// The columns of a series, in order of time.
    fn places(&self, series: SeriesRef) -> impl Iterator<Item = Place> + '_ {
        let from = self.columns.partition_point(|(other, _)| *other < series);
        self.columns[from..].iter().take_while(move |(other, _)| *other == series).map(|(_, place)| *place)
    }

    pub(in crate::store::disk) fn holds(&self, series: SeriesRef) -> bool {
        self.places(series).next().is_some()
    }

    /// Appends what the series has in `(after, until]`. What is damaged is left out, counted and told.
    pub(in crate::store::disk) fn read(
        &self,
        series: SeriesRef,
        (after, until): (Millis, Millis),
        samples: &mut Vec<(Millis, f64)>,
    ) {
        let until = until.min(self.visible());
        for place in self.places(series) {
            let good = samples.len();
            let Err(error) = self.read_column(place, (after, until), samples) else { continue };
            samples.truncate(good);
            let path = self.lock_path().clone();
            match error {
                ReadError::Io(error) => self.damage.unreadable(&path, &error),
                ReadError::Damaged(at) => {
                    self.damage.found(&path, at, "what stands there is not what was written; it is left out");
                }
            }
        }
    }

    fn read_column(
        &self,
        place: Place,
        (after, until): (Millis, Millis),
        samples: &mut Vec<(Millis, f64)>,
    ) -> Result<(), ReadError> {
        let damaged = || ReadError::Damaged(u64::from(place.at));
        let bytes = self.bytes(place)?;
        let mut reader = Reader(&bytes);
        let times = Place::read(&mut reader).ok_or_else(damaged)?;
        let count = usize::try_from(reader.number().ok_or_else(damaged)?).unwrap_or(usize::MAX);
        if count > MAX_COLUMN {
            return Err(damaged());
        }
        let times = self.times(times, count)?;
        let mut values = ValueReader::new(&mut reader);
        let mut before = 0;
        for at in times.iter() {
            if *at > until {
                break;
            }
            before = values.next(before).ok_or_else(damaged)?;
            if *at > after {
                samples.push((*at, f64::from_bits(before)));
            }
        }
        Ok(())
    }

    fn times(&self, place: Place, count: usize) -> Result<Arc<[Millis]>, ReadError> {
        let known = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, times)) = known.filter(|(at, times)| *at == place && times.len() == count) {
            return Ok(times);
        }
        let bytes = self.bytes(place)?;
        let mut times = Vec::with_capacity(count);
        let read = read_steps(&mut Reader(&bytes), count, |at| times.push(Millis(at)));
        read.ok_or(ReadError::Damaged(u64::from(place.at)))?;
        let times: Arc<[Millis]> = times.into();
        *self.times.lock().unwrap_or_else(PoisonError::into_inner) = Some((place, Arc::clone(&times)));
        Ok(times)
    }

    /// A column's bytes, if they are what was written.
    fn bytes(&self, place: Place) -> Result<Vec<u8>, ReadError> {
        let at = u64::from(place.at);
        if at + u64::from(place.length) + 4 > self.footer.index_at {
            return Err(ReadError::Damaged(at));
        }
        let mut bytes = vec![0; place.length as usize + 4];
        let read = self.file().and_then(|file| file.read_exact_at(&mut bytes, at));
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Damaged(at),
            _ => ReadError::Io(error),
        })?;
        let sum = bytes.split_off(place.length as usize);
        if checksum(at, &bytes).to_le_bytes() == sum[..] { Ok(bytes) } else { Err(ReadError::Damaged(at)) }
    }
}

fn read_index(index: &[u8], take: &mut impl FnMut(Indexed) -> Option<SeriesRef>) -> Option<Vec<(SeriesRef, Place)>> {
    let mut reader = Reader(index);
    let series = reader.count()?;
    let names = NameReader::read(&mut reader)?;
    let mut columns = Vec::new();
    for _ in 0..series {
        let labels = names.set(&mut reader)?;
        let last = (Millis(reader.signed()?), f64::from_bits(reader.u64()?));
        let count = reader.count()?;
        let reference = take(Indexed { labels, last });
        for _ in 0..count {
            let place = Place::read(&mut reader)?;
            columns.extend(reference.map(|reference| (reference, place)));
        }
    }
    // Columns of one series stand in the file in order of time, and a stable sort leaves them so.
    columns.sort_by_key(|(series, _)| *series);
    columns.shrink_to_fit();
    reader.is_empty().then_some(columns)
}
