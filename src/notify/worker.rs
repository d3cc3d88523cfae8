//! Sends one integration's notifications: a queue of its own, so that a dead receiver delays no other.
//!
//! In: [`Job`]s. Out: an [`Outcome`] for each of them, whatever happens. Invariants: the queue and what is being sent
//! at once are bounded; a job ends by its deadline, give or take one attempt and what a server asked us to wait; no attempt
//! starts before the notification is stored, unless the disk takes too long.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::model::Millis;
use crate::runtime::supervise::Supervisor;

use super::channels::{Channel, ChannelError, FailureReason, IntegrationId, Receipt, Retry};
use super::metrics::Metrics;
use super::notification::Notification;
use super::outbox::{Mark, Stored};
use super::queue::{Offer, Queue, Ticket};
use super::retry::backoff;

/// Notifications sent at once by one integration, each about another group.
const AT_ONCE: usize = 8;
/// What is being sent when the agent stops may still finish in this time.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The receiver has it.
    Delivered(Receipt),
    /// It was given up.
    Failed(Failure),
    /// News of another group took its place in a full queue.
    MadeRoom,
}

/// Why a job was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: FailureReason,
    /// The last attempt's, for people.
    pub(super) what: String,
    /// An attempt may have arrived.
    pub(super) maybe_arrived: bool,
}

/// Tells the dispatcher how a job ended, also when the job is dropped or its task panics.
#[derive(Debug)]
pub(super) struct Report {
    to: Option<mpsc::UnboundedSender<(u64, Outcome)>>,
    flight: u64,
    /// An attempt is under way, or one ended such that it may have arrived.
    maybe_arrived: bool,
}

impl Report {
    /// `flight` names the job for the dispatcher. The channel is unbounded, but holds at most one word per job,
    /// and jobs are bounded. `maybe_arrived`: an earlier job with the same notification may have arrived.
    pub(super) fn new(to: mpsc::UnboundedSender<(u64, Outcome)>, flight: u64, maybe_arrived: bool) -> Self {
        Self { to: Some(to), flight, maybe_arrived }
    }

    pub(super) fn send(mut self, outcome: Outcome) {
        if let Some(to) = self.to.take() {
            // Without a dispatcher the agent is stopping.
            let _ = to.send((self.flight, outcome));
        }
    }

    fn failed(&self, reason: FailureReason, what: String) -> Failure {
        Failure { reason, what, maybe_arrived: self.maybe_arrived }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            let failure = self.failed(FailureReason::Canceled, String::new());
            let _ = to.send((self.flight, Outcome::Failed(failure)));
        }
    }
}

/// A notification to be sent.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) notification: Notification,
    /// No attempt starts after it.
    pub(super) deadline: Instant,
    /// When what it says was decided, by the wall clock; nothing for a reminder.
    pub(super) decided: Option<Millis>,
    pub(super) stored: Stored,
    pub(super) mark: Mark,
    pub(super) ticket: Ticket,
    pub(super) report: Report,
}

/// The queue's near end. Dropping it retires the worker.
#[derive(Debug)]
pub(super) struct Outlet {
    queue: Arc<Queue>,
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
        let queue = Arc::new(Queue::default());
        let stop = supervisor.stop_token().child_token();
        metrics.expect(&id, queue.backlog());
        let name = format!("notify {id}");
        let worker = Worker {
            id,
            channel,
            metrics,
            stop: stop.clone(),
            queue: Arc::clone(&queue),
            not_before: Mutex::default(),
        };
        let worker = Arc::new(worker);
        supervisor.spawn(name, stop.clone(), move || {
            let worker = Arc::clone(&worker);
            async move { worker.run().await }
        });
        Self { queue, stop }
    }

    /// A place in the count of what is not told.
    pub(super) fn ticket(&self, at: Millis, number: u64) -> Ticket {
        self.queue.backlog().enter(at, number)
    }

    /// Hands over a job.
    pub(super) fn offer(&self, job: Job) -> Offer {
        self.queue.offer(job)
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
    queue: Arc<Queue>,
    /// The server asked not to be asked before.
    not_before: Mutex<Option<Instant>>,
}

impl Worker {
    async fn run(&self) {
        let mut sending = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(()) = sending.next(), if !sending.is_empty() => {}
                job = self.queue.next(), if sending.len() < AT_ONCE => sending.push(self.deliver(job)),
            }
        }
        self.queue.clear();
        // Waits between attempts end at once now, so only attempts in progress are waited for.
        let _ = time::timeout(GRACE, async { while sending.next().await.is_some() {} }).await;
    }

    async fn deliver(&self, job: Job) {
        let Job { mut notification, deadline, decided, mut stored, mark, ticket, mut report } = job;
        if !stored.wait().await {
            self.metrics.unstored();
            warn!(to = %self.id, "the disk does not answer; a notification goes out that it does not hold");
        }
        let outcome = self.attempts(&mut notification, &mark, &mut report, deadline).await;
        let group = &notification.group_key;
        drop(ticket);
        match outcome {
            Ok(receipt) => {
                info!(to = %self.id, %group, status = notification.status(), "notified");
                self.metrics.delivered(&self.id, decided, Millis::now());
                report.send(Outcome::Delivered(receipt));
            }
            Err(failure) => {
                if failure.reason == FailureReason::Canceled {
                    warn!(to = %self.id, %group, "a notification was interrupted");
                } else {
                    let reason = failure.reason.as_str();
                    error!(to = %self.id, %group, reason, error = failure.what, "a notification was given up for now");
                }
                self.metrics.gave_up(&self.id, failure.reason);
                report.send(Outcome::Failed(failure));
            }
        }
    }

    /// Tries until it works, cannot work, or the time is up. `Err` is the last failure.
    async fn attempts(
        &self,
        notification: &mut Notification,
        mark: &Mark,
        report: &mut Report,
        deadline: Instant,
    ) -> Result<Receipt, Failure> {
        let mut failures = 0;
        let mut last = "it waited too long for others".to_owned();
        loop {
            if !self.may_ask().await {
                return Err(report.failed(FailureReason::Canceled, last));
            }
            if Instant::now() >= deadline {
                return Err(report.failed(FailureReason::DeadlineExceeded, last));
            }
            let error = match self.attempt(notification, mark, report).await {
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
            last = error.what;
            let Some(wait) = wait else { return Err(report.failed(error.reason, last)) };
            // A wait that the server asked for is kept even past the deadline: giving up earlier would let the
            // group's next flush knock too early. It holds for every message to this server.
            let until = Instant::now() + wait;
            let until = if matches!(error.retry, Retry::Backoff) {
                until.min(deadline)
            } else {
                let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
                *not_before = Some(not_before.map_or(until, |before| before.max(until)));
                until
            };
            if self.stop.run_until_cancelled(time::sleep_until(until)).await.is_none() {
                return Err(report.failed(FailureReason::Canceled, last));
            }
        }
    }

    /// Waits for as long as the server asked. `false` when it is time to stop.
    async fn may_ask(&self) -> bool {
        loop {
            let until = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
            match until {
                Some(until) if until > Instant::now() => {
                    if self.stop.run_until_cancelled(time::sleep_until(until)).await.is_none() {
                        return false;
                    }
                }
                _ => return true,
            }
        }
    }

    /// Tries once. Where the receiver would take a second for another, the disk knows first that it may have it.
    async fn attempt(
        &self,
        notification: &mut Notification,
        mark: &Mark,
        report: &mut Report,
    ) -> Result<Receipt, ChannelError> {
        let (before, tells_twice) = (report.maybe_arrived, !self.channel.is_idempotent());
        notification.possible_duplicate = before && tells_twice;
        if !before {
            let mut noted = mark.handed();
            if tells_twice {
                noted.wait().await;
            }
        }
        report.maybe_arrived = true;
        let begin = Instant::now();
        let outcome = self.channel.send(notification).await;
        self.metrics.attempted(&self.id, outcome.is_ok(), begin.elapsed());
        if let Err(error) = &outcome {
            report.maybe_arrived = before || error.may_have_arrived;
            if !report.maybe_arrived {
                mark.returned();
            }
        }
        outcome
    }
}

/// Between 0 and 1; for jitter only.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
