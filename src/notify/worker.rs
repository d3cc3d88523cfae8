//! Sends one integration's notifications: a queue of its own, so that a dead receiver delays no other.
//!
//! In: [`Job`]s. Out: an [`Outcome`] for each of them, whatever happens. Invariant: the queue and what is being sent
//! at once are bounded; a job ends by its deadline, give or take one attempt and what a server asked us to wait.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::model::Millis;
use crate::runtime::supervise::Supervisor;

use super::channels::{Channel, FailureReason, IntegrationId, Receipt, Retry};
use super::metrics::Metrics;
use super::notification::Notification;
use super::retry::backoff;

/// Jobs waiting for one integration; more are dropped and counted, and come back with their group's next flush.
const QUEUE: usize = 256;
/// Notifications sent at once by one integration, each about another group.
const AT_ONCE: usize = 8;
/// What is being sent when the agent stops may still finish in this time.
const GRACE: Duration = Duration::from_secs(3);

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Delivered(Receipt),
    /// It was given up.
    Failed(FailureReason),
}

/// Tells the dispatcher how a job ended, also when the job is dropped or its task panics.
#[derive(Debug)]
pub(super) struct Report {
    to: Option<mpsc::UnboundedSender<(u64, Outcome)>>,
    flight: u64,
}

impl Report {
    /// `flight` names the job for the dispatcher. The channel is unbounded, but holds at most one word per job,
    /// and jobs are bounded.
    pub(super) fn new(to: mpsc::UnboundedSender<(u64, Outcome)>, flight: u64) -> Self {
        Self { to: Some(to), flight }
    }

    fn send(mut self, outcome: Outcome) {
        if let Some(to) = self.to.take() {
            // Without a dispatcher the agent is stopping.
            let _ = to.send((self.flight, outcome));
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            let _ = to.send((self.flight, Outcome::Failed(FailureReason::Canceled)));
        }
    }
}

/// A notification to be sent.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) notification: Notification,
    /// No attempt starts after it.
    pub(super) deadline: Instant,
    pub(super) report: Report,
}

/// The queue's near end. Dropping it retires the worker.
#[derive(Debug)]
pub(super) struct Outlet {
    queue: mpsc::Sender<Job>,
    stop: CancellationToken,
}

impl Outlet {
    /// Starts the worker of one integration.
    pub(super) fn start(
        id: IntegrationId,
        channel: Arc<dyn Channel>,
        metrics: Metrics,
        supervisor: &Supervisor,
    ) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let stop = supervisor.stop_token().child_token();
        metrics.expect(&id);
        let name = format!("notify {id}");
        let worker = Arc::new(Worker { id, channel, metrics, stop: stop.clone(), jobs: Mutex::new(jobs) });
        supervisor.spawn(name, stop.clone(), move || {
            let worker = Arc::clone(&worker);
            async move { worker.run().await }
        });
        Self { queue, stop }
    }

    /// Hands over a job; `false` when the queue is full.
    pub(super) fn offer(&self, job: Job) -> bool {
        self.queue.try_send(job).is_ok()
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Worker {
    id: IntegrationId,
    channel: Arc<dyn Channel>,
    metrics: Metrics,
    stop: CancellationToken,
    jobs: Mutex<mpsc::Receiver<Job>>,
}

impl Worker {
    async fn run(&self) {
        let mut jobs = self.jobs.lock().await;
        let mut sending = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(()) = sending.next(), if !sending.is_empty() => {}
                job = jobs.recv(), if sending.len() < AT_ONCE => match job {
                    Some(job) => sending.push(self.deliver(job)),
                    None => break,
                },
            }
        }
        // Waits between attempts end at once now, so only attempts in progress are waited for.
        let _ = time::timeout(GRACE, async { while sending.next().await.is_some() {} }).await;
    }

    async fn deliver(&self, job: Job) {
        let Job { notification, deadline, report } = job;
        let group = &notification.group_key;
        match self.attempts(&notification, deadline).await {
            Ok(receipt) => {
                info!(to = %self.id, %group, status = notification.status(), "notified");
                self.metrics.delivered(&self.id, Millis::now());
                report.send(Outcome::Delivered(receipt));
            }
            Err(reason) => {
                if reason == FailureReason::Canceled {
                    warn!(to = %self.id, %group, "a notification was interrupted");
                } else {
                    error!(to = %self.id, %group, reason = reason.as_str(), "a notification was given up for now");
                }
                self.metrics.gave_up(&self.id, reason);
                report.send(Outcome::Failed(reason));
            }
        }
    }

    /// Tries until it works, cannot work, or the time is up. `Err` is the last failure's reason.
    async fn attempts(&self, notification: &Notification, deadline: Instant) -> Result<Receipt, FailureReason> {
        let mut failures = 0;
        loop {
            if Instant::now() >= deadline {
                return Err(FailureReason::DeadlineExceeded);
            }
            let outcome = self.channel.send(notification).await;
            self.metrics.attempted(&self.id, outcome.is_ok());
            let error = match outcome {
                Ok(receipt) => return Ok(receipt),
                Err(error) => error,
            };
            failures += 1;
            let wait = match error.retry {
                Retry::Never => None,
                Retry::Backoff => Some(backoff(failures, random())),
                Retry::After(asked) => Some(asked.max(backoff(failures, random()))),
            };
            match (failures, wait) {
                (_, None) => warn!(to = %self.id, %error, "refused; trying again would not help"),
                (1, Some(wait)) => warn!(to = %self.id, %error, "failed; trying again in {wait:?}"),
                (_, Some(wait)) => debug!(to = %self.id, %error, failures, "failed; trying again in {wait:?}"),
            }
            let wait = wait.ok_or(error.reason)?;
            // A wait that the server asked for is kept even past the deadline: giving up earlier would let the
            // group's next flush knock too early.
            let until = Instant::now() + wait;
            let until = if matches!(error.retry, Retry::Backoff) { until.min(deadline) } else { until };
            if self.stop.run_until_cancelled(time::sleep_until(until)).await.is_none() {
                return Err(FailureReason::Canceled);
            }
        }
    }
}

/// Between 0 and 1; for jitter only.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
