//! What waits for one integration, in order, and how long that has been so.
//!
//! Invariant: it never holds more than [`MOST`]. When it is full, the oldest reminder makes room for news; a reminder
//! makes room for nothing, and comes again with its group's next turn.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::Millis;

use super::notification::Reason;
use super::worker::Job;

/// So many notifications wait for one integration.
pub(super) const MOST: usize = 256;

/// The queue between the dispatcher and a worker.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Job>>,
    more: Notify,
    backlog: Arc<Backlog>,
}

/// What became of an offer.
#[derive(Debug)]
pub(super) enum Offer {
    Taken,
    /// Taken in the place of a reminder, which is handed back.
    InPlaceOf(Box<Job>),
    /// There is no room; the job is handed back.
    Full(Box<Job>),
}

impl Queue {
    pub(super) fn offer(&self, job: Job) -> Offer {
        let mut waiting = self.lock();
        let mut gone = None;
        if waiting.len() >= MOST {
            let is_reminder = |job: &Job| job.notification.reason == Reason::Repeat;
            let oldest = if is_reminder(&job) { None } else { waiting.iter().position(is_reminder) };
            let Some(at) = oldest else { return Offer::Full(Box::new(job)) };
            gone = waiting.remove(at);
        }
        waiting.push_back(job);
        drop(waiting);
        self.more.notify_one();
        gone.map_or(Offer::Taken, |gone| Offer::InPlaceOf(Box::new(gone)))
    }

    /// Waits for the next.
    pub(super) async fn next(&self) -> Job {
        loop {
            if let Some(job) = self.lock().pop_front() {
                return job;
            }
            self.more.notified().await;
        }
    }

    /// Drops what waits: each job says for itself that it was canceled.
    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.lock());
        drop(dropped);
    }

    /// Counts what is not told yet, also what has left the queue and is being tried.
    pub(super) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The notifications that one integration has not confirmed, by their time.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<BTreeSet<(Millis, u64)>>);

impl Backlog {
    /// Counts one until the ticket is dropped. `number` tells it from others of the same time.
    pub(super) fn enter(self: &Arc<Self>, at: Millis, number: u64) -> Ticket {
        self.lock().insert((at, number));
        Ticket { backlog: Arc::clone(self), of: (at, number) }
    }

    pub(super) fn length(&self) -> usize {
        self.lock().len()
    }

    /// The time of the oldest.
    pub(super) fn oldest(&self) -> Option<Millis> {
        self.lock().first().map(|(at, _)| *at)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(Millis, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A notification's place in the backlog.
#[derive(Debug)]
pub(super) struct Ticket {
    backlog: Arc<Backlog>,
    of: (Millis, u64),
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.backlog.lock().remove(&self.of);
    }
}
