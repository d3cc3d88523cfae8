//! Label matchers, as in `{job="app", code=~"5.."}`.

use regex::Regex;

use crate::model::Labels;

/// How a matcher compares. Regular expressions are anchored at both ends.
#[derive(Debug, Clone)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Matches(Regex),
    /// `!~`
    NotMatches(Regex),
}

/// One condition on one label. An absent label has the value "".
#[derive(Debug, Clone)]
pub struct Matcher {
    /// The label; `__name__` for the metric's name.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// What is compared with; a regular expression's source.
    pub value: String,
}

impl Matcher {
    /// `name="value"`
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), op: MatchOp::Equal, value: value.into() }
    }

    /// Whether a value satisfies the condition.
    pub fn takes_value(&self, value: &str) -> bool {
        match &self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Matches(regex) => regex.is_match(value),
            MatchOp::NotMatches(regex) => !regex.is_match(value),
        }
    }

    /// Whether a label set satisfies the condition.
    pub fn takes(&self, labels: &Labels) -> bool {
        self.takes_value(labels.get(&self.name).unwrap_or_default())
    }
}
