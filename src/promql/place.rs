//! Where in a query a parse error is.
//!
//! The parser says what is wrong but not where. A quoted word of its message is looked for in the text; for a plain
//! syntax error, the error stands behind the longest beginning that some ending would complete.

use promql_parser::parser::parse;

use super::error::ParseError;

/// Texts with more words than this get no search; the error is put at the first column.
const MAX_WORDS: usize = 400;

/// Makes an error of a message, with its place.
pub(super) fn locate(text: &str, message: String) -> ParseError {
    let offset = if message == "invalid promql query" {
        syntax_error(text)
    } else if message.starts_with("unclosed") {
        text.len()
    } else if message.starts_with("unexpected right") {
        text.rfind([')', ']', '}']).unwrap_or(0)
    } else {
        quoted(&message).find_map(|word| text.find(word)).unwrap_or(0)
    };
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let message = if message == "invalid promql query" { unexpected(&text[offset..]) } else { message };
    ParseError { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, message }
}

/// How deep brackets nest, quotes left out.
pub(super) fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for (_, word) in words(text) {
        match word {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn unexpected(rest: &str) -> String {
    match words(rest).next() {
        Some((_, word)) => format!("unexpected `{word}`"),
        None => "unexpected end of input".into(),
    }
}

fn quoted(message: &str) -> impl Iterator<Item = &str> {
    let inside = |quote: char| message.split(quote).skip(1).step_by(2).filter(|word| !word.is_empty());
    inside('\'').chain(inside('"')).chain(inside('`'))
}

fn syntax_error(text: &str) -> usize {
    let all: Vec<(usize, &str)> = words(text).take(MAX_WORDS + 1).collect();
    if all.len() > MAX_WORDS {
        return 0;
    }
    // Going forward, the last beginning that can be completed counts; the word behind it is the error.
    let good = (1..=all.len()).rev().find(|count| {
        let (start, word) = all[count - 1];
        completes(&text[..start + word.len()], &all[..*count])
    });
    let good = good.unwrap_or(0);
    all.get(good).map_or(text.len(), |(start, _)| *start)
}

/// Whether some ending makes a beginning a query.
fn completes(beginning: &str, words: &[(usize, &str)]) -> bool {
    let mut open = Vec::new();
    for (_, word) in words {
        match *word {
            "(" => open.push(')'),
            "[" => open.push(']'),
            "{" => open.push('}'),
            ")" | "]" | "}" => {
                open.pop();
            }
            _ => {}
        }
    }
    let closing: String = open.iter().rev().collect();
    let fillers = ["", "x", "1", "5m", "\"\"", "x=\"\"", "=\"\"", "(x)", "(x[5m])", "x[5m])", ":5m", " (x) x", "() x"];
    // A keyword such as `sum` or `rate` may also be a metric's name, so a filler can follow directly or after a space.
    fillers.iter().any(|filler| {
        let ended = filler.ends_with(')') && closing.starts_with(')') && filler.starts_with('x');
        let closing = if ended { &closing[1..] } else { &closing };
        parse(&format!("{beginning} {filler}{closing}")).map_or_else(|error| meant(&error), |_| true)
    })
}

/// Whether a complaint is about a query that is well formed, such as a wrong type.
fn meant(error: &str) -> bool {
    !["invalid", "unexpected", "unclosed", "unterminated"].iter().any(|start| error.starts_with(start))
}

/// The words of a query with their offsets: names, numbers, quoted texts, signs.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &text[at..];
            let first = rest.chars().next()?;
            if first == '#' {
                at += rest.find('\n').unwrap_or(rest.len());
            } else if first.is_whitespace() {
                at += first.len_utf8();
            } else {
                let start = at;
                at += word_length(rest, first);
                return Some((start, &text[start..at]));
            }
        }
    })
}

fn word_length(rest: &str, first: char) -> usize {
    let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    if named(first) {
        return rest.find(|c| !named(c)).unwrap_or(rest.len());
    }
    if matches!(first, '"' | '\'' | '`') {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if c == '\\' && first != '`' {
                escaped = true;
            } else if c == first {
                return at + 1;
            }
        }
        return rest.len();
    }
    let two = rest.get(..2).unwrap_or_default();
    if matches!(two, "==" | "!=" | "<=" | ">=" | "=~" | "!~") { 2 } else { first.len_utf8() }
}
