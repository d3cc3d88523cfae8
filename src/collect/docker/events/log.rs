//! The last things that happened, for people: the page and `/v1/events` read it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Event;

/// So many are kept; they go with the agent's end.
pub const MAX_EVENTS: usize = 256;

/// A bounded list of events. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub struct EventLog(Arc<Mutex<VecDeque<Arc<Event>>>>);

impl EventLog {
    /// Adds one; the oldest goes when there are too many.
    pub(in crate::collect::docker) fn push(&self, event: Event) {
        let mut events = self.lock();
        if events.len() >= MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(Arc::new(event));
    }

    /// All of them, in the order in which they came.
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
