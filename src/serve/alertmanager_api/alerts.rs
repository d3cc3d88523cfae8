//! `alerts` and `alerts/groups`: what fires, who hears of it, what holds it back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::model::{Labels, Millis};
use crate::notify::silence::SilenceId;
use crate::notify::{ActiveAlert, Episode, Note};
use crate::serve::Parts;

use super::answer::{ApiError, found};
use super::filter::{Asked, Filter};

/// `GET /api/v2/alerts`
pub async fn alerts(parts: Parts, asked: Asked) -> Result<Response, ApiError> {
    let filter = asked.filter()?;
    parts.notifier.caught_up().await;
    let (active, now) = (parts.notifier.alerts(), Millis::now());
    let alerts: BTreeMap<String, Known> =
        known(&parts, &active, now).into_values().map(|known| (known.fingerprint(), known)).collect();
    let heard = |known: &&Known| known.receivers.iter().any(|(_, name)| filter.takes_receiver(name));
    let shown: Vec<_> =
        alerts.values().filter(heard).filter(|it| it.is_asked(&filter)).map(|it| it.show(&[], it.waits)).collect();
    Ok(found(&shown.into()))
}

/// `GET /api/v2/alerts/groups`
pub async fn groups(parts: Parts, asked: Asked) -> Result<Response, ApiError> {
    let filter = asked.filter()?;
    parts.notifier.caught_up().await;
    let (active, now) = (parts.notifier.alerts(), Millis::now());
    let alerts = known(&parts, &active, now);
    let mut groups: BTreeMap<(&Labels, &str, &str), Vec<Value>> = BTreeMap::new();
    let heard = |alert: &&ActiveAlert| filter.takes_receiver(&alert.receiver);
    for alert in active.iter().filter(heard).filter(|alert| filter.muted || alert.muted_by.is_empty()) {
        if let Some(known) = alerts.get(&alert.fingerprint).filter(|known| known.is_asked(&filter)) {
            let group = (&alert.group_labels, &*alert.receiver, &*alert.group_key);
            groups.entry(group).or_default().push(known.show(&alert.muted_by, alert.waits));
        }
    }
    let show = |((labels, receiver, _), alerts): (&(&Labels, &str, &str), &Vec<Value>)| json!({"alerts": alerts, "labels": object(labels), "receiver": {"name": receiver}});
    let shown: Vec<_> = groups.iter().map(show).collect();
    Ok(found(&shown.into()))
}

/// An alert with all that is to be told of it.
struct Known<'a> {
    active: &'a ActiveAlert,
    /// In the order of the routes that lead to them.
    receivers: Vec<(usize, &'a Arc<str>)>,
    /// None of its groups has told anybody yet.
    waits: bool,
    ends_at: Millis,
    silenced_by: Vec<SilenceId>,
    acknowledged: Option<Note>,
}

/// Every alert once, by fingerprint.
fn known<'a>(parts: &Parts, active: &'a [ActiveAlert], now: Millis) -> BTreeMap<u64, Known<'a>> {
    let (notifier, timeout) = (&parts.notifier, parts.notifier.facts().resolve_timeout);
    let mut all: BTreeMap<u64, Known<'a>> = BTreeMap::new();
    for alert in active {
        let of = || Known {
            active: alert,
            receivers: Vec::new(),
            waits: true,
            // Our own alerts end when their rule says so; until then they are as if they were sent again all the time.
            ends_at: notifier.end_of(&alert.alert.labels).unwrap_or(now + timeout),
            silenced_by: notifier.silences().silencing(&alert.alert.labels, now),
            acknowledged: notifier.acknowledged().note(Episode::of(&alert.alert)),
        };
        let known = all.entry(alert.fingerprint).or_insert_with(of);
        known.receivers.push((alert.place, &alert.receiver));
        known.waits &= alert.waits;
    }
    for known in all.values_mut() {
        known.receivers.sort();
    }
    all
}

impl Known<'_> {
    fn fingerprint(&self) -> String {
        format!("{:016x}", self.active.fingerprint)
    }

    fn is_held_back(&self) -> bool {
        !self.silenced_by.is_empty() || self.active.inhibited_by.is_some()
    }

    fn is_asked(&self, filter: &Filter) -> bool {
        filter.takes(&self.active.alert.labels)
            && (filter.active || self.is_held_back())
            && (filter.silenced || self.silenced_by.is_empty())
            && (filter.inhibited || self.active.inhibited_by.is_none())
    }

    /// `muted_by`: the time intervals that keep its group quiet, where the group is shown. `waits`: whether that waits for others.
    fn show(&self, muted_by: &[Arc<str>], waits: bool) -> Value {
        let alert = &self.active.alert;
        let receivers: Vec<_> = self.receivers.iter().map(|(_, name)| json!({"name": name.as_ref()})).collect();
        let silenced_by: Vec<_> = self.silenced_by.iter().map(SilenceId::as_str).collect();
        let inhibited_by: Vec<_> = self.active.inhibited_by.iter().map(|id| format!("{id:016x}")).collect();
        let muted_by: Vec<_> = muted_by.iter().map(AsRef::as_ref).collect::<Vec<&str>>();
        let state = if self.is_held_back() || !muted_by.is_empty() { "suppressed" } else { "active" };
        let mut shown = json!({
            "annotations": object(&alert.annotations),
            "endsAt": self.ends_at.to_rfc3339(),
            "fingerprint": self.fingerprint(),
            "receivers": receivers,
            "startsAt": alert.starts_at.to_rfc3339(),
            "status": {"inhibitedBy": inhibited_by, "mutedBy": muted_by, "silencedBy": silenced_by, "state": state},
            "updatedAt": self.active.updated_at.to_rfc3339(),
            "labels": object(&alert.labels),
        });
        // Ours: Alertmanager's programs pass over what they do not know.
        if waits {
            shown["waits"] = json!(true);
        }
        if let Some(note) = &self.acknowledged {
            shown["acknowledged"] = json!({"by": note.name(), "at": Millis(note.at).to_rfc3339()});
        }
        if !alert.generator_url.is_empty() {
            shown["generatorURL"] = json!(alert.generator_url);
        }
        shown
    }
}

/// Labels or annotations.
fn object(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>())
}
