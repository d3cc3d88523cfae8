//! `/health`: the verdict on every target. `/readyz`: whether each has been looked at.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::model::Millis;

use super::Parts;

/// 200 when every target is ok, else 503; the body names each target with "ok" or the reason.
pub async fn health(parts: Parts) -> Response {
    let states = parts.board.states();
    let healthy = states.iter().all(|(_, state)| state.healthy);
    let checks: Map<String, Value> =
        states.iter().map(|(name, state)| (name.to_string(), state.verdict().into())).collect();
    let verdict = if healthy { "healthy" } else { "unhealthy" };
    let body = json!({"status": verdict, "checks": checks, "timestamp": Millis::now().to_rfc3339()});
    let code = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(body)).into_response()
}

/// 200 once each target has been looked at.
pub async fn ready(parts: Parts) -> Response {
    let waiting: Vec<_> =
        parts.board.states().into_iter().filter(|(_, state)| state.looked.is_none()).map(|(name, _)| name).collect();
    if waiting.is_empty() {
        return "Sidewatch is ready.\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not looked at yet: {}\n", waiting.join(", "))).into_response()
}
