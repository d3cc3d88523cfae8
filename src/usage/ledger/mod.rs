//! Every usage event once, on disk before it is answered.
//!
//! In: priced events. Out: which of them are new, and exact totals. One thread writes; what is queued while it
//! waits for the disk goes into one transaction (SQLite, WAL, `synchronous=FULL`). One question is answered at a time,
//! within a limit.
//!
//! Invariant: an event that was answered survives a kill and a power cut; an id counts once for ever.

mod ask;
mod query;
mod schema;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::event::UsageEvent;
use super::price::Cost;

use ask::{Cancel, within};
pub use query::{Filter, Key, Total, reached, spent, totals};
use writer::Command;

/// How long an event may wait for the disk before its sender is told to come again.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long a question may take; below the senders' patience, as a ledger in memory answers on the writer's thread.
pub const READING: Duration = Duration::from_millis(1500);
/// How long a question may wait for the one before it.
const TURN: Duration = Duration::from_millis(500);
/// How many requests may wait for the writer.
const QUEUE: usize = 256;

/// Where the ledger lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerPath {
    /// Gone at the end of the process (`storage.path: none`).
    Memory,
    /// A SQLite file; its folder is made when missing.
    File(PathBuf),
}

/// An event with what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What was used.
    pub event: UsageEvent,
    /// What it costs.
    pub cost: Cost,
}

/// Told of each new event after it is on disk, on the writer's thread, whether or not its sender still waits.
pub type Observer = Arc<dyn Fn(&Record) + Send + Sync>;

/// Why the ledger cannot take or tell something now. A retry can help.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Too much is waiting, or the disk did not answer in time.
    #[error("the ledger is busy: nothing was taken within {}s", PATIENCE.as_secs())]
    Busy,
    /// Others ask, or a question took too long.
    #[error("the ledger cannot tell this now: others are asking, or the answer takes longer than {READING:?}")]
    Reading,
    /// The disk is full.
    #[error("the ledger's disk is full")]
    Full(#[source] rusqlite::Error),
    /// The file cannot be used.
    #[error("the ledger cannot be used: {0}")]
    Broken(#[source] rusqlite::Error),
    /// The folder or file cannot be made.
    #[error("cannot open the ledger {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The writer stumbled over it and goes on; the log says where.
    #[error("the ledger's writer failed at this")]
    Panicked,
    /// The agent is stopping.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// From the closed set of reasons.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Reading => "reading",
            Self::Full(_) => "disk_full",
            Self::Broken(_) => "broken",
            Self::Open { .. } => "open",
            Self::Panicked => "panicked",
            Self::Closed => "closed",
        }
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, OperationInterrupted};
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::Full(error),
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy,
            Some(OperationInterrupted) => Self::Reading,
            _ => Self::Broken(error),
        }
    }
}

/// The ledger. Cheap to clone; the last clone's end waits for what is queued.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    queue: Option<mpsc::Sender<Command>>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// For reads beside the writer; a ledger in memory has only the writer's connection.
    reader: Option<Arc<Mutex<Connection>>>,
    /// One question at a time.
    turn: Arc<Semaphore>,
    panics: Arc<AtomicU64>,
}

impl Ledger {
    /// Opens or makes the ledger and starts its writer.
    ///
    /// # Errors
    /// The file cannot be made, is not a ledger, or was written by a newer version.
    pub fn open(path: &LedgerPath, observer: Observer) -> Result<Self, LedgerError> {
        let connection = schema::open(path)?;
        let reader = match path {
            LedgerPath::Memory => None,
            LedgerPath::File(path) => Some(Arc::new(Mutex::new(schema::open_reader(path)?))),
        };
        let (queue, commands) = mpsc::channel(QUEUE);
        let panics = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&panics);
        let observer = writer::guarded(observer, Arc::clone(&panics));
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer::run(connection, commands, &observer, &counted))
            .map_err(|source| LedgerError::Open { path: PathBuf::from("ledger thread"), source })?;
        let turn = Arc::new(Semaphore::new(1));
        Ok(Self(Arc::new(Inner { queue: Some(queue), thread: Some(thread), reader, turn, panics })))
    }

    /// How often the writer panicked and went on.
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Ordering::Relaxed)
    }

    /// Takes events, all or none. For each: whether it is new (true) or was taken before (false).
    /// When this answers, they are on disk.
    ///
    /// # Errors
    /// Nothing was promised; the sender should come again. With an id, a repeat is harmless.
    pub async fn append(&self, records: Vec<Record>) -> Result<Vec<bool>, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + PATIENCE;
        self.send(Command::Append { records, deadline, reply }, answer).await?
    }

    /// Reads with a connection that sees everything answered so far. Ends when nobody waits for the answer any more.
    ///
    /// # Errors
    /// The disk; a question before this one, or this one, took too long.
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.0.turn).acquire_owned()).await;
        let turn = turn.map_err(|_| LedgerError::Reading)?.map_err(|_| LedgerError::Closed)?;
        let cancel = Cancel::default();
        let flag = cancel.flag();
        // The turn ends with the work, not with whoever asked.
        let work = move |connection: &mut Connection| {
            let answer = within(connection, READING, flag, ask);
            drop(turn);
            answer
        };
        let Some(reader) = self.0.reader.clone() else {
            return self.exclusively(work).await;
        };
        let read = move || work(&mut reader.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(read).await.map_err(|_| LedgerError::Panicked)?.map_err(LedgerError::from)
    }

    /// Reads between two transactions: no event is taken meanwhile, so that a sum and what follows it meet exactly.
    ///
    /// # Errors
    /// The disk, or a queue that is full.
    pub async fn on_writer<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        self.exclusively(move |connection| ask(connection)).await
    }

    async fn exclusively<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |connection: &mut Connection| {
            // Whoever asked may have gone.
            let _ = reply.send(ask(connection));
        });
        Ok(self.send(Command::Read(run), answer).await??)
    }

    async fn send<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Result<T, LedgerError> {
        let queue = self.0.queue.as_ref().ok_or(LedgerError::Closed)?;
        let exchange = async {
            queue.send(command).await.map_err(|_| LedgerError::Closed)?;
            // The writer answers everything it takes, unless it panics.
            answer.await.map_err(|_| LedgerError::Panicked)
        };
        tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| LedgerError::Busy)?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue = None;
        // The writer itself may hold the last clone; it cannot wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != std::thread::current().id())
            && thread.join().is_err()
        {
            tracing::error!("the ledger's writer panicked");
        }
    }
}

#[cfg(test)]
mod tests;
