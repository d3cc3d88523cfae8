//! The first minutes after a start: what was known before it, until somebody speaks of it anew.
//!
//! Alerts that were told go on as they were. The rules speak of those that still fire at their first evaluations; one that
//! nobody has spoken of within `resolve_timeout` has ended meanwhile. A notification whose time was over when the agent
//! started is not sent as it was: its group keeps silent until the rules have had their word, and then tells how things are.
//!
//! Invariant: pure, time is an argument.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Alert, Millis, Transition};

use super::identity::fingerprint;
use super::outbox::{Outbox, Restored};

/// Rules have been evaluated by then, if they are at a usual interval.
const FIRST_WORD: Duration = Duration::from_secs(30);

/// What is left of the time before the start.
#[derive(Debug, Default)]
pub(super) struct Restart {
    /// Alerts that fired, by fingerprint, of which nobody has spoken.
    unspoken: HashMap<u64, Alert>,
    settle_at: Millis,
    silent: HashSet<Arc<str>>,
    speak_at: Millis,
}

/// What a moment ends.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Alerts that ended while nobody looked.
    pub(super) over: Vec<Transition>,
    /// Groups that may speak.
    pub(super) silent: Vec<Arc<str>>,
}

impl Restart {
    /// Takes up what was there; each alert as it was last known comes back for its groups.
    pub(super) fn begin(
        &mut self,
        restored: &Restored,
        outbox: &Outbox,
        now: Millis,
        now_wall: Millis,
    ) -> Vec<Transition> {
        let urgent: HashSet<_> = restored.urgent(now_wall).into_iter().collect();
        self.silent = outbox.groups_untold().filter(|group| !urgent.contains(&***group)).cloned().collect();
        self.speak_at = now + FIRST_WORD;
        let transition = |alert: Alert| {
            if alert.ends_at.is_some() {
                return Transition::Resolved(alert);
            }
            self.unspoken.insert(fingerprint(&alert.labels), alert.clone());
            Transition::Firing(alert)
        };
        restored.alerts().into_iter().map(transition).collect()
    }

    /// Until then somebody must have spoken of an alert. Only the first word about this counts.
    pub(super) fn settle_by(&mut self, at: Millis) {
        if self.settle_at == Millis::default() {
            self.settle_at = at;
        }
    }

    /// Somebody spoke of these.
    pub(super) fn heard<'t>(&mut self, transitions: impl Iterator<Item = &'t Transition>) {
        if !self.unspoken.is_empty() {
            for transition in transitions {
                self.unspoken.remove(&fingerprint(&transition.alert().labels));
            }
        }
    }

    /// Whether a group keeps silent for now.
    pub(super) fn is_silent(&self, group: &str) -> bool {
        self.silent.contains(group)
    }

    /// When something ends next.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let settle = (!self.unspoken.is_empty()).then_some(self.settle_at);
        let speak = (!self.silent.is_empty()).then_some(self.speak_at);
        [settle, speak].into_iter().flatten().min()
    }

    /// What ends now. An alert's end is told with the time at which it is found; nobody knows better.
    pub(super) fn take_due(&mut self, now: Millis, now_wall: Millis) -> End {
        let mut end = End::default();
        if now >= self.speak_at {
            end.silent = self.silent.drain().collect();
        }
        if now >= self.settle_at {
            let over = self.unspoken.drain().map(|(_, alert)| Alert { ends_at: Some(now_wall), ..alert });
            end.over = over.map(Transition::Resolved).collect();
        }
        end
    }
}
