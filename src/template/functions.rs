//! The functions that Prometheus' and Alertmanager's templates have in common, and what theirs are built of.

use std::sync::Arc;

use gotmpl::{FuncMap, Result, SafeKind, TemplateError, Value};

use crate::model::parse_duration;
use crate::promql::pattern;

use super::limit::{MAX_TEXT, too_long};
use super::member::Kind;
use super::printf::{print, printf, println};
use super::{humanize, member, moment, span};

/// Adds a function.
pub fn add(map: &mut FuncMap, name: &str, function: impl Fn(&[Value]) -> Result<Value> + Send + Sync + 'static) {
    map.insert(name.to_owned(), Arc::new(function));
}

/// Adds a function that takes exactly so many arguments.
pub fn add_with(
    map: &mut FuncMap,
    name: &'static str,
    count: usize,
    function: impl Fn(&[Value]) -> Result<Value> + Send + Sync + 'static,
) {
    add(map, name, move |args| {
        if args.len() != count {
            let message = format!("wrong number of args for {name}: want {count} got {}", args.len());
            return Err(TemplateError::Exec(message));
        }
        function(args)
    });
}

/// Go's own functions, where the engine's differ.
pub fn go_functions(map: &mut FuncMap) {
    add(map, "print", |args| Ok(print(args)?.into()));
    add(map, "println", |args| Ok(println(args)?.into()));
    add(map, "printf", printf);
    add(map, "index", |args| {
        let Some((first, keys)) = args.split_first() else {
            return Err(TemplateError::Exec("wrong number of args for index: want at least 1 got 0".into()));
        };
        keys.iter().try_fold(first.clone(), |value, key| match (&value, key) {
            // Go's maps of texts have an empty text for every missing key.
            (Value::Map(map), Value::String(name)) if member::is_set(map) && !map.contains_key(name) => {
                Ok(Value::from(""))
            }
            (value, key) => value.index(key),
        })
    });
}

/// Texts: printing, letters, regular expressions.
pub fn texts(map: &mut FuncMap) {
    go_functions(map);
    add_with(map, "toUpper", 1, |args| Ok(text(args, 0)?.to_uppercase().into()));
    add_with(map, "toLower", 1, |args| Ok(text(args, 0)?.to_lowercase().into()));
    add_with(map, "title", 1, |args| Ok(title(&text(args, 0)?).into()));
    add_with(map, "safeHtml", 1, |args| Ok(Value::Safe { kind: SafeKind::Html, s: text(args, 0)?.into() }));
    add_with(map, "match", 2, |args| Ok(Value::Bool(regex(&text(args, 0)?)?.is_match(&text(args, 1)?))));
    add_with(map, "reReplaceAll", 3, |args| {
        let (pattern, replacement, text) = (regex(&text(args, 0)?)?, text(args, 1)?, text(args, 2)?);
        // As many copies of the text as the replacement has room to name.
        if text.len().saturating_add(1).saturating_mul(replacement.len()) > 16 * MAX_TEXT {
            return Err(too_long());
        }
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
/// It is missing, or no text.
pub fn text(args: &[Value], at: usize) -> Result<String> {
    match args.get(at) {
        Some(Value::Nil) => Ok(String::new()),
        Some(value @ (Value::String(_) | Value::Safe { .. })) => Ok(value.to_string()),
        Some(other) => {
            let got = member::type_name(other);
            Err(TemplateError::Exec(format!("wrong type for value; expected string; got {got}")))
        }
        None => Err(TemplateError::Exec(format!("argument {} is missing", at + 1))),
    }
}

/// The items of a list of texts.
///
/// # Errors
/// It is none.
pub fn texts_of(value: &Value) -> Result<Vec<Arc<str>>> {
    let wrong = || {
        let got = member::type_name(value);
        TemplateError::Exec(format!("wrong type for value; expected []string; got {got}"))
    };
    let Value::List(items) = value else {
        return Err(wrong());
    };
    let text = |item: &Value| match item {
        Value::String(text) => Ok(Arc::clone(text)),
        _ => Err(wrong()),
    };
    items.iter().map(text).collect()
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
        Some(value) if member::kind(value) == Some(Kind::Duration) => Ok(span::seconds(value)),
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
