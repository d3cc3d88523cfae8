//! `name{label="value", "quoted label"=~"…"}`

use crate::model::METRIC_NAME;
use crate::store::{MatchOp, Matcher};

use super::super::lex::{Token, Word};
use super::super::pattern::MAX_MATCHERS;
use super::super::plan::{Selector, Shift};
use super::{Parsed, Parser};

const CONTEXT: &str = "label matching";

impl Parser<'_> {
    /// The selector behind its name, which may be missing.
    pub(super) fn selector(&mut self, name: Option<(String, usize)>) -> Parsed<Selector> {
        let start = name.as_ref().map_or(self.peek().start, |(_, start)| *start);
        let matchers = self.matchers(name.as_ref().map(|(name, _)| name.as_str()))?;
        if let Some((name, _)) = name
            && let Some(second) = matchers[1..].iter().find(|matcher: &&Matcher| matcher.name == METRIC_NAME)
        {
            let message = format!("metric name must not be set twice: {name:?} or {:?}", second.value);
            return self.fail(start, message);
        }
        if matchers.iter().all(|matcher| matcher.takes_value("")) {
            return self.fail(start, "vector selector must contain at least one non-empty matcher");
        }
        Ok(Selector { matchers, shift: Shift::default() })
    }

    /// The conditions behind a name, which comes first among them.
    pub(super) fn matchers(&mut self, name: Option<&str>) -> Parsed<Vec<Matcher>> {
        let mut matchers: Vec<_> = name.map(|name| Matcher::equal(METRIC_NAME, name)).into_iter().collect();
        let start = self.peek().start;
        if self.take_sign("{") {
            while !self.take_sign("}") {
                if !self.allowance.matcher() {
                    return self.fail(start, format!("more than {MAX_MATCHERS} label matchers"));
                }
                let matcher = self.matcher()?;
                matchers.push(matcher);
                if !self.is_sign("}") {
                    self.expect_sign(",", "label matching, expected \",\" or \"}\"")?;
                }
            }
        }
        Ok(matchers)
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let Token { word, start, .. } = self.peek().clone();
        let name = match word {
            Word::Text(text) => {
                self.take();
                // A quoted text that nothing is compared with is the metric's name.
                if self.is_sign(",") || self.is_sign("}") {
                    return Ok(Matcher::equal(METRIC_NAME, text));
                }
                text
            }
            Word::Name(name) if !name.contains(':') => {
                self.take();
                name
            }
            _ => return self.unexpected("label matching, expected identifier or \"}\""),
        };
        let Word::Sign(sign @ ("=" | "!=" | "=~" | "!~")) = self.peek().word else {
            return self.unexpected("label matching, expected label matching operator");
        };
        self.take();
        let Word::Text(value) = self.peek().word.clone() else {
            return self.unexpected(&format!("{CONTEXT}, expected string"));
        };
        self.take();
        let op = match sign {
            "=" => MatchOp::Equal,
            "!=" => MatchOp::NotEqual,
            _ => match self.allowance.anchored(&value) {
                Ok(regex) if sign == "=~" => MatchOp::Matches(regex),
                Ok(regex) => MatchOp::NotMatches(regex),
                Err(error) => {
                    let detail = error.to_string().lines().last().unwrap_or_default().to_owned();
                    let what = format!("the regular expression {value:?} of label {name:?} is wrong: {detail}");
                    return self.fail(start, what);
                }
            },
        };
        Ok(Matcher { name, op, value })
    }
}
