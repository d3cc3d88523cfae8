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
use crate::runtime::every::until_slot;
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
async fn look_once(target: &Arc<Target>, collector: &dyn Collect, board: &Board, due: Instant) {
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use prometheus_client::registry::Registry;

    use crate::collect::{Kind, simulated};
    use crate::model::Labels;
    use crate::runtime::own_metrics::LookMetrics;
    use crate::store::{Limits, Store};

    /// A target that behaves as told and notes when it was looked at.
    struct Scripted {
        answer: Answer,
        looks: Mutex<Vec<Instant>>,
        in_flight: AtomicUsize,
        most_in_flight: AtomicUsize,
    }

    enum Answer {
        AtOnce,
        Never,
        Panics,
    }

    impl Scripted {
        fn new(answer: Answer) -> Arc<Self> {
            let (looks, in_flight, most_in_flight) = (Mutex::default(), AtomicUsize::new(0), AtomicUsize::new(0));
            Arc::new(Self { answer, looks, in_flight, most_in_flight })
        }

        fn looks(&self) -> Vec<Instant> {
            self.looks.lock().unwrap().clone()
        }
    }

    struct InFlight<'s>(&'s AtomicUsize);

    impl Drop for InFlight<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl Collect for Scripted {
        async fn look(&self, _deadline: Instant) -> Look {
            let now_in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
            let _guard = InFlight(&self.in_flight);
            self.most_in_flight.fetch_max(now_in_flight, Ordering::SeqCst);
            self.looks.lock().unwrap().push(Instant::now());
            match self.answer {
                Answer::AtOnce => Look::new(),
                Answer::Never => std::future::pending().await,
                Answer::Panics => panic!("as scripted"),
            }
        }

        fn unanswered(&self, error: CollectError) -> Look {
            let mut look = Look::new();
            look.unhealthy(error);
            look
        }
    }

    fn target(name: &str) -> Arc<Target> {
        let kind = Kind::Simulated(simulated::Settings { part: simulated::Part::App, start: Millis(0) });
        let (interval, timeout) = (Duration::from_secs(10), Duration::from_secs(5));
        Arc::new(Target { name: name.into(), interval, timeout, labels: Labels::new([("instance", name)]), kind })
    }

    fn board() -> Board {
        let store = Store::new(Limits { retention: Duration::from_mins(10), max_series: 1000 });
        Board::new(store, LookMetrics::register(&mut Registry::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn black_holed_targets_delay_no_other_look_and_have_one_attempt_in_flight() {
        let (supervisor, board) = (Supervisor::new(), board());
        let healthy = Scripted::new(Answer::AtOnce);
        let black_holes: Vec<_> = (0..100).map(|_| Scripted::new(Answer::Never)).collect();
        let start_one = |name: &str, scripted: &Arc<Scripted>| {
            let target = target(name);
            board.expect(&target, Millis(0));
            start(&supervisor, target, Arc::clone(scripted) as _, board.clone(), supervisor.stop_token().child_token());
        };
        for (number, hole) in black_holes.iter().enumerate() {
            start_one(&format!("hole-{number}"), hole);
        }
        start_one("healthy", &healthy);
        time::sleep(Duration::from_secs(601)).await;
        assert!(supervisor.stop(Duration::from_secs(1)).await);

        let looks = healthy.looks();
        assert!(looks.len() >= 60, "{} looks in ten minutes", looks.len());
        // From the second look on, the slots are exactly an interval apart on the paused clock: nothing delayed one.
        for pair in looks[1..].windows(2) {
            assert_eq!(pair[1] - pair[0], Duration::from_secs(10));
        }
        for hole in &black_holes {
            assert_eq!(hole.most_in_flight.load(Ordering::SeqCst), 1);
            assert!(hole.looks().len() >= 60, "each attempt costs its own time-out and no more");
        }
        let states = board.states();
        let verdict = |name: &str| states.iter().find(|(known, _)| &**known == name).unwrap().1.verdict();
        assert_eq!(verdict("healthy"), "ok");
        assert_eq!(verdict("hole-7"), "timeout: no answer within 5s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_look_is_shown_counted_and_tried_again() {
        let (supervisor, board) = (Supervisor::new(), board());
        let broken = Scripted::new(Answer::Panics);
        let target = target("broken");
        board.expect(&target, Millis(0));
        start(&supervisor, target, Arc::clone(&broken) as _, board.clone(), supervisor.stop_token().child_token());
        while broken.looks().len() < 3 {
            time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(board.states()[0].1.verdict(), "internal: the look panicked");
        assert!(supervisor.stop(Duration::from_secs(1)).await);
        assert!(supervisor.panics() >= 3);
    }
}
