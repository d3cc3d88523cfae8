//! `status` and `receivers`.

use std::sync::OnceLock;

use axum::response::Response;
use serde_json::json;

use crate::model::{Labels, Millis};
use crate::notify::matcher::all_take;
use crate::serve::Parts;

use super::VERSION_SPOKEN;
use super::answer::{ApiError, found};
use super::filter::Asked;

static START: OnceLock<Millis> = OnceLock::new();

/// Notes when the agent began to answer.
pub(super) fn note_start() {
    START.get_or_init(Millis::now);
}

/// `GET /api/v2/status`. There is no cluster, which Alertmanager calls `disabled`; the configuration's secrets are not in it.
pub async fn status(parts: Parts) -> Response {
    found(&json!({
        "cluster": {"peers": [], "status": "disabled"},
        "config": {"original": parts.notifier.facts().original},
        "uptime": START.get_or_init(Millis::now).to_rfc3339(),
        "versionInfo": {
            "branch": "",
            "buildDate": "",
            "buildUser": "",
            "goVersion": "",
            "revision": concat!("sidewatch-", env!("CARGO_PKG_VERSION")),
            "version": VERSION_SPOKEN,
        },
    }))
}

/// `GET /api/v2/receivers`
pub async fn receivers(parts: Parts, asked: Asked) -> Result<Response, ApiError> {
    let matchers = asked.matchers("receiver_matchers");
    let matchers = matchers.map_err(|why| ApiError::Bad(format!("failed to parse receiver_matchers param: {why}")))?;
    let facts = parts.notifier.facts();
    let taken = facts.receivers.iter().filter(|name| all_take(&matchers, &Labels::new([("name", name.as_str())])));
    let shown: Vec<_> = taken.map(|name| json!({"labels": {"name": name}, "name": name})).collect();
    Ok(found(&shown.into()))
}
