//! The dispatcher's first minutes and its last seconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::Dispatcher;
use crate::model::{Millis, Transition};
use crate::notify::failing::{Way, is_own};
use crate::notify::outbox::Restored;
use crate::notify::worker::GRACE;

impl Dispatcher {
    /// Takes up what was known when the agent ended: alerts go back to their groups, and what was to be sent goes first.
    pub(super) fn take_up(&mut self, restored: &mut Restored) {
        let integrations: Vec<_> = self.live.iter().map(|live| live.id.clone()).collect();
        let (now, now_wall) = (self.clock.now(), Millis::now());
        self.outbox.take_up(restored, &integrations, now_wall);
        for transition in self.restart.begin(restored, &self.outbox, now, now_wall) {
            for way in self.ways_of(restored, &transition) {
                let labels = &transition.alert().labels;
                let route = way.route(labels, self.routes.timing);
                if is_own(labels) && !matches!(transition, Transition::Resolved(_)) {
                    self.failing.note_way(labels, Some(way));
                }
                self.take(transition.clone(), route.as_ref(), now);
            }
        }
        for (subject, alert) in restored.take_failing(&integrations) {
            self.failing.restore(subject, alert);
        }
        self.tell_of_failing_anew();
        self.groups.await_word();
        for group in restored.urgent(now_wall) {
            self.groups.hurry(&Arc::from(group), now);
        }
    }

    /// Alerts of our own go back to whom they were told to, the last of them where no route leads.
    fn ways_of(&self, restored: &Restored, transition: &Transition) -> Vec<Way> {
        let alert = transition.alert();
        let mut ways = if is_own(&alert.labels) { restored.ways(alert) } else { Vec::new() };
        ways.retain(|way| match way {
            Way::ByRoutes => true,
            Way::Instead(receiver) => self.live.iter().any(|live| live.id.receiver == *receiver),
        });
        ways.sort_by_key(|way| matches!(way, Way::Instead(_)));
        if ways.is_empty() { vec![Way::ByRoutes] } else { ways }
    }

    /// At the stop: what is being sent ends, and is noted, so that it is not sent again.
    pub(super) async fn land_all(&mut self) {
        self.live.clear();
        let limit = Instant::now() + GRACE + Duration::from_millis(200);
        while !self.flights.is_empty() {
            let Ok(Some((flight, outcome))) = time::timeout_at(limit, self.outcomes.recv()).await else { break };
            self.landed(flight, outcome);
        }
        self.outbox.close();
    }

    /// Some time after the start, what was taken up and nobody has spoken of since is over.
    pub(super) fn leave_restart(&mut self, now: Millis) {
        let end = self.restart.take_due(now, Millis::now());
        for transition in end.over {
            match transition {
                Transition::Resolved(alert) if is_own(&alert.labels) => self.end_own(alert),
                transition => drop(self.take(transition, None, now)),
            }
        }
        for group in end.silent {
            self.groups.hurry(&group, now);
        }
    }
}
