//! `/v1/usage`: usage events in, totals out.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::ingest::usage::parse_body;
use crate::model::{Millis, parse_duration};
use crate::usage::TokenType;
use crate::usage::ledger::{Key, READING, Total};

use super::Parts;
use super::router::MAX_BODY;

/// Takes one event or an array, all or none. 200 means that they are on disk.
pub async fn take(parts: Parts, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is compressed; send it as plain JSON");
    }
    let body = match body {
        Ok(body) => body,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return refused(
                error.status(),
                &format!("the body is longer than {MAX_BODY} bytes; send fewer events at once"),
            );
        }
        Err(error) => return refused(error.status(), "the body broke off"),
    };
    let events = match parse_body(&body, Millis::now()) {
        Ok(events) => events,
        Err(errors) => {
            let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
            return (StatusCode::BAD_REQUEST, Json(json!({"error": said.join("\n"), "errors": said}))).into_response();
        }
    };
    match parts.meter.take(events).await {
        Ok(taken) => Json(json!({"accepted": taken.accepted, "repeated": taken.repeated})).into_response(),
        Err(error) => match error.retry_after() {
            Some(seconds) => come_again(seconds, &error.to_string()),
            None => refused(StatusCode::BAD_REQUEST, &error.to_string()),
        },
    }
}

fn refused(status: StatusCode, complaint: &str) -> Response {
    (status, Json(json!({"error": complaint}))).into_response()
}

fn come_again(seconds: u64, complaint: &str) -> Response {
    let again = [(header::RETRY_AFTER, seconds.to_string())];
    (StatusCode::SERVICE_UNAVAILABLE, again, Json(json!({"error": complaint}))).into_response()
}

/// `?since=24h&by=provider,model`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    since: Option<String>,
    by: Option<String>,
}

/// Totals from the ledger, the costliest first.
pub async fn totals(parts: Parts, Query(ask): Query<Ask>) -> Response {
    let keys = match read_keys(ask.by.as_deref().unwrap_or("provider,model")) {
        Ok(keys) => keys,
        Err(complaint) => return refused(StatusCode::BAD_REQUEST, &complaint),
    };
    let span = match parse_duration(ask.since.as_deref().unwrap_or("24h")) {
        Ok(span) => span,
        Err(complaint) => return refused(StatusCode::BAD_REQUEST, &complaint),
    };
    let since = Millis::now() - span;
    match parts.meter.totals(since, keys.clone()).await {
        Ok(totals) => {
            let rows: Vec<Value> = totals.iter().map(|total| row(&keys, total)).collect();
            Json(json!({"since": since.to_rfc3339(), "totals": rows})).into_response()
        }
        Err(error) => come_again(READING.as_secs().max(1), &error.to_string()),
    }
}

fn read_keys(by: &str) -> Result<Vec<Key>, String> {
    by.split(',').filter(|name| !name.is_empty()).map(|name| Key::parse(name.trim())).collect()
}

fn row(keys: &[Key], total: &Total) -> Value {
    let tokens: Map<_, _> = TokenType::ALL
        .into_iter()
        .filter_map(|kind| Some((kind.name().to_owned(), total.tokens.get(kind)?.into())))
        .collect();
    let mut row: Map<String, Value> =
        keys.iter().zip(&total.key).map(|(key, value)| (key.name().to_owned(), value.clone().into())).collect();
    row.insert("requests".into(), total.requests.into());
    row.insert("tokens".into(), tokens.into());
    // Exact decimal text, as everywhere that money leaves the agent as JSON.
    row.insert("cost_usd".into(), total.cost.to_string().into());
    row.insert("unpriced_tokens".into(), total.unpriced_tokens.into());
    row.into()
}
