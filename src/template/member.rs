//! What stands behind `.Name`: fields and methods of the types that Go's templates see.
//!
//! The template engine knows maps and lists, no types. A map that stands for one of Go's structs says so under [`KIND`];
//! any other map is a set of names and values (Alertmanager's `KV`), a list one of alerts, of pairs, or of anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{Result, TemplateError, Value};

use super::{functions, moment, span};

/// The key under which a map says which struct it is. No label that a monitoring system makes is called so; whoever
/// makes one gets an error out of his template, no more.
const KIND: &str = "\0kind";
/// The label that comes first wherever labels are listed.
const ALERT_NAME: &str = "alertname";

/// Go's structs, as Alertmanager's templates know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole message: `template.Data`.
    Data,
    /// One of its alerts.
    Alert,
    /// A name with its value.
    Pair,
    /// `time.Time`
    Time,
    /// `time.Duration`
    Duration,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Data, Self::Alert, Self::Pair, Self::Time, Self::Duration];

    /// As Go names it in errors.
    pub fn go_name(self) -> &'static str {
        match self {
            Self::Data => "*template.Data",
            Self::Alert => "template.Alert",
            Self::Pair => "template.Pair",
            Self::Time => "time.Time",
            Self::Duration => "time.Duration",
        }
    }

    /// The fields that Go has, in its order, with their names in JSON. What we add to them is neither printed with the whole
    /// nor in JSON.
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Data => &[
                ("Receiver", "receiver"),
                ("Status", "status"),
                ("Alerts", "alerts"),
                ("NotificationReason", "notification_reason"),
                ("GroupLabels", "groupLabels"),
                ("CommonLabels", "commonLabels"),
                ("CommonAnnotations", "commonAnnotations"),
                ("ExternalURL", "externalURL"),
            ],
            Self::Alert => &[
                ("Status", "status"),
                ("Labels", "labels"),
                ("Annotations", "annotations"),
                ("StartsAt", "startsAt"),
                ("EndsAt", "endsAt"),
                ("GeneratorURL", "generatorURL"),
                ("Fingerprint", "fingerprint"),
            ],
            Self::Pair => &[("Name", "Name"), ("Value", "Value")],
            Self::Time | Self::Duration => &[],
        }
    }
}

/// A struct.
pub fn structure<'n>(kind: Kind, fields: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    let kind = (KIND, Value::Int(kind as i64));
    Value::Map(Arc::new(fields.into_iter().chain([kind]).map(|(name, value)| (Arc::from(name), value)).collect()))
}

/// Names with their values, such as labels.
pub fn pairs<'n>(pairs: impl IntoIterator<Item = (&'n str, &'n str)>) -> Value {
    Value::Map(Arc::new(pairs.into_iter().map(|(name, value)| (Arc::from(name), Value::from(value))).collect()))
}

/// Which struct a value is, if any.
pub fn kind(value: &Value) -> Option<Kind> {
    let Some(Value::Int(kind)) = value.field(KIND) else {
        return None;
    };
    Kind::ALL.into_iter().find(|known| *known as i64 == *kind)
}

/// The field or method `name` of a value; `args` are a method's.
///
/// # Errors
/// There is none, or it takes other arguments.
pub fn member(receiver: &Value, name: &str, args: &[Value]) -> Result<Value> {
    let found = match receiver {
        Value::Nil => return Ok(Value::Nil),
        Value::Map(map) => match kind(receiver) {
            Some(Kind::Time) => moment::method(receiver, name, args)?,
            Some(Kind::Duration) => span::method(receiver, name, args)?,
            Some(_) => map.get(name).cloned(),
            None => return set_member(map, name, args),
        },
        Value::List(items) => list_member(items, name),
        _ => None,
    };
    let found = found
        .ok_or_else(|| TemplateError::Exec(format!("can't evaluate field {name} in type {}", type_name(receiver))))?;
    let takes = matches!(kind(receiver), Some(Kind::Time | Kind::Duration));
    if !takes && !args.is_empty() {
        return Err(TemplateError::Exec(format!("{name} has arguments but cannot be invoked as function")));
    }
    Ok(found)
}

/// What Go calls the value's type.
pub fn type_name(value: &Value) -> &'static str {
    match (kind(value), value) {
        (Some(kind), _) => kind.go_name(),
        (None, Value::Map(map)) if is_set(map) => "template.KV",
        (None, Value::Map(_)) => "map[string]interface {}",
        (None, Value::List(items)) => match items.first() {
            Some(first) if kind(first) == Some(Kind::Alert) => "template.Alerts",
            Some(first) if kind(first) == Some(Kind::Pair) => "template.Pairs",
            Some(Value::String(_)) => "[]string",
            _ => "[]interface {}",
        },
        (None, other) => other.type_name(),
    }
}

/// Whether a map is one of texts, as labels are.
pub fn is_set(map: &BTreeMap<Arc<str>, Value>) -> bool {
    map.values().all(|value| matches!(value, Value::String(_)))
}

fn set_member(map: &BTreeMap<Arc<str>, Value>, name: &str, args: &[Value]) -> Result<Value> {
    if is_set(map) {
        match (name, args) {
            ("SortedPairs", []) => return Ok(Value::from(sorted(map).map(pair).collect::<Vec<_>>())),
            ("Names", []) => {
                return Ok(Value::from(sorted(map).map(|(name, _)| Value::String(name.clone())).collect::<Vec<_>>()));
            }
            ("Values", []) => return Ok(Value::from(sorted(map).map(|(_, value)| value.clone()).collect::<Vec<_>>())),
            ("Remove", [names]) => {
                let names = functions::texts_of(names)?;
                let kept = map.iter().filter(|(name, _)| !names.contains(name));
                return Ok(Value::Map(Arc::new(kept.map(|(name, value)| (name.clone(), value.clone())).collect())));
            }
            ("Remove", _) => {
                let message = format!("wrong number of args for Remove: want 1 got {}", args.len());
                return Err(TemplateError::Exec(message));
            }
            _ => {}
        }
    }
    if !args.is_empty() {
        return Err(TemplateError::Exec(format!("{name} is not a method but has arguments")));
    }
    // Go's maps of texts have an empty text for every missing key.
    let missing = || if is_set(map) { Value::from("") } else { Value::Nil };
    Ok(map.get(name).cloned().unwrap_or_else(missing))
}

/// By name, but for the alert's, which comes first.
pub fn sorted(map: &BTreeMap<Arc<str>, Value>) -> impl Iterator<Item = (&Arc<str>, &Value)> {
    let first = map.get_key_value(ALERT_NAME);
    first.into_iter().chain(map.iter().filter(|(name, _)| &***name != ALERT_NAME))
}

fn pair((name, value): (&Arc<str>, &Value)) -> Value {
    structure(Kind::Pair, [("Name", Value::String(name.clone())), ("Value", value.clone())])
}

fn list_member(items: &[Value], name: &str) -> Option<Value> {
    let all_are = |wanted| items.iter().all(|item| kind(item) == Some(wanted));
    let select = |status: &str| {
        let fits = |item: &&Value| item.field("Status").and_then(Value::as_str) == Some(status);
        Value::from(items.iter().filter(fits).cloned().collect::<Vec<_>>())
    };
    let column = |field| Value::from(items.iter().filter_map(|item| item.field(field).cloned()).collect::<Vec<_>>());
    match name {
        "Firing" if all_are(Kind::Alert) => Some(select("firing")),
        "Resolved" if all_are(Kind::Alert) => Some(select("resolved")),
        "Names" if all_are(Kind::Pair) => Some(column("Name")),
        "Values" if all_are(Kind::Pair) => Some(column("Value")),
        _ => None,
    }
}
