//! Hands the alerts of our own rules to Alertmanagers, as Prometheus does.
//!
//! In: [`Transition`]s from `rules`. Out: `POST …/api/v2/alerts` to each Alertmanager, again and again while an alert fires.
//!
//! ```text
//! tell ──▶ book: each alert's newest state ──(news, or due again)──▶ queue per Alertmanager ──▶ sender ──▶ Alertmanager
//!            ▲                                                                                   │ what to say
//!            └───────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A queue holds names of alerts, not messages: what is sent is what holds when it is sent. So nothing is outdated however
//! long an Alertmanager was away, a queue is never longer than there are alerts, and nothing needs to be on disk: what
//! fires after a restart is handed over then, and what has ended meanwhile ends by the `endsAt` that was said before.
//!
//! Invariants: [`Handover::tell`] never waits. An Alertmanager that is dead, or slow, delays neither the others nor our own
//! receivers. Everything is bounded, and what is dropped is counted.

mod book;
mod metrics;
mod queue;
mod relabel;
mod sender;
mod settings;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::model::{Block, Labels, Millis, Transition};
use crate::runtime::supervise::Supervisor;

use book::Book;
use sender::{Line, Sender};

pub use settings::{Alertmanager, Settings};

/// How often it is looked which alerts are to be sent again, at most and at least.
const OFTEN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);

/// Everything built that can fail.
#[derive(Default)]
pub struct Plan {
    lines: Vec<Line>,
    resend_delay: Duration,
}

impl Plan {
    /// Builds the clients.
    ///
    /// # Errors
    /// What only building can find, such as a CA file that cannot be read; with the Alertmanager's URL.
    pub fn build(settings: &Settings) -> Result<Self, String> {
        let line = |alertmanager: &Alertmanager| {
            let built = Line::build(alertmanager, &settings.relabel);
            built.map_err(|complaint| format!("Alertmanager {}: {complaint}", alertmanager.shown()))
        };
        let lines = settings.alertmanagers.iter().map(line).collect::<Result<_, _>>()?;
        Ok(Self { lines, resend_delay: settings.resend_delay })
    }
}

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Handover(Arc<Inner>);

struct Inner {
    book: Arc<Mutex<Book>>,
    senders: ArcSwap<Vec<Arc<Sender>>>,
    supervisor: Supervisor,
    changed: Notify,
}

impl Handover {
    /// Starts the clock and a sender for each Alertmanager, at whose stop they end.
    pub fn start(plan: Plan, supervisor: &Supervisor) -> Self {
        let inner = Inner {
            book: Arc::default(),
            senders: ArcSwap::default(),
            supervisor: supervisor.clone(),
            changed: Notify::new(),
        };
        let handover = Self(Arc::new(inner));
        handover.adopt(plan);
        let (clock, stop) = (handover.clone(), supervisor.stop_token().child_token());
        supervisor.spawn("handing over alerts", stop.clone(), move || {
            let (clock, stop) = (clock.clone(), stop.clone());
            async move { clock.run(&stop).await }
        });
        handover
    }

    /// Takes what changed in a group of rules that is evaluated so often. Never waits.
    pub fn tell<'t>(&self, transitions: impl IntoIterator<Item = &'t Transition>, every: Duration) {
        let now = Instant::now();
        let (mut news, mut refused) = (Vec::new(), 0);
        let mut book = self.book();
        // Under the lock, so that no Alertmanager is overlooked that is new at this moment.
        let senders = self.0.senders.load();
        if senders.is_empty() {
            return;
        }
        for transition in transitions {
            match book.note(transition, every, now) {
                Ok(true) => news.push(transition.alert().labels.clone()),
                Ok(false) => {}
                Err(book::Full) => refused += 1,
            }
        }
        drop(book);
        hand_out(&senders, &news);
        if refused > 0 {
            senders.iter().for_each(|sender| sender.queue().note_dropped(refused));
            warn!("{refused} alerts are not handed over: there are too many");
        }
    }

    /// Takes up a configuration. What waits for an Alertmanager that stays goes on waiting; one that is new hears of all.
    pub fn adopt(&self, plan: Plan) {
        let old = self.0.senders.load_full();
        let mut senders = Vec::with_capacity(plan.lines.len());
        let mut book = self.book();
        book.resend_each(plan.resend_delay);
        for line in plan.lines {
            let same = old.iter().find(|sender| sender.url() == line.url());
            if let Some(sender) = same {
                sender.adopt(line);
                senders.push(Arc::clone(sender));
            } else {
                let sender = Sender::start(line, Arc::clone(&self.0.book), &self.0.supervisor);
                hand_out(std::slice::from_ref(&sender), &book.names());
                senders.push(sender);
            }
        }
        if senders.is_empty() {
            book.clear();
        }
        for gone in old.iter().filter(|sender| !senders.iter().any(|stays| Arc::ptr_eq(stays, sender))) {
            gone.retire();
        }
        self.0.senders.store(Arc::new(senders));
        drop(book);
        self.0.changed.notify_one();
    }

    /// Where alerts are handed to, without credentials; in the order of the file.
    pub fn urls(&self) -> Vec<String> {
        self.0.senders.load().iter().map(|sender| sender.url().to_owned()).collect()
    }

    /// Prometheus' metrics of it.
    pub fn blocks(&self) -> Vec<Block> {
        metrics::blocks(&self.0.senders.load())
    }

    /// Has alerts sent again, and forgets those that ended long ago.
    async fn run(&self, stop: &CancellationToken) {
        loop {
            let pause = if self.0.senders.load().is_empty() {
                None
            } else {
                Some((self.book().resend_delay() / 4).clamp(OFTEN, SELDOM))
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.changed.notified() => continue,
                () = time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
            let again = self.book().turn(Instant::now(), Millis::now());
            hand_out(&self.0.senders.load(), &again);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hand_out(senders: &[Arc<Sender>], alerts: &[Labels]) {
    for sender in senders {
        sender.queue().push(alerts);
    }
}

#[cfg(test)]
mod tests;
