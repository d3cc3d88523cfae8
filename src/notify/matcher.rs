//! Conditions on labels, as Alertmanager 0.33 reads, applies and prints them: in routes, inhibition rules, silences, filters.
//!
//! A text is read in two ways: as UTF-8 matchers (`utf8`, since 0.27) and in the older, more lenient way (`classic`). Where
//! both take it but read different things, or only the older takes it, the older counts.

mod classic;
mod utf8;

use std::fmt;
use std::hash::{Hash, Hasher};

use regex::Regex;

use crate::model::Labels;
use crate::promql::pattern;

use super::identity::go_quoted;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl Operator {
    /// By API v2's two flags.
    pub fn of_flags(is_regex: bool, is_equal: bool) -> Self {
        match (is_regex, is_equal) {
            (false, true) => Self::Equal,
            (false, false) => Self::NotEqual,
            (true, true) => Self::Regex,
            (true, false) => Self::NotRegex,
        }
    }

    /// API v2's `isRegex`.
    pub fn is_regex(self) -> bool {
        matches!(self, Self::Regex | Self::NotRegex)
    }

    /// API v2's `isEqual`.
    pub fn is_equal(self) -> bool {
        matches!(self, Self::Equal | Self::Regex)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A condition on one label. A label that is absent has the empty value.
///
/// ```
/// use sidewatch::{model::Labels, notify::matcher::Matcher};
/// let matcher = Matcher::parse("severity=~critical|warning").unwrap();
/// assert!(matcher.takes(&Labels::new([("severity", "warning")])));
/// assert_eq!(matcher.to_string(), r#"severity=~"critical|warning""#);
/// ```
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    operator: Operator,
    value: String,
    /// Of the two operators that have one.
    regex: Option<Regex>,
}

impl Matcher {
    /// Makes one of its parts.
    ///
    /// # Errors
    /// The value shall be a regular expression and is none, or one that costs too much.
    pub fn new(name: impl Into<String>, operator: Operator, value: impl Into<String>) -> Result<Self, String> {
        let (name, value) = (name.into(), value.into());
        let compile = || match pattern::unanchored(&format!("^(?:{value})$")) {
            Ok(regex) => Ok(Some(regex)),
            Err(regex::Error::Syntax(_)) => Err(format!("`{value}` is not a regular expression")),
            Err(_) => Err(format!("the regular expression `{value}` is too large")),
        };
        let regex = if operator.is_regex() { compile()? } else { None };
        Ok(Self { name, operator, value, regex })
    }

    /// Reads one matcher, without braces: `severity="critical"`.
    ///
    /// # Errors
    /// What is wrong, in Alertmanager's words where it has any.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('{') || text.ends_with('}') {
            return Err(format!("unexpected open or close brace: {text}"));
        }
        let one = |mut all: Vec<Self>| if all.len() == 1 { all.pop() } else { None };
        match (utf8::read(text).and_then(one), classic::read(text)) {
            (Some(modern), Ok(classic)) if modern == classic => Ok(modern),
            (_, Ok(classic)) => Ok(classic),
            (Some(modern), Err(_)) => Ok(modern),
            (None, Err(complaint)) => Err(complaint),
        }
    }

    /// Reads matchers: `{severity="critical", team=~"a|b"}`, the braces optional; none from an empty text.
    ///
    /// # Errors
    /// As [`Matcher::parse`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        match (utf8::read(text), classic::read_list(text)) {
            (Some(modern), Ok(classic)) if modern == classic => Ok(modern),
            (_, Ok(classic)) => Ok(classic),
            (Some(modern), Err(_)) => Ok(modern),
            (None, Err(complaint)) => Err(complaint),
        }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it compares with.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label set fulfils it.
    pub fn takes(&self, labels: &Labels) -> bool {
        self.takes_value(labels.get(&self.name).unwrap_or_default())
    }

    /// Whether a value of its label fulfils it.
    pub fn takes_value(&self, value: &str) -> bool {
        let equal = match &self.regex {
            Some(regex) => regex.is_match(value),
            None => value == self.value,
        };
        equal == self.operator.is_equal()
    }
}

/// Whether a label set fulfils all of some matchers.
pub fn all_take(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.takes(labels))
}

/// Some matchers as Alertmanager prints them: `{a="b",c=~"d"}`.
pub fn render_list(matchers: &[Matcher]) -> String {
    let all: Vec<_> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", all.join(","))
}

/// What both parsers keep for themselves: neither in a name nor in a value without quotes.
fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = self.operator.as_str();
        if self.name.contains(is_reserved) {
            return write!(f, "{}{operator}{}", go_quoted(&self.name), go_quoted(&self.value));
        }
        let value = self.value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        write!(f, "{}{operator}\"{value}\"", self.name)
    }
}

impl Matcher {
    /// What makes it this one; also Alertmanager's order: by name, then value, then operator.
    fn key(&self) -> (&str, &str, Operator) {
        (&self.name, &self.value, self.operator)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Matcher {}

impl PartialOrd for Matcher {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Matcher {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for Matcher {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

#[cfg(test)]
mod tests;
