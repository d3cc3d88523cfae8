//! `/api/v1/…`: the HTTP API of Prometheus 3.5, so that Grafana, promtool and whatever else asks a Prometheus can ask the agent.
//!
//! In: a request. Out: Prometheus' answer to it: the same keys, types, status codes and error words. A file per family of calls.
//!
//! What takes long runs on threads of its own, a few at once ([`Asking`]), and ends when its time is over or its client has
//! gone: a heavy query hurts nobody but who asked it. Long lists are written while they are sent.

mod answer;
mod asking;
mod json;
mod parameters;
mod query;
mod write;

pub use asking::Asking;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use super::Door;

/// The longest that a query may take, as in Prometheus.
const QUERY_LIMIT: Duration = Duration::from_mins(2);

/// The longest that an answer to a path of this API may take: a query's time and a little for all around it.
pub(super) const ANSWER_LIMIT: Duration = QUERY_LIMIT.saturating_add(Duration::from_secs(5));

/// What is open to everybody.
pub(super) fn router() -> Router<Door> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
}

/// What changes something.
pub(super) fn changing() -> Router<Door> {
    // The handler has a limit of its own.
    Router::new().route("/api/v1/write", post(write::take).layer(DefaultBodyLimit::disable()))
}
