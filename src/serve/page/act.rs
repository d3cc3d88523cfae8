//! What the page's forms do. They are taken from where any change is: `serve::access`.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use url::form_urlencoded;

use crate::model::{Millis, parse_duration};
use crate::notify::Episode;
use crate::notify::matcher::Matcher;
use crate::notify::silence::{SilenceError, SilenceId, Wish};
use crate::serve::Parts;

use super::{HEADERS, STYLE, escape};

type Body = Result<Bytes, BytesRejection>;

/// Why nothing was done.
struct Refused(StatusCode, String);

impl Refused {
    fn wrong(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }

    fn failed(why: impl std::fmt::Display) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, format!("this could not be stored: {why}"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut page = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
             <title>Sidewatch: nothing was done</title><style>{STYLE}</style><h1>Sidewatch</h1>"
        );
        let _ = writeln!(page, "<p class=bad>Nothing was done: {}<p><a href=../>back</a></html>", escape(&self.1));
        (self.0, HEADERS, Html(page)).into_response()
    }
}

/// What a form says.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: Body) -> Result<Self, Refused> {
        let body = body.map_err(|error| Refused::wrong(error.to_string()))?;
        let pairs = form_urlencoded::parse(&body).map(|(name, value)| (name.into_owned(), value.trim().to_owned()));
        Ok(Self(pairs.collect()))
    }

    fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn needed(&self, name: &str, what: &str) -> Result<&str, Refused> {
        Some(self.text(name)).filter(|text| !text.is_empty()).ok_or_else(|| Refused::wrong(format!("say {what}")))
    }
}

/// Back to where it shows, from `page/…`.
fn done(section: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("../#{section}"))]).into_response()
}

/// Takes an alert on.
pub(super) async fn acknowledge(parts: Parts, body: Body) -> Response {
    take_on(&parts, body).await.map_or_else(IntoResponse::into_response, |()| done("alerts"))
}

async fn take_on(parts: &Parts, body: Body) -> Result<(), Refused> {
    let form = Form::read(body)?;
    let fingerprint = u64::from_str_radix(form.text("alert"), 16).ok();
    let episode = fingerprint.zip(form.text("since").parse().ok().map(Millis));
    let episode = episode.map(|(fingerprint, starts_at)| Episode { fingerprint, starts_at });
    let active = parts.notifier.alerts();
    let fires = active.iter().map(|active| Episode::of(&active.alert)).find(|known| Some(*known) == episode);
    let episode = fires.ok_or_else(|| Refused(StatusCode::NOT_FOUND, "this alert does not fire any more".into()))?;
    let (acknowledged, by) = (parts.notifier.acknowledged().clone(), form.text("by").to_owned());
    let stored = tokio::task::spawn_blocking(move || acknowledged.acknowledge(&[episode], &by, Millis::now())).await;
    stored.map_err(Refused::failed)?.map_err(Refused::failed)?;
    Ok(())
}

/// Sets a silence from now on.
pub(super) async fn silence(parts: Parts, body: Body) -> Response {
    set(&parts, body).await.map_or_else(IntoResponse::into_response, |()| done("silences"))
}

async fn set(parts: &Parts, body: Body) -> Result<(), Refused> {
    let form = Form::read(body)?;
    let matchers = form.needed("matchers", "what to silence: matchers such as instance=\"db:5432\"")?;
    let matchers = Matcher::parse_list(matchers).map_err(Refused::wrong)?;
    let duration = parse_duration(form.needed("for", "for how long")?).map_err(Refused::wrong)?;
    let (comment, by) = (form.needed("comment", "why")?.to_owned(), form.needed("by", "who you are")?.to_owned());
    let now = Millis::now();
    let annotations = Vec::new();
    let wish = Wish { matchers, starts_at: now, ends_at: now + duration, created_by: by, comment, annotations };
    let silences = parts.notifier.silences().clone();
    let set = tokio::task::spawn_blocking(move || silences.set(None, wish, now)).await;
    set.map_err(Refused::failed)?.map_err(refused)?;
    Ok(())
}

/// Ends a silence.
pub(super) async fn expire(parts: Parts, body: Body) -> Response {
    end(&parts, body).await.map_or_else(IntoResponse::into_response, |()| done("silences"))
}

async fn end(parts: &Parts, body: Body) -> Result<(), Refused> {
    let id = SilenceId::new(Form::read(body)?.needed("id", "which silence")?);
    let silences = parts.notifier.silences().clone();
    let ended = tokio::task::spawn_blocking(move || silences.expire(&id, Millis::now())).await;
    ended.map_err(Refused::failed)?.map_err(refused)
}

fn refused(error: SilenceError) -> Refused {
    match error {
        SilenceError::Disk(_) => Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        SilenceError::NotFound => Refused(StatusCode::NOT_FOUND, error.to_string()),
        other => Refused::wrong(other.to_string()),
    }
}
