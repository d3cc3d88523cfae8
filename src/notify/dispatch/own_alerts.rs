//! How others hear that an integration fails.

use std::sync::Arc;

use tracing::error;

use super::Dispatcher;
use crate::model::{Alert, Labels, Millis, Transition};
use crate::notify::failing::{Subject, Way, is_about};

impl Dispatcher {
    /// Says by an alert of our own that something fails, or does no more, to others than the integration that fails: where the
    /// routes lead it, else to the next receiver that works. The end goes to whoever was told, though it works no more.
    pub(super) fn tell_of(&mut self, news: impl IntoIterator<Item = Alert>, subject: &Subject) {
        for (subject, alert) in self.failing.take_changed() {
            self.outbox.note_failing(&subject, alert.as_ref());
        }
        let mut has_ended = false;
        for alert in news {
            if alert.ends_at.is_some() {
                has_ended = true;
                self.end_own(alert);
            } else {
                self.fire_own(alert, subject);
            }
        }
        if has_ended {
            // Who works again can be told of what nobody could be told of before.
            let untold = self.failing.all().filter(|(_, alert)| self.failing.way(&alert.labels).is_none());
            let untold: Vec<_> = untold.map(|(subject, alert)| (subject.clone(), alert.clone())).collect();
            for (subject, alert) in untold {
                self.fire_own(alert, &subject);
            }
        }
    }

    fn fire_own(&mut self, alert: Alert, subject: &Subject) {
        let Some(way) = self.way_of(&alert.labels, subject) else {
            error!(?subject, "notifications fail, and there is no other receiver that works");
            return;
        };
        let route = way.route(&alert.labels, self.routes.timing);
        self.failing.note_way(&alert.labels, Some(way));
        let transition = Transition::Firing(alert);
        self.restart.heard(std::iter::once(&transition));
        self.take(transition, route.as_ref(), self.clock.now());
    }

    /// Ends an alert of our own wherever it was told.
    pub(super) fn end_own(&mut self, alert: Alert) {
        let (now, wall) = (self.clock.now(), Millis::now());
        // New routes may have moved it away from whom it was told to.
        if let Some(route) =
            self.failing.way(&alert.labels).and_then(|way| way.route(&alert.labels, self.routes.timing))
        {
            self.groups.apply(Transition::Resolved(alert.clone()), &route, (now, wall));
        }
        self.failing.note_way(&alert.labels, None);
        let (id, alert) = self.groups.end(alert, (now, wall));
        self.restart.heard(std::iter::once(&Transition::Resolved((*alert).clone())));
        self.inhibitor.note(id, &alert, wall);
        self.flapping.note(id, false, now);
        self.changed = true;
    }

    /// By which way an alert of our own is told; nothing when nobody works. Whoever was told in place of others goes on to
    /// be, so that the end comes there too.
    fn way_of(&self, labels: &Labels, subject: &Subject) -> Option<Way> {
        let is_there = |receiver: &str| self.live.iter().any(|live| *live.id.receiver == *receiver);
        if let Some(way @ Way::Instead(receiver)) = self.failing.way(labels)
            && is_there(receiver)
        {
            return Some(way.clone());
        }
        let works = |receiver: &str| {
            let own = self.live.iter().filter(|live| *live.id.receiver == *receiver);
            own.into_iter().any(|live| !is_about(labels, &live.id) && !self.failing.is_failing(&live.id))
        };
        if self.routes.taking(labels).iter().any(|route| works(&route.receiver)) {
            return Some(Way::ByRoutes);
        }
        let failing = subject.integration().map(|id| &*id.receiver).unwrap_or_default();
        let receivers = self.live.iter().map(|live| &live.id.receiver);
        let behind = receivers.clone().skip_while(|name| ***name != *failing);
        behind.chain(receivers).find(|name| works(name)).map(|name| Way::Instead(Arc::clone(name)))
    }

    /// After a new configuration: what is gone fails no more, and what still fails is told where the new routes lead it.
    pub(super) fn tell_of_failing_anew(&mut self) {
        // What failed with other settings may not fail now.
        let live: Vec<_> = self.live.iter().map(|live| live.id.clone()).collect();
        let is_gone = |subject: &&Subject| {
            let about_canaries = !matches!(subject, Subject::Notifications(_));
            subject.integration().is_some_and(|id| !live.contains(id)) || about_canaries && self.canary.is_none()
        };
        let ended: Vec<_> = self.failing.all().map(|(subject, _)| subject).filter(is_gone).cloned().collect();
        for subject in ended {
            let ended = self.failing.ends(&subject, Millis::now());
            self.tell_of(ended, &subject);
        }
        // The routes of the file have taken these too, perhaps to the one that fails.
        let failing: Vec<_> = self.failing.all().map(|(subject, alert)| (subject.clone(), alert.clone())).collect();
        for (subject, alert) in failing {
            self.tell_of([alert], &subject);
        }
    }
}
