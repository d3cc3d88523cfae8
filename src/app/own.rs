//! The agent's own state as metrics, beside what stands in the registry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time;
use tracing::warn;

use super::history;
use crate::collect::Happenings;
use crate::model::{Block, Family, Labels, Millis, Point, Suffix};
use crate::notify::Notifier;
use crate::runtime::own_metrics::{Maker, Own};
use crate::runtime::supervise::Supervisor;
use crate::store::Store;
use crate::usage::Meter;

static BUILD: Family = Family::gauge("sidewatch_build_info", "The version that runs; the value is always 1.");
static RELOADED: Family =
    Family::gauge("sidewatch_config_last_reload_successful", "Whether the last load of the configuration succeeded.");
static RELOADED_AT: Family = Family::gauge(
    "sidewatch_config_last_reload_success_timestamp_seconds",
    "When the configuration in use was loaded, in seconds since the epoch.",
);
/// The rules for `blackbox_exporter` ask so; its configuration is part of ours.
static PROBES_RELOADED: Family = Family::gauge(
    "blackbox_exporter_config_last_reload_successful",
    "Whether the last load of the configuration, of which the probes are a part, succeeded.",
);
static PROBES_RELOADED_AT: Family = Family::gauge(
    "blackbox_exporter_config_last_reload_success_timestamp_seconds",
    "When the configuration in use, of which the probes are a part, was loaded, in seconds since the epoch.",
);
static PANICS: Family = Family::counter("sidewatch_task_panics_total", "Tasks that panicked and were started again.");
static SERIES: Family = Family::gauge("sidewatch_store_series", "Series in the store.");
static DROPPED: Family = Family::counter(
    "sidewatch_store_samples_dropped_total",
    "Samples that were not newer than their series' last one.",
);
static CLOCK_STEPS: Family = Family::counter(
    "sidewatch_store_clock_steps_total",
    "How often the wall clock was set back, so that history after it was forgotten.",
);
static DISCOVERED: Family =
    Family::gauge("sidewatch_discovered_targets", "Targets that containers brought by their labels.");
static DISCOVERY_PROBLEMS: Family = Family::gauge(
    "sidewatch_discovery_problems",
    "What is wrong with the labels by which containers ask to be watched; the log, the page and /v1/events say it in words.",
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
pub fn makers(
    supervisor: &Supervisor,
    store: &Store,
    meter: &Meter,
    reloads: &ReloadState,
    happenings: &Happenings,
    notifier: &Notifier,
) -> Vec<Maker> {
    let (supervisor, store, reloads, happenings) =
        (supervisor.clone(), store.clone(), reloads.clone(), happenings.clone());
    let on_disk = store.clone();
    let (meter, money) = (meter.clone(), meter.clone());
    let state = move |_: Millis| {
        let (successful, at) = (reloads.0.0.load(Ordering::Relaxed), reloads.0.1.load(Ordering::Relaxed));
        let (successful, at) = (f64::from(u8::from(successful)), Millis(at).as_seconds());
        vec![
            block(&BUILD, Labels::new([("version", env!("CARGO_PKG_VERSION"))]), 1.0),
            block(&RELOADED, Labels::empty(), successful),
            block(&RELOADED_AT, Labels::empty(), at),
            block(&PROBES_RELOADED, Labels::empty(), successful),
            block(&PROBES_RELOADED_AT, Labels::empty(), at),
            block(&PANICS, Labels::empty(), (supervisor.panics() + meter.panics()) as f64),
            block(&SERIES, Labels::empty(), store.series_count() as f64),
            block(&REFUSED, Labels::empty(), store.refused() as f64),
            block(&DROPPED, Labels::empty(), store.dropped() as f64),
            block(&CLOCK_STEPS, Labels::empty(), store.clock_steps() as f64),
            block(&DISCOVERED, Labels::empty(), happenings.targets() as f64),
            block(&DISCOVERY_PROBLEMS, Labels::empty(), happenings.complaints().len() as f64),
            block(&APPENDED, Labels::empty(), store.samples_appended() as f64),
        ]
    };
    let disk = move |_: Millis| history::blocks(&on_disk);
    let notifier = notifier.clone();
    vec![
        Box::new(state),
        Box::new(disk),
        Box::new(move |now| money.budget_blocks(now)),
        Box::new(move |now| notifier.blocks(now)),
    ]
}

/// A family of one series.
pub fn block(family: &Family, labels: Labels, value: f64) -> Block {
    Block { family: family.clone(), points: vec![Point { suffix: Suffix::None, labels, value }] }
}

/// How often the own picture is recorded; a reload may change it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pace(Arc<AtomicU64>);

impl Pace {
    /// From the next recording on.
    pub fn set(&self, every: Duration) {
        self.0.store(u64::try_from(every.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed).max(100))
    }
}

/// Records the own picture into the store like any target's, so that rules can ask for it. Before each recording the budgets
/// that need the ledger ask it: whoever only shows them never waits for a disk.
pub fn start_recording(supervisor: &Supervisor, own: Own, store: Store, meter: Meter, pace: Pace) {
    let stop = supervisor.stop_token().clone();
    supervisor.spawn("own metrics", stop.clone(), move || {
        let (own, store, meter, pace, stop) = (own.clone(), store.clone(), meter.clone(), pace.clone(), stop.clone());
        async move {
            let recording = async {
                loop {
                    if let Err(error) = meter.refresh_budgets(Millis::now()).await {
                        warn!(%error, "the budgets cannot be read");
                    }
                    store.record(own.picture(Millis::now()));
                    time::sleep(pace.get()).await;
                }
            };
            let _: Option<()> = stop.run_until_cancelled(recording).await;
        }
    });
}
