//! The one loop between rules and channels: takes transitions in, flushes groups when they are due, hands what
//! receivers need to hear to their workers, and notes what they have heard.
//!
//! Invariant: it never waits for a channel. Per group and integration at most one notification is under way; a
//! flush that finds one there is owed, and made up for when that one ends.

mod canaries;
mod ends;
mod own_alerts;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::model::{Labels, Millis, Transition};
use crate::runtime::supervise::Supervisor;

use super::acknowledge::Episode;
use super::aside::Asides;
use super::canary::{goes_by, is_canary};
use super::channels::{Channel, FailureReason, Integration, IntegrationId, Receipt};
use super::failing::{Failing, Subject, is_about, is_own};
use super::flapping::Flapping;
use super::group::{Batch, Groups, MAX_ALERTS};
use super::inbox::Shared;
use super::inhibit::Inhibitor;
use super::metrics::Metrics;
use super::notification::{Notification, Reason, in_order};
use super::outbox::Outbox;
use super::plan::{Plan, Planned};
use super::queue::Offer;
use super::quiet::{Silencer, hush};
use super::restart::Restart;
use super::route::Route;
use super::sent::States;
use super::worker::{Failure, Job, Outcome, Outlet, Report};

use canaries::{Canary, Word};

/// Trying goes on at least this long, however short the group's interval; as in Alertmanager.
const SHORTEST_DEADLINE: Duration = Duration::from_secs(10);

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

/// A notification under way.
struct Flight {
    to: IntegrationId,
    states: States,
    /// The flush it belongs to.
    flush: u64,
    /// A later flush wanted to tell this receiver of this group.
    owed: bool,
    /// The canary that it is, with the message's id.
    canary: Option<(Millis, String)>,
}

/// A flush of which some integrations are still being told.
struct Flush {
    batch: Batch,
    number: u64,
    under_way: usize,
    /// Someone has not heard, so ended alerts must stay.
    untold: bool,
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
        let (outbox, restored) = Outbox::start(held, &metrics, &supervisor);
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
        dispatcher.take_up(&restored);
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

    /// Takes a transition, by the configuration's routes if no other is named. `false` when there is no room.
    fn take(&mut self, transition: Transition, route: Option<&Route>, now: Millis) -> bool {
        let wall = Millis::now();
        self.changed = true;
        let fires = !matches!(transition, Transition::Resolved(_));
        let taken = self.groups.apply(transition, route.unwrap_or(&self.routes), (now, wall));
        if let Some((id, alert)) = &taken {
            self.inhibitor.note(*id, alert, wall);
            self.flapping.note(*id, fires, now);
        }
        taken.is_some()
    }

    fn take_inbox(&mut self, now: Millis) {
        let inbox = self.shared.take();
        if let Some(plan) = inbox.plan {
            self.adopt(plan, now);
        }
        self.restart.heard(inbox.transitions.values());
        let mut refused = 0;
        for transition in inbox.transitions.into_values() {
            self.note_canary(&transition, now);
            refused += usize::from(!self.take(transition, None, now));
        }
        if refused > 0 {
            self.metrics.dropped(refused);
            error!("{refused} alerts were dropped: {MAX_ALERTS} are in groups already");
        }
    }

    /// Takes up a configuration: integrations that did not change keep their workers and what these are sending.
    fn adopt(&mut self, plan: Plan, now: Millis) {
        let mut old = std::mem::take(&mut self.live);
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
        self.groups.reroute(&self.routes, (now, wall));
        self.forget_untold();
        self.restart.settle_by(now, &plan.facts);
        self.tell_of_failing_anew();
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

    fn flush_due(&mut self, now: Millis) {
        let wall = Millis::now();
        let due = self.groups.due(now, wall);
        if due.is_empty() {
            return;
        }
        self.changed = true;
        for batch in due {
            self.flush(batch, wall);
        }
        self.inhibitor.forget_ended(wall);
        self.forget_untold();
        let forgotten = self.groups.forget_untold(now, wall);
        if forgotten > 0 {
            self.metrics.dropped(forgotten);
            error!("{forgotten} ended alerts were forgotten: their receivers could not be told for a day");
        }
    }

    /// Tells each integration of the group's receiver what it needs to hear.
    fn flush(&mut self, mut batch: Batch, wall: Millis) {
        let canary = self.canary_of(&batch);
        let quiet = hush(&mut batch, &self.inhibitor, self.silencer.as_ref(), wall);
        if canary.is_some() && self.canary_of(&batch).is_none() {
            self.note_quiet_canary(&batch.receiver);
        }
        self.groups.note_muted(&batch.id, quiet.muted_by);
        let (states, flush) = (States::of(&batch), self.next_id());
        let (mut under_way, mut untold) = (0, false);
        let own = !batch.alerts.is_empty() && batch.alerts.iter().all(|(_, alert)| is_own(&alert.labels));
        let to: Vec<usize> = (0..self.live.len()).filter(|at| self.live[*at].id.receiver == batch.receiver).collect();
        for at in to {
            self.outbox.forget(&batch, &self.live[at].id, &quiet.ended);
            // Whoever fails does not hear that it does, a dead man's switch of no canary.
            let spared = own && self.is_about(&batch, at) || is_spared(&batch, &self.live[at].id);
            if batch.alerts.is_empty() || spared {
                continue;
            }
            match self.tell(at, &batch, &states, (flush, wall)) {
                Told::NeedNot => {}
                Told::UnderWay => under_way += 1,
                Told::Later => untold = true,
            }
        }
        if under_way > 0 {
            self.flushes.insert(flush, Flush { batch, number: flush, under_way, untold });
        } else if !untold {
            self.groups.settle(&batch);
        }
    }

    fn tell(&mut self, at_live: usize, batch: &Batch, states: &States, (flush, flushed): (u64, Millis)) -> Told {
        let live = &self.live[at_live];
        let (id, send_resolved) = (live.id.clone(), live.settings.send_resolved);
        if let Some(flight) = self.flight_about(&batch.id, &id) {
            flight.owed = true;
            return Told::Later;
        }
        let canary = self.canary_of(batch);
        // Of the present canary the rules have spoken.
        if self.restart.is_silent(&batch.id) && canary.is_none() {
            return Told::Later;
        }
        if canary.is_some() {
            self.send_canary_anew(batch, &id);
        }
        let reason = self.outbox.log.reason(batch, states, &id, send_resolved);
        // Of a message that may have arrived the end is told, though nobody confirmed it.
        let may_wait_for_the_end = states.firing.is_empty() && self.outbox.may_think_it_fires(&batch.id, &id);
        let reason = reason.or_else(|| (send_resolved && may_wait_for_the_end).then_some(Reason::AllResolved));
        let Some(reason) = reason else {
            self.outbox.superfluous(&batch.id, &id);
            return Told::NeedNot;
        };
        if reason == Reason::Repeat && self.is_acknowledged(batch) {
            self.outbox.keep(batch, &id);
            return Told::NeedNot;
        }
        let (receipt, decided) = (self.outbox.log.receipt(batch, &id), self.outbox.log.decided(batch, &id));
        // The same words again are the same message, with the key that it had.
        let same = self.outbox.same(batch, &id, states);
        let (at, maybe_arrived) = same.map_or((flushed, false), |same| (same.at, same.maybe_arrived));
        let Some(mut notification) = notification(batch, (reason, send_resolved), &self.external_url, at, receipt)
        else {
            // Only ended alerts, which this integration does not want to hear of: noted as told.
            self.outbox.told((batch, flush), states.clone(), &id, (None, batch.at));
            return Told::NeedNot;
        };
        let now = self.clock.now();
        notification.asides =
            Asides::of(&notification, &self.shared.kept().acknowledged, |id| self.flapping.times(id, now));
        let number = self.next_id();
        // A canary is of no use after its time.
        let shortest = if canary.is_some() { Duration::ZERO } else { SHORTEST_DEADLINE };
        let patience = batch.timing.group_interval.max(shortest);
        let (stored, mark) = self.outbox.put((batch, flush), &id, states, (at, flushed, flushed + patience));
        let ticket = self.live[at_live].outlet.ticket(at, number);
        let report = Report::new(self.landing.clone(), number, maybe_arrived);
        let canary = canary.map(|start| (start, notification.id()));
        if canary.is_some() {
            self.note_sent_canary(&id);
        }
        let flight = Flight { to: id, states: states.clone(), flush, owed: false, canary };
        self.flights.insert(number, flight);
        let deadline = Instant::now() + patience;
        // From before the start nobody knows how long it took.
        let decided = decided.filter(|decided| *decided >= self.started);
        match self.live[at_live].outlet.offer(Job { notification, deadline, decided, stored, mark, ticket, report }) {
            Offer::Taken => Told::UnderWay,
            Offer::InPlaceOf(reminder) => {
                self.metrics.dropped(1);
                warn!(to = %self.live[at_live].id, "the queue is full; its oldest reminder waits for its group's next turn");
                reminder.report.send(Outcome::MadeRoom);
                Told::UnderWay
            }
            Offer::Full(job) => {
                self.flights.remove(&number);
                drop(job);
                self.metrics.dropped(1);
                warn!(to = %self.live[at_live].id, "the queue is full; a notification waits for its group's next turn");
                Told::Later
            }
        }
    }

    /// Whether a batch says of an integration that it fails.
    fn is_about(&self, batch: &Batch, at_live: usize) -> bool {
        batch.alerts.iter().any(|(_, alert)| is_about(&alert.labels, &self.live[at_live].id))
    }

    /// Whether somebody has taken on everything that fires.
    fn is_acknowledged(&self, batch: &Batch) -> bool {
        let mut firing = batch.alerts.iter().filter(|(_, alert)| alert.ends_at.is_none());
        firing.all(|(_, alert)| self.shared.kept().acknowledged.note(Episode::of(alert)).is_some())
    }

    fn flight_about(&mut self, group: &Arc<str>, to: &IntegrationId) -> Option<&mut Flight> {
        let flushes = &self.flushes;
        let about = |flight: &&mut Flight| {
            flight.to == *to && flushes.get(&flight.flush).is_some_and(|flush| flush.batch.id == *group)
        };
        self.flights.values_mut().find(about)
    }

    /// A notification has been delivered or given up.
    fn landed(&mut self, number: u64, outcome: Outcome) {
        let Some(flight) = self.flights.remove(&number) else {
            return;
        };
        let Some(flush) = self.flushes.get_mut(&flight.flush) else {
            return;
        };
        flush.under_way -= 1;
        let mut news = Vec::new();
        let mut subject = Subject::Notifications(flight.to.clone());
        let mut is_canceled = false;
        let mut taken = None;
        match outcome {
            Outcome::Delivered(receipt) => {
                // From when it has it, as in Alertmanager: a reminder after exactly a multiple of the group's interval
                // comes with the next flush there, too.
                let receipt = (receipt, self.clock.now());
                self.outbox.told((&flush.batch, flush.number), flight.states, &flight.to, receipt);
                news.extend(self.failing.recovered(&flight.to, Millis::now()));
                taken = flight.canary;
            }
            Outcome::MadeRoom => flush.untold = true,
            Outcome::Failed(Failure { reason, what, maybe_arrived }) => {
                flush.untold = true;
                is_canceled = reason == FailureReason::Canceled;
                self.outbox.gave_up(&flush.batch.id, &flight.to, maybe_arrived);
                let all = |is: fn(&Labels) -> bool| flush.batch.alerts.iter().all(|(_, alert)| is(&alert.labels));
                if !is_canceled && all(is_canary) {
                    subject = Subject::Canary(flight.to.clone());
                    news = canaries::refused(&mut self.failing, &flight.to, (reason, &what));
                } else if !is_canceled && !all(is_own) {
                    news = self.failing.failed(&flight.to, reason, &what, Millis::now());
                }
            }
        }
        self.changed |= !news.is_empty();
        if flight.owed || is_canceled {
            self.groups.hurry(&flush.batch.id, self.clock.now());
        }
        if flush.under_way == 0 {
            let flush = self.flushes.remove(&flight.flush);
            if let Some(flush) = flush.filter(|flush| !flush.untold) {
                self.groups.settle(&flush.batch);
            }
        }
        self.tell_of(news, &subject);
        if let Some((start, message)) = taken {
            self.canary_taken(&flight.to, start, message);
        }
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

/// Whether a batch is of canaries and the integration of a kind that these do not go by.
fn is_spared(batch: &Batch, id: &IntegrationId) -> bool {
    !goes_by(id.kind) && batch.alerts.iter().all(|(_, alert)| is_canary(&alert.labels))
}

/// Whether an integration hears of a flush.
enum Told {
    /// It knows, or does not want to.
    NeedNot,
    /// It is being told.
    UnderWay,
    /// Not now: something about this group is still under way, or the queue is full.
    Later,
}

/// `None` when there is nothing in the batch that the integration wants to hear of.
fn notification(
    batch: &Batch,
    (reason, send_resolved): (Reason, bool),
    external_url: &Arc<str>,
    at: Millis,
    receipt: Receipt,
) -> Option<Notification> {
    let wanted = batch.alerts.iter().map(|(_, alert)| alert).filter(|alert| send_resolved || alert.ends_at.is_none());
    let mut alerts: Vec<_> = wanted.map(Arc::clone).collect();
    alerts.sort_by(|a, b| in_order(a, b));
    let notification = Notification {
        receiver: Arc::clone(&batch.receiver),
        group_key: Arc::clone(&batch.key),
        group_labels: batch.labels.clone(),
        alerts,
        reason,
        external_url: Arc::clone(external_url),
        at,
        receipt,
        possible_duplicate: false,
        asides: Asides::default(),
    };
    (!notification.alerts.is_empty()).then_some(notification)
}

#[cfg(test)]
#[path = "dispatch_tests.rs"]
pub(super) mod tests;
