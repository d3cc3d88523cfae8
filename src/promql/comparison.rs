//! What an expression compares, and with which number: how far an alert is from its limit.

use std::sync::LazyLock;

use regex::Regex;

/// A comparison with a number at an expression's end, in the expression's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison<'e> {
    /// What is compared.
    pub left: &'e str,
    /// `>`, `==`, …
    pub operator: &'e str,
    /// The number, which may be a product such as `3 * 1024`.
    pub limit: &'e str,
}

impl<'e> Comparison<'e> {
    /// The comparison at the end of an expression; nothing if it ends otherwise.
    pub fn at_end_of(expression: &'e str) -> Option<Self> {
        static AT_END: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(
                r"(?s)^(.*?)(==|!=|<=|>=|<|>)\s*(?:bool\s+)?([-+]?[0-9][0-9_.eE+-]*(?:\s*[*/]\s*[0-9][0-9_.eE]*)*)\s*$",
            )
            .expect("a regular expression")
        });
        let found = AT_END.captures(expression)?;
        let part = |at| found.get(at).map_or("", |part| part.as_str());
        Some(Self { left: part(1).trim(), operator: part(2), limit: part(3) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_what_the_expression_compares_with() {
        for (expression, expected) in [
            ("pg_up == 0", Some(("pg_up", "==", "0"))),
            ("rate(x[5m])/y > 0.9", Some(("rate(x[5m])/y", ">", "0.9"))),
            ("x < bool 3 * 1024", Some(("x", "<", "3 * 1024"))),
            ("a > 1 and b\n<= 2e3\n", Some(("a > 1 and b", "<=", "2e3"))),
            ("x > on() y", None),
            ("absent(up)", None),
        ] {
            let found = Comparison::at_end_of(expression).map(|found| (found.left, found.operator, found.limit));
            assert_eq!(found, expected, "{expression}");
        }
    }
}
