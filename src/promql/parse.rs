//! Text to plan: `PromQL`'s grammar by recursive descent.
//!
//! Ours, not the promql-parser crate's: Prometheus' annotations and errors name places in the text, which that crate does
//! not keep, and it refuses or takes some texts otherwise than Prometheus 3.5 (`parse/tests.rs` shows which). The types
//! are checked in `check.rs`.

mod call;
mod check;
mod names;
mod postfix;
mod selector;

#[cfg(test)]
mod tests;

use super::error::ParseError;
use super::lex::{Token, Word, words};
use super::pattern::Allowance;
use super::plan::{Binary, BinaryOp, Cardinality, Expr, Grouping, Matching};
use crate::store::Matcher;
use names::{aggregate_op, is_grouping, is_keyword, is_never_a_metric, is_operator, operator, strength};

/// Longer texts are refused: nobody writes them.
const MAX_TEXT: usize = 16 * 1024;
/// Deeper nesting is refused: reading and evaluating recurse, on stacks of 2 MiB.
const MAX_DEPTH: usize = 100;

/// Parses a query into its plan.
pub(super) fn parse(text: &str, allowance: &mut Allowance) -> Result<Expr, ParseError> {
    let mut parser = Parser::of(text, allowance)?;
    if parser.peek().word == Word::End {
        return parser.fail(0, "no expression found in input");
    }
    let part = parser.expr(0)?;
    match parser.peek().word {
        Word::End => Ok(part.expr),
        _ => parser.unexpected(""),
    }
}

/// Parses a selector that stands alone, as `match[]` takes it: no parentheses, no modifiers; one that takes everything may be.
pub(super) fn parse_selector(text: &str, allowance: &mut Allowance) -> Result<Vec<Matcher>, ParseError> {
    let mut parser = Parser::of(text, allowance)?;
    let Token { word, start, .. } = parser.peek().clone();
    let name = match word {
        Word::Name(name) if !is_never_a_metric(&name) => {
            parser.take();
            Some((name, start))
        }
        Word::Sign("{") => None,
        Word::End => return parser.fail(0, "no expression found in input"),
        _ => return parser.unexpected(""),
    };
    let matchers = parser.matchers(name.as_ref().map(|(name, _)| name.as_str()))?;
    if parser.peek().word == Word::End { Ok(matchers) } else { parser.unexpected("") }
}

/// An expression while it is read.
struct Part {
    expr: Expr,
    /// Where it begins.
    start: usize,
    /// Where it begins behind its parentheses: what annotations name.
    inside: usize,
    /// How deep it is nested.
    depth: usize,
    /// Whether it stands in parentheses, behind which no range, offset or `@` can follow.
    in_parens: bool,
    /// Whether an offset and an `@` were given.
    shifted: (bool, bool),
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    allowance: &'t mut Allowance,
}

type Parsed<T> = Result<T, ParseError>;

impl<'t> Parser<'t> {
    fn of(text: &'t str, allowance: &'t mut Allowance) -> Parsed<Self> {
        if text.len() > MAX_TEXT {
            return Err(ParseError::at(text, 0, format!("the query is longer than {MAX_TEXT} bytes")));
        }
        Ok(Self { text, tokens: words(text), at: 0, depth: 0, allowance })
    }
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError::at(self.text, at, message))
    }

    /// The next word cannot stand here.
    fn unexpected<T>(&self, context: &str) -> Parsed<T> {
        let token = self.peek();
        let raw = &self.text[token.start..token.end];
        let what = match &token.word {
            Word::Bad(message) => return self.fail(token.start, message),
            Word::End => "end of input".to_owned(),
            Word::Name(name) if aggregate_op(name).is_some() => format!("<aggr:{raw}>"),
            Word::Name(name) if is_operator(name) => format!("<op:{raw}>"),
            Word::Name(name) if is_keyword(name) => format!("<{raw}>"),
            Word::Name(_) => format!("identifier {raw:?}"),
            Word::Number(_) => format!("number {raw:?}"),
            Word::Duration(_) => format!("duration {raw:?}"),
            Word::Text(_) => format!("string {raw:?}"),
            Word::Sign(sign @ ("," | "(" | ")" | "[" | "]" | "{" | "}" | ":" | "=")) => format!("{sign:?}"),
            Word::Sign(sign) => format!("<op:{sign}>"),
        };
        let context = if context.is_empty() { String::new() } else { format!(" in {context}") };
        self.fail(token.start, format!("unexpected {what}{context}"))
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek().word, Word::Sign(next) if next == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: &str, context: &str) -> Parsed<()> {
        if self.take_sign(sign) { Ok(()) } else { self.unexpected(context) }
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(&self.peek().word, Word::Name(next) if next.eq_ignore_ascii_case(name))
    }

    fn take_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    /// An expression whose operators bind at least as strongly as `least`.
    fn expr(&mut self, least: u8) -> Parsed<Part> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.too_deep();
        }
        let mut left = self.unary()?;
        while let Some((op, strength)) = self.binary_op().filter(|(_, strength)| *strength >= least) {
            let op_start = self.take().start;
            let (bool, matching, has_matching) = self.modifiers(op, op_start)?;
            // `^` alone binds from the right.
            let right = self.expr(if op == BinaryOp::Pow { strength } else { strength + 1 })?;
            let depth = left.depth.max(right.depth) + 1;
            if depth > MAX_DEPTH {
                return self.too_deep();
            }
            let start = left.start;
            let binary = Binary { op, left: left.expr, right: right.expr, bool, matching };
            self.check_binary(&binary, op_start, start, has_matching)?;
            left = Part {
                expr: Expr::Binary(Box::new(binary)),
                start,
                inside: start,
                depth,
                in_parens: false,
                shifted: (true, true),
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn too_deep<T>(&self) -> Parsed<T> {
        self.fail(self.peek().start, format!("the query is nested deeper than {MAX_DEPTH} levels"))
    }

    /// `-` binds less than `^` and as strongly as `*`.
    fn unary(&mut self) -> Parsed<Part> {
        let start = self.peek().start;
        let negative = self.is_sign("-");
        if !negative && !self.is_sign("+") {
            return self.postfixed();
        }
        self.take();
        let inner = self.expr(strength(BinaryOp::Mul) + 1)?;
        self.check_unary(&inner.expr, start)?;
        let expr = match inner.expr {
            Expr::Number(value) if negative => Expr::Number(-value),
            other if negative => Expr::Negate(Box::new(other)),
            other => other,
        };
        Ok(Part { expr, start, inside: start, depth: inner.depth + 1, in_parens: false, shifted: (true, true) })
    }

    fn primary(&mut self) -> Parsed<Part> {
        let Token { word, start, .. } = self.peek().clone();
        let leaf = |expr| Part { expr, start, inside: start, depth: 1, in_parens: false, shifted: (false, false) };
        match word {
            Word::Number(value) => {
                self.take();
                Ok(leaf(Expr::Number(value)))
            }
            Word::Duration(millis) => {
                self.take();
                Ok(leaf(Expr::Number(millis as f64 / 1000.0)))
            }
            Word::Text(text) => {
                self.take();
                Ok(leaf(Expr::String(text)))
            }
            Word::Sign("(") => {
                self.take();
                let inner = self.expr(0)?;
                self.expect_sign(")", "")?;
                Ok(Part { start, in_parens: true, ..inner })
            }
            Word::Sign("{") => Ok(leaf(Expr::Instant(self.selector(None)?))),
            Word::Name(name) => self.named(&name, start),
            _ => self.unexpected(""),
        }
    }

    /// What begins with a name: an aggregation, a call, a selector.
    fn named(&mut self, name: &str, start: usize) -> Parsed<Part> {
        let opens = matches!(self.peek_second().word, Word::Sign("("));
        let groups = matches!(&self.peek_second().word, Word::Name(next) if is_grouping(next));
        if aggregate_op(name).is_some() && (opens || groups) {
            return self.aggregate(name, start);
        }
        let is_step = name.eq_ignore_ascii_case("step");
        if opens && (is_step || !is_keyword(name)) && !is_operator(name) && !name.contains(':') {
            return self.call(name, start);
        }
        if is_never_a_metric(name) {
            return self.unexpected("");
        }
        self.take();
        let selector = self.selector(Some((name.to_owned(), start)))?;
        Ok(Part {
            expr: Expr::Instant(selector),
            start,
            inside: start,
            depth: 1,
            in_parens: false,
            shifted: (false, false),
        })
    }

    fn binary_op(&self) -> Option<(BinaryOp, u8)> {
        let op = match &self.peek().word {
            Word::Sign(sign) => operator(sign)?,
            Word::Name(name) => operator(&name.to_ascii_lowercase())?,
            _ => return None,
        };
        Some((op, strength(op)))
    }

    /// `bool`, `on (…)`, `group_left (…)`; and whether any label was named.
    fn modifiers(&mut self, op: BinaryOp, op_start: usize) -> Parsed<(bool, Matching, bool)> {
        let bool = self.take_name("bool");
        if bool && !op.is_comparison() {
            return self.fail(op_start, "bool modifier can only be used on comparison operators");
        }
        let on = self.is_name("on");
        let mut matching = Matching { labels: Grouping::Without(Vec::new()), cardinality: Cardinality::OneToOne };
        let mut named = false;
        if self.take_name("on") || self.take_name("ignoring") {
            let labels = self.label_list()?;
            named = !labels.is_empty();
            matching.labels = if on { Grouping::Only(labels) } else { Grouping::Without(labels) };
            let left = self.is_name("group_left");
            if self.take_name("group_left") || self.take_name("group_right") {
                let include = if self.is_sign("(") { self.label_list()? } else { Vec::new() };
                matching.cardinality =
                    if left { Cardinality::GroupLeft(include) } else { Cardinality::GroupRight(include) };
            }
        }
        Ok((bool, matching, named))
    }
}
