//! `silences` and `silence/ID`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::model::Millis;
use crate::notify::matcher::{Matcher, Operator};
use crate::notify::silence::{Silence, SilenceError, SilenceId, Wish, to_json};
use crate::serve::Parts;

use super::answer::{ApiError, MIN_ITEMS, REQUIRED, TYPE, found};
use super::filter::Asked;
use super::post::{json as read_json, text, texts, time, unreadable};

/// `GET /api/v2/silences`: those that have each matcher that is asked for, as it is written.
pub async fn all(parts: Parts, asked: Asked) -> Result<Response, ApiError> {
    let wanted = asked.matchers("filter").map_err(ApiError::Bad)?;
    let now = Millis::now();
    let all = parts.notifier.silences().all(now);
    let has_all = |silence: &&std::sync::Arc<Silence>| wanted.iter().all(|it| silence.wish.matchers.contains(it));
    let shown: Vec<_> = all.iter().filter(has_all).map(|silence| show(silence, now)).collect();
    Ok(found(&shown.into()))
}

/// `GET /api/v2/silence/ID`
pub async fn one(parts: Parts, Path(id): Path<String>) -> Result<Response, ApiError> {
    let (id, now) = (name(&id)?, Millis::now());
    let silence = parts.notifier.silences().get(&id, now).ok_or(ApiError::NotFound(None))?;
    Ok(found(&show(&silence, now)))
}

/// `POST /api/v2/silences`: answered when it is on disk.
pub async fn set(parts: Parts, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Response, ApiError> {
    let (id, wish) = read(&read_json(&headers, body, "silence")?)?;
    let now = Millis::now();
    if wish.starts_at >= wish.ends_at {
        return Err(ApiError::Bad("Failed to create silence: start time must be before end time".into()));
    }
    if wish.ends_at < now {
        return Err(ApiError::Bad("Failed to create silence: end time can't be in the past".into()));
    }
    let silences = parts.notifier.silences().clone();
    let set = tokio::task::spawn_blocking(move || silences.set(id.as_ref(), wish, now)).await;
    let id = set.map_err(|error| ApiError::Failed(error.to_string()))?.map_err(refusal)?;
    Ok(Json(json!({"silenceID": id.as_str()})).into_response())
}

/// `DELETE /api/v2/silence/ID`: ends it.
pub async fn expire(parts: Parts, Path(id): Path<String>) -> Result<(), ApiError> {
    let (id, silences) = (name(&id)?, parts.notifier.silences().clone());
    let ended = tokio::task::spawn_blocking(move || silences.expire(&id, Millis::now())).await;
    ended.map_err(|error| ApiError::Failed(error.to_string()))?.map_err(|error| match error {
        SilenceError::NotFound => ApiError::NotFound(None),
        other => refusal(other),
    })
}

fn refusal(error: SilenceError) -> ApiError {
    match error {
        SilenceError::NotFound => ApiError::NotFound(Some("silence not found")),
        SilenceError::Disk(_) => ApiError::Failed(error.to_string()),
        other => ApiError::Bad(other.to_string()),
    }
}

fn show(silence: &Silence, now: Millis) -> Value {
    let mut shown = to_json(silence);
    shown["status"] = json!({"state": silence.state(now).as_str()});
    shown
}

/// In the address, a name must look like one.
fn name(text: &str) -> Result<SilenceId, ApiError> {
    let groups = text.split('-').map(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(group.len()));
    if groups.eq([8, 4, 4, 4, 12].map(Some)) {
        return Ok(SilenceId::new(&text.to_lowercase()));
    }
    Err(ApiError::Invalid(TYPE, format!("silenceID in path must be of type uuid: {text:?}")))
}

/// What is asked for, and of which silence it is a change.
fn read(body: &Value) -> Result<(Option<SilenceId>, Wish), ApiError> {
    let Value::Object(body) = body else {
        return Err(unreadable("silence", "it is no object"));
    };
    let missing = |key: &str| ApiError::Invalid(REQUIRED, format!("{key} in body is required"));
    let needed = |key: &str| text(body, key, "silence")?.ok_or_else(|| missing(key));
    let at = |key: &str| time(body, key, "silence")?.ok_or_else(|| missing(key));
    let (comment, created_by, ends_at) = (needed("comment")?, needed("createdBy")?, at("endsAt")?);
    let matchers = match body.get("matchers") {
        None | Some(Value::Null) => return Err(missing("matchers")),
        Some(Value::Array(items)) if items.is_empty() => {
            return Err(ApiError::Invalid(MIN_ITEMS, "matchers in body should have at least 1 items".into()));
        }
        Some(Value::Array(items)) => items.iter().enumerate().map(matcher).collect::<Result<_, _>>()?,
        Some(_) => return Err(unreadable("silence", "matchers is no list")),
    };
    let wish = Wish {
        matchers,
        starts_at: at("startsAt")?,
        ends_at,
        created_by,
        comment,
        annotations: texts(body, "annotations", "silence")?,
    };
    let id = text(body, "id", "silence")?.filter(|id| !id.is_empty());
    Ok((id.map(|id| SilenceId::new(&id.to_lowercase())), wish))
}

fn matcher((at, item): (usize, &Value)) -> Result<Matcher, ApiError> {
    let Value::Object(item) = item else {
        return Err(unreadable("silence", format!("matchers.{at} is no object")));
    };
    let missing = |key: &str| ApiError::Invalid(REQUIRED, format!("matchers.{at}.{key} in body is required"));
    let is_regex = flag(item, "isRegex", at)?.ok_or_else(|| missing("isRegex"))?;
    let is_equal = flag(item, "isEqual", at)?.unwrap_or(true);
    let name = text(item, "name", "silence")?.ok_or_else(|| missing("name"))?;
    let value = text(item, "value", "silence")?.ok_or_else(|| missing("value"))?;
    Matcher::new(name, Operator::of_flags(is_regex, is_equal), value.as_str()).map_err(|why| {
        let of = format!("invalid label matcher {at} in set 0: invalid regular expression {value:?}");
        ApiError::Bad(format!("invalid silence: {of}: {why}"))
    })
}

fn flag(item: &Map<String, Value>, key: &str, at: usize) -> Result<Option<bool>, ApiError> {
    match item.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(unreadable("silence", format!("matchers.{at}.{key} is neither true nor false"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"matchers": [{"name": "a", "value": "b", "isRegex": false}], "startsAt": "2026-01-31T12:00:00Z",
        "endsAt": "2026-01-31T13:00:00Z", "createdBy": "me", "comment": "c"}"#;

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut body: Value = serde_json::from_str(GOOD).unwrap();
        change(&mut body);
        match read(&body).unwrap_err() {
            ApiError::Invalid(code, why) => format!("{code} {why}"),
            ApiError::Bad(why) | ApiError::Unreadable(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_missing_is_named_as_alertmanager_names_it() {
        assert!(read(&serde_json::from_str(GOOD).unwrap()).is_ok());
        for key in ["matchers", "startsAt", "endsAt", "createdBy", "comment"] {
            let said = refused(|body| drop(body.as_object_mut().unwrap().remove(key)));
            assert_eq!(said, format!("602 {key} in body is required"));
        }
        for key in ["name", "value", "isRegex"] {
            let said = refused(|body| drop(body["matchers"][0].as_object_mut().unwrap().remove(key)));
            assert_eq!(said, format!("602 matchers.0.{key} in body is required"));
        }
        let said = refused(|body| body["matchers"] = json!([]));
        assert_eq!(said, "612 matchers in body should have at least 1 items");
        let said = refused(|body| body["matchers"][0] = json!({"name": "a", "value": "(", "isRegex": true}));
        assert!(
            said.starts_with("invalid silence: invalid label matcher 0 in set 0: invalid regular expression \"(\": "),
            "{said}"
        );
        let said = refused(|body| body["endsAt"] = json!("soon"));
        assert!(said.starts_with("parsing silence body from \"\" failed, because endsAt is \"soon\""), "{said}");
    }

    #[test]
    fn names_in_addresses_are_uuids() {
        assert!(name("8a6b0a10-0a37-4f55-93a0-1b1c0a1c6a11").is_ok());
        let wrong = ApiError::Invalid(TYPE, "silenceID in path must be of type uuid: \"abc\"".into());
        assert_eq!(name("abc").unwrap_err(), wrong);
        assert!(name("8a6b0a10-0a37-4f55-93a0-1b1c0a1c6a1g").is_err());
    }
}
