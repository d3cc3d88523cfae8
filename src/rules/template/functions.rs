//! The functions that Prometheus adds to Go's templates (its `template/template.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{FuncMap, Result, TemplateError, Value};

use crate::model::Labels;
use crate::template::{self, add, text};

/// Asks the store for `query`.
pub type Asker = Arc<dyn Fn(&str) -> std::result::Result<Vec<(Labels, f64)>, String> + Send + Sync>;

/// All functions by name. `url` is where users reach the agent.
pub fn functions(asker: &Asker, url: &str) -> FuncMap {
    let mut map = FuncMap::new();
    template::texts(&mut map);
    template::numbers(&mut map);
    texts(&mut map);
    samples(&mut map, asker);
    let prefix = url::Url::parse(url).map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default();
    let url = url.to_owned();
    add(&mut map, "externalURL", move |_| Ok(Value::from(url.as_str())));
    add(&mut map, "pathPrefix", move |_| Ok(Value::from(prefix.as_str())));
    map
}

fn texts(map: &mut FuncMap) {
    add(map, "stripPort", |args| Ok(strip_port(&text(args, 0)?).into()));
    add(map, "stripDomain", |args| Ok(strip_domain(&text(args, 0)?).into()));
    add(map, "graphLink", |args| Ok(format!("/graph?g0.expr={}&g0.tab=0", gotmpl::url_encode(&text(args, 0)?)).into()));
    add(map, "tableLink", |args| Ok(format!("/graph?g0.expr={}&g0.tab=1", gotmpl::url_encode(&text(args, 0)?)).into()));
    add(map, "args", |args| {
        let named = args.iter().enumerate().map(|(at, arg)| (Arc::from(format!("arg{at}")), arg.clone()));
        Ok(Value::Map(Arc::new(named.collect())))
    });
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
