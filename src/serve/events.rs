//! `/v1/events`: what happened to containers lately, newest first.

use axum::Json;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::collect::docker::events::{Event, MAX_EVENTS};

use super::Parts;

/// `?container=shop-app-1&action=die&limit=20`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    container: Option<String>,
    action: Option<String>,
    limit: Option<usize>,
}

/// The events, and what is wrong with the labels by which containers ask to be watched.
pub async fn show(parts: Parts, ask: Result<Query<Ask>, axum::extract::rejection::QueryRejection>) -> Response {
    let Query(ask) = match ask {
        Ok(ask) => ask,
        Err(why) => return (StatusCode::BAD_REQUEST, Json(json!({"error": why.body_text()}))).into_response(),
    };
    let wanted = |event: &Event| {
        ask.container.as_deref().is_none_or(|name| *event.subject.name == *name)
            && ask.action.as_deref().is_none_or(|action| event.action.as_str() == action)
    };
    let events = parts.happenings.events().into_iter().filter(|(_, event)| wanted(event));
    let events: Vec<Value> =
        events.take(ask.limit.unwrap_or(MAX_EVENTS)).map(|(target, event)| render(&target, &event)).collect();
    let complaints = parts.happenings.complaints();
    let problems: Vec<_> = complaints
        .iter()
        .map(|complaint| json!({"container": *complaint.container, "problem": complaint.what}))
        .collect();
    Json(json!({"events": events, "discovery_problems": problems})).into_response()
}

/// Absent where there is nothing to say, as in the metrics.
fn render(target: &str, event: &Event) -> Value {
    let mut value = json!({
        "time": event.at.to_rfc3339(), "target": target, "action": event.action.as_str(), "container": *event.subject.name,
        "id": *event.id, "image": *event.subject.image, "project": *event.subject.project, "service": *event.subject.service,
        "exit_code": event.exit_code, "detail": event.detail.as_deref(),
    });
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
    }
    value
}
