//! The agent's own state as metrics, beside what stands in the registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{self, MissedTickBehavior};

use crate::model::{Block, Family, Labels, Millis, Point, Suffix};
use crate::runtime::own_metrics::{Maker, OWN_SOURCE, Own};
use crate::runtime::supervise::Supervisor;
use crate::runtime::telemetry::OwnBlocks;
use crate::store::Store;
use crate::usage::Meter;

static BUILD: Family = Family::gauge("sidewatch_build_info", "The version that runs; the value is always 1.");
static RELOADED: Family =
    Family::gauge("sidewatch_config_last_reload_successful", "Whether the last load of the configuration succeeded.");
static RELOADED_AT: Family = Family::gauge(
    "sidewatch_config_last_reload_success_timestamp_seconds",
    "When the configuration in use was loaded, in seconds since the epoch.",
);
static PANICS: Family = Family::counter("sidewatch_task_panics_total", "Tasks that panicked and were started again.");
static SERIES: Family = Family::gauge("sidewatch_store_series", "Series in the store.");
static DROPPED: Family = Family::counter(
    "sidewatch_store_samples_dropped_total",
    "Samples that were not newer than their series' last one.",
);
static APPENDED: Family = Family::counter("sidewatch_store_samples_appended_total", "Samples taken into the store.");
static REFUSED: Family = Family::counter(
    "sidewatch_store_series_refused_total",
    "Samples refused because the store holds as many series as it may.",
);

/// Whether the last reload worked, and when one last did. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReloadState(Arc<(AtomicBool, AtomicI64)>);

impl ReloadState {
    /// The start counts as a successful load.
    pub fn new() -> Self {
        Self(Arc::new((AtomicBool::new(true), AtomicI64::new(Millis::now().0))))
    }

    /// Notes the outcome of a reload.
    pub fn note(&self, successful: bool) {
        self.0.0.store(successful, Ordering::Relaxed);
        if successful {
            self.0.1.store(Millis::now().0, Ordering::Relaxed);
        }
    }
}

/// What is read off the parts each time somebody asks.
pub fn makers(supervisor: &Supervisor, store: &Store, meter: &Meter, reloads: &ReloadState) -> Vec<Maker> {
    let (supervisor, store, meter, reloads) = (supervisor.clone(), store.clone(), meter.clone(), reloads.clone());
    let state = move |_: Millis| -> BoxFuture<'static, Vec<Block>> {
        let (successful, at) = (reloads.0.0.load(Ordering::Relaxed), reloads.0.1.load(Ordering::Relaxed));
        let blocks = vec![
            block(&BUILD, Labels::new([("version", env!("CARGO_PKG_VERSION"))]), 1.0),
            block(&RELOADED, Labels::empty(), f64::from(u8::from(successful))),
            block(&RELOADED_AT, Labels::empty(), Millis(at).as_seconds()),
            block(&PANICS, Labels::empty(), supervisor.panics() as f64),
            block(&SERIES, Labels::empty(), store.series_count() as f64),
            block(&REFUSED, Labels::empty(), store.refused() as f64),
            block(&DROPPED, Labels::empty(), store.dropped() as f64),
            block(&APPENDED, Labels::empty(), store.samples_appended() as f64),
        ];
        Box::pin(async { blocks })
    };
    let money = move |now| -> BoxFuture<'static, Vec<Block>> {
        // What is not known is not shown; `refresh_budgets` asks the ledger.
        let blocks = meter.budget_blocks(now);
        Box::pin(async { blocks })
    };
    vec![Box::new(state), Box::new(money)]
}

fn block(family: &Family, labels: Labels, value: f64) -> Block {
    Block { family: family.clone(), points: vec![Point { suffix: Suffix::None, labels, value }] }
}

/// Records the own picture into the store like any target's, so that rules can ask for it.
pub fn start_recording(supervisor: &Supervisor, own: Own, store: Store, every: Duration) {
    let stop = supervisor.stop_token().clone();
    supervisor.spawn("own metrics", stop.clone(), move || {
        let (own, store, stop) = (own.clone(), store.clone(), stop.clone());
        async move {
            let mut tick = time::interval(every);
            tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while stop.run_until_cancelled(tick.tick()).await.is_some() {
                store.record(own.picture(Millis::now()).await);
            }
        }
    });
}

/// The own blocks as they were last recorded, for an exporter that cannot wait.
pub fn recorded(store: Store) -> Arc<OwnBlocks> {
    Arc::new(move || {
        let own = store.current().into_iter().find(|picture| &*picture.source == OWN_SOURCE);
        own.map_or_else(Vec::new, |picture| picture.blocks.clone())
    })
}
