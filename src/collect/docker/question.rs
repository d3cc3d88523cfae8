//! What a look asks the engine about single containers, many at the same time.
//!
//! In: which containers, and what of each. Out: the answers, put into the containers' [`Sight`]s.
//!
//! Invariant: one request that hangs takes no other's time.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use super::engine::Engine;
use super::sight::Sight;
use super::wire::{Inspect, Stats};
use super::{CollectError, Reason};

/// Requests about containers at the same time, each on a connection of its own. Docker (seen with 20.10) answers even one-shot stats at
/// the next tick of one clock, up to a second later, for all that wait: asking a few at a time would cost a second for each few.
pub(super) const CONCURRENCY: usize = 128;

/// An answer in time, a failure, or a container that is gone.
pub(super) type Answer<T> = Result<Result<Option<T>, CollectError>, Elapsed>;

/// What a look asks of one container.
pub(super) struct Question {
    pub(super) id: String,
    pub(super) inspect: bool,
    pub(super) figures: bool,
    pub(super) size: bool,
}

/// What came of it; `None` where nothing was asked.
pub(super) struct Answers {
    pub(super) inspect: Option<Answer<Inspect>>,
    pub(super) figures: Option<Answer<Stats>>,
    pub(super) size: Option<Answer<u64>>,
}

impl Question {
    /// Asks the engine, each request at most until `end`.
    pub(super) async fn ask(self, engine: &Engine, end: Instant) -> Answers {
        let Self { id, inspect, figures, size } = &self;
        let inspect = async { if *inspect { Some(timeout_at(end, engine.inspect(id)).await) } else { None } };
        let figures = async { if *figures { Some(timeout_at(end, engine.stats(id)).await) } else { None } };
        let size = async { if *size { Some(timeout_at(end, engine.layer_size(id)).await) } else { None } };
        let (inspect, figures, size) = tokio::join!(inspect, figures, size);
        Answers { inspect, figures, size }
    }
}

/// Fills in what the engine tells of each container, each request at most until `bound` and all until `end`.
/// Those not reached stay as the list has them.
pub(super) async fn ask_all(
    engine: &Engine,
    chosen: &mut [Sight],
    question: fn(&Sight) -> Option<Question>,
    bound: Duration,
    end: Instant,
) -> Option<CollectError> {
    let questions: Vec<_> = chosen.iter().enumerate().filter_map(|(at, sight)| Some((at, question(sight)?))).collect();
    let mut unreached = questions.len();
    let mut asked = stream::iter(questions)
        .map(|(at, question)| async move { (at, question.ask(engine, Instant::now() + bound).await) })
        .buffer_unordered(CONCURRENCY);
    while let Ok(Some((at, answers))) = timeout_at(end, asked.next()).await {
        chosen[at].take(answers);
        unreached -= 1;
    }
    let message = format!("{unreached} of {} containers were not reached", chosen.len());
    (unreached > 0).then(|| CollectError::new(Reason::Timeout, message))
}
