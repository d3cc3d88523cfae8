//! Which metrics a query cannot do without.

use super::Query;
use super::plan::{BinaryOp, Expr};
use crate::store::Matcher;

impl Query {
    /// The metrics without which the query gives nothing and that do not exist, each once in the order they are written.
    ///
    /// Not those that it asks for only to see that they are absent (`absent()`, right of `unless`), and not those that
    /// another may stand in for (`a or b`, when one of the two is there).
    pub fn missing(&self, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut all = missing(&self.plan, exists);
        let mut seen = std::collections::HashSet::new();
        all.retain(|name| seen.insert(name.clone()));
        all
    }
}

impl Query {
    /// The selectors of the series that its answer is made of: not of those whose absence it asks for.
    pub fn inputs(&self) -> Vec<Vec<Matcher>> {
        let mut all = Vec::new();
        inputs(&self.plan, &mut all);
        all
    }
}

fn inputs(expr: &Expr, all: &mut Vec<Vec<Matcher>>) {
    match expr {
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Instant(selector) | Expr::Range(selector, _) => all.push(selector.matchers.clone()),
        Expr::Subquery(subquery) => inputs(&subquery.inner, all),
        Expr::Negate(inner) => inputs(inner, all),
        Expr::Binary(binary) => {
            inputs(&binary.left, all);
            if binary.op != BinaryOp::Unless {
                inputs(&binary.right, all);
            }
        }
        Expr::Aggregate(aggregate) => {
            aggregate.param.iter().for_each(|param| inputs(param, all));
            inputs(&aggregate.inner, all);
        }
        Expr::Call(call) if call.function.name.starts_with("absent") => {}
        Expr::Call(call) => call.args.iter().for_each(|arg| inputs(arg, all)),
    }
}

fn missing(expr: &Expr, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    match expr {
        Expr::Number(_) | Expr::String(_) => Vec::new(),
        Expr::Instant(selector) | Expr::Range(selector, _) => {
            selector.metric_name().filter(|name| !exists(name)).map(str::to_owned).into_iter().collect()
        }
        Expr::Subquery(subquery) => missing(&subquery.inner, exists),
        Expr::Negate(inner) => missing(inner, exists),
        Expr::Binary(binary) => {
            let left = missing(&binary.left, exists);
            if binary.op == BinaryOp::Unless || (binary.op == BinaryOp::Or && left.is_empty()) {
                return left;
            }
            let right = missing(&binary.right, exists);
            if binary.op == BinaryOp::Or && right.is_empty() { right } else { [left, right].concat() }
        }
        Expr::Aggregate(aggregate) => {
            let param = aggregate.param.iter().flat_map(|param| missing(param, exists));
            param.chain(missing(&aggregate.inner, exists)).collect()
        }
        Expr::Call(call) if call.function.name.starts_with("absent") => Vec::new(),
        Expr::Call(call) => call.args.iter().flat_map(|arg| missing(arg, exists)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_query_cannot_do_without_is_found() {
        for (text, expected) in [
            ("rate(x[5m]) / on () y", "x y"),
            ("x + x", "x"),
            ("here > 0", ""),
            ("absent(x) or absent_over_time(x[5m])", ""),
            ("x or here", ""),
            ("x or vector(0)", ""),
            ("x or y", "x y"),
            ("here unless x", ""),
            ("x unless y", "x"),
            ("topk(scalar(x), sum(-y))", "x y"),
            ("{__name__=~\"x.*\"}", ""),
            ("max_over_time(x[5m:1m])", "x"),
        ] {
            let query = Query::parse(text).unwrap();
            assert_eq!(query.missing(&|name| name == "here").join(" "), expected, "{text}");
        }
    }
}
