//! `/api/v2/…`: the HTTP API of Alertmanager 0.33, so that `amtool`, Grafana, Karma and whatever else asks or feeds an
//! Alertmanager can ask and feed the agent.
//!
//! In: a request. Out: Alertmanager's answer to it: the same keys, status codes and error texts. A file per family of calls.
//! Ours beside it is `alerts/ack`: taking an alert on.

mod acknowledge;
mod alerts;
mod answer;
mod filter;
mod post;
mod silences;
mod status;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{any, get, post};

use super::Door;
use super::prometheus_api::cors;

/// The version of Alertmanager whose API is spoken; `amtool` looks at it.
const VERSION_SPOKEN: &str = "0.33.1";

/// Ten thousand alerts at once fit in it.
const MAX_BODY: usize = 16 << 20;

/// What is open to everybody. A signed link is its bearer's right to acknowledge.
pub(super) fn router() -> Router<Door> {
    status::note_start();
    Router::new()
        .route("/api/v2/status", get(status::status))
        .route("/api/v2/receivers", get(status::receivers))
        .route("/api/v2/alerts", get(alerts::alerts))
        .route("/api/v2/alerts/groups", get(alerts::groups))
        .route("/api/v2/alerts/ack", get(acknowledge::list))
        .route("/api/v2/silences", get(silences::all))
        .route("/api/v2/silence/{id}", get(silences::one))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .route("/api/v2/", any(answer::not_found))
        .route("/api/v2/{*path}", any(answer::not_found))
        .layer(from_fn(cors::allow))
        .route("/acknowledge", get(acknowledge::ask).post(acknowledge::by_link))
}

/// What changes something.
pub(super) fn changing() -> Router<Door> {
    Router::new()
        .route("/api/v2/alerts", post(post::alerts).layer(DefaultBodyLimit::max(MAX_BODY)))
        .route("/api/v2/alerts/ack", post(acknowledge::by_name))
        .route("/api/v2/silences", post(silences::set))
        .route("/api/v2/silence/{id}", axum::routing::delete(silences::expire))
}
