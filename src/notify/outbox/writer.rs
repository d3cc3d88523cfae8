//! Brings changes to the disk, all that wait in one write, and says when they are there.
//!
//! Invariant: whoever hands a change over never waits for the disk. Of several changes of one record only the last
//! waits, so at most as many wait as there are records.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::{task, time};
use tracing::{error, info, warn};

use crate::model::Alert;
use crate::notify::metrics::Metrics;
use crate::runtime::journal::{Change, Found, Journal};
use crate::runtime::supervise::Supervisor;

use super::record::{Ending, alerts_flush, pack_alerts};

/// So many bytes of records are kept on disk; more are in memory alone.
const MOST: u64 = 64 << 20;
/// A notification waits so long for the disk; then it goes out as it is. Telling is worth more than remembering.
const PATIENCE: Duration = Duration::from_secs(2);
/// A disk that refused is asked again after so long.
const AGAIN: Duration = Duration::from_secs(5);
/// So many changes wait for a disk that refuses; further ones are in memory alone.
const MOST_WAITING: usize = 100_000;

/// There is nothing to wait for.
const REFUSED: u64 = u64::MAX;

/// What a record is to become; nothing: it is removed.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Packed where it costs nobody time.
    Alerts(Vec<Ending<Arc<Alert>>>),
    Packed(Vec<u8>),
}

/// Where changes go. Cheap to clone; without a disk it takes everything and does nothing.
#[derive(Debug, Clone)]
pub(super) struct Writer(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// The last turn of which everything was written; [`REFUSED`] for as long as the disk takes nothing.
    done: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: BTreeMap<Arc<str>, Option<Value>>,
    /// Rises with each change.
    turn: u64,
    is_closed: bool,
}

/// When a change is on disk.
#[derive(Debug, Clone)]
pub(in crate::notify) struct Stored(Option<(watch::Receiver<u64>, u64)>);

impl Stored {
    /// Waits for the disk, but not longer than a notification may. `false` when it was too long.
    pub(in crate::notify) async fn wait(&mut self) -> bool {
        let Some((done, turn)) = &mut self.0 else { return true };
        let turn = *turn;
        // A writer that is gone has written all it could.
        time::timeout(PATIENCE, done.wait_for(|done| *done >= turn)).await.is_ok()
    }
}

impl Writer {
    /// Keeps nothing.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Reads the file, and writes to it from now on.
    pub(super) fn open(path: &Path) -> std::io::Result<(Self, Journal, Found)> {
        let (journal, found) = Journal::open(path, MOST)?;
        let shared = Shared { waiting: Mutex::default(), wake: Notify::new(), done: watch::Sender::new(0) };
        Ok((Self(Some(Arc::new(shared))), journal, found))
    }

    /// Starts the task that writes. It ends after [`Self::close`], when all is written.
    pub(super) fn start(&self, journal: Journal, metrics: Metrics, supervisor: &Supervisor) {
        self.start_on(&Arc::new(Mutex::new(journal)), metrics, supervisor);
    }

    fn start_on(&self, journal: &Arc<Mutex<Journal>>, metrics: Metrics, supervisor: &Supervisor) {
        let Some(shared) = self.0.clone() else { return };
        let journal = Arc::clone(journal);
        supervisor.spawn("notify outbox", supervisor.stop_token().clone(), move || {
            let (shared, journal, metrics) = (Arc::clone(&shared), Arc::clone(&journal), metrics.clone());
            async move { shared.run(&journal, &metrics).await }
        });
    }

    /// As [`Self::start`]; the test keeps a hand on the disk.
    #[cfg(test)]
    pub(super) fn start_for_test(&self, journal: Journal, supervisor: &Supervisor) -> Arc<Mutex<Journal>> {
        let journal = Arc::new(Mutex::new(journal));
        self.start_on(&journal, Metrics::default(), supervisor);
        journal
    }

    /// Changes a record.
    pub(super) fn change(&self, name: Arc<str>, value: Option<Value>) -> Stored {
        let Some(shared) = &self.0 else { return Stored(None) };
        let mut waiting = shared.lock();
        // Alerts are put once, so those that are not written yet need not be written to be removed.
        let is_undone =
            value.is_none() && alerts_flush(&name).is_some() && waiting.changes.get(&name).is_some_and(Option::is_some);
        if is_undone {
            waiting.changes.remove(&name);
            return Stored(None);
        }
        if waiting.changes.len() >= MOST_WAITING && !waiting.changes.contains_key(&name) {
            return Stored(None);
        }
        waiting.changes.insert(name, value);
        waiting.turn += 1;
        let stored = Stored(Some((shared.done.subscribe(), waiting.turn)));
        drop(waiting);
        shared.wake.notify_one();
        stored
    }

    /// Nothing comes any more.
    pub(super) fn close(&self) {
        if let Some(shared) = &self.0 {
            shared.lock().is_closed = true;
            shared.wake.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, journal: &Arc<Mutex<Journal>>, metrics: &Metrics) {
        let mut is_refused = false;
        loop {
            let (changes, turn, is_closed) = {
                let mut waiting = self.lock();
                (std::mem::take(&mut waiting.changes), waiting.turn, waiting.is_closed)
            };
            if changes.is_empty() {
                if is_closed {
                    return;
                }
                self.wake.notified().await;
                continue;
            }
            let journal = Arc::clone(journal);
            let written = task::spawn_blocking(move || write(&journal, changes)).await;
            match written {
                Ok(Written::Done { refused, bytes, records }) => {
                    metrics.stored(bytes, records, refused);
                    if refused > 0 {
                        warn!(refused, "the outbox on disk is full; these are in memory alone");
                    }
                    if std::mem::take(&mut is_refused) {
                        info!("the outbox can be written again");
                    }
                }
                Ok(Written::Failed(error, changes)) => {
                    metrics.store_failed();
                    if !std::mem::replace(&mut is_refused, true) {
                        error!(%error, "the outbox cannot be written; notifications go out, but a restart would forget them");
                    }
                    self.put_back(changes);
                }
                Err(death) => error!(error = %death, "writing the outbox broke off"),
            }
            self.done.send_replace(if is_refused { REFUSED } else { turn });
            if is_refused {
                if is_closed {
                    return;
                }
                // At the stop it is asked once more.
                let _ = time::timeout(AGAIN, self.until_closed()).await;
            }
        }
    }

    async fn until_closed(&self) {
        while !self.lock().is_closed {
            self.wake.notified().await;
        }
    }

    /// What could not be written waits again, unless something newer does.
    fn put_back(&self, changes: BTreeMap<Arc<str>, Option<Value>>) {
        let mut waiting = self.lock();
        for (name, value) in changes {
            waiting.changes.entry(name).or_insert(value);
        }
    }
}

enum Written {
    Done { refused: usize, bytes: u64, records: usize },
    Failed(std::io::Error, BTreeMap<Arc<str>, Option<Value>>),
}

/// What is put comes before what is removed, and alerts before those that refer to them: a write that breaks off
/// between frames may leave something to be told again, never something that nobody knows of.
fn write(journal: &Mutex<Journal>, changes: BTreeMap<Arc<str>, Option<Value>>) -> Written {
    let (mut puts, mut removals) = (Vec::new(), Vec::new());
    for (name, value) in &changes {
        let name = Arc::clone(name);
        match value {
            Some(Value::Alerts(alerts)) => puts.push(Change::Put(name, pack_alerts(alerts))),
            Some(Value::Packed(bytes)) => puts.push(Change::Put(name, bytes.clone())),
            None => removals.push(Change::Remove(name)),
        }
    }
    puts.append(&mut removals);
    let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
    match journal.write(puts) {
        Ok(refused) => {
            if let Err(error) = journal.tidy() {
                warn!(%error, "the outbox's file cannot be written anew; it goes on to grow");
            }
            Written::Done { refused, bytes: journal.bytes(), records: journal.records() }
        }
        Err(error) => Written::Failed(error, changes),
    }
}
