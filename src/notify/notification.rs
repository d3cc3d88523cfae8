//! One message to one receiver about one group.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::model::{Alert, Labels, Millis};

use super::aside::Asides;
use super::channels::Receipt;
use super::identity::digest;

/// Why a receiver hears of a group, in the words of Alertmanager's `notification_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It was not told before, or what it was told of is over.
    First,
    /// An alert fires that did not when it was last told.
    NewAlerts,
    /// Some ended, others still fire.
    SomeResolved,
    /// Nothing fires any more.
    AllResolved,
    /// Nothing changed, but it was told long ago.
    Repeat,
}

impl Reason {
    /// As Alertmanager (0.32 and later) writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// What a channel sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// The receiver's name.
    pub receiver: Arc<str>,
    /// Which of the receiver's channels: its kind, and which of this kind.
    pub integration: (&'static str, usize),
    /// The group's key, as Alertmanager writes it.
    pub group_key: Arc<str>,
    /// The labels that name the group.
    pub group_labels: Labels,
    /// The alerts to tell of, sorted as Alertmanager sorts them. Never empty.
    pub alerts: Vec<Arc<Alert>>,
    /// Why.
    pub reason: Reason,
    /// Where the agent is found, without a slash at the end.
    pub external_url: Arc<str>,
    /// When the group was flushed, by the wall clock.
    pub at: Millis,
    /// What the channel gave back when it last told of this group; nothing if it was not told since the group began to fire.
    pub receipt: Receipt,
    /// An attempt at this notification ended such that it is not known whether it arrived, or may have before a restart.
    pub possible_duplicate: bool,
    /// What is said beside what the rules say.
    pub asides: Asides,
}

impl Notification {
    /// Whether any alert fires, which makes the whole message a firing one.
    pub fn is_firing(&self) -> bool {
        self.alerts.iter().any(|alert| alert.ends_at.is_none())
    }

    /// `firing` or `resolved`.
    pub fn status(&self) -> &'static str {
        if self.is_firing() { "firing" } else { "resolved" }
    }

    /// The alerts that fire.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().map(AsRef::as_ref).filter(|alert| alert.ends_at.is_none())
    }

    /// The alerts that have ended.
    pub fn resolved(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().map(AsRef::as_ref).filter(|alert| alert.ends_at.is_some())
    }

    /// The same for every attempt at this message and different for every other message.
    pub fn id(&self) -> String {
        let ((kind, index), at) = (self.integration, self.at.0.to_string());
        digest(&[&self.receiver, kind, &index.to_string(), &self.group_key, &at, self.status()], 32)
    }
}

/// The pairs that all of some sets have.
pub fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else {
        return Labels::empty();
    };
    sets.fold(first.clone(), |shared, set| shared.without(|name| set.get(name) != shared.get(name)))
}

/// Alertmanager's order of alerts: by `job`, by `instance` (those without come last), then by all labels.
pub fn in_order(a: &Alert, b: &Alert) -> Ordering {
    let by = |name: &str| match (a.labels.get(name), b.labels.get(name)) {
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (a, b) => a.cmp(&b),
    };
    by("job").then_with(|| by("instance")).then_with(|| label_sets(&a.labels, &b.labels))
}

/// `LabelSet.Before`: fewer labels first; then the first name that only one of them has, or whose values differ.
fn label_sets(a: &Labels, b: &Labels) -> Ordering {
    let by_pair = || {
        let different = a.iter().zip(b.iter()).find(|(x, y)| x != y);
        match different {
            None => Ordering::Equal,
            // The set that lacks the smaller name comes first.
            Some(((x, _), (y, _))) if x != y => y.cmp(x),
            Some(((_, x), (_, y))) => x.cmp(y),
        }
    };
    a.len().cmp(&b.len()).then_with(by_pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::channels::testing;

    #[test]
    fn each_channel_of_a_receiver_has_messages_of_its_own() {
        let by = |kind, index| Notification { integration: (kind, index), ..testing::firing("app") }.id();
        assert_eq!(by("email", 0), by("email", 0));
        assert_ne!(by("email", 0), by("email", 1));
        assert_ne!(by("email", 0), by("webhook", 0));
    }

    #[test]
    fn what_is_common_is_what_all_have() {
        let sets = [Labels::new([("a", "1"), ("b", "2"), ("c", "3")]), Labels::new([("a", "1"), ("b", "x")])];
        assert_eq!(common(sets.iter()), Labels::new([("a", "1")]));
        assert_eq!(common([].iter()), Labels::empty());
    }

    #[test]
    fn alerts_are_ordered_by_job_and_instance_then_by_labels() {
        let alert = |labels: &[(&str, &str)]| Alert {
            labels: Labels::new(labels.iter().copied()),
            annotations: Labels::empty(),
            starts_at: Millis(0),
            ends_at: None,
            value: 1.0,
            generator_url: String::new(),
        };
        let mut alerts = [
            alert(&[("x", "1")]),
            alert(&[("w", "1")]),
            alert(&[("a", "1"), ("x", "1")]),
            alert(&[("instance", "b")]),
            alert(&[("instance", "a")]),
            alert(&[("job", "z")]),
        ];
        alerts.sort_by(in_order);
        let order: Vec<_> = alerts.iter().map(|alert| alert.labels.to_string()).collect();
        assert_eq!(
            order,
            [r#"{job="z"}"#, r#"{instance="a"}"#, r#"{instance="b"}"#, r#"{x="1"}"#, r#"{w="1"}"#, r#"{a="1", x="1"}"#]
        );
    }
}
