//! Functions and aggregations with their arguments, and lists of labels.

use super::super::functions;
use super::super::lex::{Token, Word};
use super::super::plan::{Aggregate, Call, Expr, Grouping};
use super::names::aggregate_op;
use super::{MAX_DEPTH, Parsed, Parser, Part};

impl Parser<'_> {
    pub(super) fn call(&mut self, name: &str, start: usize) -> Parsed<Part> {
        self.take();
        let parts = self.arguments("")?;
        let Some(function) = functions::find(name) else {
            return self.fail(start, functions::unknown(name));
        };
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0) + 1;
        // Where some arguments are the same at every step, Prometheus wraps these up with their parentheses.
        let all_fixed = parts.iter().all(|part| part.expr.is_fixed());
        let wrapped = |part: &Part| !all_fixed && part.expr.is_fixed();
        let places = parts.iter().map(|part| if wrapped(part) { part.start } else { part.inside }).collect();
        let call = Call { function, args: parts.into_iter().map(|part| part.expr).collect(), places };
        self.check_call(&call, start)?;
        if depth > MAX_DEPTH {
            return self.too_deep();
        }
        Ok(Part { expr: Expr::Call(call), start, inside: start, depth, in_parens: false, shifted: (true, true) })
    }

    fn arguments(&mut self, context: &str) -> Parsed<Vec<Part>> {
        self.expect_sign("(", context)?;
        let mut parts = Vec::new();
        if self.take_sign(")") {
            return Ok(parts);
        }
        loop {
            parts.push(self.expr(0)?);
            if self.take_sign(")") {
                return Ok(parts);
            }
            let comma = self.peek().start;
            self.expect_sign(",", context)?;
            if self.is_sign(")") {
                return self.fail(comma, "trailing commas not allowed in function call args");
            }
        }
    }

    pub(super) fn aggregate(&mut self, name: &str, start: usize) -> Parsed<Part> {
        self.take();
        let before = self.grouping()?;
        let mut parts = self.arguments("aggregation")?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or(Grouping::Only(Vec::new())),
        };
        let Some(Ok(op)) = aggregate_op(name) else {
            let why = "is experimental and must be enabled with --enable-feature=promql-experimental-functions";
            return self.fail(start, format!("{name}() {why}"));
        };
        let expected = if op.has_param() { 2 } else { 1 };
        if parts.is_empty() {
            return self.fail(start, "no arguments for aggregate expression provided");
        }
        if parts.len() != expected {
            let got = parts.len();
            let what = "wrong number of arguments for aggregate expression provided";
            return self.fail(start, format!("{what}, expected {expected}, got {got}"));
        }
        let depth = parts.iter().map(|part| part.depth).max().unwrap_or(0) + 1;
        let param = if op.has_param() { Some(parts.remove(0)) } else { None };
        let inner = parts.remove(0);
        let param_place = param.as_ref().map_or(start, |param| param.inside);
        let aggregate =
            Aggregate { op, inner: inner.expr, param: param.map(|param| param.expr), param_place, grouping };
        self.check_aggregate(&aggregate, inner.start)?;
        let expr = Expr::Aggregate(Box::new(aggregate));
        Ok(Part { expr, start, inside: start, depth, in_parens: false, shifted: (true, true) })
    }

    fn grouping(&mut self) -> Parsed<Option<Grouping>> {
        if self.take_name("by") {
            Ok(Some(Grouping::Only(self.label_list()?)))
        } else if self.take_name("without") {
            Ok(Some(Grouping::Without(self.label_list()?)))
        } else {
            Ok(None)
        }
    }

    /// `(a, b)`
    pub(super) fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect_sign("(", "grouping opts, expected \"(\"")?;
        let mut labels: Vec<String> = Vec::new();
        while !self.take_sign(")") {
            let Token { word, start, .. } = self.peek().clone();
            match word {
                // Of all keywords, this one alone is no label's name here.
                Word::Name(name) if !name.eq_ignore_ascii_case("without") => labels.push(name),
                Word::Text(name) if !name.is_empty() => labels.push(name),
                Word::Text(name) => return self.fail(start, format!("invalid label name for grouping: {name:?}")),
                _ => return self.unexpected("grouping opts, expected label"),
            }
            self.take();
            if !self.is_sign(")") {
                self.expect_sign(",", "grouping opts, expected \",\" or \")\"")?;
            }
        }
        Ok(labels)
    }
}
