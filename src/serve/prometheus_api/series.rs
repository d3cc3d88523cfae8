//! `series`, `labels`, `label/NAME/values`: which series there are, and what they are told apart by.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::promql::Notes;
use crate::serve::Parts;

use super::QUERY_LIMIT;
use super::answer::{ApiError, Listed, TRUNCATED, behind_data};
use super::asking::Answered;
use super::json::{write_labels, write_text};
use super::parameters::Parameters;

/// `GET|POST /api/v1/series`
pub async fn series(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let asked = asked.whole()?;
    let (limit, (after, end), texts) = (asked.limit()?, asked.span()?, asked.selectors()?);
    if texts.is_empty() {
        return Err(ApiError::BadData("no match[] parameter provided".into()));
    }
    let snapshot = parts.store.snapshot();
    let work = move |cancel: Arc<AtomicBool>| {
        texts.read()?.merged(&cancel, |matchers| snapshot.labels_of(matchers, after, end))
    };
    let answered = parts.asking.ask(QUERY_LIMIT, work).await?;
    Ok(respond(&headers, answered, limit, write_labels))
}

/// `GET|POST /api/v1/labels`
pub async fn names(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let (limit, (after, end), texts) = (asked.limit()?, asked.span()?, asked.selectors()?);
    let snapshot = parts.store.snapshot();
    let work = move |cancel: Arc<AtomicBool>| {
        if texts.is_empty() {
            return Ok(snapshot.label_names());
        }
        texts.read()?.merged(&cancel, |matchers| snapshot.label_names_of(matchers, after, end))
    };
    let names = parts.asking.ask(QUERY_LIMIT, work).await?;
    Ok(respond(&headers, names, limit, |out, name| write_text(out, name)))
}

/// `GET /api/v1/label/NAME/values`
pub async fn values(
    parts: Parts,
    Path(name): Path<String>,
    headers: HeaderMap,
    asked: Parameters,
) -> Result<Response, ApiError> {
    if name.is_empty() || name.contains('/') {
        return Ok((StatusCode::NOT_FOUND, "404 page not found\n").into_response());
    }
    let name = unescape(&name);
    if name.is_empty() {
        return Err(ApiError::BadData(format!("invalid label name: {name:?}")));
    }
    let (limit, (after, end), texts) = (asked.limit()?, asked.span()?, asked.selectors()?);
    let snapshot = parts.store.snapshot();
    let work = move |cancel: Arc<AtomicBool>| {
        if texts.is_empty() {
            return Ok(snapshot.label_values(&name));
        }
        texts.read()?.merged(&cancel, |matchers| snapshot.label_values_of(&name, matchers, after, end))
    };
    let values = parts.asking.ask(QUERY_LIMIT, work).await?;
    Ok(respond(&headers, values, limit, |out, value| write_text(out, value)))
}

fn respond<T: Send + 'static>(
    headers: &HeaderMap,
    answered: Answered<Vec<T>>,
    limit: usize,
    write: impl Fn(&mut String, &T) + Copy + Send + 'static,
) -> Response {
    let Answered { found: all, room, .. } = answered;
    let warnings = if all.len() > limit { vec![TRUNCATED.to_owned()] } else { Vec::new() };
    let notes = Notes { warnings, infos: Vec::new() };
    let items = all.into_iter().take(limit).map(move |item| move |out: &mut String| write(out, &item));
    let before = r#"{"status":"success","data":["#.to_owned();
    Listed { before, items, after: format!("]{}", behind_data(&notes)) }.respond(headers, room)
}

/// A label's name out of the spelling for addresses: `U__`, then `__` for `_` and `_1F600_` for a character. What is not
/// spelled so is the name itself.
fn unescape(spelled: &str) -> String {
    spelled.strip_prefix("U__").and_then(read_escaped).unwrap_or_else(|| spelled.to_owned())
}

fn read_escaped(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        let (code, after) = rest[at + 1..].split_once('_')?;
        name.push(match code {
            "" => '_',
            code if code.len() <= 6 && code.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                char::from_u32(u32::from_str_radix(code, 16).ok()?)?
            }
            _ => return None,
        });
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_addresses_may_be_spelled_in_ascii() {
        let cases = [
            ("job", "job"),
            ("U__job", "job"),
            ("U__a_2e_b__c", "a.b_c"),
            ("U___1F600_", "\u{1f600}"),
            ("U__", ""),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_2e", "U__a_2e"),
            ("U__a_110000_", "U__a_110000_"),
            ("U__a_+2e_", "U__a_+2e_"),
        ];
        for (spelled, name) in cases {
            assert_eq!(unescape(spelled), name);
        }
    }
}
