//! What is a query and what is not, as promtool 3.5.3 judged it.

use promql_parser::parser::parse as crate_parse;

use super::super::pattern::{Allowance, MAX_MATCHERS};
use super::{Expr, ParseError, parse};

/// Text, and what is to be said of it: `ok` or an error; whether the error's words are Prometheus' own.
fn judged() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    let lines = include_str!("../testdata/parse.test").lines().filter(|line| !line.starts_with("# "));
    lines.map(|line| {
        let (text, verdict) = line.split_once('\t').expect("a text and a verdict");
        match verdict.strip_prefix('~') {
            Some(verdict) => (text, verdict, false),
            None => (text, verdict, true),
        }
    })
}

fn of(text: &str) -> Result<Expr, ParseError> {
    parse(text, &mut Allowance::default())
}

#[test]
fn texts_are_taken_and_refused_as_promtool_does() {
    let mut wrong = Vec::new();
    for (text, verdict, same_words) in judged() {
        let got = of(text).map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        let alike = if same_words { got == verdict } else { got != verdict && got != "ok" };
        if !alike {
            wrong.push(format!("{text}\n    exp: {verdict}\n    got: {got}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Why the parser is ours: what the promql-parser crate takes or refuses otherwise. When a newer version of the crate gets
/// these right and keeps places, it can have its place back.
#[test]
fn where_the_parser_crate_differs() {
    let differs = |(text, verdict, _): (&'static str, &'static str, bool)| {
        (crate_parse(text).is_ok() != (verdict == "ok")).then_some(text)
    };
    let differing: Vec<_> = judged().filter_map(differs).collect();
    for text in ["1_000", "x offset 0s", "x @ 1e20", "sum by (\"\") (x)", "mad_over_time(x[5m])"] {
        assert!(differing.contains(&text), "the crate agrees on {text} now; it still differs on {differing:?}");
    }
}

#[test]
fn depth_is_bounded_however_it_comes_about() {
    for text in [
        format!("{}1{}", "(".repeat(3000), ")".repeat(3000)),
        vec!["1"; 8000].join("+"),
        format!("{}1", "-".repeat(3000)),
        vec!["x"; 3000].join("^"),
        format!("{}x{}", "abs(".repeat(300), ")".repeat(300)),
        format!("x{}", "[5m:]".repeat(300)),
    ] {
        assert!(of(&text).is_err(), "{}", &text[..20]);
    }
    assert!(of(&vec!["x"; 90].join("+")).is_ok());
    assert!(of(&"x".repeat(20_000)).is_err());
}

#[test]
fn matchers_are_bounded_over_all_selectors() {
    let wide = |count: usize| vec![format!("x{{{}}}", vec!["a=\"\""; count].join(",")); 10].join("+");
    assert!(of(&wide(MAX_MATCHERS / 10)).is_ok());
    assert!(of(&wide(MAX_MATCHERS / 10 + 1)).is_err());
    let one = |count: usize| format!("x{{{}}}", vec!["a=\"\""; count].join(","));
    assert!(of(&one(MAX_MATCHERS)).is_ok());
    assert!(of(&one(MAX_MATCHERS + 1)).is_err_and(|error| error.message == "more than 1000 label matchers"));
}
