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
//! What is under way when the agent stops has a few seconds to finish. Nothing is on disk yet: after a restart,
//! or a kill, alerts that still fire are told again once the rules have found them, and the end of an alert that
//! ended meanwhile is not told.

pub mod channels;
mod dispatch;
mod group;
mod identity;
mod inbox;
mod metrics;
mod notification;
mod plan;
mod retry;
mod route;
mod sent;
mod settings;
mod template;
mod worker;

use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::error;

use crate::model::Transition;
use crate::runtime::supervise::Supervisor;

use dispatch::Dispatcher;
use inbox::Shared;

pub use group::ActiveAlert;
pub use identity::fingerprint;
pub use metrics::Metrics;
pub use notification::{Notification, Reason};
pub use plan::Plan;
pub use route::{GroupBy, Route, Timing};
pub use settings::{Receiver, Settings};
pub use template::{Files as TemplateFiles, Templates};

/// The handle for everybody else. Cheap to clone.
#[derive(Clone)]
pub struct Notifier {
    shared: Arc<Shared>,
    metrics: Metrics,
}

impl Notifier {
    /// Builds the channels and starts the loop and the workers under the supervisor, at whose stop they end.
    /// `external_url` is where the agent is found; it goes into messages.
    ///
    /// # Errors
    /// A channel cannot be built: [`Plan::build`].
    pub fn start(
        settings: &Settings,
        metrics: Metrics,
        supervisor: &Supervisor,
        external_url: &str,
    ) -> Result<Self, String> {
        let plan = Plan::build(settings)?;
        let shared = Arc::new(Shared::default());
        let dispatcher = Dispatcher::new(plan, Arc::clone(&shared), metrics.clone(), supervisor.clone(), external_url);
        // Behind a lock so that the loop can start again after a panic with its groups as they were.
        let dispatcher = Arc::new(Mutex::new(dispatcher));
        let stop = supervisor.stop_token().child_token();
        supervisor.spawn("notify", stop.clone(), move || {
            let (dispatcher, stop) = (Arc::clone(&dispatcher), stop.clone());
            async move { dispatcher.lock().await.run(&stop).await }
        });
        Ok(Self { shared, metrics })
    }

    /// Takes what changed. Never waits.
    pub fn tell(&self, transitions: Vec<Transition>) {
        let dropped = self.shared.tell(transitions);
        if dropped > 0 {
            self.metrics.dropped(dropped);
            error!("{dropped} transitions were dropped: the notifier does not keep up");
        }
    }

    /// Takes up a configuration that is already built. Groups that are the same keep their timers, integrations
    /// that are the same go on with what they are sending.
    pub fn adopt(&self, plan: Plan) {
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

    /// The alerts that fire, by group. One that reaches two receivers is there twice.
    pub fn alerts(&self) -> Arc<Vec<ActiveAlert>> {
        self.shared.active()
    }
}

#[cfg(test)]
mod tests;
