//! `/api/v1/…`: the HTTP API of Prometheus 3.5, so that Grafana, promtool and whatever else asks a Prometheus can ask the agent.
//!
//! In: a request. Out: Prometheus' answer to it: the same keys, types, status codes and error words. A file per family of calls.
//!
//! What takes long runs on threads of its own, a few at once ([`Asking`]), and ends when its time is over or its client has
//! gone: a heavy query hurts nobody but who asked it. Long lists are written while they are sent.

mod answer;
mod asking;
pub(super) mod cors;
mod federate;
mod form;
mod json;
mod metadata;
mod moment;
mod parameters;
mod query;
mod room;
mod rules;
mod selectors;
mod series;
mod status;
mod targets;
mod write;

pub use asking::Asking;

use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};

use super::Door;

/// The longest that a query may take, as in Prometheus.
const QUERY_LIMIT: Duration = Duration::from_mins(2);

/// The version of Prometheus whose API is spoken.
const VERSION_SPOKEN: &str = "3.5.3";

/// The longest that an answer to a path of this API may take: a query's time and a little for all around it.
pub(super) const ANSWER_LIMIT: Duration = QUERY_LIMIT.saturating_add(Duration::from_secs(5));

/// What is open to everybody.
pub(super) fn router() -> Router<Door> {
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/api/v1/series", get(series::series).post(series::series))
        .route("/api/v1/labels", get(series::names).post(series::names))
        .route("/api/v1/label/{name}/values", get(series::values))
        .route("/api/v1/metadata", get(metadata::metrics))
        .route("/api/v1/targets/metadata", get(metadata::of_targets))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/scrape_pools", get(targets::pools))
        .route("/api/v1/alertmanagers", get(targets::alertmanagers))
        .route("/api/v1/rules", get(rules::rules))
        .route("/api/v1/alerts", get(rules::alerts))
        .route("/api/v1/status/buildinfo", get(status::build))
        .route("/api/v1/status/runtimeinfo", get(status::runtime))
        .route("/api/v1/status/flags", get(status::flags))
        .route("/api/v1/status/config", get(status::config))
        .route("/api/v1/status/tsdb", get(status::tsdb))
        .route("/api/v1/status/walreplay", get(status::wal_replay))
        .layer(from_fn(cors::allow))
        .route("/federate", get(federate::show))
}

/// What changes something.
pub(super) fn changing() -> Router<Door> {
    // The handler has a limit of its own.
    Router::new().route("/api/v1/write", post(write::take).layer(DefaultBodyLimit::disable()))
}
