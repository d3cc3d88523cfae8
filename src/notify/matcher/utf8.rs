//! Alertmanager's newer way of reading matchers: names and values are any text, in double quotes as Go writes them, or
//! bare where nothing reserved is in them.

use super::{Matcher, Operator, is_reserved};

enum Word {
    Open,
    Close,
    Comma,
    Operator(Operator),
    Text(String),
}

/// Reads any number of matchers. `None`: not in this way.
pub(super) fn read(text: &str) -> Option<Vec<Matcher>> {
    let mut words = words(text)?.into_iter().peekable();
    let open = words.next_if(|word| matches!(word, Word::Open)).is_some();
    let mut matchers = Vec::new();
    loop {
        match words.next() {
            None => return (!open).then_some(matchers),
            Some(Word::Close) => return (open && words.next().is_none()).then_some(matchers),
            Some(Word::Text(name)) => {
                let (Some(Word::Operator(operator)), Some(Word::Text(value))) = (words.next(), words.next()) else {
                    return None;
                };
                matchers.push(Matcher::new(name, operator, value).ok()?);
            }
            Some(_) => return None,
        }
        match words.peek() {
            Some(Word::Comma) => drop(words.next()),
            None | Some(Word::Close) => {}
            Some(_) => return None,
        }
    }
}

fn words(text: &str) -> Option<Vec<Word>> {
    let (mut words, mut rest) = (Vec::new(), text.trim_start());
    while let Some(c) = rest.chars().next() {
        let (word, length) = match c {
            '{' => (Word::Open, 1),
            '}' => (Word::Close, 1),
            ',' => (Word::Comma, 1),
            '=' if rest[1..].starts_with('~') => (Word::Operator(Operator::Regex), 2),
            '=' => (Word::Operator(Operator::Equal), 1),
            '!' if rest[1..].starts_with('=') => (Word::Operator(Operator::NotEqual), 2),
            '!' if rest[1..].starts_with('~') => (Word::Operator(Operator::NotRegex), 2),
            '"' => {
                let length = quoted(rest)?;
                (Word::Text(unquote(&rest[1..length - 1])?), length)
            }
            c if is_reserved(c) => return None,
            _ => {
                let length = rest.find(is_reserved).unwrap_or(rest.len());
                (Word::Text(rest[..length].to_owned()), length)
            }
        };
        words.push(word);
        rest = rest[length..].trim_start();
    }
    Some(words)
}

/// How long the text in quotes is that this one starts with.
fn quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// What stands between double quotes in Go's source; `None` where Go would not take it, or where it is no UTF-8.
fn unquote(inside: &str) -> Option<String> {
    let mut out: Vec<u8> = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '\n' {
            return None;
        }
        if c != '\\' {
            out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let kind = rest.chars().next()?;
        rest = &rest[kind.len_utf8()..];
        let mut number = |digits: usize, radix: u32| {
            let (digits, after) = rest.split_at_checked(digits)?;
            rest = after;
            let only_digits = digits.chars().all(|c| c.is_digit(radix));
            if only_digits { u32::from_str_radix(digits, radix).ok() } else { None }
        };
        match kind {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(0x0c),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(0x0b),
            '\\' | '"' => out.push(kind as u8),
            'x' => out.push(u8::try_from(number(2, 16)?).ok()?),
            '0'..='7' => {
                let high = kind.to_digit(8)? * 64;
                out.push(u8::try_from(high + number(2, 8)?).ok()?);
            }
            'u' => out.extend(char::from_u32(number(4, 16)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            'U' => out.extend(char::from_u32(number(8, 16)?)?.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => return None,
        }
    }
    String::from_utf8(out).ok()
}
