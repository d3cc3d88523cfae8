//! Runs questions to the store off the threads that serve: a few at once, each with an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{self, Instant};

use crate::runtime::own_metrics::QueryMetrics;

use super::answer::ApiError;
use super::room::{Bulk, Room, Rooms};

/// Questions that run at once. Each may hold as many samples as `promql::Options` allows, so they are few.
pub(super) const AT_ONCE: usize = 4;

/// Bodies of written samples that are read at once: so much memory is held for senders, however many there are.
const BODIES: usize = 16;

/// The queue before the store. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Asking {
    places: Arc<Semaphore>,
    readers: Arc<Semaphore>,
    writers: Arc<Semaphore>,
    rooms: Rooms,
    metrics: QueryMetrics,
}

/// An answer that is to be sent.
#[derive(Debug)]
pub struct Answered<T> {
    /// What was found.
    pub found: T,
    /// How long that took.
    pub took: Took,
    /// The room that it takes until it is sent.
    pub room: Room,
}

/// How long a question waited and worked.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// In the queue.
    pub waited: Duration,
    /// At work.
    pub worked: Duration,
}

/// Raises the flag when nobody waits for the answer any more.
struct RaiseOnDrop(Arc<AtomicBool>);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Asking {
    /// An empty queue.
    pub fn new(metrics: QueryMetrics) -> Self {
        // Written samples are unpacked in memory: one request after the other, but for one that waits for its processor.
        let places = |count| Arc::new(Semaphore::new(count));
        Self { places: places(AT_ONCE), readers: places(BODIES), writers: places(2), rooms: Rooms::new(), metrics }
    }

    /// Runs `work` when there is a place, and gives up after `limit`, waiting among it. The flag that `work` gets is
    /// raised when nobody waits for it any more. A large answer must find room among those that are being sent.
    pub async fn ask<T: Bulk + Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(Arc<AtomicBool>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<Answered<T>, ApiError> {
        let outcome = self.within(limit, work).await;
        match &outcome {
            Ok(Answered { took, .. }) => self.metrics.answered(took.waited + took.worked),
            Err(error) => self.metrics.failed(error.kind()),
        }
        outcome
    }

    async fn within<T: Bulk + Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(Arc<AtomicBool>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<Answered<T>, ApiError> {
        let came = Instant::now();
        let place = time::timeout(limit, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| ApiError::Timeout("query timed out in query queue".into()))?;
        let place = place.map_err(|_| ApiError::Unavailable("the agent is stopping".into()))?;
        let started = Instant::now();
        let cancel = Arc::new(AtomicBool::new(false));
        let _raise = RaiseOnDrop(Arc::clone(&cancel));
        let working = run(place, move || work(cancel));
        let answered = time::timeout(limit.saturating_sub(came.elapsed()), working).await;
        let (found, place) =
            answered.map_err(|_| ApiError::Timeout("query timed out in expression evaluation".into()))??;
        let took = Took { waited: started - came, worked: started.elapsed() };
        let room = self.rooms.take(found.bytes()).await?;
        // What waits for room holds its place meanwhile: so few do.
        drop(place);
        Ok(Answered { found, took, room })
    }

    /// Waits until a body may be read. It may be as long as the place is held.
    pub async fn place_for_body(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let place = Arc::clone(&self.readers).acquire_owned().await;
        place.map_err(|_| ApiError::Unavailable("the agent is stopping".into()))
    }

    /// Runs what takes in samples.
    pub async fn write<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let place = Arc::clone(&self.writers).acquire_owned().await;
        let place = place.map_err(|_| ApiError::Unavailable("the agent is stopping".into()))?;
        run(place, move || Ok(work())).await.map(|(outcome, _)| outcome)
    }
}

/// The place is free again when the work has really ended, not when nobody waits for it; who waits gets it back.
async fn run<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<(T, OwnedSemaphorePermit), ApiError> {
    let working = tokio::task::spawn_blocking(move || work().map(|answer| (answer, place)));
    working.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a question could not be worked on to its end");
        Err(ApiError::Internal("the question could not be worked on to its end; the log says why".into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    fn asking() -> Asking {
        Asking::new(QueryMetrics::register(&mut Registry::default()))
    }

    /// Works until the flag is raised.
    fn endless(cancel: &AtomicBool) {
        while !cancel.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_takes_too_long_is_given_up_and_gives_its_place_back() {
        let asking = asking();
        let work = |cancel: Arc<AtomicBool>| {
            endless(&cancel);
            Ok(Vec::new())
        };
        let given_up = asking.ask(Duration::from_millis(5), work).await.map(|_: Answered<Vec<()>>| ());
        assert_eq!(given_up, Err(ApiError::Timeout("query timed out in expression evaluation".into())));
        let all = asking.places.acquire_many(u32::try_from(AT_ONCE).unwrap()).await;
        assert!(all.is_ok(), "the work has seen the flag and ended");
    }

    #[tokio::test]
    async fn who_finds_no_place_is_told_so() {
        let asking = asking();
        let all = asking.places.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        let waited = asking.ask(Duration::from_millis(5), |_| Ok(vec![1])).await.map(|_| ());
        assert_eq!(waited, Err(ApiError::Timeout("query timed out in query queue".into())));
        drop(all);
        assert_eq!(asking.ask(Duration::from_mins(1), |_| Ok(vec![1])).await.map(|answer| answer.found), Ok(vec![1]));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_too() {
        let asking = asking();
        let answer =
            asking.ask(Duration::from_mins(1), |_| -> Result<Vec<()>, _> { panic!("a bug") }).await.map(|_| ());
        assert!(matches!(answer, Err(ApiError::Internal(_))));
        assert_eq!(asking.places.available_permits(), AT_ONCE);
    }
}
