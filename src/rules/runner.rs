//! Owns the time of rule groups: evaluates each at its interval and passes on what changed.
//!
//! In: rule groups, the store. Out: recorded series into the store, [`Transition`]s to whoever tells people.
//!
//! Invariant: evaluation touches the store alone, so no target, receiver or disk can hold it up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{self, Instant};
use tracing::warn;

use crate::model::{Labels, Millis, Transition};
use crate::promql::Options;
use crate::runtime::every::{nearest_slot, until_slot};
use crate::runtime::own_metrics::RuleMetrics;
use crate::runtime::supervise::Supervisor;
use crate::store::Store;

use super::{ActiveAlert, AlertState, Externals, GroupSpec, RuleSet};

/// With no group at all, the loop sleeps until groups come.
const IDLE: Duration = Duration::from_hours(1);

/// Where transitions go. Must not block.
pub type Tell = Arc<dyn Fn(Vec<Transition>) + Send + Sync>;

/// The rules that are being evaluated. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Rules(Arc<Shared>);

struct Shared {
    store: Store,
    metrics: RuleMetrics,
    external_url: Arc<str>,
    running: Mutex<Running>,
    changed: Notify,
}

/// The groups, and beside each when it is due.
#[derive(Default)]
struct Running {
    set: RuleSet,
    turns: Vec<Turn>,
    /// Told with the next evaluation: alerts of rules that a reload removed.
    ended: Vec<Transition>,
}

struct Turn {
    name: Arc<str>,
    every: Duration,
    due: Instant,
}

impl Turn {
    fn new(spec: &GroupSpec, default_interval: Duration) -> Self {
        let every = spec.interval.unwrap_or(default_interval);
        Self { name: Arc::clone(&spec.name), every, due: Instant::now() + until_slot(&spec.name, every, Millis::now()) }
    }

    /// The slot that the timer was set for; from here on the next one is due. Turns that were missed are not made up for.
    fn take(&mut self, now: Instant) -> (Millis, Duration) {
        let late = now.saturating_duration_since(self.due);
        while self.due <= now {
            self.due += self.every;
        }
        (nearest_slot(&self.name, self.every, Millis::now() - late), late)
    }
}

impl Rules {
    /// No group yet. `external_url` starts the links to expressions.
    pub fn new(store: Store, metrics: RuleMetrics, external_url: &str) -> Self {
        let (external_url, running) = (external_url.into(), Mutex::default());
        Self(Arc::new(Shared { store, metrics, external_url, running, changed: Notify::new() }))
    }

    /// Takes new rule files: alerts of rules that go on go on, those of others end.
    pub fn replace(&self, specs: &[GroupSpec], default_interval: Duration, external_labels: &Labels) {
        let externals = Externals { labels: external_labels.clone(), url: Arc::clone(&self.0.external_url) };
        let mut set = RuleSet::new(specs.to_vec(), &externals);
        for group in &mut set.groups {
            self.0.metrics.announce(&group.spec().name);
            group.set_options(Options { subquery_step: default_interval, ..Options::default() });
        }
        let turns = specs.iter().map(|spec| Turn::new(spec, default_interval)).collect();
        let now = Millis::now();
        let mut running = self.lock();
        let succession = set.succeed(std::mem::take(&mut running.set), now);
        let mut ended = std::mem::take(&mut running.ended);
        ended.extend(succession.transitions);
        *running = Running { set, turns, ended };
        drop(running);
        for source in succession.gone {
            self.0.store.end(&source, now);
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

    /// Waits for the next group that is due, or for new groups, and evaluates what is due.
    async fn turn(&self, tell: &Tell) {
        let next = self.lock().turns.iter().map(|turn| turn.due).min();
        tokio::select! {
            () = time::sleep_until(next.unwrap_or_else(|| Instant::now() + IDLE)) => {}
            () = self.0.changed.notified() => {}
        }
        let transitions = self.evaluate_due(Instant::now());
        if !transitions.is_empty() {
            tell(transitions);
        }
    }

    fn evaluate_due(&self, now: Instant) -> Vec<Transition> {
        let mut running = self.lock();
        let Running { set, turns, ended } = &mut *running;
        let mut transitions = std::mem::take(ended);
        for (group, turn) in set.groups.iter_mut().zip(turns).filter(|(_, turn)| turn.due <= now) {
            let (at, late) = turn.take(now);
            let started = Instant::now();
            let outcome = group.evaluate(&self.0.store, at);
            let took = started.elapsed();
            group.note_duration(took);
            self.0.metrics.observe(&turn.name, group.spec().rules.len(), outcome.failures.len(), took, late);
            for failure in outcome.failures {
                warn!(group = &*turn.name, rule = failure.rule, error = failure.error, "a rule could not be evaluated");
            }
            transitions.extend(outcome.transitions);
        }
        transitions
    }

    /// The alerts that fire now, oldest first.
    pub fn firing(&self) -> Vec<ActiveAlert> {
        let handles = self.lock().set.handles();
        let views = handles.iter().map(super::GroupHandle::load);
        let rules = views.flat_map(|view| view.rules.clone());
        let mut firing: Vec<_> =
            rules.flat_map(|rule| rule.alerts).filter(|alert| alert.state == AlertState::Firing).collect();
        firing.sort_by_key(|alert| alert.active_at);
        firing
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
