//! What each receiver was last told about each group: decides whether a flush becomes a notification.
//!
//! Alertmanager's notification log and its `DedupStage`. Invariant: pure, time is an argument; entries end by
//! themselves after twice the repeat interval.
//!
//! It is memory; the outbox keeps each entry on disk too, and what it finds there at the start comes back here.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{Alert, Millis};

use super::channels::{IntegrationId, Receipt};
use super::group::Batch;
use super::notification::Reason;

/// Of so many groups and integrations it is known what was told; beyond that the oldest tenth is forgotten.
const MOST: usize = 50_000;

/// The alerts of a batch by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States {
    /// Fingerprints of those that fire.
    pub firing: BTreeSet<u64>,
    /// Fingerprints of those that have ended.
    pub resolved: BTreeSet<u64>,
}

impl States {
    /// Sorts a batch's alerts.
    pub fn of(batch: &Batch) -> Self {
        Self::of_alerts(batch.alerts.iter().map(|(id, alert)| (*id, alert.as_ref())))
    }

    /// Sorts alerts with their fingerprints.
    pub fn of_alerts<'a>(alerts: impl Iterator<Item = (u64, &'a Alert)>) -> Self {
        let mut states = Self::default();
        for (id, alert) in alerts {
            let side = if alert.ends_at.is_none() { &mut states.firing } else { &mut states.resolved };
            side.insert(id);
        }
        states
    }
}

/// What an integration was last told of a group.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The alerts that it was told of.
    pub states: States,
    /// When.
    pub at: Millis,
    /// Until when this is remembered.
    pub ends: Millis,
    /// What the channel gave back.
    pub receipt: Receipt,
}

/// A group and whom it is told.
pub type Told = (Arc<str>, IntegrationId);

/// The log of what was told.
#[derive(Debug, Default)]
pub struct SentLog(HashMap<Told, Entry>);

impl SentLog {
    /// Why an integration should hear of a batch now; `None` when it need not.
    pub fn reason(&self, batch: &Batch, states: &States, to: &IntegrationId, send_resolved: bool) -> Option<Reason> {
        let told = self.0.get(&(Arc::clone(&batch.key), to.clone())).filter(|entry| entry.ends > batch.at);
        let Some(told) = told else {
            return (!states.firing.is_empty()).then_some(Reason::First);
        };
        if !states.firing.is_subset(&told.states.firing) {
            // Of a group that was over, Alertmanager tells as of a new one.
            return Some(if told.states.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
        }
        if states.firing.is_empty() {
            // Also without send_resolved: the entry must come to say that nothing fires, or the next alert would not be told.
            return (!told.states.firing.is_empty()).then_some(Reason::AllResolved);
        }
        if send_resolved && !states.resolved.is_subset(&told.states.resolved) {
            return Some(Reason::SomeResolved);
        }
        (batch.at.since(told.at) >= batch.timing.repeat_interval).then_some(Reason::Repeat)
    }

    /// What the channel gave back when it last told of the batch's group, while alerts of it fire.
    pub fn receipt(&self, batch: &Batch, to: &IntegrationId) -> Receipt {
        let told = self.0.get(&(Arc::clone(&batch.key), to.clone()))?;
        if told.ends > batch.at && !told.states.firing.is_empty() { told.receipt.clone() } else { None }
    }

    /// Keeps what an integration was told of a batch's group, though it is not told again.
    pub fn keep(&mut self, batch: &Batch, to: &IntegrationId) -> Option<Entry> {
        let entry = self.0.get_mut(&(Arc::clone(&batch.key), to.clone()))?;
        entry.ends = batch.at + batch.timing.repeat_interval * 2;
        Some(entry.clone())
    }

    /// Forgets that an integration was told of some alerts of a batch's group: they ended, and it will not hear of that. Gives
    /// back what it was told then, if that is another now.
    pub fn forget(&mut self, batch: &Batch, to: &IntegrationId, alerts: &[u64]) -> Option<Entry> {
        if alerts.is_empty() {
            return None;
        }
        let told = self.0.get_mut(&(Arc::clone(&batch.key), to.clone()))?;
        let before = told.states.firing.len();
        for id in alerts {
            told.states.firing.remove(id);
        }
        (told.states.firing.len() < before).then(|| told.clone())
    }

    /// When it was decided what the integration has not been told yet: the first start or end that is news to it. Nothing
    /// when it was told all of it before.
    pub fn decided(&self, batch: &Batch, to: &IntegrationId) -> Option<Millis> {
        let told = self.0.get(&(Arc::clone(&batch.key), to.clone())).map(|entry| &entry.states);
        let news = batch.alerts.iter().filter_map(|(id, alert)| match alert.ends_at {
            None => told.is_none_or(|told| !told.firing.contains(id)).then_some(alert.starts_at),
            Some(at) => told.is_some_and(|told| told.firing.contains(id)).then_some(at),
        });
        news.min()
    }

    /// Notes that an integration has been told of a batch.
    pub fn told(
        &mut self,
        batch: &Batch,
        states: States,
        to: &IntegrationId,
        (receipt, at): (Receipt, Millis),
    ) -> Entry {
        let ends = batch.at + batch.timing.repeat_interval * 2;
        let entry = Entry { states, at, ends, receipt };
        self.restore((Arc::clone(&batch.key), to.clone()), entry.clone());
        entry
    }

    /// Takes an entry from before the start.
    pub fn restore(&mut self, told: Told, entry: Entry) {
        self.0.insert(told, entry);
    }

    /// Forgets what has ended, and the oldest where there is too much, and says what that was.
    pub fn expire(&mut self, now: Millis) -> Vec<Told> {
        let mut gone: Vec<_> = self.0.extract_if(|_, entry| entry.ends <= now).map(|(told, _)| told).collect();
        if self.0.len() >= MOST {
            let mut times: Vec<_> = self.0.values().map(|entry| entry.at).collect();
            let (_, cut, _) = times.select_nth_unstable(MOST / 10);
            let cut = *cut;
            gone.extend(self.0.extract_if(|_, entry| entry.at <= cut).map(|(told, _)| told));
        }
        gone
    }
}
