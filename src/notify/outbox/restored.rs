//! What the outbox held when the agent started, and how it is taken up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tracing::warn;

use crate::model::{Alert, Millis};
use crate::notify::channels::IntegrationId;
use crate::notify::failing::{Subject, Way, route_key};
use crate::notify::identity::fingerprint;
use crate::notify::sent::{Entry, States};

use super::record::{
    FailingRecord, Names, ToldRecord, UntoldRecord, alerts_flush, failing_name, pack, unpack, unpack_alerts,
};
use super::writer::Value;
use super::{Outbox, Untold};

/// Read, but not taken up.
#[derive(Debug, Default)]
pub(in crate::notify) struct Restored {
    alerts: BTreeMap<u64, Vec<Alert>>,
    /// The ends that were said of alerts that fire, by fingerprint.
    stated_ends: HashMap<u64, Millis>,
    failing: Vec<(Arc<str>, FailingRecord<'static>)>,
    untold: Vec<UntoldRecord>,
    handed: Vec<Arc<str>>,
    told: Vec<ToldRecord>,
    /// Names of records that nobody can use: they go.
    useless: Vec<Arc<str>>,
}

impl Restored {
    /// Sorts a journal's records.
    pub(super) fn read(records: Vec<(Arc<str>, Vec<u8>)>) -> Self {
        let mut restored = Self::default();
        for (name, bytes) in records {
            let taken = match name.split('/').next() {
                Some("alerts") => alerts_flush(&name).zip(unpack_alerts(&bytes)).map(|(flush, alerts)| {
                    for (alert, end) in &alerts {
                        if let Some(end) = *end {
                            let latest = restored.stated_ends.entry(fingerprint(&alert.labels)).or_insert(end);
                            *latest = end.max(*latest);
                        }
                    }
                    restored.alerts.insert(flush, alerts.into_iter().map(|(alert, _)| alert).collect());
                }),
                Some("failing") => unpack(&bytes).map(|record| restored.failing.push((Arc::clone(&name), record))),
                Some("untold") => unpack(&bytes).map(|record| restored.untold.push(record)),
                Some("told") => unpack(&bytes).map(|record| restored.told.push(record)),
                Some("handed") => {
                    restored.handed.push(Arc::clone(&name));
                    Some(())
                }
                _ => None,
            };
            if taken.is_none() {
                restored.useless.push(name);
            }
        }
        restored
    }

    /// The highest number of a flush; later ones are to have higher ones.
    pub(in crate::notify) fn last_flush(&self) -> u64 {
        self.alerts.keys().next_back().copied().unwrap_or(0)
    }

    /// Each alert as it was last known.
    pub(in crate::notify) fn alerts(&self) -> Vec<Alert> {
        let mut newest: HashMap<u64, &Alert> = HashMap::new();
        for alert in self.alerts.values().flatten() {
            newest.insert(fingerprint(&alert.labels), alert);
        }
        newest.into_values().cloned().collect()
    }

    /// The end that was said of an alert that fires.
    pub(in crate::notify) fn stated_end(&self, fingerprint: u64) -> Option<Millis> {
        self.stated_ends.get(&fingerprint).copied()
    }

    /// What failed of what there is, with the alert about it.
    pub(in crate::notify) fn take_failing(&mut self, integrations: &[IntegrationId]) -> Vec<(Subject, Alert)> {
        let failing = std::mem::take(&mut self.failing).into_iter();
        failing.filter_map(|(_, record)| Some((record.subject(integrations)?, record.into_alert()))).collect()
    }

    /// By which ways receivers were told of an alert of our own, or are to be.
    pub(in crate::notify) fn ways(&self, alert: &Alert) -> Vec<Way> {
        let id = fingerprint(&alert.labels);
        let untold = self.untold.iter().map(|record| (record.flush, &record.group, &record.to));
        let told = self.told.iter().map(|record| (record.flush, &record.group, &record.to));
        let has = |flush: &u64| self.alerts.get(flush).into_iter().flatten().any(|one| fingerprint(&one.labels) == id);
        let mut ways = Vec::new();
        for (_, group, to) in untold.chain(told).filter(|(flush, ..)| has(flush)) {
            let by_another = group.starts_with(&format!("{}:", route_key(&alert.labels, to.receiver())));
            let way = if by_another { Way::Instead(to.receiver().into()) } else { Way::ByRoutes };
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    /// The groups that have something to be sent whose time is not over at `now_wall`.
    pub(in crate::notify) fn urgent(&self, now_wall: Millis) -> Vec<&str> {
        let urgent = self.untold.iter().filter(|record| Millis(record.until) > now_wall);
        urgent.map(|record| record.group.as_str()).collect()
    }
}

impl Outbox {
    /// Takes up what holds for the integrations that there are; the rest goes, and what was to be sent is said.
    pub(in crate::notify) fn take_up(&mut self, restored: &Restored, integrations: &[IntegrationId], now: Millis) {
        let known = |to: &super::record::To| integrations.iter().find(|id| to.is(id)).cloned();
        let mut lost = 0;
        for record in &restored.told {
            let told = known(&record.to).map(|to| (Arc::from(record.group.as_str()), to));
            let ends = Millis(record.ends);
            let Some(told) = told.filter(|_| ends > now && restored.alerts.contains_key(&record.flush)) else {
                continue;
            };
            let states = States { firing: record.firing.clone(), resolved: record.resolved.clone() };
            // A clock that was set back must not make a receiver wait for the time that was.
            let at = Millis(record.at).min(now);
            let receipt = record.receipt.as_deref().map(Arc::from);
            self.log.restore(told.clone(), Entry { states, at, ends, receipt });
            self.told.insert(told, record.flush);
            *self.meant.entry(record.flush).or_default() += 1;
        }
        for record in &restored.untold {
            let alerts = restored.alerts.get(&record.flush);
            let Some((to, alerts)) = known(&record.to).zip(alerts) else {
                lost += 1;
                continue;
            };
            let told = (Arc::from(record.group.as_str()), to);
            let maybe_arrived = restored.handed.contains(&Names::new(&told.0, &told.1).handed);
            let states = States::of_alerts(alerts.iter().map(|alert| (fingerprint(&alert.labels), alert)));
            self.untold.insert(
                told,
                Untold {
                    at: Millis(record.at),
                    states,
                    maybe_arrived,
                    thought_to_fire: false,
                    taken_up: now,
                    flush: record.flush,
                },
            );
            *self.meant.entry(record.flush).or_default() += 1;
        }
        if lost > 0 {
            warn!(
                lost,
                "notifications from before the start are forgotten: their receivers are gone, or they cannot be read"
            );
        }
        for (name, _) in restored.failing.iter().filter(|(_, record)| record.subject(integrations).is_none()) {
            self.writer.change(Arc::clone(name), None);
        }
        self.sweep(restored);
    }

    /// Keeps that something fails, or fails no more.
    pub(in crate::notify) fn note_failing(&self, subject: &Subject, alert: Option<&Alert>) {
        let record = alert.map(|alert| Value::Packed(pack(&FailingRecord::new(subject, alert))));
        self.writer.change(failing_name(subject), record);
    }

    /// Removes every record that was not taken up.
    fn sweep(&self, restored: &Restored) {
        let mut names = restored.useless.clone();
        let unmeant = restored.alerts.keys().filter(|flush| !self.meant.contains_key(flush));
        names.extend(unmeant.map(|flush| super::record::alerts_name(*flush)));
        let mut kept = std::collections::HashSet::new();
        for (group, to) in self.untold.keys() {
            let own = Names::new(group, to);
            kept.extend([own.untold, own.handed]);
        }
        kept.extend(self.told.keys().map(|(group, to)| Names::new(group, to).told));
        let of = |group: &str, to: &super::record::To| to.names(group);
        let all = restored.untold.iter().map(|record| of(&record.group, &record.to).untold);
        let all = all.chain(restored.told.iter().map(|record| of(&record.group, &record.to).told));
        names.extend(all.chain(restored.handed.iter().cloned()).filter(|name| !kept.contains(name)));
        for name in names {
            self.writer.change(name, None);
        }
    }
}
