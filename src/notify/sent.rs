//! What each receiver was last told about each group: decides whether a flush becomes a notification.
//!
//! Alertmanager's notification log and its `DedupStage`. Invariant: pure, time is an argument; entries end by
//! themselves after twice the repeat interval.
//!
//! It lives in memory: after a restart a receiver is told again of what fires. Keeping it on disk is a later step.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::Millis;

use super::channels::{IntegrationId, Receipt};
use super::group::Batch;
use super::notification::Reason;

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
        let mut states = Self::default();
        for (id, alert) in &batch.alerts {
            let side = if alert.ends_at.is_none() { &mut states.firing } else { &mut states.resolved };
            side.insert(*id);
        }
        states
    }
}

#[derive(Debug)]
struct Entry {
    states: States,
    at: Millis,
    ends: Millis,
    receipt: Receipt,
}

/// The log of what was told.
#[derive(Debug, Default)]
pub struct SentLog(HashMap<(Arc<str>, IntegrationId), Entry>);

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
    pub fn keep(&mut self, batch: &Batch, to: &IntegrationId) {
        if let Some(entry) = self.0.get_mut(&(Arc::clone(&batch.key), to.clone())) {
            entry.ends = batch.at + batch.timing.repeat_interval * 2;
        }
    }

    /// Forgets that an integration was told of some alerts of a batch's group: they ended, and it will not hear of that.
    pub fn forget(&mut self, batch: &Batch, to: &IntegrationId, alerts: &[u64]) {
        if alerts.is_empty() {
            return;
        }
        if let Some(told) = self.0.get_mut(&(Arc::clone(&batch.key), to.clone())) {
            for id in alerts {
                told.states.firing.remove(id);
            }
        }
    }

    /// Notes that an integration has been told of a batch.
    pub fn told(&mut self, batch: &Batch, states: States, to: &IntegrationId, receipt: Receipt) {
        self.0.retain(|_, entry| entry.ends > batch.at);
        let ends = batch.at + batch.timing.repeat_interval * 2;
        self.0.insert((Arc::clone(&batch.key), to.clone()), Entry { states, at: batch.at, ends, receipt });
    }
}
