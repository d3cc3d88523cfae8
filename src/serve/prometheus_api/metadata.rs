//! `metadata` and `targets/metadata`: what metrics mean, as the sources of the current pictures say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use crate::model::{Family, MetricKind};
use crate::promql::Notes;
use crate::serve::Parts;
use crate::store::Picture;

use super::answer::{ApiError, success};
use super::parameters::Parameters;
use super::selectors::SelectorTexts;

/// `GET /api/v1/metadata`
pub async fn metrics(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let (limit, each, only) = (limit(&asked, "limit")?, limit(&asked, "limit_per_metric")?, asked.text("metric"));
    let pictures = measured(&parts);
    let mut metrics: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for family in pictures.iter().flat_map(|picture| picture.blocks.iter().map(|block| &block.family)) {
        if only.is_empty() || family.name == only {
            metrics.entry(&family.name).or_default().insert((type_name(family), &family.help));
        }
    }
    let meaning = |(kind, help): (&str, &str)| json!({"type": kind, "unit": "", "help": help});
    let listed = |(name, meanings): (&str, BTreeSet<(&str, &str)>)| {
        (name.to_owned(), meanings.into_iter().take(each).map(meaning).collect::<Value>())
    };
    let data: serde_json::Map<_, _> = metrics.into_iter().take(limit).map(listed).collect();
    Ok(success(&headers, &Value::Object(data).to_string(), &Notes::default()))
}

/// `GET /api/v1/targets/metadata`
pub async fn of_targets(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let (limit, only) = (limit(&asked, "limit")?, asked.text("metric"));
    let texts = SelectorTexts::new(Some(asked.text("match_target")).filter(|text| !text.is_empty()))?;
    let selectors = texts.read_in(&parts.asking, SelectorTexts::read_any).await?;
    let matchers: Vec<_> = selectors.iter().flatten().collect();
    let mut all = Vec::new();
    for picture in measured(&parts) {
        // As Prometheus: the limit is looked at before each target.
        if all.len() >= limit {
            break;
        }
        if !matchers.iter().all(|matcher| matcher.takes(&picture.labels)) {
            continue;
        }
        let target: BTreeMap<_, _> = picture.labels.iter().collect();
        for family in picture.blocks.iter().map(|block| &block.family) {
            let mut one = json!({"target": target, "type": type_name(family), "help": family.help, "unit": ""});
            if only.is_empty() {
                one["metric"] = json!(family.name);
            } else if family.name != only {
                continue;
            }
            all.push(one);
        }
    }
    Ok(success(&headers, &Value::Array(all).to_string(), &Notes::default()))
}

/// The pictures of what was looked at: recorded series mean what their rules say.
fn measured(parts: &Parts) -> Vec<Arc<Picture>> {
    parts.store.current().into_iter().filter(|picture| !picture.source.starts_with("rule:")).collect()
}

fn type_name(family: &Family) -> &'static str {
    match family.kind {
        MetricKind::Unknown => "unknown",
        known => known.text_name(),
    }
}

/// Absent is no limit; here, 0 is none at all.
fn limit(asked: &Parameters, name: &str) -> Result<usize, ApiError> {
    match asked.text(name) {
        "" => Ok(usize::MAX),
        text => match text.parse::<i64>() {
            // Below zero means none, too.
            Ok(number) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            Err(_) => Err(ApiError::BadData(format!("{name} must be a number"))),
        },
    }
}
