//! What the agent says of its own notifications: with Alertmanager's names and meanings, and under our own.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::model::Millis;

use super::channels::{FailureReason, IntegrationId};
use super::queue::Backlog;

/// From a tenth of what a message shall take at most to the longest waits that groups and retries make.
const LATENCY: [f64; 15] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];
/// Alertmanager's.
const ATTEMPT: [f64; 5] = [1.0, 5.0, 10.0, 15.0, 20.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct To {
    receiver: String,
    integration: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Failed {
    receiver: String,
    integration: &'static str,
    reason: &'static str,
}

/// As Alertmanager labels with its feature `receiver-name-in-metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Theirs {
    integration: &'static str,
    receiver_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TheirsFailed {
    integration: &'static str,
    receiver_name: String,
    reason: &'static str,
}

/// What others posted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Received {
    status: &'static str,
    version: &'static str,
}

/// The API by which they did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Api {
    version: &'static str,
}

impl From<&IntegrationId> for To {
    fn from(id: &IntegrationId) -> Self {
        Self { receiver: id.receiver.to_string(), integration: id.kind }
    }
}

impl From<&IntegrationId> for Theirs {
    fn from(id: &IntegrationId) -> Self {
        Self { integration: id.kind, receiver_name: id.receiver.to_string() }
    }
}

/// Counters of the notifier. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    notifications: Family<To, Counter>,
    failed: Family<Failed, Counter>,
    requests: Family<To, Counter>,
    requests_failed: Family<To, Counter>,
    last_success: Family<To, Gauge<f64, AtomicU64>>,
    latency: Family<To, Histogram>,
    their_notifications: Family<Theirs, Counter>,
    their_failed: Family<TheirsFailed, Counter>,
    their_requests: Family<Theirs, Counter>,
    their_requests_failed: Family<Theirs, Counter>,
    their_latency: Family<Theirs, Histogram>,
    received: Family<Received, Counter>,
    received_invalid: Family<Api, Counter>,
    dropped: Counter,
    alerts: Gauge,
    backlogs: Backlogs,
    outbox_bytes: Gauge,
    outbox_records: Gauge,
    outbox_failures: Counter,
    unstored: Counter,
    canary_success: Family<To, Gauge<f64, AtomicU64>>,
    canary_delay: Family<To, Gauge<f64, AtomicU64>>,
    /// Of one series, so that it is absent before it has a value.
    canary_ping: Family<Vec<(String, String)>, Gauge<f64, AtomicU64>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            notifications: Family::default(),
            failed: Family::default(),
            requests: Family::default(),
            requests_failed: Family::default(),
            last_success: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY)),
            their_notifications: Family::default(),
            their_failed: Family::default(),
            their_requests: Family::default(),
            their_requests_failed: Family::default(),
            their_latency: Family::new_with_constructor(|| Histogram::new(ATTEMPT)),
            received: Family::default(),
            received_invalid: Family::default(),
            dropped: Counter::default(),
            alerts: Gauge::default(),
            backlogs: Backlogs::default(),
            outbox_bytes: Gauge::default(),
            outbox_records: Gauge::default(),
            outbox_failures: Counter::default(),
            unstored: Counter::default(),
            canary_success: Family::default(),
            canary_delay: Family::default(),
            canary_ping: Family::default(),
        }
    }
}

impl Metrics {
    /// Registers everything. Call it once per registry; the prefix is part of the names.
    pub fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register(
            "sidewatch_notifications",
            "Notifications that were sent or given up, as alertmanager_notifications_total",
            own.notifications.clone(),
        );
        registry.register(
            "sidewatch_notifications_failed",
            "Notifications that were given up, by reason, as alertmanager_notifications_failed_total",
            own.failed.clone(),
        );
        registry.register(
            "sidewatch_notification_requests",
            "Attempts at notifications, as alertmanager_notification_requests_total",
            own.requests.clone(),
        );
        registry.register(
            "sidewatch_notification_requests_failed",
            "Attempts at notifications that failed, as alertmanager_notification_requests_failed_total",
            own.requests_failed.clone(),
        );
        registry.register(
            "sidewatch_notification_last_success_timestamp_seconds",
            "When a notification was last delivered, in seconds since the epoch; absent before the first",
            own.last_success.clone(),
        );
        registry.register(
            "sidewatch_notification_latency_seconds",
            "From the evaluation that decided it, group_wait and retries included, until a notification was delivered; without reminders",
            own.latency.clone(),
        );
        registry.register(
            "sidewatch_notifications_dropped",
            "Notifications and alerts dropped because a queue was full",
            own.dropped.clone(),
        );
        registry.register("sidewatch_notifier_alerts", "Alerts that fire and are in a group", own.alerts.clone());
        registry.register_collector(Box::new(own.backlogs.clone()));
        own.register_outbox(registry);
        own.register_canary(registry);
        own.register_theirs(registry);
        own
    }

    fn register_outbox(&self, registry: &mut Registry) {
        registry.register("sidewatch_outbox_bytes", "Size of the outbox on disk, in bytes", self.outbox_bytes.clone());
        registry.register(
            "sidewatch_outbox_records",
            "Records in the outbox on disk: notifications, what receivers were told, and the alerts these speak of",
            self.outbox_records.clone(),
        );
        registry.register(
            "sidewatch_outbox_write_errors",
            "Writes to the outbox that the disk refused; they are tried again",
            self.outbox_failures.clone(),
        );
        registry.register(
            "sidewatch_outbox_unstored",
            "Records that are in memory alone, since the outbox is full or the disk did not answer",
            self.unstored.clone(),
        );
    }

    fn register_canary(&self, registry: &mut Registry) {
        registry.register(
            "sidewatch_canary_last_success_timestamp_seconds",
            "When a canary last arrived, in seconds since the epoch; absent before the first",
            self.canary_success.clone(),
        );
        registry.register(
            "sidewatch_canary_delay_seconds",
            "From the evaluation that fired the canary that arrived last until it was known to have arrived",
            self.canary_delay.clone(),
        );
        registry.register(
            "sidewatch_canary_last_ping_timestamp_seconds",
            "When the dead man's switch was last pinged, in seconds since the epoch; absent before the first",
            self.canary_ping.clone(),
        );
    }

    fn register_theirs(&self, registry: &mut Registry) {
        registry.register(
            "alertmanager_notifications",
            "The total number of attempted notifications",
            self.their_notifications.clone(),
        );
        registry.register(
            "alertmanager_notifications_failed",
            "The total number of failed notifications",
            self.their_failed.clone(),
        );
        registry.register(
            "alertmanager_notification_requests",
            "The total number of attempted notification requests",
            self.their_requests.clone(),
        );
        registry.register(
            "alertmanager_notification_requests_failed",
            "The total number of failed notification requests",
            self.their_requests_failed.clone(),
        );
        registry.register(
            "alertmanager_notification_latency_seconds",
            "The latency of notifications in seconds",
            self.their_latency.clone(),
        );
        for status in ["firing", "resolved"] {
            drop(self.received.get_or_create(&Received { status, version: "v2" }));
        }
        drop(self.received_invalid.get_or_create(&Api { version: "v2" }));
        registry.register("alertmanager_alerts_received", "The total number of received alerts", self.received.clone());
        registry.register(
            "alertmanager_alerts_invalid",
            "The total number of received alerts that were invalid",
            self.received_invalid.clone(),
        );
    }

    /// Makes an integration's counters appear with zeros, so that their first step is seen as an increase.
    pub(super) fn expect(&self, id: &IntegrationId, backlog: &Arc<Backlog>) {
        for family in [&self.notifications, &self.requests, &self.requests_failed] {
            drop(family.get_or_create(&id.into()));
        }
        for family in [&self.their_notifications, &self.their_requests, &self.their_requests_failed] {
            drop(family.get_or_create(&id.into()));
        }
        for reason in FailureReason::ALL {
            drop(self.failed.get_or_create(&failed(id, reason)));
            drop(self.their_failed.get_or_create(&their_failed(id, reason)));
        }
        drop(self.latency.get_or_create(&id.into()));
        self.backlogs.add(id, backlog);
    }

    /// An attempt has ended.
    pub(super) fn attempted(&self, id: &IntegrationId, success: bool, took: Duration) {
        self.requests.get_or_create(&id.into()).inc();
        self.their_requests.get_or_create(&id.into()).inc();
        self.their_latency.get_or_create(&id.into()).observe(took.as_secs_f64());
        if !success {
            self.requests_failed.get_or_create(&id.into()).inc();
            self.their_requests_failed.get_or_create(&id.into()).inc();
        }
    }

    /// A notification was delivered. What it says was decided at that time; nothing for reminders.
    pub(super) fn delivered(&self, id: &IntegrationId, decided: Option<Millis>, now: Millis) {
        self.notifications.get_or_create(&id.into()).inc();
        self.their_notifications.get_or_create(&id.into()).inc();
        self.last_success.get_or_create(&id.into()).set(now.as_seconds());
        if let Some(decided) = decided {
            self.latency.get_or_create(&id.into()).observe(now.since(decided).as_secs_f64());
        }
    }

    /// A notification was given up.
    pub(super) fn gave_up(&self, id: &IntegrationId, reason: FailureReason) {
        self.notifications.get_or_create(&id.into()).inc();
        self.their_notifications.get_or_create(&id.into()).inc();
        self.failed.get_or_create(&failed(id, reason)).inc();
        self.their_failed.get_or_create(&their_failed(id, reason)).inc();
    }

    /// The canary that fired at `start` has arrived.
    pub(super) fn canary_arrived(&self, id: &IntegrationId, start: Millis, now: Millis) {
        self.canary_success.get_or_create(&id.into()).set(now.as_seconds());
        self.canary_delay.get_or_create(&id.into()).set(now.since(start).as_secs_f64());
    }

    /// The dead man's switch was pinged.
    pub(super) fn canary_pinged(&self, now: Millis) {
        self.canary_ping.get_or_create(&Vec::new()).set(now.as_seconds());
    }

    /// After a reload: times of what is told no more, or gets no canary any more, say nothing.
    pub(super) fn keep_times<'i>(&self, before: impl Iterator<Item = &'i IntegrationId>, kept: &KeptTimes<'_>) {
        let is_among =
            |id: &IntegrationId, kept: &[IntegrationId]| kept.iter().any(|known| To::from(known) == id.into());
        for id in before {
            if !is_among(id, kept.told) {
                self.last_success.remove(&id.into());
            }
            if !is_among(id, kept.canaries) {
                self.canary_success.remove(&id.into());
                self.canary_delay.remove(&id.into());
            }
        }
        if !kept.ping {
            self.canary_ping.clear();
        }
    }

    /// Somebody posted an alert, which fires or has ended.
    pub(super) fn received(&self, fires: bool) {
        let status = if fires { "firing" } else { "resolved" };
        self.received.get_or_create(&Received { status, version: "v2" }).inc();
    }

    /// It could not be one.
    pub(super) fn received_invalid(&self) {
        self.received_invalid.get_or_create(&Api { version: "v2" }).inc();
    }

    /// Something found no room.
    pub(super) fn dropped(&self, count: usize) {
        self.dropped.inc_by(count as u64);
    }

    /// How many alerts fire now.
    pub(super) fn active(&self, count: usize) {
        self.alerts.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The outbox was written; so many records found no room.
    pub(super) fn stored(&self, bytes: u64, records: usize, refused: usize) {
        self.outbox_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.outbox_records.set(i64::try_from(records).unwrap_or(i64::MAX));
        self.unstored.inc_by(refused as u64);
    }

    /// The disk refused.
    pub(super) fn store_failed(&self) {
        self.outbox_failures.inc();
    }

    /// A notification goes out without being on disk.
    pub(super) fn unstored(&self) {
        self.unstored.inc();
    }
}

/// Of what there are times after a reload.
pub(super) struct KeptTimes<'k> {
    /// Who is told.
    pub(super) told: &'k [IntegrationId],
    /// Who gets canaries.
    pub(super) canaries: &'k [IntegrationId],
    /// Whether a dead man's switch is pinged.
    pub(super) ping: bool,
}

fn failed(id: &IntegrationId, reason: FailureReason) -> Failed {
    let To { receiver, integration } = id.into();
    Failed { receiver, integration, reason: reason.as_str() }
}

fn their_failed(id: &IntegrationId, reason: FailureReason) -> TheirsFailed {
    let Theirs { integration, receiver_name } = id.into();
    TheirsFailed { integration, receiver_name, reason: reason.as_str() }
}

/// What waits for each integration, read when somebody asks.
#[derive(Debug, Clone, Default)]
struct Backlogs(Arc<Mutex<Vec<Kept>>>);

/// What waits for an integration, while there is one.
type Kept = (IntegrationId, Weak<Backlog>);

impl Backlogs {
    fn add(&self, id: &IntegrationId, backlog: &Arc<Backlog>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of an integration that a reload replaced, the old one has handed back what it had.
        all.retain(|(known, backlog)| known != id && backlog.strong_count() > 0);
        all.push((id.clone(), Arc::downgrade(backlog)));
    }

    /// Length, and the time of the oldest, of each receiver's kind of channel.
    fn shown(&self) -> Vec<(To, usize, Option<Millis>)> {
        let mut shown: Vec<(To, usize, Option<Millis>)> = Vec::new();
        for (id, backlog) in &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            let Some(backlog) = backlog.upgrade() else { continue };
            let (to, length, oldest) = (To::from(id), backlog.length(), backlog.oldest());
            match shown.iter_mut().find(|(known, ..)| *known == to) {
                Some((_, all, first)) => {
                    *all += length;
                    *first = [*first, oldest].into_iter().flatten().min();
                }
                None => shown.push((to, length, oldest)),
            }
        }
        shown
    }
}

impl Collector for Backlogs {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (shown, now) = (self.shown(), Millis::now());
        let mut family = encoder.encode_descriptor(
            "sidewatch_notification_queue_length",
            "Notifications that a receiver has not taken yet, waiting or being tried",
            None,
            MetricType::Gauge,
        )?;
        for (to, length, _) in &shown {
            let length = i64::try_from(*length).unwrap_or(i64::MAX);
            ConstGauge::new(length).encode(family.encode_family(to)?)?;
        }
        let mut family = encoder.encode_descriptor(
            "sidewatch_notification_queue_oldest_seconds",
            "Age of the oldest notification that a receiver has not taken yet; 0 when it has taken all",
            None,
            MetricType::Gauge,
        )?;
        for (to, _, oldest) in &shown {
            let age = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
            ConstGauge::new(age).encode(family.encode_family(to)?)?;
        }
        Ok(())
    }
}
