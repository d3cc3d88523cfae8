//! Every usage event once, on disk before it is answered.
//!
//! In: priced events. Out: which of them are new, and exact totals. One thread writes; what is queued while it
//! waits for the disk goes into one transaction (SQLite, WAL, `synchronous=FULL`).
//!
//! Invariant: an event that was answered survives a kill and a power cut; an id counts once for ever.

mod query;
mod schema;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::event::UsageEvent;
use super::price::Cost;

pub use query::{Filter, Key, Total, spent, totals};
use writer::Command;

/// How long an event may wait for the disk before its sender is told to come again.
pub const PATIENCE: Duration = Duration::from_secs(2);
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
    /// The agent is stopping.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// From the closed set of reasons.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Full(_) => "disk_full",
            Self::Broken(_) => "broken",
            Self::Open { .. } => "open",
            Self::Closed => "closed",
        }
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
        match error.sqlite_error_code() {
            Some(DiskFull) => Self::Full(error),
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy,
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
        let thread = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || writer::run(connection, commands, &observer))
            .map_err(|source| LedgerError::Open { path: PathBuf::from("ledger thread"), source })?;
        Ok(Self(Arc::new(Inner { queue: Some(queue), thread: Some(thread), reader })))
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

    /// Reads with a connection that sees everything answered so far.
    ///
    /// # Errors
    /// The disk, or a queue that is full.
    pub async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let Some(reader) = self.0.reader.clone() else {
            return self.on_writer(ask).await;
        };
        let read = move || ask(&reader.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(read).await.map_err(|_| LedgerError::Closed)?.map_err(LedgerError::from)
    }

    /// Reads between two transactions: no event is taken meanwhile, so that a sum and what follows it meet exactly.
    ///
    /// # Errors
    /// The disk, or a queue that is full.
    pub async fn on_writer<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |connection: &Connection| {
            // Whoever asked may have gone.
            let _ = reply.send(ask(connection));
        });
        Ok(self.send(Command::Read(run), answer).await??)
    }

    async fn send<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Result<T, LedgerError> {
        let queue = self.0.queue.as_ref().ok_or(LedgerError::Closed)?;
        let exchange = async {
            queue.send(command).await.map_err(|_| LedgerError::Closed)?;
            answer.await.map_err(|_| LedgerError::Closed)
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
