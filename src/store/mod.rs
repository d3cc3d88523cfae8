//! Bounded recent history, and what each source shows now.
//!
//! In: everything measured, one [`Picture`] of a source at a time. Out: [`Snapshot`]s for PromQL, and the current pictures for `/metrics`.
//!
//! A series that a source showed before and does not show now ends with a staleness marker, as in Prometheus.

mod matcher;
mod overlay;

pub use matcher::{MatchOp, Matcher};
pub use overlay::{disjoint, overlay};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use crate::model::{Block, Labels, METRIC_NAME, Millis, is_stale, stale_marker};

/// What the store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long samples are kept.
    pub retention: Duration,
    /// How many series may live at once; further ones are refused and counted.
    pub max_series: usize,
}

/// All that one source showed at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Who showed it: stable over looks. A target's name, `rule:<group>/<rule>`, `sidewatch`.
    pub source: Arc<str>,
    /// Labels that go on every point and win over the point's own, whose equal names become `exported_<name>`.
    pub labels: Labels,
    /// What was seen.
    pub blocks: Vec<Block>,
    /// When.
    pub at: Millis,
}

/// A series with samples in order of time, as a snapshot hands it out.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// All labels, `__name__` among them.
    pub labels: Labels,
    /// Times and values, staleness markers among them.
    pub samples: Vec<(Millis, f64)>,
}

/// The history. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    limits: Limits,
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    series: HashMap<Labels, Vec<(Millis, f64)>>,
    current: BTreeMap<Arc<str>, Arc<Picture>>,
    shown: HashMap<Arc<str>, HashSet<Labels>>,
    refused: u64,
}

impl Store {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self { limits, inner: Arc::default() }
    }

    /// Takes a source's whole picture: appends its samples, marks what vanished since its last picture as stale.
    pub fn record(&self, picture: Picture) {
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut now_shown = HashSet::new();
        for block in &picture.blocks {
            for point in &block.points {
                let name = format!("{}{}", block.family.name, point.suffix.as_str());
                let labels = point.labels.overlaid(&picture.labels).with(METRIC_NAME, name);
                if inner.append(&self.limits, labels.clone(), picture.at, point.value) {
                    now_shown.insert(labels);
                }
            }
        }
        let before = inner.shown.insert(Arc::clone(&picture.source), now_shown.clone()).unwrap_or_default();
        for gone in before.difference(&now_shown) {
            inner.append(&self.limits, gone.clone(), picture.at, stale_marker());
        }
        inner.current.insert(Arc::clone(&picture.source), Arc::new(picture));
    }

    /// A source is gone for good: all it showed ends.
    pub fn end(&self, source: &str, at: Millis) {
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.current.remove(source);
        for gone in inner.shown.remove(source).unwrap_or_default() {
            inner.append(&self.limits, gone, at, stale_marker());
        }
    }

    /// What every source shows now, in order of their names.
    pub fn current(&self) -> Vec<Arc<Picture>> {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner).current.values().cloned().collect()
    }

    /// A view of the history that later writes do not change.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { store: self.clone() }
    }

    /// How many samples were refused because `max_series` was reached.
    pub fn refused(&self) -> u64 {
        self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner).refused
    }
}

impl Inner {
    fn append(&mut self, limits: &Limits, labels: Labels, at: Millis, value: f64) -> bool {
        if !self.series.contains_key(&labels) && (self.series.len() >= limits.max_series || is_stale(value)) {
            self.refused += u64::from(!is_stale(value));
            return false;
        }
        self.series.entry(labels).or_default().push((at, value));
        true
    }
}

/// A view of the history at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    store: Store,
}

impl Snapshot {
    /// The series that every matcher takes, each with its samples in `(after, until]`. Series without a sample there are left out.
    pub fn select(&self, matchers: &[Matcher], after: Millis, until: Millis) -> Vec<Series> {
        let inner = self.store.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = inner.series.iter().filter(|(labels, _)| matchers.iter().all(|matcher| matcher.takes(labels)));
        let cut = taken.map(|(labels, samples)| Series {
            labels: labels.clone(),
            samples: samples.iter().filter(|(at, _)| *at > after && *at <= until).copied().collect(),
        });
        cut.filter(|series| !series.samples.is_empty()).collect()
    }
}
