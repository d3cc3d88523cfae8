//! The functions that Alertmanager adds to Go's templates.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{FuncMap, Result, SafeKind, TemplateError, Value};
use jiff::SignedDuration;

use crate::model::Millis;
use crate::template::{self, add, add_with, humanize, json, moment, number, text, texts_of};

/// All functions by name, for a message of this time.
pub fn at(now: Millis) -> FuncMap {
    let mut map = FuncMap::new();
    template::texts(&mut map);
    texts(&mut map);
    collections(&mut map);
    times(&mut map, now);
    map
}

fn texts(map: &mut FuncMap) {
    add_with(map, "title", 1, |args| Ok(title(&text(args, 0)?).into()));
    add_with(map, "trimSpace", 1, |args| Ok(text(args, 0)?.trim().into()));
    add_with(map, "join", 2, |args| {
        let items = texts_of(args.get(1).unwrap_or(&Value::Nil))?;
        Ok(items.join(&*text(args, 0)?).into())
    });
    add_with(map, "safeUrl", 1, |args| Ok(Value::Safe { kind: SafeKind::Url, s: text(args, 0)?.into() }));
    add_with(map, "urlUnescape", 1, |args| Ok(unescaped(&text(args, 0)?)?.into()));
}

fn collections(map: &mut FuncMap) {
    add(map, "stringSlice", |args| {
        (0..args.len()).map(|at| Ok(text(args, at)?.into())).collect::<Result<Vec<Value>>>().map(Value::from)
    });
    add(map, "list", |args| Ok(Value::from(args.to_vec())));
    add(map, "append", |args| match args.split_first() {
        Some((Value::List(items), more)) => Ok(Value::from([items, more].concat())),
        Some((Value::Nil, more)) => Ok(Value::from(more.to_vec())),
        _ => Err(TemplateError::Exec("append expects a list first".into())),
    });
    add(map, "dict", |args| {
        if !args.len().is_multiple_of(2) {
            return Err(TemplateError::Exec("dict requires an even number of arguments".into()));
        }
        let pair = |pair: &[Value]| match &pair[0] {
            Value::String(name) => Ok((Arc::clone(name), pair[1].clone())),
            _ => Err(TemplateError::Exec("dict keys must be strings".into())),
        };
        Ok(Value::Map(Arc::new(args.chunks(2).map(pair).collect::<Result<BTreeMap<_, _>>>()?)))
    });
    add_with(map, "toJson", 1, |args| Ok(json(&args[0])?.into()));
}

fn times(map: &mut FuncMap, now: Millis) {
    let now = moment::at(SignedDuration::from_millis(now.0));
    let since = now.clone();
    add_with(map, "now", 0, move |_| Ok(now.clone()));
    add_with(map, "since", 1, move |args| Ok(moment::since(&since, moment::expect(args.first())?)));
    add_with(map, "date", 2, |args| Ok(moment::format(&args[1], &text(args, 0)?)?.into()));
    add_with(map, "tz", 2, |args| moment::in_zone(&args[1], &text(args, 0)?));
    add_with(map, "humanizeDuration", 1, |args| Ok(humanize::duration(number(args, 0)?).into()));
}

/// Each word's first letter large, the others small. A word goes on over a point or an apostrophe between letters.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut begun) = (false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let joins =
            matches!(c, '\'' | '’' | '.' | ':' | '·') && begun && rest.peek().is_some_and(|next| next.is_alphabetic());
        inside = c.is_alphanumeric() || c == '_' || (inside && joins);
        if !inside {
            begun = false;
        }
        if c.is_alphabetic() {
            if begun {
                out.extend(c.to_lowercase());
            } else {
                out.extend(c.to_uppercase());
            }
            begun = true;
        } else {
            out.push(c);
        }
    }
    out
}

/// Go's `url.QueryUnescape`.
fn unescaped(text: &str) -> Result<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = bytes.get(at..at + 2).unwrap_or(&bytes[at..]);
                let code = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 2);
                let code = code.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or_else(|| {
                    let shown = String::from_utf8_lossy(&bytes[at - 1..at + digits.len()]);
                    TemplateError::Exec(format!("invalid URL escape {shown:?}"))
                })?;
                out.push(code);
                at += 2;
            }
            byte => out.push(*byte),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_alertmanagers() {
        // What amtool 0.33 gives.
        assert_eq!(title("hELLO o'neil foo-bar 3abc a_b x.y"), "Hello O'neil Foo-Bar 3Abc A_b X.y");
    }

    #[test]
    fn escapes_of_urls_are_taken_out_or_refused() {
        assert_eq!(unescaped("a%20b+c%C3%A9").unwrap(), "a b cé");
        for wrong in ["%zz", "%", "a%2", "%+1"] {
            assert!(unescaped(wrong).is_err(), "{wrong}");
        }
    }
}
