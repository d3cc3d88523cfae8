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
use crate::notify::{Acknowledged, ActiveAlert, Episode, Meant, Note};
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
    let acknowledged = parts.notifier.acknowledged();
    store(acknowledged, vec![episode], by).await?;
    // Nothing if so many others were taken on meanwhile that this one made room.
    let note = acknowledged.note(episode).ok_or_else(|| ApiError::Failed("this was stored, but not kept".into()))?;
    Ok(found(&show(episode, &note)))
}

/// `GET /acknowledge?…`: shows what the link is about.
pub async fn ask(parts: Parts, asked: Asked) -> Response {
    signed(&parts, &asked).map_or_else(refused, |meant| page(&parts, meant, false))
}

/// `POST /acknowledge?…`: takes on what it is about.
pub async fn by_link(parts: Parts, asked: Asked, body: Result<Bytes, BytesRejection>) -> Response {
    let Some(meant) = signed(&parts, &asked) else { return refused() };
    let form = Asked::read(&String::from_utf8_lossy(&body.unwrap_or_default()));
    let by = form.text("by").unwrap_or_default();
    let episodes = firing(&parts, meant).iter().map(|active| Episode::of(&active.alert)).collect();
    match store(parts.notifier.acknowledged(), episodes, by.to_owned()).await {
        Ok(()) => page(&parts, meant, true),
        Err(error) => error.into_response(),
    }
}

/// What of that which is meant fires, each alert once.
fn firing(parts: &Parts, meant: Meant) -> Vec<ActiveAlert> {
    let mut seen = std::collections::BTreeSet::new();
    let active = parts.notifier.alerts();
    let meant = active.iter().filter(|active| meant.is(active));
    meant.filter(|active| seen.insert(active.fingerprint)).cloned().collect()
}

async fn store(acknowledged: &Acknowledged, episodes: Vec<Episode>, by: String) -> Result<(), ApiError> {
    let acknowledged = acknowledged.clone();
    let store = move || acknowledged.acknowledge(&episodes, by.trim(), Millis::now());
    let failed = |error: &dyn std::fmt::Display| ApiError::Failed(format!("this could not be stored: {error}"));
    tokio::task::spawn_blocking(store).await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// What a link means, if it is ours.
fn signed(parts: &Parts, asked: &Asked) -> Option<Meant> {
    let id = |name| u64::from_str_radix(asked.text(name)?, 16).ok();
    let time = |name| asked.text(name)?.parse().ok().map(Millis);
    let meant = match id("group") {
        Some(group) => Meant::Group { group, until: time("until")? },
        None => Meant::Alert(Episode { fingerprint: id("alert")?, starts_at: time("since")? }),
    };
    parts.notifier.acknowledged().is_ours(meant, asked.text("signature")?).then_some(meant)
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

/// So many alerts are shown; all that are meant are taken on.
const SHOWN: usize = 100;

/// Shows what is meant. `was_asked` says that somebody wanted to take it on.
fn page(parts: &Parts, meant: Meant, was_asked: bool) -> Response {
    let (now, acknowledged) = (Millis::now(), parts.notifier.acknowledged());
    let firing = firing(parts, meant);
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>Sidewatch: acknowledge</title><style>{STYLE}</style><h1>Sidewatch</h1>"
    );
    let mut free = 0;
    for active in &firing {
        free += usize::from(acknowledged.note(Episode::of(&active.alert)).is_none());
    }
    if free > 0 {
        let what = if firing.len() == 1 { "It brings" } else { "They bring" };
        button(&mut page, "", what);
    }
    for active in firing.iter().take(SHOWN) {
        describe(&mut page, &active.alert, now);
        noted(&mut page, acknowledged.note(Episode::of(&active.alert)), now);
    }
    if firing.len() > SHOWN {
        let _ = write!(page, "<p>… and {} more", firing.len() - SHOWN);
    }
    let mut status = StatusCode::OK;
    if firing.is_empty() {
        if was_asked {
            status = StatusCode::NOT_FOUND;
            page.push_str("<p class=bad>Nothing was acknowledged.");
        }
        not_firing(&mut page, parts, meant, now);
    }
    page.push_str("</html>\n");
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::CACHE_CONTROL, "no-store")];
    (status, headers, Html(page)).into_response()
}

/// The button that takes on what a link leads to; the link is of this page if it is empty.
fn button(page: &mut String, link: &str, what: &str) {
    let action = if link.is_empty() { String::new() } else { format!(" action='{}'", escape(link)) };
    let _ = write!(
        page,
        "<form method=post{action}><p><label>Your name (optional) \
         <input name=by maxlength=100 autocomplete=name></label> <button>Acknowledge</button>\
         <p>{what} no reminders then, until their end or until they fire anew.</form>",
    );
}

/// Says what there is instead of what an old link means.
fn not_firing(page: &mut String, parts: &Parts, meant: Meant, now: Millis) {
    let active = parts.notifier.alerts();
    match meant {
        Meant::Alert(episode) => {
            page.push_str("<p class=ok>This does not fire any more.");
            let acknowledged = parts.notifier.acknowledged();
            if let Some(note) = acknowledged.note(episode) {
                let _ = write!(page, " While it did, it was acknowledged by {}.", escape(note.name()));
            }
            let Some(again) = active.iter().find(|active| active.fingerprint == episode.fingerprint) else { return };
            let anew = Episode::of(&again.alert);
            let _ = write!(page, "<p class=bad>It fires again since {}.", anew.starts_at.to_rfc3339());
            let note = acknowledged.note(anew);
            if note.is_none() {
                button(page, &acknowledged.link(Meant::Alert(anew)), "It brings");
            }
            describe(page, &again.alert, now);
            noted(page, note, now);
        }
        Meant::Group { .. } => {
            let others = active.iter().filter(|active| meant.is_of_group(active)).count();
            let what = if others == 0 {
                "None of this group is known any more: its alerts have ended, or are grouped in another way since"
            } else {
                "What this was about has ended; others of its group have begun to fire since"
            };
            let _ = write!(page, "<p>{what}. What fires now is on <a href='./'>the page</a>.");
        }
    }
}

fn noted(page: &mut String, note: Option<Note>, now: Millis) {
    if let Some(note) = note {
        let (by, since) = (escape(note.name()), ago(now, Millis(note.at)));
        let _ = write!(page, "<p>Acknowledged by {by}, {since} ago: no reminders until it ends or fires anew.");
    }
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
