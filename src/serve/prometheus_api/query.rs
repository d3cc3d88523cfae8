//! `query` and `query_range`: an expression's value at a time, and at every step of a range.

use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use crate::model::{Labels, Millis};
use crate::promql::{Answer, Notes, Options, Query, Value};
use crate::serve::Parts;
use crate::store::Series;

use super::QUERY_LIMIT;
use super::answer::{ApiError, Listed, TRUNCATED, behind_data, success};
use super::asking::{Answered, Took};
use super::json::{write_labels, write_sample, write_scalar, write_text};
use super::parameters::Parameters;

/// The most steps from start to end, as in Prometheus: so there is one point more.
const MAX_STEPS: usize = 11_000;

/// `GET|POST /api/v1/query`
pub async fn instant(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let limit = asked.limit()?;
    let at = asked.time_or("time", Millis::now())?;
    let (timeout, options) = (asked.timeout(QUERY_LIMIT)?, options(&parts, &asked)?);
    let (store, text) = (parts.store, asked.text("query").to_owned());
    let work = move |cancel| {
        let query = parse(&text)?;
        Ok(query.instant(&store.snapshot(), at, &Options { cancel: Some(cancel), ..options })?)
    };
    let answered = parts.asking.ask(timeout, work).await?;
    Ok(respond(&headers, answered, at, limit, &asked))
}

/// `GET|POST /api/v1/query_range`
pub async fn range(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let limit = asked.limit()?;
    let (start, end) = (asked.time("start")?, asked.time("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = asked.step()?;
    let (timeout, options) = (asked.timeout(QUERY_LIMIT)?, options(&parts, &asked)?);
    refuse_too_many(start, end, step)?;
    let (store, text) = (parts.store, asked.text("query").to_owned());
    let work = move |cancel| {
        let query = parse(&text)?;
        if !query.is_for_ranges() {
            let kind = query.type_name();
            let why = format!("invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector");
            return Err(ApiError::parameter("query", why));
        }
        let options = Options { cancel: Some(cancel), ..options };
        Ok(query.range(&store.snapshot(), start, end, step, &options)?)
    };
    let answered = parts.asking.ask(timeout, work).await?;
    Ok(respond(&headers, answered, end, limit, &asked))
}

/// `GET|POST /api/v1/query_exemplars`: exemplars are not kept, so there are none.
pub async fn exemplars(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let (start, end) = asked.span()?;
    if end < start {
        return Err(ApiError::BadData("end timestamp must not be before start timestamp".into()));
    }
    let text = asked.text("query").to_owned();
    let work = move |_| Ok(Query::parse(&text).map(|_| Vec::<()>::new())?);
    parts.asking.ask(QUERY_LIMIT, work).await?;
    Ok(success(&headers, "[]", &Notes::default()))
}

/// Reading a text can take long, as answering does: both are done where there is a place for them.
fn parse(text: &str) -> Result<Query, ApiError> {
    if text.trim().is_empty() {
        let why = "unknown position: parse error: no expression found in input";
        return Err(ApiError::parameter("query", why));
    }
    Query::parse(text).map_err(|why| ApiError::parameter("query", why))
}

fn options(parts: &Parts, asked: &Parameters) -> Result<Options, ApiError> {
    let defaults =
        Options { subquery_step: parts.rules.globals().interval, max_steps: MAX_STEPS + 1, ..Options::default() };
    Ok(Options { lookback: asked.lookback()?.unwrap_or(defaults.lookback), ..defaults })
}

fn refuse_too_many(start: Millis, end: Millis, step: Duration) -> Result<(), ApiError> {
    if end.since(start).as_millis() / step.as_millis().max(1) > MAX_STEPS as u128 {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(ApiError::BadData(why.into()));
    }
    Ok(())
}

/// `,"stats":{…}` where they are asked for. The engine does not count the samples it reads, so the times alone.
fn stats(asked: &Parameters, took: Took) -> String {
    if asked.text("stats").is_empty() {
        return String::new();
    }
    let (worked, waited) = (took.worked.as_secs_f64(), took.waited.as_secs_f64());
    format!(
        r#","stats":{{"timings":{{"evalTotalTime":{worked},"resultSortTime":0,"queryPreparationTime":0,"innerEvalTime":{worked},"execQueueTime":{waited},"execTotalTime":{}}}}}"#,
        worked + waited
    )
}

fn respond(headers: &HeaderMap, answered: Answered<Answer>, at: Millis, limit: usize, asked: &Parameters) -> Response {
    let Answered { found: Answer { value, mut notes }, took, room } = answered;
    let stats = stats(asked, took);
    let before = format!(r#"{{"status":"success","data":{{"resultType":"{}","result":"#, value.type_name());
    let length = match &value {
        Value::Vector(elements) => elements.len(),
        Value::Matrix(series) => series.len(),
        Value::Scalar(_) | Value::String(_) => 0,
    };
    if length > limit {
        notes.warnings.push(TRUNCATED.into());
    }
    let after = |close: &str| format!("{close}{stats}}}{}", behind_data(&notes));
    match value {
        Value::Vector(elements) => {
            let write =
                move |(labels, value): (Labels, f64)| move |out: &mut String| write_element(out, &labels, at, value);
            let items = elements.into_iter().take(limit).map(write);
            Listed { before: before + "[", items, after: after("]") }.respond(headers, room)
        }
        Value::Matrix(series) => {
            let write = |series: Series| move |out: &mut String| write_series(out, &series);
            let items = series.into_iter().take(limit).map(write);
            Listed { before: before + "[", items, after: after("]") }.respond(headers, room)
        }
        Value::Scalar(value) => {
            let item = move |out: &mut String| write_scalar(out, at, value);
            Listed { before, items: std::iter::once(item), after: after("") }.respond(headers, room)
        }
        Value::String(text) => {
            let item = move |out: &mut String| {
                out.extend(["[", &at.as_seconds().to_string(), ","]);
                write_text(out, &text);
                out.push(']');
            };
            Listed { before, items: std::iter::once(item), after: after("") }.respond(headers, room)
        }
    }
    .into_response()
}

fn write_element(out: &mut String, labels: &Labels, at: Millis, value: f64) {
    out.push_str("{\"metric\":");
    write_labels(out, labels);
    out.push_str(",\"value\":");
    write_sample(out, at, value);
    out.push('}');
}

fn write_series(out: &mut String, series: &Series) {
    out.push_str("{\"metric\":");
    write_labels(out, &series.labels);
    out.push_str(",\"values\":[");
    for (at, (time, value)) in series.samples.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_sample(out, *time, *value);
    }
    out.push_str("]}");
}
