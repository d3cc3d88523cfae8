//! Taking an alert on: by API, by a page, by the signed link of a message. It brings no reminders then.
//!
//! A link's GET only shows: mail scanners and previews follow links. Its POST acts, from wherever it comes, since the signature
//! says that whoever sends it got the message.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Value, json};

use crate::model::{Alert, Millis};
use crate::notify::{Acknowledged, Episode, Note};
use crate::serve::Parts;
use crate::serve::page::{STYLE, ago, escape};

use super::answer::{ApiError, REQUIRED, found};
use super::filter::Asked;
use super::post::{json as read_json, text};

/// As on other pages, but that the form may be sent.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// `GET /api/v2/alerts/ack`: what was taken on and fires.
pub async fn list(parts: Parts) -> Response {
    let mut seen = std::collections::BTreeMap::new();
    for active in parts.notifier.alerts().iter() {
        let episode = Episode::of(&active.alert);
        if let Some(note) = parts.notifier.acknowledged().note(episode) {
            seen.insert(episode, note);
        }
    }
    let shown: Vec<_> = seen.iter().map(|(episode, note)| show(*episode, note)).collect();
    found(&shown.into())
}

/// `POST /api/v2/alerts/ack` with `{"fingerprint", "by"}`: takes on the alert that fires under this fingerprint.
pub async fn by_name(
    parts: Parts,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = read_json(&headers, body, "acknowledgement")?;
    let missing = || ApiError::Invalid(REQUIRED, "fingerprint in body is required".into());
    let body = body.as_object().ok_or_else(missing)?;
    let fingerprint = text(body, "fingerprint", "acknowledgement")?.ok_or_else(missing)?;
    let by = text(body, "by", "acknowledgement")?.unwrap_or_default();
    parts.notifier.caught_up().await;
    let number = u64::from_str_radix(&fingerprint, 16).ok();
    let active = parts.notifier.alerts();
    let alert = active.iter().find(|active| Some(active.fingerprint) == number);
    let alert = alert.ok_or(ApiError::NotFound(Some("no alert fires under this fingerprint")))?;
    let episode = Episode::of(&alert.alert);
    let note = store(parts.notifier.acknowledged(), episode, by).await?;
    Ok(found(&show(episode, &note)))
}

/// `GET /acknowledge?…`: shows what the link is about.
pub async fn ask(parts: Parts, asked: Asked) -> Response {
    signed(&parts, &asked).map_or_else(refused, |episode| page(&parts, episode))
}

/// `POST /acknowledge?…`: takes the alert on.
pub async fn by_link(parts: Parts, asked: Asked, body: Result<Bytes, BytesRejection>) -> Response {
    let Some(episode) = signed(&parts, &asked) else { return refused() };
    let form = Asked::read(&String::from_utf8_lossy(&body.unwrap_or_default()));
    let by = form.text("by").unwrap_or_default().to_owned();
    match store(parts.notifier.acknowledged(), episode, by).await {
        Ok(_) => page(&parts, episode),
        Err(error) => error.into_response(),
    }
}

async fn store(acknowledged: &Acknowledged, episode: Episode, by: String) -> Result<Note, ApiError> {
    let acknowledged = acknowledged.clone();
    let stored = tokio::task::spawn_blocking(move || acknowledged.acknowledge(episode, by.trim(), Millis::now())).await;
    let failed = |error: &dyn std::fmt::Display| ApiError::Failed(format!("this could not be stored: {error}"));
    stored.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// Which alert a link means, if it is ours.
fn signed(parts: &Parts, asked: &Asked) -> Option<Episode> {
    let fingerprint = u64::from_str_radix(asked.text("alert")?, 16).ok()?;
    let episode = Episode { fingerprint, starts_at: Millis(asked.text("since")?.parse().ok()?) };
    parts.notifier.acknowledged().is_ours(episode, asked.text("signature")?).then_some(episode)
}

fn refused() -> Response {
    let why = "This link is not one of this agent's messages, or the agent has lost its key.\n";
    (StatusCode::FORBIDDEN, why).into_response()
}

fn show(episode: Episode, note: &Note) -> Value {
    json!({
        "fingerprint": format!("{:016x}", episode.fingerprint),
        "startsAt": episode.starts_at.to_rfc3339(),
        "by": note.by,
        "at": Millis(note.at).to_rfc3339(),
    })
}

fn page(parts: &Parts, episode: Episode) -> Response {
    let now = Millis::now();
    let active = parts.notifier.alerts();
    let alert = active.iter().map(|active| &active.alert).find(|alert| Episode::of(alert) == episode);
    let note = parts.notifier.acknowledged().note(episode);
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>Sidewatch: acknowledge</title><style>{STYLE}</style><h1>Sidewatch</h1>"
    );
    match alert {
        Some(alert) => describe(&mut page, alert, now),
        None => page.push_str("<p class=ok>This alert does not fire any more."),
    }
    match (note, alert) {
        (Some(note), _) => {
            let by = if note.by.is_empty() { String::new() } else { format!(" by {}", escape(&note.by)) };
            let since = ago(now, Millis(note.at));
            let _ = write!(page, "<p>Acknowledged{by}, {since} ago: no reminders until it ends or fires anew.");
        }
        (None, Some(_)) => page.push_str(
            "<form method=post><p><label>Your name (optional) <input name=by maxlength=100 autocomplete=name></label> \
             <button>Acknowledge</button><p>It brings no reminders then, until it ends or fires anew.</form>",
        ),
        (None, None) => {}
    }
    page.push_str("</html>\n");
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
    (headers, Html(page)).into_response()
}

fn describe(page: &mut String, alert: &Alert, now: Millis) {
    let name = escape(alert.labels.get("alertname").unwrap_or("an alert"));
    let _ = write!(page, "<h2>{name}</h2><p class=bad>Firing for {}.", ago(now, alert.starts_at));
    if let Some(summary) = alert.annotations.get("summary") {
        let _ = write!(page, "<p>{}", escape(summary));
    }
    page.push_str("<table>");
    for (name, value) in alert.labels.iter() {
        let _ = write!(page, "<tr><td>{}<td>{}", escape(name), escape(value));
    }
    page.push_str("</table>");
}
