//! What fires or soon will, what becomes of it, and who cannot be told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::model::{Alert, Labels, Millis, render_duration};
use crate::notify::{ActiveAlert, Episode};
use crate::rules::{AlertState, RuleKind};
use crate::serve::Parts;

use super::silences::silence_form;
use super::{ago, escape};

/// So many alerts are shown; `/api/v2/alerts` has all.
const SHOWN: usize = 200;

/// Writes the section.
pub(super) fn show(page: &mut String, parts: &Parts, now: Millis, with_forms: bool) {
    page.push_str("<h2 id=alerts>Alerts</h2>");
    failing(page, parts);
    let active = parts.notifier.alerts();
    let mut all: Vec<_> = known(&active).into_values().map(|known| known.with_states(parts, &active, now)).collect();
    all.sort_by_key(|known| (!known.states.is_empty(), known.active.alert.starts_at));
    let waiting = waiting(parts, now);
    if all.is_empty() && waiting.is_empty() {
        page.push_str("<p class=ok>Nothing is firing.</p>");
    }
    for known in all.iter().take(SHOWN) {
        known.show(page, now, with_forms);
    }
    for entry in waiting.iter().take(SHOWN) {
        page.push_str(entry);
    }
    let hidden = all.len().saturating_sub(SHOWN) + waiting.len().saturating_sub(SHOWN);
    if hidden > 0 {
        let _ = write!(page, "<p>… and {hidden} more: <a href=api/v2/alerts>/api/v2/alerts</a></p>");
    }
}

/// The receivers that take nothing or that no canary reaches, and why.
fn failing(page: &mut String, parts: &Parts) {
    for alert in parts.notifier.failing().iter() {
        let text = |name: &str| escape(alert.annotations.get(name).unwrap_or_default());
        let _ = write!(page, "<p class=bad>{}</p><p>{}</p>", text("summary"), text("description"));
    }
}

/// An alert that fires, once, however many receivers it reaches.
struct Known<'a> {
    active: &'a ActiveAlert,
    receivers: BTreeSet<&'a str>,
    muted_by: BTreeSet<&'a str>,
    /// What keeps it from being heard of, as HTML.
    states: Vec<String>,
    is_free: bool,
}

fn known(active: &[ActiveAlert]) -> BTreeMap<u64, Known<'_>> {
    let mut all: BTreeMap<u64, Known<'_>> = BTreeMap::new();
    for alert in active {
        let first = || Known {
            active: alert,
            receivers: BTreeSet::new(),
            muted_by: BTreeSet::new(),
            states: Vec::new(),
            is_free: false,
        };
        let known = all.entry(alert.fingerprint).or_insert_with(first);
        known.receivers.insert(&alert.receiver);
        known.muted_by.extend(alert.muted_by.iter().map(AsRef::as_ref));
    }
    all
}

impl Known<'_> {
    fn with_states(mut self, parts: &Parts, all: &[ActiveAlert], now: Millis) -> Self {
        let (alert, notifier) = (&self.active.alert, &parts.notifier);
        let mut states = Vec::new();
        for id in notifier.silences().silencing(&alert.labels, now) {
            let silence = notifier.silences().get(&id, now);
            let of = silence.map_or_else(String::new, |silence| {
                let wish = &silence.wish;
                let (left, by) = (left(now, wish.ends_at), escape(&wish.created_by));
                format!(" by {by} for another {left}: {}", escape(&wish.comment))
            });
            states.push(format!("silenced{of}"));
        }
        if let Some(id) = self.active.inhibited_by {
            let by = all.iter().find(|other| other.fingerprint == id);
            let name = by.and_then(|other| other.alert.labels.get("alertname")).unwrap_or("another alert");
            states.push(format!("inhibited by {}", escape(name)));
        }
        for interval in &self.muted_by {
            states.push(format!("muted by the time interval {}", escape(interval)));
        }
        let note = notifier.acknowledged().note(Episode::of(alert));
        self.is_free = note.is_none();
        if let Some(note) = note {
            let (by, since) = (escape(note.name()), ago(now, Millis(note.at)));
            states.push(format!("acknowledged by {by} {since} ago: no reminders"));
        }
        if self.active.waits && states.is_empty() {
            states.push("waiting for others of its group before it is told".into());
        }
        self.states = states;
        self
    }

    fn show(&self, page: &mut String, now: Millis, with_forms: bool) {
        let alert = &self.active.alert;
        let word = if alert.annotations.get("held").is_some() { "held" } else { "firing" };
        head(page, alert, ("bad", word), &ago(now, alert.starts_at));
        if let Some(held) = alert.annotations.get("held") {
            let _ = write!(page, "<p>held: {}", escape(held));
        }
        for state in &self.states {
            let _ = write!(page, "<p class=ok>{state}");
        }
        let told: Vec<_> = self.receivers.iter().filter(|name| !name.is_empty()).map(|name| escape(name)).collect();
        let told = if told.is_empty() { "nobody".into() } else { told.join(", ") };
        let _ = write!(page, "<p class=labels>{} → {told}", escape(&alert.labels.to_string()));
        if !with_forms {
            page.push_str("</div>");
            return;
        }
        page.push_str("<div>");
        if self.is_free {
            let _ = write!(
                page,
                "<form method=post action=page/acknowledge><input type=hidden name=alert value={:016x}>\
                 <input type=hidden name=since value={}><input name=by placeholder='your name' aria-label='your name' maxlength=100 autocomplete=name size=12> \
                 <button>Acknowledge</button></form>",
                self.active.fingerprint, alert.starts_at.0
            );
        }
        silence_form(page, "Silence", &alert.labels);
        page.push_str("</div></div>");
    }
}

fn head(page: &mut String, alert: &Alert, (class, word): (&str, &str), since: &str) {
    let name = escape(alert.labels.get("alertname").unwrap_or("?"));
    let severity = alert.labels.get("severity").map_or_else(String::new, |severity| format!(" ({})", escape(severity)));
    let _ = write!(page, "<div class=entry><h3>{name}{severity}: <span class={class}>{word}</span> for {since}</h3>");
    if let Some(summary) = alert.annotations.get("summary") {
        let _ = write!(page, "<p>{}", escape(summary));
    }
}

/// The alerts whose condition holds, but not for long enough yet.
fn waiting(parts: &Parts, now: Millis) -> Vec<String> {
    let mut all = Vec::new();
    for group in parts.rules.groups() {
        for (spec, rule) in group.spec.rules.iter().zip(&group.rules) {
            let RuleKind::Alert { hold, .. } = &spec.kind else { continue };
            for alert in rule.alerts.iter().filter(|alert| alert.state == AlertState::Pending) {
                let left = hold.saturating_sub(now.since(alert.active_at));
                all.push((left, entry(&alert.labels, &alert.annotations, left, &ago(now, alert.active_at))));
            }
        }
    }
    all.sort_by_key(|(left, _)| *left);
    all.into_iter().map(|(_, entry)| entry).collect()
}

fn entry(labels: &Labels, annotations: &Labels, left: Duration, since: &str) -> String {
    let alert = Alert {
        labels: labels.clone(),
        annotations: annotations.clone(),
        starts_at: Millis::default(),
        ends_at: None,
        value: 0.0,
        generator_url: String::new(),
    };
    let mut page = String::new();
    head(&mut page, &alert, ("plain", "waiting"), since);
    let left = render_duration(Duration::from_secs(left.as_secs()));
    let _ =
        write!(page, "<p>it fires in {left} if it still holds<p class=labels>{}</div>", escape(&labels.to_string()));
    page
}

/// For how long something still holds.
pub(super) fn left(now: Millis, until: Millis) -> String {
    render_duration(Duration::from_secs(until.since(now).as_secs()))
}
