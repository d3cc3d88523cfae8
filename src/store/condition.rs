//! What a matcher asks of a label, made ready for asking it of many series.
//!
//! Most patterns are no more than texts in disguise: `a|b|c` as a dashboard's variables write it, `.*`, `.+`, `api-.*`.
//! They are recognised here, so that no regular expression is run for them. What is not surely one of these stays one.

use std::collections::HashMap;

use regex::Regex;

use super::{MatchOp, Matcher};
use crate::model::Labels;

/// A matcher with what it comes to.
pub(super) struct Condition<'m> {
    pub(super) name: &'m str,
    negated: bool,
    values: Values<'m>,
    /// Whether it takes a series without the label.
    pub(super) takes_absent: bool,
    /// What a regular expression said of values before, by their address: it is the same for all series that share one.
    said: HashMap<usize, bool>,
}

/// Values before negation.
#[derive(Debug)]
enum Values<'m> {
    One(&'m str),
    OneOf(Vec<String>),
    /// All that begin so, with at least so many bytes behind.
    Beginning(String, usize),
    Like(&'m Regex),
}

impl<'m> Condition<'m> {
    pub(super) fn new(matcher: &'m Matcher) -> Self {
        let (negated, values) = match &matcher.op {
            MatchOp::Equal => (false, Values::One(&matcher.value)),
            MatchOp::NotEqual => (true, Values::One(&matcher.value)),
            MatchOp::Matches(regex) => (false, Values::of_pattern(&matcher.value, regex)),
            MatchOp::NotMatches(regex) => (true, Values::of_pattern(&matcher.value, regex)),
        };
        let takes_absent = values.contain("") != negated;
        Self { name: &matcher.name, negated, values, takes_absent, said: HashMap::new() }
    }

    /// The few texts one of which the label must have; none if it need not be there or is not so simple.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        match &self.values {
            _ if self.negated || self.takes_absent => None,
            Values::One(value) => Some(vec![value]),
            Values::OneOf(values) => Some(values.iter().map(String::as_str).collect()),
            Values::Beginning(..) | Values::Like(_) => None,
        }
    }

    pub(super) fn takes_value(&self, value: &str) -> bool {
        self.values.contain(value) != self.negated
    }

    pub(super) fn takes(&mut self, labels: &Labels) -> bool {
        let Some(value) = labels.shared(self.name) else { return self.takes_absent };
        match &self.values {
            Values::Like(regex) => {
                let said = self.said.entry(value.as_ptr().addr()).or_insert_with(|| regex.is_match(value));
                *said != self.negated
            }
            values => values.contain(value) != self.negated,
        }
    }
}

impl<'m> Values<'m> {
    fn of_pattern(pattern: &str, regex: &'m Regex) -> Self {
        let inside = pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(pattern);
        if let Some(texts) = inside.split('|').map(literal).collect::<Option<Vec<_>>>() {
            return Self::OneOf(texts);
        }
        let (beginning, least) = match (pattern.strip_suffix(".*"), pattern.strip_suffix(".+")) {
            (Some(beginning), _) => (beginning, 0),
            (_, Some(beginning)) => (beginning, 1),
            _ => return Self::Like(regex),
        };
        literal(beginning).map_or(Self::Like(regex), |text| Self::Beginning(text, least))
    }

    fn contain(&self, value: &str) -> bool {
        match self {
            Self::One(text) => value == *text,
            Self::OneOf(texts) => texts.iter().any(|text| text == value),
            Self::Beginning(text, least) => value.len() >= text.len() + least && value.starts_with(text.as_str()),
            Self::Like(regex) => regex.is_match(value),
        }
    }
}

/// The text that a pattern without any operator stands for. A backslash before punctuation is taken away.
fn literal(pattern: &str) -> Option<String> {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.push(rest.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            _ => text.push(c),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str) -> Matcher {
        let op = MatchOp::Matches(Regex::new(&format!("^(?s:{pattern})$")).unwrap());
        Matcher { name: "l".into(), op, value: pattern.into() }
    }

    /// The regular expression itself is the measure.
    #[test]
    fn a_recognised_pattern_takes_what_its_regular_expression_takes() {
        let plain = ["", "a", "a|b|c", "(a|b)", "a|", ".*", ".+", "ab.*", "ab.+", r"a\.b|c\-d", r"\.x.*", "ä.*", "()"];
        let others = ["(a)|(b)", "a.b", "a*", "(?i)a", "a{1}", r"\d", "^a", "a$", "(a|b).*", "a|b.*", ".*a", r"a\|b.+"];
        let values =
            ["", "a", "b", "c", "ab", "abc", "a.b", "c-d", "axb", ".x", ".xy", "ä", "äö", "A", "a\nb", "ab\n", "a|bc"];
        for pattern in plain.iter().chain(&others) {
            let matcher = like(pattern);
            let condition = Condition::new(&matcher);
            let is_regex = matches!(condition.values, Values::Like(_));
            assert!(!is_regex || others.contains(pattern), "{pattern} is recognised");
            for value in values {
                assert_eq!(condition.takes_value(value), matcher.takes_value(value), "{pattern} on {value:?}");
            }
        }
    }

    #[test]
    fn what_must_be_there_is_told_as_texts() {
        assert_eq!(Condition::new(&like("a|b")).texts(), Some(vec!["a", "b"]));
        assert_eq!(Condition::new(&like("a|")).texts(), None, "it takes series without the label");
        assert_eq!(Condition::new(&Matcher::equal("l", "a")).texts(), Some(vec!["a"]));
        assert_eq!(Condition::new(&like("a.*")).texts(), None);
    }
}
