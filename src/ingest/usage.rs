//! `POST /v1/usage`: usage events as JSON, without HTTP.
//!
//! In: a body: one object or an array. Out: all of its events, or everything that is wrong with any of them.

use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::model::Millis;
use crate::usage::event::{MAX_RAW, Outcome, ServiceTier, Source, Usage, UsageEvent, cut};
use crate::usage::formats::{self, Api};

/// Larger bodies are refused.
pub const MAX_BODY: usize = 1024 * 1024;
/// More events in a body are refused.
pub const MAX_EVENTS: usize = 1000;
/// Longer texts (ids, names) are refused, not cut: a cut id could be another's.
const MAX_TEXT: usize = 256;
/// No call takes longer than a day.
const MAX_SECONDS: f64 = 86_400.0;

/// What is wrong with a body, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyError {
    /// Which event, from 0; `None` for the body itself.
    pub index: Option<usize>,
    /// Which field: `usage.prompt_tokens`; empty for the event itself.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) if self.path.is_empty() => write!(f, "event {index} {}", self.what),
            Some(index) => write!(f, "event {index}: `{}` {}", self.path, self.what),
            None => write!(f, "the body {}", self.what),
        }
    }
}

/// Reads a body. An event without `at` happened at `now`.
///
/// # Errors
/// Everything that is wrong with any event; then none is taken.
pub fn parse_body(body: &[u8], now: Millis) -> Result<Vec<UsageEvent>, Vec<BodyError>> {
    let whole = |what: String| vec![BodyError { index: None, path: String::new(), what }];
    if body.len() > MAX_BODY {
        return Err(whole(format!("is larger than {MAX_BODY} bytes")));
    }
    let items = match serde_json::from_slice(body).map_err(|error| whole(format!("is not JSON: {error}")))? {
        Value::Array(items) => items,
        item => vec![item],
    };
    if items.len() > MAX_EVENTS {
        return Err(whole(format!("holds {} events; at most {MAX_EVENTS} are taken", items.len())));
    }
    let mut events = Vec::with_capacity(items.len());
    let mut errors = Vec::new();
    for (index, item) in items.iter().enumerate() {
        match parse_event(item, now) {
            Ok(event) => events.push(event),
            Err(wrong) => errors.extend(wrong.into_iter().map(|(path, what)| BodyError { index: Some(index), path, what })),
        }
    }
    if errors.is_empty() { Ok(events) } else { Err(errors) }
}

/// Field and complaint.
type Wrong = (String, String);

/// Reads one event; the reader of `sidewatch cost` too.
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
        ServiceTier::parse(text).ok_or_else(|| format!("`{text}` is not a tier; known: standard, batch, flex, priority"))
    });
    let outcome = fields.parsed("outcome", |text| {
        let known = || Outcome::ALL.map(Outcome::name).join(", ");
        Outcome::parse(text).ok_or_else(|| format!("`{text}` is not an outcome; known: {}", known()))
    });
    let api = api.or_else(|| Api::usual_for(provider.as_deref()?));
    let usage = fields.usage(api);
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
        duration: fields.duration(),
        response_id: fields.text("response_id"),
        usage,
        raw: fields.value("usage").map(|raw| cut(&raw.to_string(), MAX_RAW).to_owned()),
        source: Source::Post,
    };
    fields.finish();
    if fields.wrong.is_empty() { Ok(event) } else { Err(fields.wrong) }
}

const KNOWN: [&str; 12] = [
    "id", "provider", "model", "api", "service_tier", "at", "usage", "feature", "team", "outcome", "duration_seconds",
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
            Value::String(text) if text.len() > MAX_TEXT => self.complain(key, format!("is longer than {MAX_TEXT} bytes")),
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

    fn duration(&mut self) -> Option<Duration> {
        let value = self.value("duration_seconds")?;
        let seconds = value.as_f64().filter(|s| (0.0..=MAX_SECONDS).contains(s));
        if seconds.is_none() {
            self.complain("duration_seconds", format!("is {value}, not a number of seconds"));
        }
        seconds.map(Duration::from_secs_f64)
    }

    /// A field that nobody knows is a misspelt one.
    fn finish(&mut self) {
        let unknown: Vec<&String> = self.map.keys().filter(|key| !KNOWN.contains(&key.as_str())).collect();
        for key in unknown {
            self.complain(cut(key, MAX_TEXT), "is not a field of a usage event");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tokens::TokenType;

    const NOW: Millis = Millis(1_790_000_000_000);

    #[test]
    fn one_object_or_an_array() {
        let one = r#"{"id":7,"provider":"anthropic","model":"claude-haiku-4-5","at":"2026-11-21T07:00:00Z","feature":"chat","team":"",
            "usage":{"input_tokens":4,"output_tokens":2,"service_tier":"batch"},"response_id":"msg_1","duration_seconds":1.25}"#;
        let event = parse_body(one.as_bytes(), NOW).unwrap().remove(0);
        assert_eq!((event.id.as_deref(), event.api, event.team), (Some("7"), Some(Api::AnthropicMessages), None));
        assert_eq!((event.at.to_rfc3339().as_str(), event.service_tier), ("2026-11-21T07:00:00.000Z", ServiceTier::Batch));
        assert_eq!(event.usage.tokens.get(TokenType::Input), Some(4));
        assert_eq!(parse_body(format!("[{one},{one}]").as_bytes(), NOW).unwrap().len(), 2);
        assert_eq!(parse_body(b"[]", NOW).unwrap(), []);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_nothing_is_taken() {
        let body = br#"[{"provider":"openai","model":"m","api":"openai.chat","usage":{"prompt_tokens":1,"completion_tokens":1}},
            {"provider":"openai","api":"openai.chatt","outcome":"fine","usage":{"prompt_tokens":-1},"at":"noon"},
            3, {"provider":"acme","model":"m","usage":{},"prompt":"hello"}]"#;
        let said: Vec<_> = parse_body(body, NOW).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "event 1: `model` is missing",
                "event 1: `api` `openai.chatt` is not an api; known: openai.chat, openai.responses, openai.embeddings, anthropic.messages, gemini.generateContent, bedrock.converse, cohere.chat, ollama.chat",
                "event 1: `outcome` `fine` is not an outcome; known: ok, client_error, auth_error, rate_limited, quota_exhausted, overloaded, server_error, timeout, stream_cut, client_cancelled",
                "event 1: `usage.prompt_tokens` is -1, not a count",
                "event 1: `at` is not a time: write RFC 3339 or seconds since 1970",
                "event 2 is not an object",
                "event 3: `api` is missing, and the provider does not tell it",
                "event 3: `prompt` is not a field of a usage event",
            ]
        );
    }

    #[test]
    fn a_body_is_bounded() {
        assert!(parse_body(&vec![b' '; MAX_BODY + 1], NOW).unwrap_err()[0].to_string().contains("larger"));
        let many = format!("[{}1]", "1,".repeat(MAX_EVENTS));
        assert!(parse_body(many.as_bytes(), NOW).unwrap_err()[0].to_string().contains("1001 events"));
        assert!(parse_body(b"{", NOW).unwrap_err()[0].to_string().contains("not JSON"));
    }

    #[test]
    fn a_time_may_be_unix_seconds() {
        let body = br#"{"provider":"openai","model":"m","at":1790000000.5,"outcome":"rate_limited"}"#;
        let event = parse_body(body, NOW).unwrap().remove(0);
        assert_eq!(event.at, Millis(1_790_000_000_500));
        assert!(!event.is_unmetered(), "a refused call has no usage to tell");
    }
}
