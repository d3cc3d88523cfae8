//! Values as Go prints them: by `fmt` in texts, by `encoding/json` for `toJson`.

use std::fmt::Write as _;

use gotmpl::{Result, TemplateError, Value};

use super::limit::{MAX_TEXT, too_long};
use super::member::{self, Kind};
use super::{moment, span};
use crate::model::render_float;

/// A value as `%v` has it.
///
/// # Errors
/// It is too long: lists may hold the same list many times.
pub fn text(value: &Value) -> Result<String> {
    let mut out = String::new();
    write_text(&mut out, value)?;
    Ok(out)
}

fn write_text(out: &mut String, value: &Value) -> Result<()> {
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Float(value) => out.push_str(&render_float(*value)),
        Value::List(items) if !items.is_empty() && items.iter().all(|item| member::kind(item) == Some(Kind::Pair)) => {
            for (at, item) in items.iter().enumerate() {
                let part = |name| item.field(name).map(Value::to_string).unwrap_or_default();
                let comma = if at > 0 { ", " } else { "" };
                let _ = write!(out, "{comma}{}={}", part("Name"), part("Value"));
            }
        }
        Value::List(items) => between(out, "[", "]", items.iter().map(|item| (None, item)))?,
        Value::Map(map) => match member::kind(value) {
            Some(Kind::Time) => out.push_str(&moment::text(value)),
            Some(Kind::Duration) => out.push_str(&span::text(value)),
            Some(kind) => {
                let field = |name: &str| map.get(name).unwrap_or(&Value::Nil);
                between(out, "{", "}", kind.fields().iter().map(|(name, _)| (None, field(name))))?;
            }
            None if member::is_set(map) => {
                for (at, (name, value)) in member::sorted(map).enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    let _ = write!(out, "{comma}{name}={value}");
                }
            }
            None => between(out, "map[", "]", map.iter().map(|(name, value)| (Some(&**name), value)))?,
        },
        other => {
            let _ = write!(out, "{other}");
        }
    }
    if out.len() > MAX_TEXT { Err(too_long()) } else { Ok(()) }
}

fn between<'v>(
    out: &mut String,
    open: &str,
    close: &str,
    items: impl Iterator<Item = (Option<&'v str>, &'v Value)>,
) -> Result<()> {
    out.push_str(open);
    for (at, (name, item)) in items.enumerate() {
        if at > 0 {
            out.push(' ');
        }
        if let Some(name) = name {
            let _ = write!(out, "{name}:");
        }
        write_text(out, item)?;
    }
    out.push_str(close);
    Ok(())
}

/// A value as Go's `json.Marshal` has it.
///
/// # Errors
/// It has no form in JSON, or is too long.
pub fn json(value: &Value) -> Result<String> {
    let mut out = String::new();
    write_json(&mut out, value)?;
    Ok(out)
}

fn write_json(out: &mut String, value: &Value) -> Result<()> {
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(_) | Value::Int(_) | Value::Uint(_) => {
            let _ = write!(out, "{value}");
        }
        Value::Float(number) if number.is_finite() => out.push_str(&json_number(*number)),
        Value::Float(number) => {
            let message = format!("json: unsupported value: {}", render_float(*number));
            return Err(TemplateError::Exec(message));
        }
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(out, item)?;
            }
            out.push(']');
        }
        Value::Map(map) => match member::kind(value) {
            Some(Kind::Time) => quote(out, &moment::rfc3339(value)),
            Some(Kind::Duration) => {
                let _ = write!(out, "{}", span::nanos(value));
            }
            Some(kind) => {
                let field = |name: &str| map.get(name).unwrap_or(&Value::Nil);
                object(out, kind.fields().iter().map(|(name, key)| (*key, field(name))))?;
            }
            None => object(out, map.iter().map(|(name, value)| (&**name, value)))?,
        },
        Value::Function(_) => return Err(TemplateError::Exec("json: unsupported type: func".into())),
        text => quote(out, &text.to_string()),
    }
    if out.len() > MAX_TEXT { Err(too_long()) } else { Ok(()) }
}

fn object<'v>(out: &mut String, fields: impl Iterator<Item = (&'v str, &'v Value)>) -> Result<()> {
    out.push('{');
    for (at, (name, value)) in fields.enumerate() {
        if at > 0 {
            out.push(',');
        }
        quote(out, name);
        out.push(':');
        write_json(out, value)?;
    }
    out.push('}');
    Ok(())
}

/// Whole numbers without a point, very large and very small ones with an exponent.
fn json_number(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        // Go has a sign in every exponent.
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    format!("{number}")
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            // So that JSON can stand in HTML and in scripts.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
