//! What the agent says of its own notifications, with Alertmanager's meanings under our prefix.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::model::Millis;

use super::channels::{FailureReason, IntegrationId};

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

impl From<&IntegrationId> for To {
    fn from(id: &IntegrationId) -> Self {
        Self { receiver: id.receiver.to_string(), integration: id.kind }
    }
}

/// Counters of the notifier. Cheap to clone; clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    notifications: Family<To, Counter>,
    failed: Family<Failed, Counter>,
    requests: Family<To, Counter>,
    requests_failed: Family<To, Counter>,
    last_success: Family<To, Gauge<f64, AtomicU64>>,
    dropped: Counter,
    alerts: Gauge,
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
            "sidewatch_notifications_dropped",
            "Notifications and alerts dropped because a queue was full",
            own.dropped.clone(),
        );
        registry.register("sidewatch_notifier_alerts", "Alerts that fire and are in a group", own.alerts.clone());
        own
    }

    /// Makes an integration's counters appear with zeros, so that their first step is seen as an increase.
    pub(super) fn expect(&self, id: &IntegrationId) {
        for family in [&self.notifications, &self.requests, &self.requests_failed] {
            drop(family.get_or_create(&id.into()));
        }
        for reason in FailureReason::ALL {
            drop(self.failed.get_or_create(&failed(id, reason)));
        }
    }

    /// An attempt has ended.
    pub(super) fn attempted(&self, id: &IntegrationId, success: bool) {
        self.requests.get_or_create(&id.into()).inc();
        if !success {
            self.requests_failed.get_or_create(&id.into()).inc();
        }
    }

    /// A notification was delivered.
    pub(super) fn delivered(&self, id: &IntegrationId, now: Millis) {
        self.notifications.get_or_create(&id.into()).inc();
        self.last_success.get_or_create(&id.into()).set(now.as_seconds());
    }

    /// A notification was given up.
    pub(super) fn gave_up(&self, id: &IntegrationId, reason: FailureReason) {
        self.notifications.get_or_create(&id.into()).inc();
        self.failed.get_or_create(&failed(id, reason)).inc();
    }

    /// Something found no room.
    pub(super) fn dropped(&self, count: usize) {
        self.dropped.inc_by(count as u64);
    }

    /// How many alerts fire now.
    pub(super) fn active(&self, count: usize) {
        self.alerts.set(i64::try_from(count).unwrap_or(i64::MAX));
    }
}

fn failed(id: &IntegrationId, reason: FailureReason) -> Failed {
    let To { receiver, integration } = id.into();
    Failed { receiver, integration, reason: reason.as_str() }
}
