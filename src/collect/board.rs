//! What is known of each target right now, and the record of each look into the store.
//!
//! In: looks from the runner. Out: pictures for the store, the verdicts for `/health` and `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::model::{Family, Labels, Millis};
use crate::runtime::own_metrics::LookMetrics;
use crate::store::{Picture, Store};

use super::runner::Seen;
use super::{Look, Reason, Target};

static UP: Family = Family::gauge("up", "Whether the exporter stood in for would have answered (1) or not (0).");
static DURATION: Family = Family::gauge("scrape_duration_seconds", "How long the last look took.");
static SCRAPED: Family = Family::gauge("scrape_samples_scraped", "How many samples the last look brought.");
static FAILURES: Family = Family::counter(
    "sidewatch_target_failures_total",
    "What looks at this target could not see, by reason, since the agent's start.",
);

/// Distinct reasons kept for one target; further ones count as `other`. SQLSTATEs are many.
const MAX_REASONS: usize = 32;

/// The state of all targets. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Board {
    store: Store,
    metrics: LookMetrics,
    targets: Arc<Mutex<BTreeMap<Arc<str>, State>>>,
}

/// What is known of one target.
#[derive(Debug, Clone)]
pub struct State {
    target: Arc<Target>,
    /// The end of the last look; `None` before the first.
    pub looked: Option<Millis>,
    /// Whether the target did its work at the last look.
    pub healthy: bool,
    /// `up` of the last look.
    pub up: bool,
    /// Why it is not healthy, or what could not be seen.
    pub reason: Option<String>,
    /// Since when it is as it is.
    pub since: Option<Millis>,
    /// How long the last look took.
    pub took: Duration,
    /// How many samples the last look brought.
    pub samples: usize,
    failures: BTreeMap<String, u64>,
}

impl State {
    fn new(target: Arc<Target>) -> Self {
        // At zero from the start, so that `increase()` sees the first failure.
        let failures = [Reason::Refused, Reason::Timeout, Reason::Unreachable];
        Self {
            target,
            looked: None,
            healthy: false,
            up: false,
            reason: None,
            since: None,
            took: Duration::ZERO,
            samples: 0,
            failures: failures.map(|reason| (reason.as_str().to_owned(), 0)).into(),
        }
    }

    /// What is looked at.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// "ok", or the reason in one line.
    pub fn verdict(&self) -> String {
        match (self.looked, self.healthy) {
            (None, _) => "not looked at yet".into(),
            (Some(_), true) => "ok".into(),
            (Some(_), false) => self.reason.clone().unwrap_or_else(|| "unhealthy".into()),
        }
    }

    fn update(&mut self, look: &Look, seen: Seen) {
        if self.looked.is_none() || self.healthy != look.healthy {
            self.since = Some(seen.at);
        }
        self.looked = Some(seen.at);
        self.healthy = look.healthy;
        self.up = look.up;
        self.reason = look.failures.first().map(ToString::to_string);
        self.took = seen.took;
        self.samples = look.len();
        for failure in &look.failures {
            let label = failure.label();
            let full = self.failures.len() >= MAX_REASONS && !self.failures.contains_key(&label);
            *self.failures.entry(if full { "other".into() } else { label }).or_default() += 1;
        }
    }
}

impl Board {
    /// A board without targets.
    pub fn new(store: Store, metrics: LookMetrics) -> Self {
        Self { store, metrics, targets: Arc::default() }
    }

    /// Announces a target, so that it shows as not looked at yet.
    ///
    /// One that takes the place of another of the same name and labels goes on with its series: what the old one showed
    /// stays until the new one's first look, so that no alert ends because of a reload.
    pub fn expect(&self, target: &Arc<Target>, at: Millis) {
        let before = self.lock().insert(Arc::clone(&target.name), State::new(Arc::clone(target)));
        if before.is_some_and(|before| before.target.labels != target.labels) {
            self.store.end(&source(&target.name), at);
        }
    }

    /// Forgets a target: its series end, its name leaves `/health`.
    pub fn forget(&self, name: &str, at: Millis) {
        let mut targets = self.lock();
        targets.remove(name);
        self.store.end(&source(name), at);
    }

    /// Takes a look: its samples go to the store, its verdict stays here.
    pub fn record(&self, target: &Arc<Target>, mut look: Look, seen: Seen) {
        self.metrics.observe(seen.took, seen.late);
        // Held until the store has the picture: no look may come in behind the end of its own target.
        let mut targets = self.lock();
        // A look at a target that was forgotten or changed meanwhile is of no interest any more.
        let current = targets.get_mut(&target.name).filter(|state| Arc::ptr_eq(&state.target, target));
        let Some(state) = current else { return };
        let before = state.looked.map(|_| state.healthy);
        state.update(&look, seen);
        report_change(&target.name, before, state);
        let failures = state.failures.clone();
        let samples = look.len();
        look.value(&UP, f64::from(u8::from(look.up)));
        look.value(&DURATION, seen.took.as_secs_f64());
        look.value(&SCRAPED, samples as f64);
        for (reason, count) in &failures {
            look.labeled(&FAILURES, [("reason", reason)], *count as f64);
        }
        let blocks = look.into_blocks();
        self.store.record(Picture { source: source(&target.name), labels: target.labels.clone(), blocks, at: seen.at });
    }

    /// Every target with its state, in order of names.
    pub fn states(&self) -> Vec<(Arc<str>, State)> {
        self.lock().iter().map(|(name, state)| (Arc::clone(name), state.clone())).collect()
    }

    /// The targets whose last look did not see all, or that were not looked at yet: their labels, and in one line why.
    pub fn failing(&self) -> Vec<(Labels, String)> {
        let failing = |(name, state): (&Arc<str>, &State)| {
            let why = match (state.looked, &state.reason) {
                (None, _) => format!("`{name}` was not looked at yet"),
                (Some(_), Some(why)) => format!("the look at `{name}` failed: {why}"),
                (Some(_), None) => return None,
            };
            Some((state.target.labels.clone(), why))
        };
        self.lock().iter().filter_map(failing).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, State>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn source(target: &str) -> Arc<str> {
    format!("target:{target}").into()
}

/// Says a change once, not every look.
fn report_change(name: &str, before: Option<bool>, state: &State) {
    match (before, state.healthy) {
        (None | Some(true), false) => warn!(target = name, reason = state.verdict(), "target is unhealthy"),
        (Some(false), true) => info!(target = name, "target is healthy again"),
        _ => {}
    }
}
