//! Owns the time of rule groups: evaluates each at its interval and passes on what changed.
//!
//! In: rule groups, the store. Out: recorded series into the store, [`Transition`]s to whoever tells people.
//!
//! Invariant: evaluation touches the store alone, so no target, receiver or disk can hold it up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{self, Instant};

use crate::model::{Alert, Labels, Millis, Transition};
use crate::runtime::every::{nearest_slot, until_slot};
use crate::runtime::own_metrics::RuleMetrics;
use crate::runtime::supervise::Supervisor;
use crate::store::Store;

use super::{Externals, Group, GroupSpec};

/// With no group at all, the loop sleeps until groups come.
const IDLE: Duration = Duration::from_secs(3600);

/// Where transitions go. Must not block.
pub type Tell = Arc<dyn Fn(Vec<Transition>) + Send + Sync>;

/// The rules that are being evaluated. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Rules(Arc<Shared>);

struct Shared {
    store: Store,
    metrics: RuleMetrics,
    external_url: String,
    groups: Mutex<Vec<Scheduled>>,
    changed: Notify,
}

struct Scheduled {
    group: Group,
    every: Duration,
    due: Instant,
    externals: Externals,
}

impl Rules {
    /// No group yet. `external_url` starts the links to expressions.
    pub fn new(store: Store, metrics: RuleMetrics, external_url: String) -> Self {
        let groups = Mutex::default();
        Self(Arc::new(Shared { store, metrics, external_url, groups, changed: Notify::new() }))
    }

    /// Takes new rule files: unchanged groups go on with their alerts and their rhythm.
    pub fn replace(&self, specs: &[GroupSpec], default_interval: Duration, external_labels: &Labels) {
        let externals = Externals { labels: external_labels.clone(), url: self.0.external_url.clone() };
        let mut groups = self.lock();
        let mut before = std::mem::take(&mut *groups);
        for spec in specs {
            self.0.metrics.announce(&spec.name);
            let every = spec.interval.unwrap_or(default_interval);
            let kept = before.iter().position(|old| old.group.spec() == spec).map(|at| before.swap_remove(at));
            let scheduled = match kept {
                Some(old) if old.every == every => Scheduled { externals: externals.clone(), ..old },
                other => {
                    let group = other.map_or_else(|| Group::new(spec.clone()), |old| old.group);
                    let due = Instant::now() + until_slot(&spec.name, every, Millis::now());
                    Scheduled { group, every, due, externals: externals.clone() }
                }
            };
            groups.push(scheduled);
        }
        drop(groups);
        let now = Millis::now();
        for gone in before {
            gone.group.end(&self.0.store, now);
        }
        self.0.changed.notify_one();
    }

    /// Starts the one loop of all groups.
    pub fn start(&self, supervisor: &Supervisor, tell: Tell) {
        let (rules, stop) = (self.clone(), supervisor.stop_token().clone());
        supervisor.spawn("rules", stop.clone(), move || {
            let (rules, tell, stop) = (rules.clone(), Arc::clone(&tell), stop.clone());
            async move { while stop.run_until_cancelled(rules.turn(&tell)).await.is_some() {} }
        });
    }

    /// Waits for the next group that is due, or for new groups, and evaluates.
    async fn turn(&self, tell: &Tell) {
        let next = self.lock().iter().map(|scheduled| scheduled.due).min();
        tokio::select! {
            () = time::sleep_until(next.unwrap_or_else(|| Instant::now() + IDLE)) => {}
            () = self.0.changed.notified() => return,
        }
        let transitions: Vec<_> = self.evaluate_due(Instant::now());
        if !transitions.is_empty() {
            tell(transitions);
        }
    }

    fn evaluate_due(&self, now: Instant) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for scheduled in self.lock().iter_mut().filter(|scheduled| scheduled.due <= now) {
            let (started, late) = (Instant::now(), now - scheduled.due);
            let spec = scheduled.group.spec();
            let (name, rules) = (spec.name.clone(), spec.rules.len());
            let at = nearest_slot(&name, scheduled.every, Millis::now() - late);
            let outcome = scheduled.group.evaluate(&self.0.store, at, &scheduled.externals);
            self.0.metrics.observe(&name, rules, outcome.failures, started.elapsed(), late);
            // After a pause of the machine, missed turns are skipped, not made up for.
            while scheduled.due <= now {
                scheduled.due += scheduled.every;
            }
            transitions.extend(outcome.transitions);
        }
        transitions
    }

    /// The alerts that fire now, oldest first.
    pub fn firing(&self) -> Vec<Alert> {
        let mut firing: Vec<_> = self.lock().iter().flat_map(|scheduled| scheduled.group.firing()).collect();
        firing.sort_by_key(|alert| alert.starts_at);
        firing
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Scheduled>> {
        self.0.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
