//! Alertmanager's older way of reading matchers: the name is a classic label name, the value everything up to the next
//! comma outside quotes.

use std::sync::LazyLock;

use regex::Regex;

use super::{Matcher, Operator};

/// Name, operator and value; the value's outer spaces do not count.
static PARTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^[ \t\n\f\r]*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t\n\f\r]*(=~|=|!=|!~)[ \t\n\f\r]*((?s:.*?))[ \t\n\f\r]*$")
        .expect("a pattern of ours")
});

/// Reads several, separated by commas; one brace at either end is dropped, whether or not the other is there.
pub(super) fn read_list(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut pieces, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            // A backslash before it is not forgotten: so Alertmanager does it.
            ',' if !quoted => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            ',' => {}
            '"' if escaped => escaped = false,
            '"' => quoted = !quoted,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        pieces.push(last);
    }
    pieces.into_iter().map(read).collect()
}

/// Reads one.
pub(super) fn read(text: &str) -> Result<Matcher, String> {
    let parts = PARTS.captures(text).ok_or_else(|| format!("bad matcher format: {text}"))?;
    let operator = match &parts[2] {
        "=" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "=~" => Operator::Regex,
        _ => Operator::NotRegex,
    };
    let value =
        unescape(&parts[3]).ok_or_else(|| format!("matcher value contains unescaped double quote: {}", &parts[3]))?;
    Matcher::new(&parts[1], operator, value)
}

/// A value with or without quotes around it; `\n`, `\"` and `\\` mean what they mean, other backslashes themselves.
fn unescape(raw: &str) -> Option<String> {
    let (inside, quoted) = match raw.strip_prefix('"') {
        Some(rest) => (rest.strip_suffix('"')?, true),
        None => (raw, false),
    };
    let mut value = String::with_capacity(inside.len());
    let mut rest = inside.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return None,
            '\\' => match rest.next() {
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                // The closing quote was an escaped one.
                None if quoted => return None,
                None => value.push('\\'),
            },
            c => value.push(c),
        }
    }
    Some(value)
}
