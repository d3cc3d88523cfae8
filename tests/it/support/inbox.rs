//! What arrived, and when: shared by the sinks for webhooks and mail.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Something that arrived.
#[derive(Debug, Clone)]
pub struct Arrival<T> {
    /// By the monotonic clock, for durations.
    pub at: Instant,
    /// By the wall clock, to compare with what the agent writes.
    pub wall: SystemTime,
    pub what: T,
}

/// Arrivals in order.
#[derive(Debug, Clone)]
pub struct Inbox<T>(Arc<Mutex<Vec<Arrival<T>>>>);

impl<T: Clone> Inbox<T> {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    pub fn put(&self, what: T) {
        self.0.lock().expect("no holder panics").push(Arrival { at: Instant::now(), wall: SystemTime::now(), what });
    }

    pub fn all(&self) -> Vec<Arrival<T>> {
        self.0.lock().expect("no holder panics").clone()
    }

    /// Waits for the first arrival after `since` that matches.
    pub fn wait(&self, what: &str, since: Instant, limit: Duration, matches: impl Fn(&T) -> bool) -> Arrival<T> {
        super::wait_until(what, limit, || {
            let held = self.0.lock().expect("no holder panics");
            held.iter().find(|arrival| arrival.at >= since && matches(&arrival.what)).cloned()
        })
    }
}
