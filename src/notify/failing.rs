//! Alerts of our own about receivers that take nothing, or that the canary does not reach, for other receivers to hear.
//!
//! Invariants: whoever fails never hears of its own failing, and that such an alert could not be told makes no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Alert, Labels, Millis};

use super::canary::alerts::FAILING;
use super::channels::{FailureReason, IntegrationId};
use super::route::{GroupBy, Route, Timing};

/// The alert's name.
pub const NAME: &str = "SidewatchNotificationsFailing";

/// What fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// This integration does not take what it is told.
    Notifications(IntegrationId),
    /// The canary does not arrive by this integration.
    Canary(IntegrationId),
    /// No canary is fired.
    CanaryMissing,
}

impl Subject {
    /// As it is written to disk, beside the integration.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Notifications(_) => "notifications",
            Self::Canary(_) => "canary",
            Self::CanaryMissing => "canary missing",
        }
    }

    /// What [`Self::kind`] was written for.
    pub(super) fn of(kind: &str, integration: Option<IntegrationId>) -> Option<Self> {
        match (kind, integration) {
            ("notifications", Some(id)) => Some(Self::Notifications(id)),
            ("canary", Some(id)) => Some(Self::Canary(id)),
            ("canary missing", None) => Some(Self::CanaryMissing),
            _ => None,
        }
    }

    /// The integration that fails.
    pub(super) fn integration(&self) -> Option<&IntegrationId> {
        match self {
            Self::Notifications(id) | Self::Canary(id) => Some(id),
            Self::CanaryMissing => None,
        }
    }
}

/// The way by which an alert about a failing goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// Where the routes of the configuration lead it.
    ByRoutes,
    /// To this receiver, since those that the routes name do not work.
    Instead(Arc<str>),
}

impl Way {
    /// The route of an alert with these labels; nothing: those of the configuration.
    pub(super) fn route(&self, labels: &Labels, timing: Timing) -> Option<Route> {
        let Self::Instead(receiver) = self else { return None };
        let by = GroupBy::Labels(vec!["alertname".into(), "receiver".into(), "integration".into()]);
        let key = route_key(labels, receiver);
        Some(Route { id: key.clone(), key, ..Route::root(receiver.to_string(), by, timing) })
    }
}

/// The key of the route that leads an alert about a failing to another receiver.
pub(super) fn route_key(labels: &Labels, receiver: &str) -> String {
    format!("{{}}/{{{}->{receiver}}}", labels.get("receiver").unwrap_or_default())
}

/// What fails, and the alert about each.
#[derive(Debug, Default)]
pub(super) struct Failing {
    all: BTreeMap<Subject, Alert>,
    /// By which way each alert was told. Without one, nobody was told.
    ways: BTreeMap<Labels, Way>,
    /// Those that are not on disk as they are.
    changed: BTreeSet<Subject>,
}

impl Failing {
    /// An integration has given a notification up: [`Failing::fires`].
    pub(super) fn failed(&mut self, id: &IntegrationId, reason: FailureReason, what: &str, now: Millis) -> Vec<Alert> {
        self.fires(&Subject::Notifications(id.clone()), alert(id, reason, what, now), now)
    }

    /// Something fails. The alerts that change: first one that ended, if the labels are others than before, then the one
    /// that fires.
    pub(super) fn fires(&mut self, subject: &Subject, fresh: Alert, now: Millis) -> Vec<Alert> {
        let mut changed = Vec::new();
        if let Some(known) = self.all.get(subject) {
            if known.labels == fresh.labels {
                return changed;
            }
            changed.extend(self.ends(subject, now));
        }
        self.all.insert(subject.clone(), fresh.clone());
        self.changed.insert(subject.clone());
        changed.push(fresh);
        changed
    }

    /// An integration has taken a notification, or is gone. The alert that ended, if it failed before.
    pub(super) fn recovered(&mut self, id: &IntegrationId, now: Millis) -> Option<Alert> {
        self.ends(&Subject::Notifications(id.clone()), now)
    }

    /// Something fails no more, or is gone. The alert that ended, if it failed before.
    pub(super) fn ends(&mut self, subject: &Subject, now: Millis) -> Option<Alert> {
        let ended = self.all.remove(subject)?;
        self.changed.insert(subject.clone());
        let still = self.all.values().any(|alert| alert.labels == ended.labels);
        (!still).then_some(Alert { ends_at: Some(now), ..ended })
    }

    /// Whether it fails in any way.
    pub(super) fn is_failing(&self, id: &IntegrationId) -> bool {
        self.all.keys().any(|subject| subject.integration() == Some(id))
    }

    /// Something failed when the agent ended before.
    pub(super) fn restore(&mut self, subject: Subject, alert: Alert) {
        self.all.insert(subject, alert);
    }

    /// What fails by now and did not, or other than at the last call; and what fails no more, without an alert.
    pub(super) fn take_changed(&mut self) -> Vec<(Subject, Option<Alert>)> {
        let changed = std::mem::take(&mut self.changed).into_iter();
        changed.map(|subject| (subject.clone(), self.all.get(&subject).cloned())).collect()
    }

    /// Notes by which way an alert is told; nothing: it is over.
    pub(super) fn note_way(&mut self, labels: &Labels, way: Option<Way>) {
        match way {
            Some(way) => drop(self.ways.insert(labels.clone(), way)),
            None => drop(self.ways.remove(labels)),
        }
    }

    /// By which way an alert was told.
    pub(super) fn way(&self, labels: &Labels) -> Option<&Way> {
        self.ways.get(labels)
    }

    /// All that fails.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Subject, &Alert)> {
        self.all.iter()
    }
}

/// Whether an alert is one of these.
pub(super) fn is_own(labels: &Labels) -> bool {
    matches!(labels.get("alertname"), Some(NAME | FAILING))
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
