//! The functions that Prometheus adds to Go's templates (its `template/template.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{FuncMap, Result, TemplateError, Value};

use crate::model::{Labels, parse_duration};
use crate::promql::pattern;

use super::printf::{print, printf, println};
use super::{humanize, moment};

/// Asks the store for `query`.
pub type Asker = Arc<dyn Fn(&str) -> std::result::Result<Vec<(Labels, f64)>, String> + Send + Sync>;

/// All functions by name. `url` is where users reach the agent.
pub fn functions(asker: &Asker, url: &str) -> FuncMap {
    let mut map = FuncMap::new();
    texts(&mut map);
    numbers(&mut map);
    samples(&mut map, asker);
    let prefix = url::Url::parse(url).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    let url = url.to_owned();
    add(&mut map, "externalURL", move |_| Ok(Value::from(url.as_str())));
    add(&mut map, "pathPrefix", move |_| Ok(Value::from(prefix.as_str())));
    map
}

fn add(map: &mut FuncMap, name: &str, function: impl Fn(&[Value]) -> Result<Value> + Send + Sync + 'static) {
    map.insert(name.to_owned(), Arc::new(function));
}

fn texts(map: &mut FuncMap) {
    add(map, "print", |args| Ok(print(args).into()));
    add(map, "println", |args| Ok(println(args).into()));
    add(map, "printf", printf);
    add(map, "toUpper", |args| Ok(text(args, 0)?.to_uppercase().into()));
    add(map, "toLower", |args| Ok(text(args, 0)?.to_lowercase().into()));
    add(map, "title", |args| Ok(title(&text(args, 0)?).into()));
    add(map, "stripPort", |args| Ok(strip_port(&text(args, 0)?).into()));
    add(map, "stripDomain", |args| Ok(strip_domain(&text(args, 0)?).into()));
    add(map, "safeHtml", |args| Ok(text(args, 0)?.into()));
    add(map, "match", |args| Ok(Value::Bool(regex(&text(args, 0)?)?.is_match(&text(args, 1)?))));
    add(map, "reReplaceAll", |args| {
        let (pattern, replacement, text) = (regex(&text(args, 0)?)?, text(args, 1)?, text(args, 2)?);
        Ok(pattern.replace_all(&text, replacement.as_str()).into_owned().into())
    });
    add(map, "graphLink", |args| Ok(format!("/graph?g0.expr={}&g0.tab=0", gotmpl::url_encode(&text(args, 0)?)).into()));
    add(map, "tableLink", |args| Ok(format!("/graph?g0.expr={}&g0.tab=1", gotmpl::url_encode(&text(args, 0)?)).into()));
    add(map, "args", |args| {
        let named = args.iter().enumerate().map(|(at, arg)| (Arc::from(format!("arg{at}")), arg.clone()));
        Ok(Value::Map(Arc::new(named.collect())))
    });
}

fn numbers(map: &mut FuncMap) {
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

fn samples(map: &mut FuncMap, asker: &Asker) {
    let asker = Arc::clone(asker);
    add(map, "query", move |args| {
        let found = asker(&text(args, 0)?).map_err(TemplateError::Exec)?;
        Ok(Value::from(found.iter().map(|(labels, value)| sample(labels, *value)).collect::<Vec<_>>()))
    });
    add(map, "first", |args| match args.first() {
        Some(Value::List(items)) if !items.is_empty() => Ok(items[0].clone()),
        _ => Err(TemplateError::Exec("first() called on vector with no elements".into())),
    });
    add(map, "value", |args| field(args.first(), "Value"));
    add(map, "strvalue", |args| label("__value__", args.first()));
    add(map, "label", |args| label(&text(args, 0)?, args.get(1)));
    add(map, "sortByLabel", |args| {
        let name = text(args, 0)?;
        let Some(Value::List(items)) = args.get(1) else {
            return Err(TemplateError::Exec("sortByLabel() expects a label and a query's result".into()));
        };
        let mut sorted = items.to_vec();
        sorted.sort_by_cached_key(|item| label(&name, Some(item)).map(|value| value.to_string()).unwrap_or_default());
        Ok(Value::from(sorted))
    });
}

fn sample(labels: &Labels, value: f64) -> Value {
    let labels: BTreeMap<Arc<str>, Value> =
        labels.iter().map(|(name, value)| (Arc::from(name), Value::from(value))).collect();
    Value::Map(Arc::new(BTreeMap::from([
        (Arc::from("Labels"), Value::Map(Arc::new(labels))),
        (Arc::from("Value"), Value::Float(value)),
    ])))
}

fn field(item: Option<&Value>, name: &str) -> Result<Value> {
    let found = item.and_then(|item| item.field(name));
    found.cloned().ok_or_else(|| TemplateError::Exec("a sample of a query's result is expected".into()))
}

fn label(name: &str, item: Option<&Value>) -> Result<Value> {
    Ok(field(item, "Labels")?.field(name).cloned().unwrap_or_else(|| Value::from("")))
}

fn text(args: &[Value], at: usize) -> Result<String> {
    match args.get(at) {
        Some(Value::Nil) => Ok(String::new()),
        Some(value) => Ok(value.to_string()),
        None => Err(TemplateError::Exec(format!("argument {} is missing", at + 1))),
    }
}

fn number(args: &[Value], at: usize) -> Result<f64> {
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

fn regex(pattern: &str) -> Result<regex::Regex> {
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

fn strip_port(address: &str) -> String {
    match address.rsplit_once(':') {
        Some((host, _)) if host.starts_with('[') && host.ends_with(']') => host[1..host.len() - 1].to_owned(),
        Some((host, _)) if !host.contains(':') => host.to_owned(),
        _ => address.to_owned(),
    }
}

/// `db.shop:5432` gives `db:5432`; addresses stay.
fn strip_domain(address: &str) -> String {
    let host = strip_port(address);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return address.to_owned();
    }
    let port = address.strip_prefix(&host).unwrap_or_default();
    format!("{}{port}", host.split('.').next().unwrap_or_default())
}
