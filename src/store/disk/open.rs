//! Reads what is on disk at the start: the blocks' indexes, then the log behind the last block.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::block::{Block, Indexed, OpenError};
use super::damage::Damage;
use super::folder::{BlockFile, Folder};
use super::handles::Handles;
use super::keeper::Keeper;
use super::log::{Extent, Replay, read_segment};
use super::segments::{Ended, Segments};
use super::{OpenStoreError, Recovery};
use crate::model::{Labels, Millis};
use crate::store::history::History;
use crate::store::shape::SeriesRef;

/// Fills an empty history with what the folder holds, and starts the thread that writes on.
pub(in crate::store) fn open(
    history: &Arc<RwLock<History>>,
    root: &Path,
) -> Result<(Keeper, Recovery), OpenStoreError> {
    let folder = Folder::open(root)?;
    let (damage, handles) = (Arc::new(Damage::default()), Arc::new(Handles::default()));
    let mut recovery = Recovery::default();
    let mut guard = history.write().unwrap_or_else(PoisonError::into_inner);
    let (block_files, segments) = (folder.block_files()?, folder.segments()?);
    let mut last_block = 0;
    for file in &block_files {
        if let Some(block) = read_block(&mut guard, file, (&damage, &handles))? {
            last_block = file.number;
            recovery.in_blocks += block.footer.samples;
            guard.adopt(Arc::new(block));
            recovery.shed += guard.shed_between_files();
        }
    }
    let mut log = Log { history: &mut guard, samples: 0 };
    let (mut ended, mut since) = (Vec::new(), None);
    for (number, path) in &segments {
        if *number < last_block {
            // A block holds what it holds; a kill came between.
            let known = read_log(&mut Nothing, *number, path, &damage)?;
            let _ = known.map(|known| known.drop_from(&folder));
            continue;
        }
        if let Some(read) = read_log(&mut log, *number, path, &damage)? {
            since = since.or(Some(log.history.newest()).filter(|newest| newest.0 != i64::MIN));
            ended.push(read);
            recovery.shed += log.history.shed_between_files();
        }
    }
    recovery.from_log = log.samples;
    recovery.shed += guard.shed();
    recovery.series = guard.series().len();
    recovery.damaged = damage.count();
    let numbers = block_files.iter().map(|file| file.number).chain(segments.iter().map(|(number, _)| *number + 1));
    let next = numbers.max().unwrap_or(1).max(1);
    let (journal, wake, woken) = Keeper::prepare();
    guard.keep_journal(journal);
    drop(guard);
    let segments = Segments::new(next, ended, since);
    let keeper = Keeper::start(Arc::clone(history), folder, segments, (damage, handles), (wake, woken));
    let keeper = keeper.map_err(|source| OpenStoreError::Io { path: root.to_owned(), source })?;
    Ok((keeper, recovery))
}

/// A block that is damaged where it must be read now is skipped, told and left where it is.
fn read_block(
    history: &mut History,
    file: &BlockFile,
    (damage, handles): (&Arc<Damage>, &Arc<Handles>),
) -> Result<Option<Block>, OpenStoreError> {
    let mut held = Vec::new();
    let opened = Block::open(file.number, &file.path, file.visible, (damage, handles), |Indexed { labels, last }| {
        let series = history.intern_read(&labels);
        held.push((series, last));
        Some(series)
    });
    let block = match opened {
        Ok(block) => block,
        Err(OpenError::Later(version)) => return Err(OpenStoreError::Later { file: file.path.clone(), version }),
        Err(OpenError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            damage.found(&file.path, 0, "the block is cut off and was skipped");
            return Ok(None);
        }
        Err(OpenError::Io(error)) => {
            damage.unreadable(&file.path, &error);
            return Ok(None);
        }
        Err(OpenError::Damaged(offset)) => {
            damage.found(&file.path, offset, "the block cannot be read and was skipped");
            return Ok(None);
        }
    };
    let mut samples = Vec::new();
    for (series, last) in held {
        if last.0 <= block.visible() {
            history.restore(series, last);
            continue;
        }
        samples.clear();
        block.read(series, (Millis(i64::MIN), Millis(i64::MAX)), &mut samples);
        if let Some(last) = samples.last() {
            history.restore(series, *last);
        }
    }
    history.set_newest(block.footer.newest.min(block.visible().max(block.footer.first)));
    Ok(Some(block))
}

/// Reads a segment into the history; nothing if there is nothing in it. What cannot be read is told and left where it is.
fn read_log(
    replay: &mut impl Replay,
    number: u64,
    path: &Path,
    damage: &Damage,
) -> Result<Option<Ended>, OpenStoreError> {
    let mut ended = Ended { number, length: 0, is_damaged: false };
    let read = File::open(path).and_then(|file| {
        ended.length = file.metadata()?.len();
        read_segment(number, BufReader::with_capacity(64 << 10, file), replay)
    });
    match read {
        Ok(Extent::Whole) => {}
        Ok(Extent::Later(version)) => return Err(OpenStoreError::Later { file: path.to_owned(), version }),
        Ok(Extent::Damaged(offset)) => {
            damage.found(path, offset, "what stands there is not what was written; the rest of this file is skipped");
            ended.is_damaged = true;
        }
        // What a kill leaves. Without the torn end the next start finds the file whole.
        Ok(Extent::Torn(0)) => {
            let _ = fs::remove_file(path);
            return Ok(None);
        }
        Ok(Extent::Torn(offset)) => {
            tracing::info!(file = %path.display(), offset, "the history's log was cut off there, as by a kill");
            let cut = File::options().write(true).open(path).and_then(|file| file.set_len(offset));
            if cut.is_ok() {
                ended.length = offset;
            }
        }
        Err(error) => {
            damage.unreadable(path, &error);
            ended.is_damaged = true;
        }
    }
    Ok(Some(ended))
}

/// Puts what the log says into the history.
struct Log<'h> {
    history: &'h mut History,
    samples: u64,
}

impl Replay for Log<'_> {
    fn series(&mut self, labels: Labels) -> Option<SeriesRef> {
        Some(self.history.intern_read(&labels))
    }

    fn sample(&mut self, series: SeriesRef, at: Millis, value: f64) {
        self.samples += u64::from(self.history.append_read(series, at, value));
    }

    fn newest(&mut self, at: Millis) {
        self.history.set_newest(at);
    }

    fn rewind(&mut self, at: Millis) {
        self.history.rewind(at);
    }
}

/// For a segment whose content a block holds.
struct Nothing;

impl Replay for Nothing {
    fn series(&mut self, _: Labels) -> Option<SeriesRef> {
        None
    }
    fn sample(&mut self, _: SeriesRef, _: Millis, _: f64) {}
    fn newest(&mut self, _: Millis) {}
    fn rewind(&mut self, _: Millis) {}
}
