//! How handing over goes, in Prometheus' names: its dashboards and rules for its own notifications ask for these.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Block, Family, Labels, MetricKind, Point, Suffix};

use super::queue::CAPACITY;
use super::sender::Sender;

static SENT: Family = Family::counter("prometheus_notifications_sent_total", "Total number of alerts sent.");
static ERRORS: Family =
    Family::counter("prometheus_notifications_errors_total", "Total number of sent alerts affected by errors.");
static DROPPED: Family = Family::counter(
    "prometheus_notifications_dropped_total",
    "Total number of alerts that were refused or found no room in the queue; what fires is sent again with its next turn.",
);
static LATENCY: Family = Family::new(
    "prometheus_notifications_latency_seconds",
    MetricKind::Summary,
    "Latency quantiles for sending alert notifications.",
);
static LENGTH: Family = Family::gauge(
    "prometheus_notifications_queue_length",
    "The number of alerts that wait for an Alertmanager or are being sent.",
);
static QUEUE_CAPACITY: Family =
    Family::gauge("prometheus_notifications_queue_capacity", "The capacity of each Alertmanager's queue.");
static DISCOVERED: Family = Family::gauge(
    "prometheus_notifications_alertmanagers_discovered",
    "The number of Alertmanagers that alerts are handed to.",
);

/// Prometheus'.
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99")];
/// Quantiles are of the messages of so long, as in Prometheus, and of so many at most.
const WINDOW: Duration = Duration::from_mins(10);
const MOST: usize = 1024;

/// What was sent to one Alertmanager.
#[derive(Debug, Default)]
pub(super) struct Stats {
    sent: AtomicU64,
    errors: AtomicU64,
    latency: Mutex<Latency>,
}

#[derive(Debug, Default)]
struct Latency {
    recent: VecDeque<(Instant, f64)>,
    sum: f64,
    count: u64,
}

impl Stats {
    /// A message about so many alerts has ended.
    pub(super) fn sent(&self, alerts: usize, success: bool, took: Duration) {
        self.sent.fetch_add(alerts as u64, Ordering::Relaxed);
        if !success {
            self.errors.fetch_add(alerts as u64, Ordering::Relaxed);
        }
        let mut latency = self.latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.observe(Instant::now(), took.as_secs_f64());
    }
}

impl Latency {
    fn observe(&mut self, now: Instant, seconds: f64) {
        self.sum += seconds;
        self.count += 1;
        self.recent.push_back((now, seconds));
        if self.recent.len() > MOST {
            self.recent.pop_front();
        }
    }

    /// Not a number when there was no message lately, as in Prometheus.
    fn quantile(&self, quantile: f64, now: Instant) -> f64 {
        let recent = self.recent.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= WINDOW);
        let mut recent: Vec<_> = recent.map(|(_, seconds)| *seconds).collect();
        recent.sort_by(f64::total_cmp);
        let rank = (quantile * recent.len() as f64).ceil() as usize;
        recent.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    fn points(&self, labels: &Labels, now: Instant) -> Vec<Point> {
        let quantiles = QUANTILES
            .iter()
            .map(|(quantile, name)| point(Suffix::None, labels.with("quantile", *name), self.quantile(*quantile, now)));
        let totals = [(Suffix::Sum, self.sum), (Suffix::Count, self.count as f64)];
        quantiles.chain(totals.map(|(suffix, value)| point(suffix, labels.clone(), value))).collect()
    }
}

/// The metrics of all; none while alerts are handed to nobody.
pub(super) fn blocks(senders: &[Arc<Sender>]) -> Vec<Block> {
    if senders.is_empty() {
        return Vec::new();
    }
    let each = |family: &Family, value: &dyn Fn(&Sender) -> f64| {
        let point = |sender: &Arc<Sender>| point(Suffix::None, labels(sender), value(sender));
        Block { family: family.clone(), points: senders.iter().map(point).collect() }
    };
    let one = |family: &Family, value: f64| Block {
        family: family.clone(),
        points: vec![point(Suffix::None, Labels::empty(), value)],
    };
    let now = Instant::now();
    let latencies = senders.iter().flat_map(|sender| {
        let latency = sender.stats().latency.lock().unwrap_or_else(PoisonError::into_inner);
        latency.points(&labels(sender), now)
    });
    vec![
        each(&SENT, &|sender| sender.stats().sent.load(Ordering::Relaxed) as f64),
        each(&ERRORS, &|sender| sender.stats().errors.load(Ordering::Relaxed) as f64),
        each(&DROPPED, &|sender| sender.queue().counts().1 as f64),
        Block { family: LATENCY.clone(), points: latencies.collect() },
        each(&LENGTH, &|sender| sender.queue().counts().0 as f64),
        one(&QUEUE_CAPACITY, CAPACITY as f64),
        one(&DISCOVERED, senders.len() as f64),
    ]
}

fn labels(sender: &Sender) -> Labels {
    Labels::new([("alertmanager", sender.url())])
}

fn point(suffix: Suffix, labels: Labels, value: f64) -> Point {
    Point { suffix, labels, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_last_ten_minutes() {
        let (mut latency, start) = (Latency::default(), Instant::now());
        assert!(latency.quantile(0.5, start).is_nan());
        for hundredth in 1..=100_u32 {
            latency.observe(start, f64::from(hundredth) / 100.0);
        }
        let quantiles = QUANTILES.map(|(quantile, _)| latency.quantile(quantile, start).to_string());
        assert_eq!(quantiles, ["0.5", "0.9", "0.99"]);
        let later = start + WINDOW + Duration::from_secs(1);
        latency.observe(later, 7.0);
        assert_eq!(latency.quantile(0.5, later).to_string(), "7");
        assert_eq!((latency.count, latency.recent.len()), (101, 101));
        for _ in 0..2 * MOST {
            latency.observe(later, 1.0);
        }
        assert_eq!(latency.recent.len(), MOST);
    }
}
