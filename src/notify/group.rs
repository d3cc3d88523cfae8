//! Alerts that belong together, and when their group is looked at.
//!
//! In: [`Transition`]s and the time. Out: [`Batch`]es, each the whole of one group at one moment. Whether a receiver
//! needs to hear of it is decided by what it heard last ([`super::sent`]).
//!
//! As in Alertmanager's dispatcher: a group is flushed `group_wait` after its first alert, then every
//! `group_interval` for as long as it has alerts. An alert that has ended stays until all have heard of it.
//!
//! Invariant: pure, time is an argument; at most [`MAX_ALERTS`] alerts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Alert, Labels, Millis, Transition};

use super::identity::{fingerprint, group_key};
use super::route::{Route, Timing};

/// So many alerts are kept; further ones are refused and counted until others have ended.
pub const MAX_ALERTS: usize = 10_000;
/// An ended alert that a receiver could not be told of is forgotten after this.
const KEEP_UNTOLD: Duration = Duration::from_hours(24);

/// An alert as a group keeps it.
#[derive(Debug, Clone)]
struct Member {
    alert: Arc<Alert>,
    /// Rises with each transition, so that a later one is not forgotten with an earlier one.
    version: u64,
    updated: Millis,
}

/// Alerts with the same group labels on the same route.
#[derive(Debug)]
struct Group {
    labels: Labels,
    receiver: Arc<str>,
    timing: Timing,
    members: BTreeMap<u64, Member>,
    next: Millis,
}

/// One group as it was when it was flushed.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The group's key, as Alertmanager writes it.
    pub key: Arc<str>,
    /// The labels all its alerts share by definition.
    pub labels: Labels,
    /// Who shall hear of it.
    pub receiver: Arc<str>,
    /// When it is flushed how often.
    pub timing: Timing,
    /// When it was flushed, by the caller's clock.
    pub at: Millis,
    /// All its alerts by fingerprint, firing and ended.
    pub alerts: Vec<(u64, Arc<Alert>)>,
    versions: Vec<(u64, u64)>,
}

/// An alert somebody may ask about.
#[derive(Debug, Clone)]
pub struct ActiveAlert {
    /// The alert; it fires.
    pub alert: Arc<Alert>,
    /// Its fingerprint as Alertmanager computes it.
    pub fingerprint: u64,
    /// Who hears of it.
    pub receiver: Arc<str>,
    /// The group it is in.
    pub group_key: Arc<str>,
    /// That group's labels.
    pub group_labels: Labels,
    /// When its last transition came, by the caller's clock.
    pub updated_at: Millis,
}

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    all: HashMap<Arc<str>, Group>,
    alerts: usize,
    version: u64,
}

impl Groups {
    /// Takes one transition. `false` when there is no room for another alert.
    pub fn apply(&mut self, transition: Transition, routes: &Route, now: Millis) -> bool {
        let alert = Arc::new(match transition {
            Transition::Firing(alert) | Transition::Still(alert) => Alert { ends_at: None, ..alert },
            Transition::Resolved(alert) => Alert { ends_at: alert.ends_at.or(Some(now)), ..alert },
        });
        let mut taken = true;
        for route in routes.taking(&alert.labels) {
            // A refusal by one route is no reason to keep the alert from the next.
            taken &= self.insert(&alert, route, now);
        }
        taken
    }

    fn insert(&mut self, alert: &Arc<Alert>, route: &Route, now: Millis) -> bool {
        let labels = route.group_by.labels_of(&alert.labels);
        let key = group_key(&route.key, &labels);
        let id = fingerprint(&alert.labels);
        let known = self.all.get(key.as_str()).is_some_and(|group| group.members.contains_key(&id));
        if !known && self.alerts >= MAX_ALERTS {
            return false;
        }
        self.alerts += usize::from(!known);
        self.version += 1;
        let group = self.all.entry(key.into()).or_insert_with(|| Group {
            labels,
            receiver: route.receiver.as_str().into(),
            timing: route.timing,
            members: BTreeMap::new(),
            next: now + route.timing.group_wait,
        });
        group.members.insert(id, Member { alert: Arc::clone(alert), version: self.version, updated: now });
        true
    }

    /// The groups whose time has come, in the order of their time. Each is due again after its `group_interval`.
    pub fn due(&mut self, now: Millis) -> Vec<Batch> {
        let mut due: Vec<_> = self.all.iter_mut().filter(|(_, group)| group.next <= now).collect();
        due.sort_by(|(a_key, a), (b_key, b)| (a.next, a_key).cmp(&(b.next, b_key)));
        due.into_iter().map(|(key, group)| group.flush(key, now)).collect()
    }

    /// When the next group is due; `None` without groups.
    pub fn next_due(&self) -> Option<Millis> {
        self.all.values().map(|group| group.next).min()
    }

    /// Makes a group due at once: something it had to tell could not be told before.
    pub fn hurry(&mut self, key: &str, now: Millis) {
        if let Some(group) = self.all.get_mut(key) {
            group.next = group.next.min(now);
        }
    }

    /// Lets a receiver's groups wait no longer than new ones: it has a channel that has not heard of them.
    pub fn hasten(&mut self, receiver: &str, now: Millis) {
        for group in self.all.values_mut().filter(|group| &*group.receiver == receiver) {
            group.next = group.next.min(now + group.timing.group_wait);
        }
    }

    /// Everybody has heard of this batch, or need not: its ended alerts are forgotten, unless they changed since.
    pub fn settle(&mut self, batch: &Batch) {
        let Some(group) = self.all.get_mut(&batch.key) else {
            return;
        };
        let before = group.members.len();
        for (id, version) in &batch.versions {
            if group.members.get(id).is_some_and(|m| m.version == *version && m.alert.ends_at.is_some()) {
                group.members.remove(id);
            }
        }
        self.alerts -= before - group.members.len();
        self.drop_empty();
    }

    /// Forgets ended alerts that could not be told for a day. Says how many.
    pub fn forget_untold(&mut self, now: Millis) -> usize {
        let before = self.alerts;
        for group in self.all.values_mut() {
            group.members.retain(|_, member| member.alert.ends_at.is_none() || now.since(member.updated) < KEEP_UNTOLD);
        }
        self.alerts = self.all.values().map(|group| group.members.len()).sum();
        self.drop_empty();
        before - self.alerts
    }

    /// Takes up a new configuration: alerts move to the groups it makes. A group that is the same keeps its
    /// timer, though none waits longer than its new interval.
    pub fn reroute(&mut self, routes: &Route, now: Millis) {
        let old = std::mem::take(&mut self.all);
        self.alerts = 0;
        let mut timers = HashMap::new();
        for (key, group) in old {
            for member in group.members.into_values() {
                for route in routes.taking(&member.alert.labels) {
                    self.insert(&member.alert, route, now);
                }
            }
            timers.insert(key, (group.receiver, group.next));
        }
        for (key, group) in &mut self.all {
            let known = timers.get(key).filter(|(receiver, _)| *receiver == group.receiver);
            if let Some((_, next)) = known {
                group.next = (*next).min(now + group.timing.group_interval);
            }
        }
    }

    /// The alerts that fire, ordered by group and fingerprint.
    pub fn active(&self) -> Vec<ActiveAlert> {
        let mut keys: Vec<_> = self.all.iter().collect();
        keys.sort_by_key(|(key, _)| Arc::clone(key));
        keys.into_iter().flat_map(|(key, group)| group.active(key)).collect()
    }

    fn drop_empty(&mut self) {
        self.all.retain(|_, group| !group.members.is_empty());
    }
}

impl Group {
    fn flush(&mut self, key: &Arc<str>, now: Millis) -> Batch {
        self.next = now + self.timing.group_interval;
        Batch {
            key: Arc::clone(key),
            labels: self.labels.clone(),
            receiver: Arc::clone(&self.receiver),
            timing: self.timing,
            at: now,
            alerts: self.members.iter().map(|(id, member)| (*id, Arc::clone(&member.alert))).collect(),
            versions: self.members.iter().map(|(id, member)| (*id, member.version)).collect(),
        }
    }

    fn active<'g>(&'g self, key: &'g Arc<str>) -> impl Iterator<Item = ActiveAlert> + 'g {
        self.members.iter().filter(|(_, member)| member.alert.ends_at.is_none()).map(|(id, member)| ActiveAlert {
            alert: Arc::clone(&member.alert),
            fingerprint: *id,
            receiver: Arc::clone(&self.receiver),
            group_key: Arc::clone(key),
            group_labels: self.labels.clone(),
            updated_at: member.updated,
        })
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
