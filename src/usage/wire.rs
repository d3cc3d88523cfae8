//! A usage event as JSON: a line of `sidewatch cost`, an item of `POST /v1/usage`.
//!
//! In: the object as applications write it. Out: a [`UsageEvent`], or everything that is wrong with it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::event::{ServiceTier, Source, Usage, UsageEvent, cut};
use super::formats::{self, Api};
use super::raw::RawUsage;
use crate::model::{Millis, Outcome};

/// Longer texts (ids, names) are refused, not cut: a cut id could be another's.
const MAX_TEXT: usize = 256;
/// No call takes longer than a day.
const MAX_SECONDS: f64 = 86_400.0;

/// Field and complaint.
pub type Wrong = (String, String);

/// Reads one event. One without `at` happened at `now`.
///
/// # Errors
/// Everything that is wrong, as field and complaint.
pub fn parse_event(item: &Value, now: Millis) -> Result<UsageEvent, Vec<Wrong>> {
    let Value::Object(map) = item else {
        return Err(vec![(String::new(), "is not an object".into())]);
    };
    let mut fields = Fields { map, wrong: Vec::new() };
    let provider = fields.required("provider");
    let model = fields.required("model");
    let api = fields.parsed("api", Api::parse);
    let tier = fields.parsed("service_tier", |text| {
        ServiceTier::parse(text)
            .ok_or_else(|| format!("`{text}` is not a tier; known: standard, batch, flex, priority"))
    });
    let outcome = fields.parsed("outcome", |text| {
        let known = || Outcome::ALL.map(Outcome::as_str).join(", ");
        Outcome::parse(text).ok_or_else(|| format!("`{text}` is not an outcome; known: {}", known()))
    });
    let api = api.or_else(|| Api::usual_for(provider.as_deref()?));
    let usage = fields.usage(api);
    let (duration, time_to_first_token) = fields.times();
    let event = UsageEvent {
        id: fields.text("id"),
        provider: provider.unwrap_or_default(),
        model: model.unwrap_or_default(),
        api,
        service_tier: tier.or(usage.service_tier).unwrap_or_default(),
        at: fields.at(now),
        feature: fields.text("feature"),
        team: fields.text("team"),
        outcome: outcome.unwrap_or_default(),
        duration,
        time_to_first_token,
        response_id: fields.text("response_id"),
        usage,
        estimated: fields.flag("estimated"),
        raw: fields.value("usage").and_then(RawUsage::of),
        source: Source::Post,
    };
    if fields.wrong.is_empty() { Ok(event) } else { Err(fields.wrong) }
}

const KNOWN: [&str; 14] = [
    "id",
    "provider",
    "model",
    "api",
    "service_tier",
    "at",
    "usage",
    "feature",
    "team",
    "outcome",
    "duration_seconds",
    "time_to_first_token_seconds",
    "estimated",
    "response_id",
];

struct Fields<'v> {
    map: &'v Map<String, Value>,
    wrong: Vec<Wrong>,
}

impl<'v> Fields<'v> {
    fn value(&self, key: &str) -> Option<&'v Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn complain(&mut self, key: &str, what: impl Into<String>) {
        self.wrong.push((key.to_owned(), what.into()));
    }

    fn text(&mut self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::String(text) if text.len() > MAX_TEXT => {
                self.complain(key, format!("is longer than {MAX_TEXT} bytes"));
            }
            // They would go into labels, and from there into pages that programs read line by line.
            Value::String(text) if text.contains(char::is_control) => self.complain(key, "holds control characters"),
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => return Some(text.clone()),
            // Database rows have numbers for ids.
            Value::Number(number) if key == "id" => return Some(number.to_string()),
            other => self.complain(key, format!("is {other}, not a text")),
        }
        None
    }

    fn required(&mut self, key: &str) -> Option<String> {
        let before = self.wrong.len();
        let text = self.text(key);
        if text.is_none() && self.wrong.len() == before {
            self.complain(key, "is missing");
        }
        text
    }

    fn parsed<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text(key)?;
        read(&text).map_err(|what| self.complain(key, what)).ok()
    }

    /// The provider's usage; absent for calls that brought none.
    fn usage(&mut self, api: Option<Api>) -> Usage {
        let Some(value) = self.value("usage") else { return Usage::default() };
        let Some(api) = api else {
            self.complain("api", "is missing, and the provider does not tell it");
            return Usage::default();
        };
        formats::read(api, value).unwrap_or_else(|error| {
            self.complain(&format!("usage{}", error.path), error.what);
            Usage::default()
        })
    }

    /// RFC 3339 or seconds since the epoch.
    fn at(&mut self, now: Millis) -> Millis {
        let read = match self.value("at") {
            None => return now,
            Some(Value::String(text)) => text.parse::<jiff::Timestamp>().ok().map(|at| Millis(at.as_millisecond())),
            Some(value) => value.as_f64().filter(|s| (0.0..253_402_300_800.0).contains(s)).map(Millis::from_seconds),
        };
        read.unwrap_or_else(|| {
            self.complain("at", "is not a time: write RFC 3339 or seconds since 1970");
            now
        })
    }

    /// The call's duration and that of its first token, which is part of it.
    fn times(&mut self) -> (Option<Duration>, Option<Duration>) {
        const FIRST: &str = "time_to_first_token_seconds";
        let (whole, first) = (self.seconds("duration_seconds"), self.seconds(FIRST));
        if let (Some(whole), Some(first)) = (whole, first)
            && first > whole
        {
            self.complain(FIRST, "is longer than `duration_seconds`");
        }
        (whole, first)
    }

    fn seconds(&mut self, key: &str) -> Option<Duration> {
        let value = self.value(key)?;
        let seconds = value.as_f64().filter(|s| (0.0..=MAX_SECONDS).contains(s));
        if seconds.is_none() {
            self.complain(key, format!("is {value}, not a number of seconds"));
        }
        seconds.map(Duration::from_secs_f64)
    }

    fn flag(&mut self, key: &str) -> bool {
        match self.value(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.complain(key, format!("is {other}, neither true nor false"));
                false
            }
        }
    }
}

/// A field that nobody knows is a misspelt one, or something that does not belong here, such as a prompt.
pub fn unknown_fields(item: &Value) -> Vec<Wrong> {
    let keys = item.as_object().into_iter().flat_map(Map::keys).filter(|key| !KNOWN.contains(&key.as_str()));
    keys.map(|key| (cut(key, MAX_TEXT).to_owned(), "is not a field of a usage event".to_owned())).collect()
}
