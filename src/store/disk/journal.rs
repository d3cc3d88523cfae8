//! What was appended and is not in the log yet. Filled under the store's lock, so it is memory and nothing else.

use std::sync::mpsc::SyncSender;

use super::keeper::Wake;
use super::log::Sample;
use crate::model::Millis;
use crate::store::shape::SeriesRef;

/// So many samples may wait for the disk: 24 bytes each.
const MOST: usize = 512 * 1024;
/// So many are worth writing at once, before the second is over.
const MANY: usize = 16 * 1024;

/// In the order in which it happened.
#[derive(Debug)]
pub(in crate::store) enum Event {
    Samples(Vec<Sample>),
    Rewind(Millis),
}

/// Gathers events between the log's writes.
#[derive(Debug)]
pub(in crate::store) struct Journal {
    events: Vec<Event>,
    waiting: usize,
    /// Samples since the start for which there was no place.
    unlogged: u64,
    wake: SyncSender<Wake>,
}

/// All that came since the last time.
#[derive(Debug)]
pub(in crate::store) struct Taken {
    pub(in crate::store::disk) events: Vec<Event>,
    pub(in crate::store::disk) unlogged: u64,
}

impl Journal {
    pub(super) fn new(wake: SyncSender<Wake>) -> Self {
        Self { events: Vec::new(), waiting: 0, unlogged: 0, wake }
    }

    /// A sample was appended.
    pub(in crate::store) fn sample(&mut self, series: SeriesRef, at: Millis, value: f64) {
        if self.waiting >= MOST {
            self.unlogged += 1;
            return;
        }
        let sample = Sample { series, at, value };
        match self.events.last_mut() {
            Some(Event::Samples(samples)) => samples.push(sample),
            _ => self.events.push(Event::Samples(vec![sample])),
        }
        self.waiting += 1;
        if self.waiting.is_multiple_of(MANY) {
            // When the thread has been woken already, it will find this too.
            let _ = self.wake.try_send(Wake::Look);
        }
    }

    /// What is not before `at` was forgotten.
    pub(in crate::store) fn rewind(&mut self, at: Millis) {
        self.events.push(Event::Rewind(at));
    }

    pub(in crate::store) fn take(&mut self) -> Taken {
        self.waiting = 0;
        Taken { events: std::mem::take(&mut self.events), unlogged: self.unlogged }
    }
}
