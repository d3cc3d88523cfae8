//! The one loop between rules and channels: takes transitions in, flushes groups when they are due, hands what
//! receivers need to hear to their workers, and notes what they have heard.
//!
//! Invariant: it never waits for a channel. Per group and integration at most one notification is under way; a
//! flush that finds one there is owed, and made up for when that one ends.

mod canaries;
mod ends;
mod landing;
mod own_alerts;
mod telling;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::model::{Alert, Millis, Transition};
use crate::runtime::supervise::Supervisor;

use super::canary::is_canary;
use super::channels::{Channel, Integration, IntegrationId};
use super::failing::Failing;
use super::flapping::Flapping;
use super::group::{Groups, MAX_ALERTS};
use super::inbox::Shared;
use super::inhibit::Inhibitor;
use super::metrics::{KeptTimes, Metrics};
use super::outbox::Outbox;
use super::plan::{Plan, Planned};
use super::quiet::Silencer;
use super::restart::Restart;
use super::route::Route;
use super::worker::{Outcome, Outlet};

use canaries::{Canary, Word};
use landing::{Flight, Flush};

/// Tokio's time as [`Millis`], for timers alone: it does not jump with the wall clock, and stands still in tests that
/// pause it. What people read is stamped with the wall clock when it is flushed.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
    at_start: Millis,
}

impl Clock {
    fn start() -> Self {
        Self { start: Instant::now(), at_start: Millis::now() }
    }

    fn now(self) -> Millis {
        self.at_start + self.start.elapsed()
    }

    fn instant(self, at: Millis) -> Instant {
        self.start + at.since(self.at_start)
    }
}

/// One integration in use.
struct Live {
    id: IntegrationId,
    settings: Integration,
    outlet: Outlet,
}

/// The loop's state. It outlives a panic of the loop.
pub(super) struct Dispatcher {
    shared: Arc<Shared>,
    metrics: Metrics,
    supervisor: Supervisor,
    external_url: Arc<str>,
    clock: Clock,
    routes: Route,
    inhibitor: Inhibitor,
    silencer: Arc<dyn Silencer>,
    live: Vec<Live>,
    groups: Groups,
    /// What fires, or what keeps it quiet, may have changed since it was last shown.
    changed: bool,
    outbox: Outbox,
    restart: Restart,
    failing: Failing,
    canary: Option<Canary>,
    flapping: Flapping,
    flights: HashMap<u64, Flight>,
    flushes: HashMap<u64, Flush>,
    last_id: u64,
    /// By the wall clock.
    started: Millis,
    /// Its near end goes along with each job.
    landing: mpsc::UnboundedSender<(u64, Outcome)>,
    outcomes: mpsc::UnboundedReceiver<(u64, Outcome)>,
    /// Its near end goes along with whatever looks for canaries.
    saying: mpsc::UnboundedSender<Word>,
    words: mpsc::UnboundedReceiver<Word>,
}

impl Dispatcher {
    pub(super) fn new(
        plan: Plan,
        shared: Arc<Shared>,
        metrics: Metrics,
        supervisor: Supervisor,
        external_url: &str,
    ) -> Self {
        let (landing, outcomes) = mpsc::unbounded_channel();
        let (saying, words) = mpsc::unbounded_channel();
        let silencer = Arc::new(shared.kept().silences.clone());
        let held = shared.kept().take_held();
        let (outbox, mut restored) = Outbox::start(held, &metrics, &supervisor);
        let mut dispatcher = Self {
            shared,
            metrics,
            supervisor,
            external_url: external_url.trim_end_matches('/').into(),
            clock: Clock::start(),
            routes: plan.routes.clone(),
            inhibitor: Inhibitor::default(),
            silencer,
            live: Vec::new(),
            groups: Groups::default(),
            changed: true,
            outbox,
            restart: Restart::default(),
            failing: Failing::default(),
            canary: None,
            flapping: Flapping::default(),
            flights: HashMap::new(),
            flushes: HashMap::new(),
            last_id: restored.last_flush(),
            started: Millis::now(),
            landing,
            outcomes,
            saying,
            words,
        };
        dispatcher.adopt(plan, dispatcher.clock.now());
        dispatcher.take_up(&mut restored);
        dispatcher
    }

    /// Runs until `stop` fires.
    pub(super) async fn run(&mut self, stop: &CancellationToken) {
        let shared = Arc::clone(&self.shared);
        loop {
            let now = self.clock.now();
            self.take_inbox(now);
            self.leave_restart(now);
            self.flush_due(now);
            self.miss_canaries(now);
            if std::mem::take(&mut self.changed) {
                self.publish();
            }
            let due = [self.groups.next_due(), self.restart.next_due(), self.next_canary_due()];
            let due = due.into_iter().flatten().min().map(|due| self.clock.instant(due));
            tokio::select! {
                () = stop.cancelled() => return self.land_all().await,
                () = shared.arrival() => {}
                Some((flight, outcome)) = self.outcomes.recv() => {
                    self.landed(flight, outcome);
                    while let Ok((flight, outcome)) = self.outcomes.try_recv() {
                        self.landed(flight, outcome);
                    }
                }
                Some(word) = self.words.recv() => self.hear_of_canary(word),
                () = time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Takes a transition, by the configuration's routes if no other is named. Gives back the alert as its group keeps it;
    /// nothing when there is no room.
    fn take(&mut self, transition: Transition, route: Option<&Route>, now: Millis) -> Option<Arc<Alert>> {
        let wall = Millis::now();
        self.changed = true;
        let fires = !matches!(transition, Transition::Resolved(_));
        let taken = self.groups.apply(transition, route.unwrap_or(&self.routes), (now, wall));
        if let Some((id, alert)) = &taken {
            self.inhibitor.note(*id, alert, wall);
            // A canary comes and goes by its nature.
            if !is_canary(&alert.labels) {
                self.flapping.note(*id, fires, now);
            }
        }
        taken.map(|(_, alert)| alert)
    }

    fn take_inbox(&mut self, now: Millis) {
        let inbox = self.shared.take();
        if let Some(plan) = inbox.plan {
            self.adopt(plan, now);
        }
        self.restart.heard(inbox.transitions.values());
        let mut refused = 0;
        for (labels, transition) in inbox.transitions {
            let is_posted = inbox.posted_canaries.contains(&labels);
            if is_posted && self.is_own_canary(&labels) {
                continue;
            }
            let fires = !matches!(transition, Transition::Resolved(_));
            match self.take(transition, None, now) {
                Some(alert) if fires && !is_posted => self.note_canary(&alert, now),
                Some(_) => {}
                None => refused += 1,
            }
        }
        if refused > 0 {
            self.metrics.dropped(refused);
            error!("{refused} alerts were dropped: {MAX_ALERTS} are in groups already");
        }
    }

    /// Takes up a configuration: integrations that did not change keep their workers and what these are sending.
    fn adopt(&mut self, plan: Plan, now: Millis) {
        let mut old = std::mem::take(&mut self.live);
        let before: Vec<_> = old.iter().map(|live| live.id.clone()).collect();
        for Planned { id, settings, channel } in plan.integrations {
            let same = old.iter().position(|live| live.id == id && live.settings == settings);
            let live =
                if let Some(at) = same { old.swap_remove(at) } else { self.start_integration(id, settings, channel) };
            self.live.push(live);
        }
        // The outlets left in `old` retire here; what they were sending comes back as canceled.
        drop(old);
        let wall = Millis::now();
        (self.routes, self.inhibitor, self.changed) = (plan.routes, plan.inhibitor, true);
        for (id, alert) in self.groups.alerts() {
            self.inhibitor.note(id, &alert, wall);
        }
        self.adopt_canary(plan.canary, now);
        self.drop_canary_legs(wall);
        self.forget_times(&before);
        self.groups.reroute(&self.routes, (now, wall));
        self.forget_untold();
        self.restart.settle_by(now, &plan.facts);
        self.tell_of_failing_anew();
    }

    /// Times of what is gone.
    fn forget_times(&self, before: &[IntegrationId]) {
        let told: Vec<_> = self.live.iter().map(|live| live.id.clone()).collect();
        let (canaries, ping) = self.canary_goes_to();
        self.metrics.keep_times(before.iter(), &KeptTimes { told: &told, canaries: &canaries, ping });
    }

    /// Nobody can be told of these any more.
    fn forget_untold(&mut self) {
        let live: HashSet<&IntegrationId> = self.live.iter().map(|live| &live.id).collect();
        let forgotten = self.outbox.forget_untold(|id| live.contains(id), Millis::now());
        if forgotten > 0 {
            self.metrics.dropped(forgotten);
            warn!("{forgotten} notifications are forgotten: their receivers are gone, or did not take them for a day");
        }
    }

    fn start_integration(&self, id: IntegrationId, settings: Integration, channel: Arc<dyn Channel>) -> Live {
        if let Some(caution) = settings.caution() {
            warn!(to = %id, "{caution}");
        }
        let outlet = Outlet::start(id.clone(), channel, self.metrics.clone(), &self.supervisor);
        Live { id, settings, outlet }
    }

    fn publish(&self) {
        let active = self.groups.active(&self.inhibitor, Millis::now());
        let distinct: HashSet<u64> = active.iter().map(|alert| alert.fingerprint).collect();
        self.metrics.active(distinct.len());
        let failing = self.failing.all().map(|(_, alert)| alert.clone()).collect();
        self.shared.publish(active, failing);
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
pub(super) mod tests;
