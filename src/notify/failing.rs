//! An alert of our own about receivers that take nothing, for another receiver to hear.
//!
//! Invariants: whoever fails never hears of its own failing, and that this alert could not be told makes no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Alert, Labels, Millis};

use super::channels::{FailureReason, IntegrationId};

/// The alert's name.
pub(super) const NAME: &str = "SidewatchNotificationsFailing";

/// The integrations that fail, and the alert about each.
#[derive(Debug, Default)]
pub(super) struct Failing(BTreeMap<IntegrationId, Alert>);

impl Failing {
    /// An integration has given a notification up. The alerts that change: first one that ended, if the reason is another
    /// than before, then the one that fires.
    pub(super) fn failed(&mut self, id: &IntegrationId, reason: FailureReason, what: &str, now: Millis) -> Vec<Alert> {
        let mut changed = Vec::new();
        let fresh = alert(id, reason, what, now);
        if let Some(known) = self.0.get(id) {
            if known.labels == fresh.labels {
                return changed;
            }
            changed.extend(self.recovered(id, now));
        }
        self.0.insert(id.clone(), fresh.clone());
        changed.push(fresh);
        changed
    }

    /// An integration has taken a notification, or is gone. The alert that ended, if it failed before.
    pub(super) fn recovered(&mut self, id: &IntegrationId, now: Millis) -> Option<Alert> {
        let ended = self.0.remove(id)?;
        let still = self.0.values().any(|alert| alert.labels == ended.labels);
        (!still).then_some(Alert { ends_at: Some(now), ..ended })
    }

    /// Whether it fails.
    pub(super) fn is_failing(&self, id: &IntegrationId) -> bool {
        self.0.contains_key(id)
    }

    /// The integrations that fail.
    pub(super) fn all(&self) -> impl Iterator<Item = (&IntegrationId, &Alert)> {
        self.0.iter()
    }
}

/// Whether an alert is one of these.
pub(super) fn is_own(labels: &Labels) -> bool {
    labels.get("alertname") == Some(NAME)
}

/// Whether an alert says that this integration fails.
pub(super) fn is_about(labels: &Labels, id: &IntegrationId) -> bool {
    is_own(labels) && labels.get("receiver") == Some(&*id.receiver) && labels.get("integration") == Some(id.kind)
}

fn alert(id: &IntegrationId, reason: FailureReason, what: &str, now: Millis) -> Alert {
    let labels = [
        ("alertname", NAME),
        ("integration", id.kind),
        ("job", "sidewatch"),
        ("reason", reason.as_str()),
        ("receiver", &id.receiver),
        ("severity", "critical"),
    ];
    let summary = format!("{} is not told: notifications to it fail", id.receiver);
    let colon = if what.is_empty() { "" } else { ": " };
    let description = format!(
        "{id} did not take a notification ({}{colon}{what}). You hear this because it cannot. What it has not heard is kept and \
         tried again; look at its settings and at the service behind it.",
        reason.as_str()
    );
    Alert {
        labels: Labels::new(labels),
        annotations: Labels::new([("summary", Arc::from(summary)), ("description", Arc::<str>::from(description))]),
        starts_at: now,
        ends_at: None,
        value: 1.0,
        generator_url: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receivers_failing_is_one_alert_until_it_takes_a_message() {
        let id = |index| IntegrationId { receiver: "on-call".into(), kind: "webhook", index };
        let mut failing = Failing::default();
        let first = failing.failed(&id(0), FailureReason::ClientError, "answered 404", Millis(1));
        assert!(first.len() == 1 && is_about(&first[0].labels, &id(1)), "{first:?}");
        assert!(
            first[0].annotations.get("description").is_some_and(|text| text.contains("(clientError: answered 404)"))
        );
        assert!(failing.failed(&id(0), FailureReason::ClientError, "answered 410", Millis(2)).is_empty());
        let other = failing.failed(&id(0), FailureReason::Other, "", Millis(3));
        assert_eq!(other.iter().map(|alert| alert.ends_at).collect::<Vec<_>>(), [Some(Millis(3)), None]);
        assert!(failing.failed(&id(1), FailureReason::Other, "", Millis(4)).len() == 1);
        assert_eq!(failing.recovered(&id(0), Millis(5)), None, "the second still fails");
        assert!(failing.recovered(&id(1), Millis(6)).is_some_and(|alert| alert.ends_at == Some(Millis(6))));
        assert_eq!(failing.recovered(&id(1), Millis(7)), None);
    }
}
