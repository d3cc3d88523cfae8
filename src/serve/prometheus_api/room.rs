//! How much of large answers is held in memory while their readers take them.
//!
//! An answer is bounded by what a query may load, and few queries run at once; but a reader may take its answer slowly, and
//! ask for the next one meanwhile. So what is found and not sent yet has a bound of its own, over all readers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use crate::promql::{Answer, Value};

use super::answer::ApiError;

/// What all answers under way may take, in KiB: two of the largest that a query may give.
const ALL: u32 = 64 << 10;
/// What is smaller, in KiB, needs no room: connections are bounded too.
const SMALL: usize = 32;
/// So long an answer waits for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an element takes beside its own bytes: labels that nobody else may hold any more, allocations.
const ELEMENT: usize = 64;
/// What a sample takes.
const SAMPLE: usize = 16;

/// The room for answers under way. Clones share it.
#[derive(Debug, Clone)]
pub struct Rooms(Arc<Semaphore>);

/// The room of one answer, free again when this is dropped.
#[derive(Debug, Default)]
pub struct Room {
    _held: Option<OwnedSemaphorePermit>,
}

impl Rooms {
    /// With nothing under way.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(ALL as usize)))
    }

    /// Room for an answer of so many bytes.
    ///
    /// # Errors
    /// There is none, and none came free for a while.
    pub async fn take(&self, bytes: usize) -> Result<Room, ApiError> {
        let size = bytes >> 10;
        if size < SMALL {
            return Ok(Room::default());
        }
        let size = u32::try_from(size).unwrap_or(ALL).min(ALL);
        let held = time::timeout(PATIENCE, Arc::clone(&self.0).acquire_many_owned(size)).await;
        let why = "too much is being sent to readers that take it slowly; ask later, or for less";
        let held = held.map_err(|_| ApiError::Unavailable(why.into()))?;
        Ok(Room { _held: held.ok() })
    }

    #[cfg(test)]
    pub fn free(&self) -> usize {
        self.0.available_permits()
    }
}

/// What stands in memory until it is sent.
pub trait Bulk {
    /// About how many bytes that are.
    fn bytes(&self) -> usize;
}

impl<T> Bulk for Vec<T> {
    fn bytes(&self) -> usize {
        self.len() * (size_of::<T>() + ELEMENT)
    }
}

impl Bulk for String {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Bulk for Answer {
    fn bytes(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 0,
            Value::String(text) => text.len(),
            Value::Vector(elements) => elements.bytes(),
            Value::Matrix(series) => {
                let samples: usize = series.iter().map(|series| series.samples.len()).sum();
                series.bytes() + samples * SAMPLE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_answers_wait_for_each_other_and_small_ones_do_not() {
        let rooms = Rooms::new();
        let half = ALL as usize * 1024 / 2;
        let held = (rooms.take(half).await.unwrap(), rooms.take(half).await.unwrap());
        assert!(rooms.take(1000).await.is_ok());
        assert!(matches!(rooms.take(1 << 20).await, Err(ApiError::Unavailable(_))));
        let waiting = rooms.take(1 << 20);
        drop(held.0);
        assert!(waiting.await.is_ok());
        // One that is larger than all gets all.
        drop(held.1);
        assert!(rooms.take(usize::MAX).await.is_ok());
    }

    #[test]
    fn samples_count() {
        let series = crate::store::Series {
            labels: crate::model::Labels::empty(),
            samples: vec![(crate::model::Millis(0), 0.0); 1000],
        };
        let answer = Answer { value: Value::Matrix(vec![series]), notes: crate::promql::Notes::default() };
        assert!((16_000..17_000).contains(&answer.bytes()), "{}", answer.bytes());
    }
}
