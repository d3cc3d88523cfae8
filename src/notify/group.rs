//! Alerts that belong together, and when their group is looked at.
//!
//! In: [`Transition`]s and the time. Out: [`Batch`]es, each the whole of one group at one moment. What of it is told is
//! decided by what is kept quiet ([`super::quiet`]) and by what a receiver heard last ([`super::sent`]).
//!
//! As in Alertmanager's dispatcher: a group is flushed `group_wait` after its first alert, at once if that alert is older,
//! then every `group_interval` for as long as it has alerts. An alert that has ended stays until all have heard of it.
//!
//! Invariant: pure, time is an argument: `now` for timers, `wall` for what alerts themselves say. At most [`MAX_ALERTS`]
//! alerts, each in as many groups as routes take it. No step costs more for the groups it is not about.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Alert, Labels, Millis, Transition};

use super::canary::is_canary;
use super::identity::{fingerprint, group_key};
use super::inhibit::Inhibitor;
use super::route::{Hours, Route, Timing};

/// So many alerts are kept; further ones are refused and counted until others have ended.
pub const MAX_ALERTS: usize = 20_000;
/// An ended alert that a receiver could not be told of is forgotten after this.
const KEEP_UNTOLD: Duration = Duration::from_hours(24);
/// How exact the rules' history is, in milliseconds.
const HISTORY: u64 = 1000;
/// How often those are looked for.
const SWEEP: Duration = Duration::from_mins(1);

/// An alert as a group keeps it.
#[derive(Debug, Clone)]
struct Member {
    alert: Arc<Alert>,
    /// Whether it was said to have ended. An alert may also name an end that is still to come.
    ended: bool,
    /// Rises with each transition, so that a later one is not forgotten with an earlier one.
    version: u64,
    updated: Millis,
    /// Which of the routes that take it led it here, in the order of the configuration.
    place: usize,
    /// Since when it fires by who speaks of it; nothing while it is from before a restart and nobody has spoken of it yet.
    spoken: Option<Millis>,
}

impl Member {
    /// This, as what comes after `before`. After a restart nobody who speaks of an alert need know to the millisecond since
    /// when it fires: rules have it from their history, in whole seconds and without the interval that it took to see it, and
    /// who posts without a start has it begin anew. It goes on to fire since the time that was told, which links and
    /// acknowledgements mean.
    fn after(&self, before: &Self) -> Self {
        let (known, now) = (before.alert.starts_at, self.alert.starts_at);
        let is_same = before.spoken.is_none_or(|spoken| spoken.0.abs_diff(now.0) < HISTORY);
        if before.ended || known == now || !is_same {
            return self.clone();
        }
        Self { alert: Arc::new(Alert { starts_at: known, ..(*self.alert).clone() }), ..self.clone() }
    }

    fn has_ended(&self, wall: Millis) -> bool {
        self.ended || self.alert.ends_at.is_some_and(|end| end <= wall)
    }
}

/// Alerts with the same group labels on the same route.
#[derive(Debug)]
struct Group {
    key: Arc<str>,
    labels: Labels,
    receiver: Arc<str>,
    timing: Timing,
    hours: Arc<Hours>,
    members: BTreeMap<u64, Member>,
    next: Millis,
    /// Whether it was flushed since it is there.
    flushed: bool,
    /// The intervals that kept it silent when it was last flushed.
    muted_by: Vec<Arc<str>>,
}

/// One group as it was when it was flushed.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which group it was; unlike its key, no other has it.
    pub id: Arc<str>,
    /// The group's key, as Alertmanager writes it.
    pub key: Arc<str>,
    /// The labels all its alerts share by definition.
    pub labels: Labels,
    /// Who shall hear of it.
    pub receiver: Arc<str>,
    /// When it is flushed how often.
    pub timing: Timing,
    /// When it may tell.
    pub hours: Arc<Hours>,
    /// When it was flushed, by the caller's clock.
    pub at: Millis,
    /// All its alerts by fingerprint; those that fire have no end.
    pub alerts: Vec<(u64, Arc<Alert>)>,
    /// The ends that others have said of alerts that fire, by fingerprint.
    pub stated_ends: HashMap<u64, Millis>,
    /// Those that have ended, with their versions.
    ended: Vec<(u64, u64)>,
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
    /// Which of the routes that take it leads to them, in the order of the configuration.
    pub place: usize,
    /// The group it is in.
    pub group_key: Arc<str>,
    /// That group's labels.
    pub group_labels: Labels,
    /// When its last transition came, by the caller's clock.
    pub updated_at: Millis,
    /// The fingerprint of an alert that inhibits it.
    pub inhibited_by: Option<u64>,
    /// The time intervals that kept its group silent when it was last flushed.
    pub muted_by: Vec<Arc<str>>,
    /// Its group waits for others that may belong to it, and has told nobody yet.
    pub waits: bool,
}

/// All groups.
#[derive(Debug, Default)]
pub struct Groups {
    all: HashMap<Arc<str>, Group>,
    /// When which group is due.
    schedule: BTreeSet<(Millis, Arc<str>)>,
    /// In how many groups each alert is.
    alerts: HashMap<u64, usize>,
    version: u64,
    swept: Millis,
}

impl Groups {
    /// Takes one transition, and gives the alert back as it is now, with its fingerprint; `None` when there is no room
    /// for another.
    pub fn apply(
        &mut self,
        transition: Transition,
        routes: &Route,
        (now, wall): (Millis, Millis),
    ) -> Option<(u64, Arc<Alert>)> {
        let (alert, ended) = match transition {
            Transition::Firing(alert) | Transition::Still(alert) => (alert, false),
            Transition::Resolved(alert) => (Alert { ends_at: alert.ends_at.or(Some(wall)), ..alert }, true),
        };
        let (id, alert) = (fingerprint(&alert.labels), Arc::new(alert));
        if self.alerts.len() >= MAX_ALERTS && !self.alerts.contains_key(&id) {
            return None;
        }
        self.version += 1;
        let spoken = Some(alert.starts_at);
        let member = Member { alert: Arc::clone(&alert), ended, version: self.version, updated: now, place: 0, spoken };
        let mut kept = alert;
        for (place, route) in routes.taking(&member.alert.labels).into_iter().enumerate() {
            kept = self.insert(id, &Member { place, ..member.clone() }, route, (now, wall));
        }
        Some((id, kept))
    }

    /// What is here now was so before a restart. The next word about an alert means the same one, whatever start it names; but
    /// a canary's start is its name.
    pub fn await_word(&mut self) {
        for member in self.all.values_mut().flat_map(|group| group.members.values_mut()) {
            if !is_canary(&member.alert.labels) {
                member.spoken = None;
            }
        }
    }

    /// The alert as the group keeps it.
    fn insert(&mut self, id: u64, member: &Member, route: &Route, (now, wall): (Millis, Millis)) -> Arc<Alert> {
        let alert = &member.alert;
        let labels = route.group_by.labels_of(&alert.labels);
        let group_id = group_key(&route.id, &labels);
        let Some(group) = self.all.get_mut(group_id.as_str()) else {
            let is_old = alert.starts_at + route.timing.group_wait < wall;
            let next = if is_old { now } else { now + route.timing.group_wait };
            let group = Group {
                key: group_key(&route.key, &labels).into(),
                labels,
                receiver: route.receiver.as_str().into(),
                timing: route.timing,
                hours: Arc::clone(&route.hours),
                members: BTreeMap::from([(id, member.clone())]),
                next,
                flushed: false,
                muted_by: Vec::new(),
            };
            let group_id: Arc<str> = group_id.into();
            self.schedule.insert((next, Arc::clone(&group_id)));
            self.all.insert(group_id, group);
            *self.alerts.entry(id).or_default() += 1;
            return Arc::clone(alert);
        };
        if let Some(before) = group.members.get_mut(&id) {
            *before = member.after(before);
            Arc::clone(&before.alert)
        } else {
            group.members.insert(id, member.clone());
            *self.alerts.entry(id).or_default() += 1;
            Arc::clone(alert)
        }
    }

    /// The groups whose time has come, in the order of their time. Each is due again after its `group_interval`.
    pub fn due(&mut self, now: Millis, wall: Millis) -> Vec<Batch> {
        let mut due = Vec::new();
        while let Some((_, id)) = self.schedule.first().filter(|(next, _)| *next <= now).cloned() {
            let Some(group) = self.all.get_mut(&id) else {
                self.schedule.pop_first();
                continue;
            };
            // Never at once again, however short the interval.
            let next = now + group.timing.group_interval.max(Duration::from_millis(1));
            due.push(group.flush(&id, now, wall));
            self.set_next(&id, next);
        }
        due
    }

    /// When the next group is due; `None` without groups.
    pub fn next_due(&self) -> Option<Millis> {
        self.schedule.first().map(|(next, _)| *next)
    }

    fn set_next(&mut self, id: &Arc<str>, next: Millis) {
        if let Some(group) = self.all.get_mut(id) {
            self.schedule.remove(&(group.next, Arc::clone(id)));
            self.schedule.insert((next, Arc::clone(id)));
            group.next = next;
        }
    }

    /// Makes a group due at once: something it had to tell could not be told before.
    pub fn hurry(&mut self, id: &Arc<str>, now: Millis) {
        if self.all.get(id).is_some_and(|group| group.next > now) {
            self.set_next(id, now);
        }
    }

    /// Notes which time intervals kept a group silent at a flush; none if it could tell.
    pub fn note_muted(&mut self, id: &Arc<str>, muted_by: Vec<Arc<str>>) {
        if let Some(group) = self.all.get_mut(id) {
            group.muted_by = muted_by;
        }
    }

    /// Everybody has heard of this batch, or need not: its ended alerts are forgotten, unless they changed since.
    pub fn settle(&mut self, batch: &Batch) {
        let Some(group) = self.all.get_mut(&batch.id) else {
            return;
        };
        let mut gone = Vec::new();
        for (id, version) in &batch.ended {
            if group.members.get(id).is_some_and(|member| member.version == *version) {
                group.members.remove(id);
                gone.push(*id);
            }
        }
        let emptied = group.members.is_empty().then(|| Arc::clone(&batch.id));
        self.drop_members(&gone, emptied);
    }

    /// Ends an alert in every group that has it, by whichever way it came there.
    pub fn end(&mut self, alert: Alert, (now, wall): (Millis, Millis)) -> (u64, Arc<Alert>) {
        let (id, alert) =
            (fingerprint(&alert.labels), Arc::new(Alert { ends_at: alert.ends_at.or(Some(wall)), ..alert }));
        self.version += 1;
        let spoken = Some(alert.starts_at);
        let version = self.version;
        let member = Member { alert: Arc::clone(&alert), ended: true, version, updated: now, place: 0, spoken };
        let members = self.all.values_mut().filter_map(|group| group.members.get_mut(&id));
        for before in members.filter(|before| !before.ended) {
            *before = Member { place: before.place, ..member.after(before) };
        }
        (id, alert)
    }

    /// Forgets ended alerts that could not be told for a day. Says how many. Looks for them once a minute.
    pub fn forget_untold(&mut self, now: Millis, wall: Millis) -> usize {
        if now.since(self.swept) < SWEEP {
            return 0;
        }
        self.swept = now;
        let (mut gone, mut emptied) = (Vec::new(), Vec::new());
        for (id, group) in &mut self.all {
            group.members.retain(|alert, member| {
                let keep = !member.has_ended(wall) || now.since(member.updated) < KEEP_UNTOLD;
                if !keep {
                    gone.push(*alert);
                }
                keep
            });
            if group.members.is_empty() {
                emptied.push(Arc::clone(id));
            }
        }
        self.drop_members(&gone, emptied);
        gone.len()
    }

    fn drop_members(&mut self, gone: &[u64], emptied: impl IntoIterator<Item = Arc<str>>) {
        for id in gone {
            match self.alerts.get_mut(id) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.alerts.remove(id)),
            }
        }
        for id in emptied {
            if let Some(group) = self.all.remove(&id) {
                self.schedule.remove(&(group.next, id));
            }
        }
    }

    /// Takes up a new configuration: alerts move to the groups it makes. As in Alertmanager all groups begin anew: those with
    /// an alert older than their `group_wait` are due at once, and tell what is news to their receivers.
    pub fn reroute(&mut self, routes: &Route, (now, wall): (Millis, Millis)) {
        let old = std::mem::take(&mut self.all);
        self.schedule.clear();
        self.alerts.clear();
        let mut members: BTreeMap<u64, &Member> = BTreeMap::new();
        for group in old.values() {
            for (id, member) in &group.members {
                members.insert(*id, member);
            }
        }
        let mut members: Vec<_> = members.into_iter().collect();
        // The first alert of a group says when it is due.
        members.sort_by_key(|(_, member)| member.alert.starts_at);
        for (id, member) in members {
            for (place, route) in routes.taking(&member.alert.labels).into_iter().enumerate() {
                self.insert(id, &Member { place, ..member.clone() }, route, (now, wall));
            }
        }
    }

    /// Each alert once, with its fingerprint.
    pub fn alerts(&self) -> HashMap<u64, Arc<Alert>> {
        let members = self.all.values().flat_map(|group| &group.members);
        members.filter(|(_, member)| !member.ended).map(|(id, member)| (*id, Arc::clone(&member.alert))).collect()
    }

    /// The alerts that fire, ordered by group and fingerprint.
    pub fn active(&self, inhibitor: &Inhibitor, wall: Millis) -> Vec<ActiveAlert> {
        let mut ids: Vec<_> = self.all.iter().collect();
        ids.sort_by_key(|(id, _)| Arc::clone(id));
        ids.into_iter().flat_map(|(_, group)| group.active(inhibitor, wall)).collect()
    }
}

impl Group {
    fn flush(&mut self, id: &Arc<str>, now: Millis, wall: Millis) -> Batch {
        self.flushed = true;
        let alert = |member: &Member| match member.alert.ends_at {
            Some(_) if !member.has_ended(wall) => Arc::new(Alert { ends_at: None, ..(*member.alert).clone() }),
            _ => Arc::clone(&member.alert),
        };
        let ended = self.members.iter().filter(|(_, member)| member.has_ended(wall));
        Batch {
            id: Arc::clone(id),
            key: Arc::clone(&self.key),
            labels: self.labels.clone(),
            receiver: Arc::clone(&self.receiver),
            timing: self.timing,
            hours: Arc::clone(&self.hours),
            at: now,
            alerts: self.members.iter().map(|(id, member)| (*id, alert(member))).collect(),
            stated_ends: HashMap::new(),
            ended: ended.map(|(id, member)| (*id, member.version)).collect(),
        }
    }

    fn active<'g>(&'g self, inhibitor: &'g Inhibitor, wall: Millis) -> impl Iterator<Item = ActiveAlert> + 'g {
        self.members.iter().filter(move |(_, member)| !member.has_ended(wall)).map(move |(id, member)| ActiveAlert {
            alert: Arc::clone(&member.alert),
            fingerprint: *id,
            receiver: Arc::clone(&self.receiver),
            place: member.place,
            group_key: Arc::clone(&self.key),
            group_labels: self.labels.clone(),
            updated_at: member.updated,
            inhibited_by: inhibitor.inhibiting(&member.alert.labels, wall),
            muted_by: self.muted_by.clone(),
            waits: !self.flushed,
        })
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
