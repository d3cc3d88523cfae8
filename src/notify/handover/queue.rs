//! The alerts that one Alertmanager is to hear of, oldest first; each once.
//!
//! Invariant: at most [`CAPACITY`] wait, which all that can be known do. Should names of alerts that are forgotten by now wait
//! among them, the oldest is dropped and counted: it comes again with its next turn.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::Labels;

/// As many as the book has: whatever is due again finds room, so none waits for ever behind others. It is names alone.
pub(super) const CAPACITY: usize = super::book::MOST;
/// So many alerts go in a message; Prometheus' figure.
pub(super) const BATCH: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<Labels>,
    known: HashSet<Labels>,
    /// Taken out, and not settled yet.
    taken: usize,
    dropped: u64,
}

impl Queue {
    /// Adds those that are not there.
    pub(super) fn push(&self, alerts: &[Labels]) {
        if alerts.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        for labels in alerts {
            if waiting.known.insert(labels.clone()) {
                waiting.order.push_back(labels.clone());
                waiting.hold_limit();
            }
        }
        drop(waiting);
        self.more.notify_one();
    }

    /// The next ones, as many as go in a message; none if there are none.
    pub(super) fn take(&self) -> Vec<Labels> {
        let mut waiting = self.lock();
        let count = waiting.order.len().min(BATCH);
        let batch: Vec<_> = waiting.order.drain(..count).collect();
        for labels in &batch {
            waiting.known.remove(labels);
        }
        waiting.taken = batch.len();
        batch
    }

    /// What was taken has arrived, or is given up.
    pub(super) fn settle(&self) {
        self.lock().taken = 0;
    }

    /// What was taken has not arrived: it is the next again.
    pub(super) fn put_back(&self, batch: Vec<Labels>) {
        let mut waiting = self.lock();
        waiting.taken = 0;
        for labels in batch.into_iter().rev() {
            if waiting.known.insert(labels.clone()) {
                waiting.order.push_front(labels);
            }
        }
        waiting.hold_limit();
    }

    /// Waits until some wait, or may.
    pub(super) async fn more(&self) {
        if self.lock().order.is_empty() {
            self.more.notified().await;
        }
    }

    /// So many are given up.
    pub(super) fn note_dropped(&self, count: usize) {
        self.lock().dropped += count as u64;
    }

    /// How many wait or are being sent, and how many were dropped so far.
    pub(super) fn counts(&self) -> (usize, u64) {
        let waiting = self.lock();
        (waiting.order.len() + waiting.taken, waiting.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn hold_limit(&mut self) {
        while self.order.len() > CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
                self.dropped += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(names: std::ops::Range<usize>) -> Vec<Labels> {
        names.map(|name| Labels::new([("alertname", name.to_string())])).collect()
    }

    #[test]
    fn each_waits_once_and_comes_in_its_order() {
        let queue = Queue::default();
        queue.push(&alerts(0..3));
        queue.push(&alerts(1..4));
        assert_eq!(queue.take(), alerts(0..4));
        assert_eq!(queue.counts(), (4, 0), "being sent");
        queue.push(&alerts(2..5));
        queue.put_back(alerts(0..4));
        assert_eq!(queue.take(), alerts(0..5));
        queue.settle();
        assert_eq!((queue.take(), queue.counts()), (Vec::new(), (0, 0)));
    }

    #[test]
    fn all_that_are_due_again_find_room() {
        let (queue, all) = (Queue::default(), alerts(0..15_000));
        for _ in 0..3 {
            queue.push(&all);
        }
        assert_eq!(queue.counts(), (all.len(), 0));
        let mut taken = Vec::new();
        while queue.counts().0 > 0 {
            taken.extend(queue.take());
            queue.settle();
        }
        assert_eq!(taken, all);
    }

    #[test]
    fn at_most_so_many_are_taken_at_once_and_wait() {
        let queue = Queue::default();
        queue.push(&alerts(0..CAPACITY + 10));
        assert_eq!(queue.counts(), (CAPACITY, 10));
        let batch = queue.take();
        assert_eq!(batch, alerts(10..10 + BATCH));
        queue.push(&alerts(CAPACITY + 10..CAPACITY + 10 + BATCH));
        queue.put_back(batch);
        assert_eq!(queue.counts(), (CAPACITY, 10 + BATCH as u64));
        assert_eq!(queue.take()[0], alerts(10 + BATCH..11 + BATCH)[0]);
    }
}
