//! Owns the time of looks: intervals, offsets, time-outs, one look at a time for each target.
//!
//! In: targets and their collectors. Out: looks, to the [`Board`].
//!
//! Invariant: a target that hangs costs its own time-out and nothing else. Each target has one loop, and the loop
//! awaits its look or drops it, so at most one look is in flight and none outlives its deadline.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{self, Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::model::Millis;
use crate::runtime::supervise::Supervisor;

use super::{Board, Collect, CollectError, Look, Reason, Target};

/// A look that ignores its deadline is dropped so much later: enough for one that ends right at it.
const GRACE: Duration = Duration::from_millis(50);

/// Starts the loop of one target. It ends when `stop` fires; a panic in a look is counted by the supervisor,
/// shown as a failed look, and the loop starts again.
pub fn start(
    supervisor: &Supervisor,
    target: Arc<Target>,
    collector: Arc<dyn Collect>,
    board: Board,
    stop: CancellationToken,
) {
    let name = format!("look {}", target.name);
    let until = stop.clone();
    supervisor
        .spawn(name, until, move || run(Arc::clone(&target), Arc::clone(&collector), board.clone(), stop.clone()));
}

async fn run(target: Arc<Target>, collector: Arc<dyn Collect>, board: Board, stop: CancellationToken) {
    // The first look comes at once; from then on the target keeps to its own slot of the wall clock.
    let first = Instant::now();
    let Some(()) = stop.run_until_cancelled(look_once(&target, &*collector, &board, first)).await else { return };
    let mut tick =
        time::interval_at(Instant::now() + until_slot(&target.name, target.interval, Millis::now()), target.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while let Some(due) = stop.run_until_cancelled(tick.tick()).await {
        let Some(()) = stop.run_until_cancelled(look_once(&target, &*collector, &board, due)).await else { return };
    }
}

/// One look with everything around it: the deadline, the record, and what is said when it does not come back.
async fn look_once(target: &Target, collector: &dyn Collect, board: &Board, due: Instant) {
    let started = Instant::now();
    let deadline = started + target.timeout;
    let span = tracing::info_span!("look", target = &*target.name);
    let look = AssertUnwindSafe(collector.look(deadline)).catch_unwind().instrument(span);
    let (look, panic) = match time::timeout_at(deadline + GRACE, look).await {
        Ok(Ok(look)) => (look, None),
        Ok(Err(panic)) => (collector.unanswered(CollectError::new(Reason::Internal, "the look panicked")), Some(panic)),
        Err(_late) => (collector.unanswered(timed_out(target.timeout)), None),
    };
    board.record(target, look, Seen { at: Millis::now(), took: started.elapsed(), late: started - due });
    if let Some(panic) = panic {
        // The supervisor counts it and starts the loop again.
        std::panic::resume_unwind(panic);
    }
}

/// When a look was taken.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Its end: what was seen cannot be older, and no evaluation before it has used it.
    pub at: Millis,
    /// How long it took.
    pub took: Duration,
    /// How long after its due time it began: what other targets cost this one. Should be nothing.
    pub late: Duration,
}

/// The error of a look that used up its time.
pub fn timed_out(limit: Duration) -> CollectError {
    CollectError::new(Reason::Timeout, format!("no answer within {}", crate::model::render_duration(limit)))
}

/// Looks once outside any loop, for `sidewatch probe`.
pub async fn look_now(collector: &dyn Collect, timeout: Duration) -> (Look, Duration) {
    let started = Instant::now();
    let deadline = started + timeout;
    let look = time::timeout_at(deadline + GRACE, collector.look(deadline)).await;
    (look.unwrap_or_else(|_| collector.unanswered(timed_out(timeout))), started.elapsed())
}

/// How long until a target's slot: its name picks a fixed phase of the interval on the wall clock,
/// so that targets spread out and a restart keeps their rhythm.
fn until_slot(name: &str, every: Duration, now: Millis) -> Duration {
    let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
    // FNV-1a: stable over builds, unlike the standard library's hasher.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let slot = hash % every;
    let phase = u64::try_from(now.0).unwrap_or(0) % every;
    Duration::from_millis((slot + every - phase) % every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_keeps_its_slot_over_restarts_and_apart_from_others() {
        let every = Duration::from_secs(10);
        let slot =
            |name, now: i64| (now + i64::try_from(until_slot(name, every, Millis(now)).as_millis()).unwrap()) % 10_000;
        assert_eq!(slot("orders", 1_000_000), slot("orders", 1_234_567));
        assert_ne!(slot("orders", 0), slot("cache", 0));
    }
}
