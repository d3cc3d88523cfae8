//! The first minutes after a start: what was known before it, until somebody speaks of it anew.
//!
//! Alerts that were told go on as they were. The rules speak of those that still fire at their first evaluations; one that
//! nobody has spoken of within `resolve_timeout`, or within four intervals of its rule, has ended meanwhile. A notification whose time was over when the agent
//! started is not sent as it was: its group keeps silent until the rules have had their word, and then tells how things are.
//!
//! Invariant: pure, time is an argument.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Alert, Millis, Transition};

use super::identity::fingerprint;
use super::outbox::{Outbox, Restored};
use super::plan::Facts;

/// Rules have been evaluated by then, if they are at a usual interval.
const FIRST_WORD: Duration = Duration::from_secs(30);

/// What is left of the time before the start.
#[derive(Debug, Default)]
pub(super) struct Restart {
    /// Alerts that fired, by fingerprint, of which nobody has spoken; and until when somebody must.
    unspoken: HashMap<u64, (Alert, Millis)>,
    /// When the first of these times is over.
    settle_at: Millis,
    /// When the agent started, and what it knew then of how long each may take.
    started: Option<(Millis, Arc<Facts>)>,
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
            let until = self.started.as_ref().map_or(now, |(started, facts)| *started + facts.first_word(&alert));
            self.unspoken.insert(fingerprint(&alert.labels), (alert.clone(), until));
            Transition::Firing(alert)
        };
        let transitions = restored.alerts().into_iter().map(transition).collect();
        self.note_settling();
        transitions
    }

    /// From now on counts the time in which somebody must speak of an alert. Only the first word about this counts.
    pub(super) fn settle_by(&mut self, now: Millis, facts: &Arc<Facts>) {
        self.started.get_or_insert_with(|| (now, Arc::clone(facts)));
    }

    fn note_settling(&mut self) {
        self.settle_at = self.unspoken.values().map(|(_, until)| *until).min().unwrap_or_default();
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
            let over = self.unspoken.extract_if(|_, (_, until)| *until <= now);
            let over = over.map(|(_, (alert, _))| Alert { ends_at: Some(now_wall), ..alert });
            end.over = over.map(Transition::Resolved).collect();
            self.note_settling();
        }
        end
    }
}
