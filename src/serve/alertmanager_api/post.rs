//! Reading what is posted, and `POST /api/v2/alerts`.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};
use url::Url;

use crate::model::Millis;
use crate::notify::Posted;
use crate::serve::Parts;

use super::answer::{ApiError, REQUIRED, TYPE};

/// Go's zero time stands for none.
const ZERO_TIME: Millis = Millis(-62_135_596_800_000);

/// `POST /api/v2/alerts`: those that are right are taken, whatever is wrong with the rest.
pub async fn alerts(parts: Parts, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<(), ApiError> {
    let posted = read_alerts(&json(&headers, body, "alerts")?)?;
    parts.notifier.post(posted, Millis::now()).map_err(ApiError::Bad)
}

/// A body of JSON; `what` is its name in Alertmanager's errors.
pub(super) fn json(headers: &HeaderMap, body: Result<Bytes, BytesRejection>, what: &str) -> Result<Value, ApiError> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLong,
        _ => ApiError::Unreadable(format!("parsing {what} body from \"\" failed, because the body broke off")),
    })?;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or("application/octet-stream").split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::MediaType(kind.to_owned()));
    }
    if body.is_empty() {
        return Err(ApiError::Invalid(REQUIRED, format!("{what} in body is required")));
    }
    serde_json::from_slice(&body).map_err(|error| unreadable(what, error))
}

/// What was sent has the wrong shape.
pub(super) fn unreadable(what: &str, why: impl std::fmt::Display) -> ApiError {
    ApiError::Unreadable(format!("parsing {what} body from \"\" failed, because {why}"))
}

fn read_alerts(body: &Value) -> Result<Vec<Posted>, ApiError> {
    let alerts = match body {
        Value::Null => return Ok(Vec::new()),
        Value::Array(alerts) => alerts,
        _ => return Err(unreadable("alerts", "it is no list of alerts")),
    };
    alerts.iter().enumerate().map(|(at, alert)| read_alert(at, alert)).collect()
}

fn read_alert(at: usize, alert: &Value) -> Result<Posted, ApiError> {
    let Value::Object(alert) = alert else {
        return Err(unreadable("alerts", format!("{at} is no alert")));
    };
    if alert.get("labels").is_none_or(Value::is_null) {
        return Err(ApiError::Invalid(REQUIRED, format!("{at}.labels in body is required")));
    }
    let posted = Posted {
        labels: texts(alert, "labels", "alerts")?,
        annotations: texts(alert, "annotations", "alerts")?,
        starts_at: time(alert, "startsAt", "alerts")?.filter(|at| *at != ZERO_TIME),
        ends_at: time(alert, "endsAt", "alerts")?.filter(|at| *at != ZERO_TIME),
        generator_url: text(alert, "generatorURL", "alerts")?.unwrap_or_default(),
    };
    let url = &posted.generator_url;
    if !url.is_empty() && !url.starts_with('/') && Url::parse(url).is_err() {
        return Err(ApiError::Invalid(TYPE, format!("{at}.generatorURL in body must be of type uri: {url:?}")));
    }
    Ok(posted)
}

/// A text that may be absent.
pub(super) fn text(object: &Map<String, Value>, key: &str, what: &str) -> Result<Option<String>, ApiError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(unreadable(what, format!("{key} is no text"))),
    }
}

/// A time that may be absent.
pub(super) fn time(object: &Map<String, Value>, key: &str, what: &str) -> Result<Option<Millis>, ApiError> {
    let Some(text) = text(object, key, what)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    // Without an offset it is UTC.
    let in_utc = |at: jiff::civil::DateTime| Ok(at.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp());
    let at: Result<jiff::Timestamp, _> = text.parse().or_else(|_| text.parse().and_then(in_utc));
    let wrong = |_| unreadable(what, format!("{key} is {text:?}: write a time such as 2026-01-31T12:00:00Z"));
    Ok(Some(Millis(at.map_err(wrong)?.as_millisecond())))
}

/// Texts by name.
pub(super) fn texts(object: &Map<String, Value>, key: &str, what: &str) -> Result<Vec<(String, String)>, ApiError> {
    let entries = match object.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err(unreadable(what, format!("{key} is no object"))),
    };
    let pair = |(name, value): (&String, &Value)| match value {
        Value::String(text) => Ok((name.clone(), text.clone())),
        Value::Null => Ok((name.clone(), String::new())),
        _ => Err(unreadable(what, format!("{key}.{name} is no text"))),
    };
    entries.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(body: &str) -> ApiError {
        read_alerts(&serde_json::from_str(body).unwrap()).unwrap_err()
    }

    #[test]
    fn alerts_are_read_as_clients_write_them() {
        let body = r#"[{"labels": {"a": "b"}, "startsAt": "0001-01-01T00:00:00.000Z", "endsAt": "2026-01-31T12:00:00.5+01:00", "generatorURL": ""},
            {"labels": {"x": null}, "annotations": null, "generatorURL": "/graph", "startsAt": "2026-01-31T11:00:00", "endsAt": ""}]"#;
        let read = read_alerts(&serde_json::from_str(body).unwrap()).unwrap();
        assert_eq!((read[0].starts_at, read[0].ends_at), (None, Some(Millis(1_769_857_200_500))));
        assert_eq!(read[0].labels, [("a".to_owned(), "b".to_owned())]);
        assert_eq!((read[1].starts_at, read[1].ends_at), (Some(Millis(1_769_857_200_000)), None));
        assert!(read[1].labels[0].1.is_empty() && read[1].annotations.is_empty());
        assert_eq!(read_alerts(&Value::Null).unwrap(), []);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(refusal(r#"[{"labels": null}]"#), refusal("[{}]"));
        assert_eq!(refusal("[{}]"), ApiError::Invalid(REQUIRED, "0.labels in body is required".into()));
        assert_eq!(
            refusal(r#"[{"labels": {}, "generatorURL": "::bad"}]"#),
            ApiError::Invalid(TYPE, "0.generatorURL in body must be of type uri: \"::bad\"".into())
        );
        for body in
            ["{}", "[1]", r#"[{"labels": 1}]"#, r#"[{"labels": {"a": 1}}]"#, r#"[{"labels": {}, "endsAt": "soon"}]"#]
        {
            assert!(matches!(refusal(body), ApiError::Unreadable(_)), "{body}");
        }
    }
}
