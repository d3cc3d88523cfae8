//! A silence as JSON, in API v2's shape without its state: what the file holds and what the API answers.

use serde_json::{Map, Value, json};

use crate::model::Millis;

use super::super::matcher::{Matcher, Operator};
use super::{Silence, SilenceId, Wish};

/// The silence as API v2 shows it, but for `status`.
pub fn to_json(silence: &Silence) -> Value {
    let wish = &silence.wish;
    let matchers: Vec<_> = wish.matchers.iter().map(matcher_json).collect();
    let mut value = json!({
        "id": silence.id.as_str(),
        "updatedAt": silence.updated_at.to_rfc3339(),
        "comment": wish.comment,
        "createdBy": wish.created_by,
        "endsAt": wish.ends_at.to_rfc3339(),
        "matchers": matchers,
        "startsAt": wish.starts_at.to_rfc3339(),
    });
    if !wish.annotations.is_empty() {
        let pairs = wish.annotations.iter().map(|(name, text)| (name.clone(), json!(text)));
        value["annotations"] = Value::Object(pairs.collect::<Map<_, _>>());
    }
    value
}

fn matcher_json(matcher: &Matcher) -> Value {
    let operator = matcher.operator();
    json!({
        "isEqual": operator.is_equal(),
        "isRegex": operator.is_regex(),
        "name": matcher.name(),
        "value": matcher.value(),
    })
}

/// Reads what [`to_json`] wrote; nothing from anything else.
pub(super) fn of_json(value: &Value) -> Option<Silence> {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    let time = |key: &str| {
        let at: jiff::Timestamp = value[key].as_str()?.parse().ok()?;
        Some(Millis(at.as_millisecond()))
    };
    let matchers = value["matchers"].as_array()?.iter().map(matcher_of);
    let annotations = value["annotations"].as_object().into_iter().flatten();
    let wish = Wish {
        matchers: matchers.collect::<Option<_>>()?,
        starts_at: time("startsAt")?,
        ends_at: time("endsAt")?,
        created_by: text("createdBy")?,
        comment: text("comment")?,
        annotations: annotations
            .map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
            .collect::<Option<_>>()?,
    };
    Some(Silence { id: SilenceId::new(value["id"].as_str()?), wish, updated_at: time("updatedAt")? })
}

fn matcher_of(value: &Value) -> Option<Matcher> {
    let operator = Operator::of_flags(value["isRegex"].as_bool()?, value["isEqual"].as_bool()?);
    Matcher::new(value["name"].as_str()?, operator, value["value"].as_str()?).ok()
}
