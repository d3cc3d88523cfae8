//! From a group that is due to the workers of its receiver's integrations: who needs to hear what.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use super::Dispatcher;
use super::landing::{Flight, Flush};
use crate::model::{Alert, Millis};
use crate::notify::acknowledge::Episode;
use crate::notify::aside::Asides;
use crate::notify::canary::{goes_by, is_canary};
use crate::notify::channels::{IntegrationId, Receipt};
use crate::notify::failing::{is_about, is_own};
use crate::notify::group::Batch;
use crate::notify::notification::{Notification, Reason, in_order};
use crate::notify::queue::Offer;
use crate::notify::quiet::hush;
use crate::notify::sent::States;
use crate::notify::worker::{Job, Outcome, Report};

/// Trying goes on at least this long, however short the group's interval; as in Alertmanager.
const SHORTEST_DEADLINE: Duration = Duration::from_secs(10);

impl Dispatcher {
    pub(super) fn flush_due(&mut self, now: Millis) {
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
        batch.stated_ends = self.stated_ends(&batch);
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
        let Some(mut notification) =
            notification(batch, &id, (reason, send_resolved), (&self.external_url, at), receipt)
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

    /// The ends that others have said of alerts that fire, since the start or before it.
    fn stated_ends(&self, batch: &Batch) -> HashMap<u64, Millis> {
        let outside = self.shared.outside();
        let firing = batch.alerts.iter().filter(|(_, alert)| alert.ends_at.is_none());
        let stated = |id: u64, alert: &Alert| outside.stated_end(&alert.labels).or_else(|| self.restart.stated_end(id));
        firing.filter_map(|(id, alert)| Some((*id, stated(*id, alert)?))).collect()
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
}

/// Whether a batch is of canaries and the integration of a kind that these do not go by.
pub(super) fn is_spared(batch: &Batch, id: &IntegrationId) -> bool {
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
    to: &IntegrationId,
    (reason, send_resolved): (Reason, bool),
    (external_url, at): (&Arc<str>, Millis),
    receipt: Receipt,
) -> Option<Notification> {
    let wanted = batch.alerts.iter().map(|(_, alert)| alert).filter(|alert| send_resolved || alert.ends_at.is_none());
    let mut alerts: Vec<_> = wanted.map(Arc::clone).collect();
    alerts.sort_by(|a, b| in_order(a, b));
    let notification = Notification {
        receiver: Arc::clone(&batch.receiver),
        integration: (to.kind, to.index),
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
