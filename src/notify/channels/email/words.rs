//! What the mail says: what, where, since when, how much, what to do. To be read at night on a phone.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::{Alert, Millis};
use crate::notify::notification::Notification;

/// Alerts beyond this are counted, not shown: no one reads on, and servers limit a message's size.
const SHOWN: usize = 50;
/// Annotations that have a place of their own.
const PLACED: [&str; 4] = ["summary", "description", "message", "runbook_url"];

/// One alert in the words of the mail.
struct Entry<'n> {
    firing: bool,
    name: &'n str,
    severity: Option<&'n str>,
    summary: Option<&'n str>,
    description: Option<&'n str>,
    /// Name and value, in the order they are shown.
    facts: Vec<(&'n str, String)>,
    /// What it is and where.
    links: Vec<(&'static str, &'n str)>,
}

impl<'n> Entry<'n> {
    fn of(alert: &'n Alert, now: Millis) -> Self {
        let note = |name| alert.annotations.get(name);
        let mut facts = vec![("where", place(alert)), ("since", period(alert, now))];
        if alert.ends_at.is_none() {
            facts.push(("value", number(alert.value)));
        }
        let others = alert.annotations.iter().filter(|(name, _)| !PLACED.contains(name));
        facts.extend(others.map(|(name, value)| (name, value.to_owned())));
        facts.retain(|(_, value)| !value.is_empty());
        let links = [("runbook", note("runbook_url").unwrap_or_default()), ("graph", alert.generator_url.as_str())];
        Self {
            firing: alert.ends_at.is_none(),
            name: alert.labels.get("alertname").unwrap_or("alert"),
            severity: alert.labels.get("severity"),
            summary: note("summary"),
            description: note("description").or_else(|| note("message")),
            facts,
            links: links.into_iter().filter(|(_, url)| !url.is_empty()).collect(),
        }
    }

    fn state(&self) -> &'static str {
        if self.firing { "FIRING" } else { "RESOLVED" }
    }
}

/// The labels that say where, without those that say what.
fn place(alert: &Alert) -> String {
    let labels = alert.labels.iter().filter(|(name, _)| !matches!(*name, "alertname" | "severity"));
    labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn period(alert: &Alert, now: Millis) -> String {
    let start = clock(alert.starts_at);
    match alert.ends_at {
        None => format!("{start} ({})", lasting(now.since(alert.starts_at))),
        Some(end) => format!("{start}, until {} ({})", clock(end), lasting(end.since(alert.starts_at))),
    }
}

/// `Sat 21 Nov 03:04:05 UTC`
fn clock(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| at.to_string(), |at| at.strftime("%a %-d %b %H:%M:%S UTC").to_string())
}

/// The two largest units of a duration.
fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Up to four digits behind the point, where they say something.
fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() || !(1e-3..1e15).contains(&size) {
        return format!("{value}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Firing ones first; they are what matters.
fn entries(notification: &Notification) -> (Vec<Entry<'_>>, usize) {
    let all = notification.firing().chain(notification.resolved());
    let shown = all.take(SHOWN).map(|alert| Entry::of(alert, notification.at)).collect();
    (shown, notification.alerts.len().saturating_sub(SHOWN))
}

/// `2 alerts firing, 1 resolved`
fn headline(notification: &Notification) -> String {
    let alerts = |count: usize| if count == 1 { "1 alert".to_owned() } else { format!("{count} alerts") };
    match (notification.firing().count(), notification.resolved().count()) {
        (firing, 0) => format!("{} firing", alerts(firing)),
        (0, resolved) => format!("{} resolved", alerts(resolved)),
        (firing, resolved) => format!("{} firing, {resolved} resolved", alerts(firing)),
    }
}

/// The plain part.
pub(super) fn text(notification: &Notification) -> String {
    let (shown, more) = entries(notification);
    let mut out = format!("{}\n", headline(notification));
    for entry in &shown {
        let severity = entry.severity.map(|severity| format!(" ({severity})")).unwrap_or_default();
        let _ = write!(out, "\n{} {}{severity}\n", entry.state(), entry.name);
        for line in [entry.summary, entry.description].into_iter().flatten() {
            let _ = writeln!(out, "{}", line.trim());
        }
        for (name, value) in &entry.facts {
            let _ = writeln!(out, "  {name}: {value}");
        }
        for (name, url) in &entry.links {
            let _ = writeln!(out, "  {name}: {url}");
        }
    }
    if more > 0 {
        let _ = write!(out, "\n… and {more} more\n");
    }
    let _ = write!(out, "\n-- \nSidewatch for {}: {}\n", notification.receiver, notification.external_url);
    out
}

/// The HTML part: one column, inline styles, no images, nothing fetched.
pub(super) fn html(notification: &Notification) -> String {
    let (shown, more) = entries(notification);
    let mut out = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         </head><body style=\"margin:0;padding:12px;font:16px/1.4 sans-serif;color:#1a1a1a;background:#fff\">\
         <p style=\"margin:0 0 12px;font-weight:bold\">{}</p>\n",
        escaped(&headline(notification))
    );
    for entry in &shown {
        html_entry(&mut out, entry);
    }
    if more > 0 {
        let _ = writeln!(out, "<p>… and {more} more</p>");
    }
    let _ = writeln!(
        out,
        "<p style=\"color:#666;font-size:13px\">Sidewatch for {}: {}</p></body></html>",
        escaped(&notification.receiver),
        link(&notification.external_url, &notification.external_url)
    );
    out
}

fn html_entry(out: &mut String, entry: &Entry<'_>) {
    let colour = if entry.firing { "#c62828" } else { "#2e7d32" };
    let severity = entry.severity.map(|severity| format!(" ({})", escaped(severity))).unwrap_or_default();
    let _ = writeln!(
        out,
        "<div style=\"margin:0 0 16px;padding:8px 12px;border-left:6px solid {colour}\">\
         <p style=\"margin:0;font-size:18px\"><b style=\"color:{colour}\">{}</b> <b>{}</b>{severity}</p>",
        entry.state(),
        escaped(entry.name)
    );
    for line in [entry.summary, entry.description].into_iter().flatten() {
        let _ = writeln!(out, "<p style=\"margin:6px 0\">{}</p>", escaped(line.trim()).replace('\n', "<br>"));
    }
    out.push_str("<p style=\"margin:6px 0;overflow-wrap:anywhere\">");
    for (name, value) in &entry.facts {
        let _ = writeln!(out, "<span style=\"color:#666\">{}</span> {}<br>", escaped(name), escaped(value));
    }
    for (name, url) in &entry.links {
        let _ = write!(out, "{} ", link(url, name));
    }
    out.push_str("</p></div>\n");
}

/// A link where the address is one a browser may follow, else its text.
fn link(url: &str, text: &str) -> String {
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return escaped(url);
    }
    format!("<a href=\"{}\" style=\"color:#1565c0\">{}</a>", escaped(url), escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
