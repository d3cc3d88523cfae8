//! Starts tasks, restarts those that panic, waits for all of them at stop.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The one place where tasks are born. Cheap to clone; clones share the tasks and the count.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    tasks: TaskTracker,
    stop: CancellationToken,
    panics: Arc<AtomicU64>,
}

impl Supervisor {
    /// A supervisor with no task yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fires when everything shall stop. Give tasks a child of it to stop them alone.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }

    /// How many tasks have panicked since the start.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Runs what `start` makes until it ends by itself or `stop` fires. A panic is counted, logged and
    /// answered by a new start, after a wait that doubles from a second to a minute and is short again after a good minute.
    #[expect(clippy::disallowed_methods, reason = "this is the supervisor")]
    pub fn spawn<F>(&self, name: impl Into<String>, stop: CancellationToken, start: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = name.into();
        let panics = Arc::clone(&self.panics);
        self.tasks.spawn(async move {
            let mut wait = FIRST_WAIT;
            let mut started = Instant::now();
            while let Err(death) = tokio::spawn(start()).await {
                panics.fetch_add(1, Ordering::Relaxed);
                if started.elapsed() > LONGEST_WAIT {
                    wait = FIRST_WAIT;
                }
                error!(task = name, error = %death, "a task panicked; it starts again in {wait:?}");
                if stop.run_until_cancelled(time::sleep(wait)).await.is_none() {
                    return;
                }
                wait = (wait * 2).min(LONGEST_WAIT);
                started = Instant::now();
            }
        });
    }

    /// Runs a future that cannot be started again (a served connection, a probe in flight) and is awaited at stop.
    pub fn spawn_once(&self, work: impl Future<Output = ()> + Send + 'static) {
        let panics = Arc::clone(&self.panics);
        self.tasks.spawn(async move {
            use futures_util::FutureExt as _;
            if std::panic::AssertUnwindSafe(work).catch_unwind().await.is_err() {
                panics.fetch_add(1, Ordering::Relaxed);
                error!("a task panicked and was dropped");
            }
        });
    }

    /// Tells every task to stop and waits for them, at most `limit`. Says whether all of them ended.
    pub async fn stop(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        time::timeout(limit, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panicking_task_is_counted_and_started_again() {
        let supervisor = Supervisor::new();
        let starts = Arc::new(AtomicU64::new(0));
        let (counter, stop) = (Arc::clone(&starts), supervisor.stop_token().clone());
        supervisor.spawn("shaky", stop, move || {
            let counter = Arc::clone(&counter);
            async move { assert!(counter.fetch_add(1, Ordering::SeqCst) >= 2, "not yet") }
        });
        while starts.load(Ordering::SeqCst) < 3 {
            time::sleep(Duration::from_millis(100)).await;
        }
        assert!(supervisor.stop(Duration::from_secs(5)).await);
        assert_eq!(supervisor.panics(), 2);
    }
}
