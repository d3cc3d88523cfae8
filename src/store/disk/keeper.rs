//! The thread that writes: the log twice a second, a block every hour of data or when the log is long, and what is over goes.

use std::fs;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use super::damage::Damage;
use super::folder::{BlockFile, Folder};
use super::handles::Handles;
use super::journal::Event;
use super::segments::Segments;
use super::{DiskState, Journal};
use crate::model::Millis;
use crate::store::history::History;
use crate::store::shape::SeriesRef;

/// What a kill may lose.
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// A log of so many bytes is sealed: a start reads it, and memory holds what it says.
const SEAL_BYTES: u64 = 64 << 20;
/// After a failed write it is tried again so much later.
const RETRY: Duration = Duration::from_secs(2);
/// After a failed block.
const RETRY_SEAL: Duration = Duration::from_mins(1);
/// A disk that fails is told of at most this often.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// Why the thread looks.
#[derive(Debug)]
pub(super) enum Wake {
    /// There is much to write.
    Look,
    /// Write what there is and, if it is asked, seal it; then say whether that was done.
    Flush { seal: bool, done: SyncSender<bool> },
    /// Write what there is and end.
    Stop,
}

/// Figures that others read while the thread works.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) log_bytes: AtomicU64,
    pub(super) blocks: AtomicU64,
    pub(super) block_bytes: AtomicU64,
    pub(super) write_errors: AtomicU64,
    pub(super) unlogged: AtomicU64,
    pub(super) last_written: AtomicI64,
}

/// Owns the thread. The last store to go ends it.
#[derive(Debug)]
pub(in crate::store) struct Keeper {
    wake: SyncSender<Wake>,
    ended: Mutex<Receiver<()>>,
    figures: Arc<Figures>,
    damage: Arc<Damage>,
}

impl Keeper {
    /// A journal for the store, and what is to be started once the store has been read.
    pub(super) fn prepare() -> (Journal, SyncSender<Wake>, Receiver<Wake>) {
        // A stop must find a place beside a look.
        let (wake, woken) = sync_channel(8);
        (Journal::new(wake.clone()), wake, woken)
    }

    pub(super) fn start(
        history: Arc<RwLock<History>>,
        folder: Folder,
        segments: Segments,
        (damage, handles): (Arc<Damage>, Arc<Handles>),
        (wake, woken): (SyncSender<Wake>, Receiver<Wake>),
    ) -> std::io::Result<Self> {
        let figures = Arc::new(Figures::default());
        let (tell, ended) = sync_channel(1);
        let mut work = Work {
            history,
            folder,
            segments,
            figures: Arc::clone(&figures),
            damage: Arc::clone(&damage),
            handles,
            backlog: Vec::new(),
            sealed_unlogged: 0,
            retry_at: None,
            seal_at: None,
            told_at: None,
        };
        work.note_figures();
        thread::Builder::new().name("history".into()).spawn(move || {
            work.run(&woken);
            drop(work);
            let _ = tell.send(());
        })?;
        Ok(Self { wake, ended: Mutex::new(ended), figures, damage })
    }

    pub(in crate::store) fn state(&self) -> DiskState {
        let of = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        DiskState {
            log_bytes: of(&self.figures.log_bytes),
            blocks: of(&self.figures.blocks),
            block_bytes: of(&self.figures.block_bytes),
            corruptions: self.damage.count(),
            write_errors: of(&self.figures.write_errors),
            unlogged: of(&self.figures.unlogged),
            last_written: Some(Millis(self.figures.last_written.load(Ordering::Relaxed))).filter(|at| at.0 > 0),
        }
    }

    /// Writes what there is to the log, or seals it; says whether that was done within `limit`.
    pub(in crate::store) fn flush(&self, seal: bool, limit: Duration) -> bool {
        let (done, answer) = sync_channel(1);
        let end = Instant::now() + limit;
        self.send(Wake::Flush { seal, done }, end)
            && answer.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap_or(false)
    }

    /// Puts something into the queue, which is short and full only while the thread is busy.
    fn send(&self, mut what: Wake, end: Instant) -> bool {
        loop {
            match self.wake.try_send(what) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if Instant::now() < end => what = back,
                Err(_) => return false,
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Writes what there is and ends the thread. Says whether that was done within `limit`.
    pub(in crate::store) fn close(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        // Not taken: it has ended, or it is too busy, which the wait shows.
        self.send(Wake::Stop, end);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ended.recv_timeout(end.saturating_duration_since(Instant::now()));
        // Disconnected: it ended before.
        !matches!(answer, Err(RecvTimeoutError::Timeout))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close(Duration::from_secs(2));
    }
}

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) history: Arc<RwLock<History>>,
    pub(super) folder: Folder,
    pub(super) segments: Segments,
    pub(super) figures: Arc<Figures>,
    pub(super) damage: Arc<Damage>,
    pub(super) handles: Arc<Handles>,
    /// Taken from the journal, not written yet.
    backlog: Vec<Event>,
    /// How many samples were in no log when a block last held all.
    pub(super) sealed_unlogged: u64,
    retry_at: Option<Instant>,
    seal_at: Option<Instant>,
    told_at: Option<Instant>,
}

impl Work {
    fn run(&mut self, woken: &Receiver<Wake>) {
        loop {
            let wake = match woken.recv_timeout(WRITE_EVERY) {
                Ok(wake) => wake,
                Err(RecvTimeoutError::Timeout) => Wake::Look,
                Err(RecvTimeoutError::Disconnected) => Wake::Stop,
            };
            if matches!(wake, Wake::Stop) {
                self.retry_at = None;
                self.write_log();
                self.segments.end();
                return;
            }
            self.write_log();
            self.drop_old_blocks();
            if matches!(wake, Wake::Flush { seal: true, .. }) || self.is_time_to_seal() {
                self.try_seal();
            }
            self.note_figures();
            if let Wake::Flush { seal, done } = wake {
                let _ = done.try_send(self.retry_at.is_none() && !(seal && self.seal_at.is_some()));
            }
        }
    }

    /// Writes what the journal gathered. While the disk fails the journal goes on gathering, as far as it may.
    pub(super) fn write_log(&mut self) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        if !self.backlog.is_empty() {
            // What could not be written before, then what came since.
            self.write_backlog();
        }
        if self.backlog.is_empty() {
            self.take_journal();
            self.write_backlog();
        }
    }

    fn write_backlog(&mut self) {
        let newest = self.read().newest();
        let history = Arc::clone(&self.history);
        let names = |series: &[SeriesRef]| lock_read(&history).names(series);
        let written = self.segments.write(&self.folder, &self.backlog, newest, &names);
        match written.and_then(|()| self.segments.sync(false)) {
            Ok(()) => {
                self.backlog = Vec::new();
                self.retry_at = None;
                self.figures.last_written.store(Millis::now().0, Ordering::Relaxed);
            }
            Err(error) => {
                self.retry_at = Some(Instant::now() + RETRY);
                self.failed("the log of the history cannot be written; it is kept in memory meanwhile", &error);
            }
        }
    }

    pub(super) fn take_journal(&mut self) {
        let Some(taken) = self.write().take_journal() else { return };
        self.figures.unlogged.store(taken.unlogged, Ordering::Relaxed);
        self.backlog.extend(taken.events);
    }

    /// Far from the time at which the log begins, on either side: a clock that was set back must not keep the next block waiting
    /// until it has come up with where it was, for memory forgets meanwhile.
    fn is_time_to_seal(&self) -> bool {
        if self.seal_at.is_some_and(|at| Instant::now() < at) || self.retry_at.is_some() {
            return false;
        }
        let (newest, every) = {
            let history = self.read();
            (history.newest(), history.block_span())
        };
        self.segments.since().is_some_and(|since| newest.since(since).max(since.since(newest)) >= every)
            || self.segments.bytes() >= SEAL_BYTES
            || self.figures.unlogged.load(Ordering::Relaxed) > self.sealed_unlogged
    }

    fn try_seal(&mut self) {
        match self.seal() {
            Ok(()) => self.seal_at = None,
            Err(error) => {
                self.seal_at = Some(Instant::now() + RETRY_SEAL);
                self.failed("a block of the history cannot be written; it is tried again", &error);
            }
        }
    }

    fn drop_old_blocks(&mut self) {
        // The usual answer is that there is none, and takes no writer's lock.
        if !self.read().has_old_blocks() {
            return;
        }
        let old = self.write().take_old_blocks();
        let last = old.iter().map(|block| block.number).max();
        for block in old {
            self.removed(block.delete());
        }
        // What lies before and is not held could not be read, or not be removed; it is as old. What time it holds nobody knows.
        let held: Vec<_> = self.read().blocks().iter().map(|block| block.number).collect();
        let files = self.folder.block_files().unwrap_or_default();
        let is_over = |file: &BlockFile| Some(file.number) < last && !held.contains(&file.number);
        for file in files.into_iter().filter(is_over) {
            self.removed(fs::remove_file(&file.path));
        }
    }

    fn removed(&mut self, removed: std::io::Result<()>) {
        if let Err(error) = removed {
            self.failed("an old block of the history cannot be removed", &error);
        }
    }

    fn failed(&mut self, what: &str, error: &std::io::Error) {
        self.figures.write_errors.fetch_add(1, Ordering::Relaxed);
        if self.told_at.is_none_or(|at| at.elapsed() >= TELL_EVERY) {
            self.told_at = Some(Instant::now());
            tracing::warn!(%error, "{what}");
        }
    }

    fn note_figures(&self) {
        let history = self.read();
        let blocks = history.blocks();
        self.figures.log_bytes.store(self.segments.bytes(), Ordering::Relaxed);
        self.figures.blocks.store(blocks.iter().len() as u64, Ordering::Relaxed);
        self.figures.block_bytes.store(blocks.iter().map(|block| block.size).sum(), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, History> {
        lock_read(&self.history)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, History> {
        self.history.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_read(history: &RwLock<History>) -> RwLockReadGuard<'_, History> {
    history.read().unwrap_or_else(PoisonError::into_inner)
}
