//! The functions that Prometheus' and Alertmanager's templates have in common, and what theirs are built of.

use std::sync::Arc;

use gotmpl::{FuncMap, Result, TemplateError, Value};

use crate::model::parse_duration;
use crate::promql::pattern;

use super::printf::{print, printf, println};
use super::{humanize, moment};

/// Adds a function.
pub fn add(map: &mut FuncMap, name: &str, function: impl Fn(&[Value]) -> Result<Value> + Send + Sync + 'static) {
    map.insert(name.to_owned(), Arc::new(function));
}

/// Texts: printing, letters, regular expressions.
pub fn texts(map: &mut FuncMap) {
    add(map, "print", |args| Ok(print(args).into()));
    add(map, "println", |args| Ok(println(args).into()));
    add(map, "printf", printf);
    add(map, "toUpper", |args| Ok(text(args, 0)?.to_uppercase().into()));
    add(map, "toLower", |args| Ok(text(args, 0)?.to_lowercase().into()));
    add(map, "title", |args| Ok(title(&text(args, 0)?).into()));
    add(map, "safeHtml", |args| Ok(text(args, 0)?.into()));
    add(map, "match", |args| Ok(Value::Bool(regex(&text(args, 0)?)?.is_match(&text(args, 1)?))));
    add(map, "reReplaceAll", |args| {
        let (pattern, replacement, text) = (regex(&text(args, 0)?)?, text(args, 1)?, text(args, 2)?);
        Ok(pattern.replace_all(&text, replacement.as_str()).into_owned().into())
    });
}

/// Numbers for people, and times.
pub fn numbers(map: &mut FuncMap) {
    type Render = fn(f64) -> String;
    let all: [(&str, Render); 5] = [
        ("humanize", humanize::plain),
        ("humanize1024", humanize::binary),
        ("humanizeDuration", humanize::duration),
        ("humanizePercentage", humanize::percentage),
        ("humanizeTimestamp", humanize::timestamp),
    ];
    for (name, render) in all {
        add(map, name, move |args| Ok(render(number(args, 0)?).into()));
    }
    add(map, "parseDuration", |args| {
        let text = text(args, 0)?;
        let seconds = parse_duration(&text).map_err(TemplateError::Exec)?.as_secs_f64();
        Ok(Value::Float(seconds))
    });
    add(map, "toTime", |args| Ok(moment::moment(number(args, 0)?)));
}

/// The argument as a text.
///
/// # Errors
/// It is missing.
pub fn text(args: &[Value], at: usize) -> Result<String> {
    match args.get(at) {
        Some(Value::Nil) => Ok(String::new()),
        Some(value) => Ok(value.to_string()),
        None => Err(TemplateError::Exec(format!("argument {} is missing", at + 1))),
    }
}

/// The argument as a number, also out of a text.
///
/// # Errors
/// It is none.
pub fn number(args: &[Value], at: usize) -> Result<f64> {
    match args.get(at) {
        Some(Value::Float(value)) => Ok(*value),
        Some(Value::Int(value)) => Ok(*value as f64),
        Some(Value::Uint(value)) => Ok(*value as f64),
        Some(Value::String(text)) => text
            .parse()
            .map_err(|_| TemplateError::Exec(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))),
        _ => Err(TemplateError::Exec("can't convert to float".into())),
    }
}

/// A regular expression in Go's dialect.
///
/// # Errors
/// It is none.
pub fn regex(pattern: &str) -> Result<regex::Regex> {
    pattern::unanchored(pattern).map_err(|error| TemplateError::Exec(error.to_string()))
}

/// Each word's first letter large, as Go's `strings.Title`.
fn title(text: &str) -> String {
    let mut before = ' ';
    let large = |c: char| {
        let starts = !(before.is_alphanumeric() || before == '_' || before == '\'');
        before = c;
        if starts { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(large).collect()
}
