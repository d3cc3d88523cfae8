//! `rules` and `alerts`: what is evaluated, and what holds.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::{Labels, hex, write_scientific};
use crate::promql::Notes;
use crate::rules::{ActiveAlert, AlertState, GroupView, RuleKind, RuleSpec, RuleView};
use crate::serve::Parts;
use crate::store::Matcher;

use super::answer::{ApiError, success};
use super::json::rfc3339;
use super::parameters::Parameters;
use super::selectors::{SelectorTexts, Selectors};
use super::targets::object;

/// `GET /api/v1/rules`
pub async fn rules(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let asked = asked.whole()?;
    let selectors = asked.selectors()?.read_in(&parts.asking, SelectorTexts::read).await?;
    let filter = Filter::read(&asked, selectors)?;
    let page = Page::read(&asked)?;
    let mut groups = parts.rules.groups();
    groups.sort_by(|a, b| (&a.spec.file, &a.spec.name).cmp(&(&b.spec.file, &b.spec.name)));
    groups.retain(|group| filter.takes_group(group));
    let (shown, next) = page.cut(&groups)?;
    let interval = parts.rules.globals().interval;
    let shown: Vec<_> = shown.iter().filter_map(|group| filter.show(group, interval.as_secs_f64())).collect();
    let mut data = json!({"groups": shown});
    if let Some(next) = next {
        data["groupNextToken"] = json!(next);
    }
    Ok(success(&headers, &data.to_string(), &Notes::default()))
}

/// `GET /api/v1/alerts`
pub async fn alerts(parts: Parts, headers: HeaderMap) -> Response {
    let groups = parts.rules.groups();
    let alerts: Vec<_> =
        groups.iter().flat_map(|group| &group.rules).flat_map(|rule| &rule.alerts).map(alert).collect();
    success(&headers, &json!({"alerts": alerts}).to_string(), &Notes::default())
}

/// Which rules are asked for.
struct Filter {
    /// Alerting rules, recording rules.
    types: (bool, bool),
    files: Vec<String>,
    groups: Vec<String>,
    names: Vec<String>,
    /// A rule is taken if any of them takes its labels.
    selectors: Selectors,
    without_alerts: bool,
}

impl Filter {
    fn read(asked: &Parameters, selectors: Selectors) -> Result<Self, ApiError> {
        let all = |name| asked.all(name).map(str::to_owned).collect();
        let types = match asked.text("type").to_lowercase().as_str() {
            "" => (true, true),
            "alert" => (true, false),
            "record" => (false, true),
            _ => {
                let why = format!("not supported value {:?}", asked.text("type"));
                return Err(ApiError::parameter("type", why));
            }
        };
        let without_alerts = match asked.text("exclude_alerts") {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => false,
            "1" | "t" | "T" | "true" | "TRUE" | "True" => true,
            text => {
                let why =
                    format!("error converting exclude_alerts: strconv.ParseBool: parsing {text:?}: invalid syntax");
                return Err(ApiError::parameter("exclude_alerts", why));
            }
        };
        Ok(Self {
            types,
            files: all("file[]"),
            groups: all("rule_group[]"),
            names: all("rule_name[]"),
            selectors,
            without_alerts,
        })
    }

    fn takes_group(&self, group: &GroupView) -> bool {
        is_among(&self.files, &group.spec.file) && is_among(&self.groups, &group.spec.name)
    }

    fn takes_rule(&self, rule: &RuleSpec) -> bool {
        let is_alert = matches!(rule.kind, RuleKind::Alert { .. });
        let labels = Labels::new(rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let is_taken = |selector: &[Matcher]| selector.iter().all(|matcher| matcher.takes(&labels));
        (if is_alert { self.types.0 } else { self.types.1 })
            && is_among(&self.names, rule.name())
            && (self.selectors.is_empty() || self.selectors.iter().any(is_taken))
    }

    /// The group with the rules asked for; nothing if it has none.
    fn show(&self, group: &GroupView, default_interval: f64) -> Option<Value> {
        let rules: Vec<_> = group.spec.rules.iter().zip(&group.rules).collect();
        let taken = rules.into_iter().filter(|(spec, _)| self.takes_rule(spec));
        let shown: Vec<_> = taken.map(|(spec, view)| rule(spec, view, self.without_alerts)).collect();
        (!shown.is_empty()).then(|| {
            json!({
                "name": &*group.spec.name,
                "file": &*group.spec.file,
                "rules": shown,
                "interval": group.spec.interval.map_or(default_interval, |interval| interval.as_secs_f64()),
                "limit": group.spec.limit,
                "evaluationTime": group.took.as_secs_f64(),
                "lastEvaluation": rfc3339(group.last_evaluation),
            })
        })
    }
}

/// An empty list of words takes every word.
fn is_among(words: &[String], word: &str) -> bool {
    words.is_empty() || words.iter().any(|known| known == word)
}

/// Which part of the groups is asked for.
struct Page {
    most: usize,
    from: Option<String>,
}

impl Page {
    fn read(asked: &Parameters) -> Result<Self, ApiError> {
        let most = asked.count("group_limit", "group_limit needs to be greater than 0")?;
        let from = Some(asked.text("group_next_token")).filter(|token| !token.is_empty()).map(str::to_owned);
        if from.is_some() && asked.text("group_limit").is_empty() {
            let why = "group_limit needs to be present in order to paginate over the groups";
            return Err(ApiError::parameter("group_next_token", why));
        }
        Ok(Self { most, from })
    }

    /// The groups of the page, and the mark of the group behind it.
    fn cut<'g, G: AsRef<GroupView>>(&self, groups: &'g [G]) -> Result<(&'g [G], Option<String>), ApiError> {
        let start = match &self.from {
            None => 0,
            Some(from) => groups.iter().position(|group| mark(group.as_ref()) == *from).ok_or_else(|| {
                let why = format!("invalid group_next_token '{from}'. were rule groups changed?");
                ApiError::parameter("group_next_token", why)
            })?,
        };
        let rest = &groups[start..];
        let shown = &rest[..rest.len().min(self.most)];
        Ok((shown, rest.get(self.most).map(|group| mark(group.as_ref()))))
    }
}

/// Names a group in one word.
fn mark(group: &GroupView) -> String {
    let digest = Sha256::digest(format!("{};{}", group.spec.file, group.spec.name));
    hex(&digest[..20])
}

fn rule(spec: &RuleSpec, view: &RuleView, without_alerts: bool) -> Value {
    let mut shown = json!({
        "name": spec.name(),
        "query": spec.query.text(),
        "health": view.health.as_str(),
        // Only groups are timed.
        "evaluationTime": 0,
        "lastEvaluation": rfc3339(view.last_evaluation),
    });
    let labels = texts(&spec.labels);
    if let Some(error) = &view.last_error {
        shown["lastError"] = json!(error);
    }
    match &spec.kind {
        RuleKind::Record { .. } => {
            shown["type"] = json!("recording");
            if !labels.is_empty() {
                shown["labels"] = json!(labels);
            }
        }
        RuleKind::Alert { hold, keep_firing_for, annotations, .. } => {
            let state = view.alerts.iter().map(|alert| alert.state).max_by_key(|state| *state == AlertState::Firing);
            let alerts: Vec<_> = view.alerts.iter().map(alert).collect();
            shown["type"] = json!("alerting");
            shown["state"] = json!(state.map_or("inactive", AlertState::as_str));
            shown["duration"] = json!(hold.as_secs_f64());
            shown["keepFiringFor"] = json!(keep_firing_for.as_secs_f64());
            shown["labels"] = json!(labels);
            shown["annotations"] = json!(texts(annotations));
            shown["alerts"] = if without_alerts { Value::Null } else { json!(alerts) };
        }
    }
    shown
}

fn texts(pairs: &[(String, String)]) -> BTreeMap<&str, &str> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn alert(alert: &ActiveAlert) -> Value {
    let mut shown = json!({
        "labels": object(&alert.labels),
        "annotations": object(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": rfc3339(Some(alert.active_at)),
        "value": with_exponent(alert.value),
    });
    if alert.keep_firing_since.is_some() {
        shown["keepFiringSince"] = json!(rfc3339(alert.keep_firing_since));
    }
    shown
}

/// `1.5e+00`, as Prometheus writes the values of alerts.
fn with_exponent(value: f64) -> String {
    let mut text = String::new();
    write_scientific(&mut text, value);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_alerts_have_exponents() {
        let cases = [(0.0, "0e+00"), (1.0, "1e+00"), (-1234.5, "-1.2345e+03"), (1e-7, "1e-07"), (f64::NAN, "NaN")];
        for (value, text) in cases {
            assert_eq!(with_exponent(value), text);
        }
    }
}
