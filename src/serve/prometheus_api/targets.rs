//! `targets`, `scrape_pools`, `alertmanagers`: what is looked at, in the words of a Prometheus that scrapes.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use crate::collect::State;
use crate::model::{Labels, render_duration};
use crate::promql::Notes;
use crate::serve::Parts;

use super::answer::success;
use super::json::rfc3339;
use super::parameters::Parameters;

/// `GET /api/v1/targets`. No target is ever dropped by relabelling: there is none.
pub async fn targets(parts: Parts, headers: HeaderMap, asked: Parameters) -> Response {
    let (state, only) = (asked.text("state").to_lowercase(), asked.text("scrapePool"));
    let (active, dropped) = match state.as_str() {
        "" | "any" => (true, true),
        state => (state == "active", state == "dropped"),
    };
    let mut states: Vec<_> = parts.board.states().into_iter().map(|(_, state)| state).collect();
    states.retain(|state| only.is_empty() || pool(state) == only);
    states.sort_by_key(|state| pool(state).to_owned());
    let pools: BTreeMap<_, _> = states.iter().map(|state| (pool(state), 0)).collect();
    let shown: Vec<_> = if active { states.iter().map(target).collect() } else { Vec::new() };
    let counts = if dropped { json!(pools) } else { Value::Null };
    let data = json!({"activeTargets": shown, "droppedTargets": [], "droppedTargetCounts": counts});
    success(&headers, &data.to_string(), &Notes::default())
}

/// `GET /api/v1/scrape_pools`
pub async fn pools(parts: Parts, headers: HeaderMap) -> Response {
    let states = parts.board.states();
    let pools: BTreeSet<_> = states.iter().map(|(_, state)| pool(state)).collect();
    success(&headers, &json!({"scrapePools": pools}).to_string(), &Notes::default())
}

/// `GET /api/v1/alertmanagers`: those that alerts are handed to, besides telling people. None is ever dropped by relabelling.
pub async fn alertmanagers(parts: Parts, headers: HeaderMap) -> Response {
    let active: Vec<_> = parts.notifier.alertmanagers().into_iter().map(|url| json!({ "url": url })).collect();
    let data = json!({"activeAlertmanagers": active, "droppedAlertmanagers": []});
    success(&headers, &data.to_string(), &Notes::default())
}

/// A job of Prometheus is a pool of targets.
fn pool(state: &State) -> &str {
    state.target().labels.get("job").unwrap_or_default()
}

fn target(state: &State) -> Value {
    let target = state.target();
    let address = target.labels.get("instance").unwrap_or_default();
    let word = target.kind.word();
    // Some kinds' instance is their URL; none ever holds a user or a password.
    let url = if address.contains("://") { address.to_owned() } else { format!("{word}://{address}") };
    let (interval, timeout) = (render_duration(target.interval), render_duration(target.timeout));
    let discovered = json!({
        "__address__": address, "__metrics_path__": "", "__scheme__": word, "__scrape_interval__": interval,
        "__scrape_timeout__": timeout, "job": pool(state), "__meta_sidewatch_name": &*target.name,
    });
    let health = match (state.looked, state.up) {
        (None, _) => "unknown",
        (Some(_), true) => "up",
        (Some(_), false) => "down",
    };
    json!({
        "discoveredLabels": discovered,
        "labels": object(&target.labels),
        "scrapePool": pool(state),
        "scrapeUrl": url,
        "globalUrl": url,
        "lastError": state.reason.clone().unwrap_or_default(),
        "lastScrape": rfc3339(state.looked),
        "lastScrapeDuration": state.took.as_secs_f64(),
        "health": health,
        "scrapeInterval": interval,
        "scrapeTimeout": timeout,
    })
}

/// A label set as an object.
pub fn object(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().collect()
}
