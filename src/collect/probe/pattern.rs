//! Regular expressions of the configuration.

use regex::Regex;

use crate::yaml::Fields;

/// A regular expression that compares by its text.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// Reads an expression, to be found anywhere.
    ///
    /// # Errors
    /// It is not a regular expression.
    pub fn parse(text: &str) -> Result<Self, String> {
        let reason = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
        Regex::new(text).map(Self).map_err(|error| format!("`{text}` is not a regular expression: {}", reason(error)))
    }

    /// Whether the text holds a match.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Reads the section `expect` of a kind that knows one key there: `expect: {key: REGEX}`.
pub fn read_expected(fields: &mut Fields<'_>, key: &'static str) -> Option<Pattern> {
    let mut section = fields.section("expect")?;
    let pattern = section.parsed(key, Pattern::parse);
    section.finish();
    pattern
}
