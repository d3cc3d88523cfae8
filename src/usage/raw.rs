//! What of a usage object may be kept: its numbers and a few words, never anything that a person or a model wrote.
//!
//! In: the object as the provider sent it, which may be a whole answer (Ollama's last line). Out: [`RawUsage`].
//!
//! Invariant: no prompt and no completion, neither as text nor as numbers (token ids, a tool's arguments).

use serde_json::{Map, Value};

/// A larger object is not kept: half of one would tell something else.
const MAX_RAW: usize = 4096;
/// Longer keys and words are none of a provider's.
const MAX_WORD: usize = 64;

/// Texts that say how a call was billed.
const WORDS: [&str; 11] = [
    "service_tier",
    "serviceTier",
    "trafficType",
    "traffic_type",
    "modality",
    "ttl",
    "speed",
    "inference_geo",
    "type",
    "unit",
    "cost",
];

/// Objects and lists that break counts down, beside all whose name ends with `details`.
const PARTS: [&str; 5] = ["cache_creation", "server_tool_use", "iterations", "billed_units", "tokens"];

/// The numbers of a usage object as they were sent, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawUsage(String);

impl RawUsage {
    /// Keeps what may be kept; `None` when that is nothing, or too much.
    pub fn of(usage: &Value) -> Option<Self> {
        let kept = object(usage.as_object()?);
        let text = Value::Object(kept).to_string();
        (text.len() > "{}".len() && text.len() <= MAX_RAW).then_some(Self(text))
    }

    /// The JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn object(map: &Map<String, Value>) -> Map<String, Value> {
    let words = map.iter().filter(|(key, _)| is_word(key));
    words.filter_map(|(key, value)| Some((key.clone(), kept(key, value)?))).collect()
}

fn kept(key: &str, value: &Value) -> Option<Value> {
    let is_part = || PARTS.contains(&key) || key.to_ascii_lowercase().ends_with("details");
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        Value::String(text) => (WORDS.contains(&key) && is_word(text)).then(|| value.clone()),
        Value::Object(map) => is_part().then(|| Value::Object(object(map))),
        // Bare numbers in a list are token ids: the conversation itself.
        Value::Array(items) => is_part().then(|| {
            items.iter().filter_map(Value::as_object).map(|item| Value::Object(object(item))).collect::<Vec<_>>().into()
        }),
    }
}

/// One word of ASCII, as identifiers and enumerations are.
fn is_word(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-.:".contains(&b);
    !text.is_empty() && text.len() <= MAX_WORD && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Option<String> {
        RawUsage::of(&serde_json::from_str(text).unwrap()).map(|raw| raw.as_str().to_owned())
    }

    #[test]
    fn an_answer_in_the_usage_is_not_kept() {
        let line = r#"{"model":"llama4","created_at":"2026-11-21T07:00:00Z","done":true,"context":[101,102],"eval_count":290,
            "message":{"role":"assistant","content":"the secret","tool_calls":[{"function":{"arguments":{"account":4711}}}]},
            "response":"the secret","total_duration":5}"#;
        assert_eq!(kept(line).unwrap(), r#"{"done":true,"eval_count":290,"total_duration":5}"#);
    }

    #[test]
    fn words_of_billing_and_breakdowns_are_kept() {
        for text in [
            r#"{"cache_creation":{"ephemeral_1h_input_tokens":2},"input_tokens":1,"iterations":[{"input_tokens":1,"type":"message"}],"service_tier":"batch","speed":"fast"}"#,
            r#"{"promptTokenCount":1,"promptTokensDetails":[{"modality":"TEXT","tokenCount":1}],"trafficType":"ON_DEMAND"}"#,
            r#"{"completion_tokens":null,"prompt_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}"#,
        ] {
            assert_eq!(kept(text).unwrap(), text);
        }
    }

    #[test]
    fn unknown_texts_keys_and_sizes_are_not_kept() {
        assert_eq!(
            kept(r#"{"a":1,"note":"tell me","type":"tell me all","tell me":2,"details":["x",3]}"#).unwrap(),
            r#"{"a":1,"details":[]}"#
        );
        assert_eq!(kept(r#"{"content":"hello"}"#), None);
        let many: Vec<_> = (0..1000).map(|at| format!(r#""key{at}":1"#)).collect();
        assert_eq!(kept(&format!("{{{}}}", many.join(","))), None);
    }
}
