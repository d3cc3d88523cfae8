//! Tells people and programs which alerts fire and which have ended.
//!
//! In: [`Transition`]s from `rules`. Out: webhooks and mail, as Alertmanager would send them.
//!
//! ```text
//! tell ──▶ inbox ──▶ dispatch ── route ──▶ group ──(due)──▶ sent? ──▶ worker per integration ──▶ channel
//!                        ▲                                                       │ retry
//!                        └────────────────────── delivered, given up ────────────┘
//! ```
//!
//! The pieces: `route` says which receiver and which group, `group` when, `sent` whether it is news,
//! `worker` keeps receivers apart and tries again (`retry`), [`channels`] know the protocols. `route`, `group`,
//! `sent` and `retry` are pure: `dispatch` and the channels hand them the time.
//!
//! Invariants: [`Notifier::tell`] never waits. A dead receiver delays no other. Everything is bounded, and what
//! is dropped is counted. No secret, and no URL of a receiver, is in a log, an error or a metric.
//!
//! What is under way when the agent stops has a few seconds to finish. The [`outbox`] keeps on disk what is to be sent and
//! what was told: after a restart, or a kill, nothing is forgotten, nothing is told anew, and the end of an alert that ended
//! meanwhile is told too (`restart`).

mod acknowledge;
mod aside;
mod canary;
mod census;
pub mod channels;
mod dispatch;
mod failing;
mod flapping;
mod group;
mod handover;
mod identity;
mod inbox;
mod inhibit;
mod kept;
pub mod matcher;
mod metrics;
mod notification;
mod original;
mod outbox;
mod outside;
mod plan;
mod queue;
mod quiet;
mod restart;
mod retry;
mod route;
mod sent;
mod settings;
pub mod silence;
mod template;
mod time_interval;
mod trial;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::error;

use crate::model::{Alert, Block, Labels, Millis, Transition};
use crate::runtime::supervise::Supervisor;

use dispatch::Dispatcher;
use handover::Handover;
use inbox::Shared;
use outside::Report;

pub use acknowledge::{Acknowledged, Episode, Meant, Note};
pub use aside::{Aside, Asides};
pub use canary::alerts::FAILING as CANARY_FAILING;
pub use canary::{Canary, NAME as CANARY};
pub use failing::NAME as NOTIFICATIONS_FAILING;
pub use group::ActiveAlert;
pub use identity::fingerprint;
pub use inhibit::InhibitRule;
pub use kept::Kept;
pub use metrics::Metrics;
pub use notification::{Notification, Reason};
pub use original::original;
pub use outside::Posted;
pub use plan::{Facts, Plan};
pub use route::{GroupBy, Hours, Route, Timing};
pub use settings::{Receiver, Settings};
use silence::Silences;
pub use template::{Files as TemplateFiles, Templates};
pub use time_interval::{Span, TimeInterval};
pub use trial::Trial;

/// Alerts of others are looked at this often at most, and at least.
const ENDS_PAUSE: Duration = Duration::from_millis(20);
const ENDS_LIMIT: Duration = Duration::from_secs(1);
/// The loop takes what it is told within milliseconds.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(1);

/// The handle for everybody else. Cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
    metrics: Metrics,
    handover: Handover,
}

impl Notifier {
    /// [`Notifier::start_with`], keeping nothing on disk.
    ///
    /// # Errors
    /// As there.
    pub fn start(
        settings: &Settings,
        metrics: Metrics,
        supervisor: &Supervisor,
        external_url: &str,
    ) -> Result<Self, String> {
        let kept = Kept::in_memory().map_err(|error| error.to_string())?;
        Self::start_with(settings, metrics, supervisor, external_url, kept)
    }

    /// Builds the channels and starts the loop and the workers under the supervisor, at whose stop they end.
    /// `external_url` is where the agent is found; it goes into messages. `kept` is what people have asked for.
    ///
    /// # Errors
    /// A channel cannot be built: [`Plan::build`].
    pub fn start_with(
        settings: &Settings,
        metrics: Metrics,
        supervisor: &Supervisor,
        external_url: &str,
        kept: Kept,
    ) -> Result<Self, String> {
        let mut plan = Plan::build(settings)?;
        let handover = Handover::start(std::mem::take(&mut plan.handover), supervisor);
        let shared = Arc::new(Shared::new(kept, plan.facts.clone()));
        let dispatcher = Dispatcher::new(plan, Arc::clone(&shared), metrics.clone(), supervisor.clone(), external_url);
        // Behind a lock so that the loop can start again after a panic with its groups as they were.
        let dispatcher = Arc::new(Mutex::new(dispatcher));
        let stop = supervisor.stop_token().child_token();
        supervisor.spawn("notify", stop.clone(), move || {
            let (dispatcher, stop) = (Arc::clone(&dispatcher), stop.clone());
            async move { dispatcher.lock().await.run(&stop).await }
        });
        let notifier = Self { shared, metrics, handover };
        notifier.start_ending(supervisor);
        Ok(notifier)
    }

    /// Ends the alerts of others when their time has come.
    fn start_ending(&self, supervisor: &Supervisor) {
        let (notifier, stop) = (self.clone(), supervisor.stop_token().child_token());
        supervisor.spawn("alerts of others", stop.clone(), move || {
            let (notifier, stop) = (notifier.clone(), stop.clone());
            async move {
                loop {
                    let next = {
                        let mut outside = notifier.shared.outside();
                        notifier.tell_of_others(outside.ended(Millis::now()));
                        outside.next_end()
                    };
                    // The wall clock may jump, so it is asked again before long.
                    let wait = next.map_or(ENDS_LIMIT, |end| end.since(Millis::now()).clamp(ENDS_PAUSE, ENDS_LIMIT));
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = notifier.shared.posted() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        });
    }

    /// Takes alerts that others post; those that are right, whatever is wrong with the rest.
    ///
    /// # Errors
    /// What is wrong, in Alertmanager's words.
    pub fn post(&self, posted: Vec<Posted>, now: Millis) -> Result<(), String> {
        let resolve_timeout = self.facts().resolve_timeout;
        let (mut told, mut wrong, mut refused) = (Vec::new(), Vec::new(), 0);
        let mut outside = self.shared.outside();
        for posted in posted {
            self.metrics.received(posted.ends_at.is_none_or(|end| end > now));
            match Report::of(posted, now, resolve_timeout) {
                Ok(report) => match outside.take(report, now) {
                    Some(transition) => told.push(transition),
                    None => refused += 1,
                },
                Err(why) => {
                    self.metrics.received_invalid();
                    wrong.push(why);
                }
            }
        }
        // Told before others may post, so that what comes later is told later.
        self.tell_of_others(told);
        drop(outside);
        self.shared.note_post();
        if refused > 0 {
            self.metrics.dropped(refused);
            wrong.push(format!("{refused} alerts were dropped: there is no room for more"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// When an alert that others posted ends; nothing for the agent's own.
    pub fn end_of(&self, labels: &Labels) -> Option<Millis> {
        self.shared.outside().end_of(labels)
    }

    /// Waits until what was told so far shows in [`Notifier::alerts`], but not for long.
    pub async fn caught_up(&self) {
        let _ = tokio::time::timeout(CATCH_UP_LIMIT, self.shared.caught_up()).await;
    }

    /// What is not to be heard of.
    pub fn silences(&self) -> &Silences {
        &self.shared.kept().silences
    }

    /// Who has taken on what.
    pub fn acknowledged(&self) -> &Acknowledged {
        &self.shared.kept().acknowledged
    }

    /// What holds of the configuration.
    pub fn facts(&self) -> Arc<Facts> {
        self.shared.facts()
    }

    /// Takes what changed in a group of our own rules that is evaluated so often: it is told, and handed to Alertmanagers (but
    /// no canary: it proves nothing there, and would only be told to people). Never waits.
    pub fn tell_of_rules(&self, transitions: Vec<Transition>, every: Duration) {
        let for_others = transitions.iter().filter(|transition| !canary::is_canary(&transition.alert().labels));
        self.handover.tell(for_others, every);
        self.tell(transitions);
    }

    /// The Alertmanagers that alerts are handed to: where they take them, without credentials.
    pub fn alertmanagers(&self) -> Vec<String> {
        self.handover.urls()
    }

    /// What is measured when somebody asks: alerts and silences by state, and how handing over goes.
    pub fn blocks(&self, now: Millis) -> Vec<Block> {
        let mut blocks = census::blocks(&self.alerts(), self.silences(), now);
        blocks.extend(self.handover.blocks());
        blocks
    }

    /// Takes what changed. Never waits.
    pub fn tell(&self, transitions: Vec<Transition>) {
        self.note_dropped(self.shared.tell(transitions));
    }

    /// Takes what became of alerts that others have posted.
    fn tell_of_others(&self, transitions: Vec<Transition>) {
        self.note_dropped(self.shared.tell_of_others(transitions));
    }

    fn note_dropped(&self, dropped: usize) {
        if dropped > 0 {
            self.metrics.dropped(dropped);
            error!("{dropped} transitions were dropped: the notifier does not keep up");
        }
    }

    /// Takes up a configuration that is already built. Groups that are the same keep their timers, integrations
    /// that are the same go on with what they are sending.
    pub fn adopt(&self, mut plan: Plan) {
        self.handover.adopt(std::mem::take(&mut plan.handover));
        self.shared.adopt(plan);
    }

    /// [`Plan::build`] and [`Notifier::adopt`] in one.
    ///
    /// # Errors
    /// A channel cannot be built; then nothing changes.
    pub fn reload(&self, settings: &Settings) -> Result<(), String> {
        self.adopt(Plan::build(settings)?);
        Ok(())
    }

    /// The alerts about channels that take nothing and canaries that do not arrive, also where nobody could be told.
    pub fn failing(&self) -> Arc<Vec<Alert>> {
        self.shared.failing()
    }

    /// The alerts that fire, by group. One that reaches two receivers is there twice.
    pub fn alerts(&self) -> Arc<Vec<ActiveAlert>> {
        self.shared.active()
    }
}

#[cfg(test)]
mod tests;
