//! The value that a place of a JSON document must have.

use serde_json::Value;

use crate::collect::probe::Pattern;

/// What a JSON value is compared with: the text as it stands, or a regular expression over the whole of the value, as
/// Prometheus anchors its own. Text that is no expression is only compared as it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    text: String,
    pattern: Option<Pattern>,
}

impl Wanted {
    /// From the text of the configuration.
    pub(super) fn new(text: String) -> Self {
        let pattern = Pattern::parse(&format!("^(?:{text})$")).ok();
        Self { text, pattern }
    }

    /// Whether a value is as wanted.
    pub(super) fn is(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.is_text(text),
            // `$.error:` with nothing behind it asks for null.
            Value::Null => self.text.is_empty() || self.is_text("null"),
            Value::Number(number) => {
                let same = self.text.parse::<f64>().is_ok_and(|wanted| number.as_f64() == Some(wanted));
                same || self.is_text(&number.to_string())
            }
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => self.is_text(&value.to_string()),
        }
    }

    /// As written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    fn is_text(&self, text: &str) -> bool {
        text == self.text || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
    }
}
