//! `POST /v1/usage`: usage events as JSON, without HTTP.
//!
//! In: a body: one object or an array. Out: all of its events, or everything that is wrong with any of them.

use std::fmt;

use serde_json::Value;

use crate::model::Millis;
use crate::usage::UsageEvent;
use crate::usage::wire::{Wrong, parse_event, unknown_fields};

/// Larger bodies are refused.
pub const MAX_BODY: usize = 1024 * 1024;
/// More events in a body are refused.
pub const MAX_EVENTS: usize = 1000;

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
        let error = |(path, what): Wrong| BodyError { index: Some(index), path, what };
        match parse_event(item, now) {
            Ok(event) => events.push(event),
            Err(wrong) => errors.extend(wrong.into_iter().map(error)),
        }
        errors.extend(unknown_fields(item).into_iter().map(error));
    }
    if errors.is_empty() { Ok(events) } else { Err(errors) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::event::ServiceTier;
    use crate::usage::formats::Api;
    use crate::usage::tokens::TokenType;

    const NOW: Millis = Millis(1_790_000_000_000);

    #[test]
    fn one_object_or_an_array() {
        let one = r#"{"id":7,"provider":"anthropic","model":"claude-haiku-4-5","at":"2026-11-21T07:00:00Z","feature":"chat","team":"",
            "usage":{"input_tokens":4,"output_tokens":2,"service_tier":"batch"},"response_id":"msg_1","duration_seconds":1.25}"#;
        let event = parse_body(one.as_bytes(), NOW).unwrap().remove(0);
        assert_eq!((event.id.as_deref(), event.api, event.team), (Some("7"), Some(Api::AnthropicMessages), None));
        assert_eq!(
            (event.at.to_rfc3339().as_str(), event.service_tier),
            ("2026-11-21T07:00:00.000Z", ServiceTier::Batch)
        );
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

    #[test]
    fn numbers_that_cannot_be_a_calls_are_refused() {
        let body = br#"[{"provider":"openrouter","model":"m","usage":{"prompt_tokens":1,"cost":9300000}},
            {"provider":"anthropic","model":"m","usage":{"input_tokens":900000000000,"output_tokens":900000000000}},
            {"provider":"openai","model":"m","duration_seconds":1,"time_to_first_token_seconds":2,"estimated":"yes"}]"#;
        let said: Vec<_> = parse_body(body, NOW).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "event 0: `usage.cost` is 9300000: more dollars than any call can cost",
                "event 1: `usage` adds up to 1800000000000: more tokens than any call can use",
                "event 2: `time_to_first_token_seconds` is longer than `duration_seconds`",
                "event 2: `estimated` is \"yes\", neither true nor false",
            ]
        );
    }

    #[test]
    fn a_completion_beside_the_counts_is_not_taken_in() {
        let body =
            br#"{"provider":"ollama","model":"llama4","usage":{"done":true,"prompt_eval_count":26,"eval_count":290,
            "message":{"role":"assistant","content":"the secret"}}}"#;
        let event = parse_body(body, NOW).unwrap().remove(0);
        assert!(!format!("{event:?}").contains("secret"));
        assert_eq!(event.raw.unwrap().as_str(), r#"{"done":true,"eval_count":290,"prompt_eval_count":26}"#);
    }
}
