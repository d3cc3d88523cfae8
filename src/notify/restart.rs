//! The first minutes after a start: what was known before it, until somebody speaks of it anew.
//!
//! Alerts that were told go on as they were. The rules speak of those that still fire at their first evaluations; one that
//! nobody has spoken of within `resolve_timeout`, or within four intervals of its rule, has ended meanwhile,
//! unless an end was said that is still ahead. A notification whose time was over when the agent
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
    /// Alerts that fired, by fingerprint, of which nobody has spoken.
    unspoken: HashMap<u64, Unspoken>,
    /// When the first of these times is over.
    settle_at: Millis,
    /// When the agent started, and what it knew then of how long each may take.
    started: Option<(Millis, Arc<Facts>)>,
    silent: HashSet<Arc<str>>,
    speak_at: Millis,
}

/// An alert of which nobody has spoken.
#[derive(Debug)]
struct Unspoken {
    alert: Alert,
    /// Until when somebody must.
    until: Millis,
    /// When it ends as was said before the start, by the wall clock.
    stated_end: Option<Millis>,
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
            let id = fingerprint(&alert.labels);
            let stated_end = restored.stated_end(id);
            let until = stated_end.map_or(until, |end| until.max(now + end.since(now_wall)));
            self.unspoken.insert(id, Unspoken { alert: alert.clone(), until, stated_end });
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
        self.settle_at = self.unspoken.values().map(|one| one.until).min().unwrap_or_default();
    }

    /// Somebody spoke of these.
    pub(super) fn heard<'t>(&mut self, transitions: impl Iterator<Item = &'t Transition>) {
        if !self.unspoken.is_empty() {
            for transition in transitions {
                self.unspoken.remove(&fingerprint(&transition.alert().labels));
            }
        }
    }

    /// The end that was said before the start of an alert of which nobody has spoken since.
    pub(super) fn stated_end(&self, fingerprint: u64) -> Option<Millis> {
        self.unspoken.get(&fingerprint)?.stated_end
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

    /// What ends now. An alert's end is told with the time that was said before the
    /// start, else with that at which it is found; nobody knows better.
    pub(super) fn take_due(&mut self, now: Millis, now_wall: Millis) -> End {
        let mut end = End::default();
        if now >= self.speak_at {
            end.silent = self.silent.drain().collect();
        }
        if now >= self.settle_at {
            let over = self.unspoken.extract_if(|_, one| one.until <= now);
            let over = over.map(|(_, one)| Alert { ends_at: one.stated_end.or(Some(now_wall)), ..one.alert });
            end.over = over.map(Transition::Resolved).collect();
            self.note_settling();
        }
        end
    }
}
