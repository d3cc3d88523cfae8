//! What the journal's records hold: JSON, packed. Their names say which of them belong together.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{Alert, Labels, Millis};
use crate::notify::channels::{IntegrationId, Receipt};
use crate::notify::failing::Subject;
use crate::notify::identity::digest;

/// A group's alerts as they were at one flush.
pub(super) fn alerts_name(flush: u64) -> Arc<str> {
    format!("alerts/{flush}").into()
}

/// The flush whose alerts stand under this name.
pub(super) fn alerts_flush(name: &str) -> Option<u64> {
    name.strip_prefix("alerts/")?.parse().ok()
}

/// What one integration is told of one group, in three records.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// An [`UntoldRecord`], until the channel says yes.
    pub(super) untold: Arc<str>,
    /// Stands beside the former from when the channel gets it until it is known not to have it.
    pub(super) handed: Arc<str>,
    /// A [`ToldRecord`].
    pub(super) told: Arc<str>,
}

impl Names {
    pub(super) fn new(group: &str, to: &IntegrationId) -> Self {
        Self::of(group, &to.to_string())
    }

    fn of(group: &str, to: &str) -> Self {
        let digest = digest(&[group, to], 32);
        let name = |kind: &str| format!("{kind}/{digest}").into();
        Self { untold: name("untold"), handed: name("handed"), told: name("told") }
    }
}

/// An integration's name; the kind is a text, since the program that reads may not know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct To {
    receiver: String,
    kind: String,
    index: usize,
}

impl From<&IntegrationId> for To {
    fn from(id: &IntegrationId) -> Self {
        Self { receiver: id.receiver.to_string(), kind: id.kind.to_owned(), index: id.index }
    }
}

impl To {
    /// Whether this names that integration.
    pub(super) fn is(&self, id: &IntegrationId) -> bool {
        *self.receiver == *id.receiver && self.kind == id.kind && self.index == id.index
    }

    pub(super) fn receiver(&self) -> &str {
        &self.receiver
    }

    /// The names of the records about a group, also when there is no such integration any more.
    pub(super) fn names(&self, group: &str) -> Names {
        Names::of(group, &format!("{}/{}[{}]", self.receiver, self.kind, self.index))
    }
}

/// A notification that is to be sent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UntoldRecord {
    pub(super) group: String,
    pub(super) to: To,
    pub(super) flush: u64,
    /// Its time, which is part of what makes it the same when it is sent again.
    pub(super) at: i64,
    /// So long it was to be tried.
    pub(super) until: i64,
}

/// What an integration was last told of a group.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ToldRecord {
    pub(super) group: String,
    pub(super) to: To,
    pub(super) flush: u64,
    pub(super) firing: BTreeSet<u64>,
    pub(super) resolved: BTreeSet<u64>,
    pub(super) at: i64,
    pub(super) ends: i64,
    pub(super) receipt: Text,
}

/// A receipt.
type Text = Option<String>;

pub(super) fn receipt_text(receipt: &Receipt) -> Text {
    receipt.as_deref().map(str::to_owned)
}

#[derive(Debug, Serialize, Deserialize)]
struct AlertRecord<'a> {
    labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    annotations: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    starts_at: i64,
    ends_at: Option<i64>,
    /// Of one that fires, the end that its poster named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stated_end: Option<i64>,
    /// Its bits: JSON has no infinities.
    value: u64,
    generator_url: Cow<'a, str>,
}

fn pairs(labels: &Labels) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    labels.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn labels(pairs: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Labels {
    Labels::new(pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())))
}

impl<'a> From<&'a Alert> for AlertRecord<'a> {
    fn from(alert: &'a Alert) -> Self {
        Self {
            labels: pairs(&alert.labels),
            annotations: pairs(&alert.annotations),
            starts_at: alert.starts_at.0,
            ends_at: alert.ends_at.map(|at| at.0),
            stated_end: None,
            value: alert.value.to_bits(),
            generator_url: alert.generator_url.as_str().into(),
        }
    }
}

impl From<AlertRecord<'_>> for Alert {
    fn from(record: AlertRecord<'_>) -> Self {
        Self {
            labels: labels(record.labels),
            annotations: labels(record.annotations),
            starts_at: Millis(record.starts_at),
            ends_at: record.ends_at.map(Millis),
            value: f64::from_bits(record.value),
            generator_url: record.generator_url.into_owned(),
        }
    }
}

/// An alert, and the end that was said of one that fires.
pub(super) type Ending<A> = (A, Option<Millis>);

/// A flush's alerts.
pub(super) fn pack_alerts(alerts: &[Ending<Arc<Alert>>]) -> Vec<u8> {
    let records = alerts.iter().map(|(alert, end)| {
        let mut record = AlertRecord::from(&**alert);
        record.stated_end = end.map(|at| at.0);
        record
    });
    pack(&records.collect::<Vec<_>>())
}

/// What [`pack_alerts`] packed.
pub(super) fn unpack_alerts(bytes: &[u8]) -> Option<Vec<Ending<Alert>>> {
    let ending = |record: AlertRecord<'_>| {
        let end = record.stated_end.map(Millis);
        (Alert::from(record), end)
    };
    Some(unpack::<Vec<AlertRecord<'static>>>(bytes)?.into_iter().map(ending).collect())
}

/// Something that fails, and the alert about it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FailingRecord<'a> {
    what: Cow<'a, str>,
    to: Option<To>,
    alert: AlertRecord<'a>,
}

impl<'a> FailingRecord<'a> {
    pub(super) fn new(subject: &'a Subject, alert: &'a Alert) -> Self {
        Self { what: subject.kind().into(), to: subject.integration().map(To::from), alert: alert.into() }
    }

    /// What fails; nothing when that is none of these integrations.
    pub(super) fn subject(&self, integrations: &[IntegrationId]) -> Option<Subject> {
        let known = |to: &To| integrations.iter().find(|id| to.is(id)).cloned();
        match &self.to {
            Some(to) => Subject::of(&self.what, Some(known(to)?)),
            None => Subject::of(&self.what, None),
        }
    }

    pub(super) fn into_alert(self) -> Alert {
        self.alert.into()
    }
}

/// The name of a [`FailingRecord`].
pub(super) fn failing_name(subject: &Subject) -> Arc<str> {
    let to = subject.integration().map(ToString::to_string).unwrap_or_default();
    format!("failing/{}", digest(&[subject.kind(), &to], 32)).into()
}

/// Alerts of a group resemble each other, so packing makes a tenth of them.
pub(super) fn pack<T: Serialize>(record: &T) -> Vec<u8> {
    let json = serde_json::to_vec(record).unwrap_or_default();
    snap::raw::Encoder::new().compress_vec(&json).unwrap_or_default()
}

/// Nothing when the bytes are not what [`pack`] gave for such a record.
pub(super) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(&snap::raw::Decoder::new().decompress_vec(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_come_back_as_they_were() {
        let alert = Alert {
            labels: Labels::new([("alertname", "Down"), ("q", "\"\\\n\u{1}é")]),
            annotations: Labels::new([("summary", "x <y>")]),
            starts_at: Millis(-5),
            ends_at: Some(Millis(1_795_230_245_120)),
            value: f64::INFINITY,
            generator_url: "http://h/g?x=1&y=2".into(),
        };
        let open = Alert { ends_at: None, value: -0.25, ..alert.clone() };
        let alerts = [(Arc::new(alert), None), (Arc::new(open), Some(Millis(7)))];
        let back = unpack_alerts(&pack_alerts(&alerts)).unwrap();
        assert_eq!(back.into_iter().map(|(alert, end)| (Arc::new(alert), end)).collect::<Vec<_>>(), alerts);
        assert!(unpack_alerts(b"nonsense").is_none());
    }

    #[test]
    fn integrations_of_one_receiver_have_names_of_their_own() {
        let id = |kind, index| IntegrationId { receiver: "on-call".into(), kind, index };
        let names = [("a", id("email", 0)), ("a", id("email", 1)), ("a", id("webhook", 0)), ("b", id("email", 0))]
            .map(|(group, id)| Names::new(group, &id).told);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 4);
        assert!(To::from(&id("email", 1)).is(&id("email", 1)) && !To::from(&id("email", 1)).is(&id("email", 0)));
    }
}
