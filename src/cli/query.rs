//! `sidewatch query`: asks a running agent, or any Prometheus, and prints the answer.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded;

use crate::model::{Millis, parse_duration};
use crate::runtime::http_client::Request;

use super::server::{Server, text};
use super::{complain, health, say, shown};

/// A server gives up on a query after two minutes by default.
const LIMIT: Duration = Duration::from_secs(130);
/// So many steps a range has when nobody says how far they are apart.
const STEPS: i64 = 250;
/// Answers may be this long.
const MAX_BODY: usize = 256 << 20;

/// What is asked, and of whom.
#[derive(Debug, Args)]
pub struct Question {
    /// A PromQL expression.
    expression: String,
    /// The agent's address; default: the configured port on this machine.
    #[arg(long)]
    url: Option<String>,
    /// The time to ask about: a date, Unix seconds, or how long ago, such as 5m. Default: now.
    #[arg(long, allow_hyphen_values = true, value_parser = moment, conflicts_with_all = ["start", "end", "step"])]
    time: Option<Millis>,
    /// The first time of a range, written as --time.
    #[arg(long, allow_hyphen_values = true, value_parser = moment)]
    start: Option<Millis>,
    /// The last time of a range. Default: now.
    #[arg(long, allow_hyphen_values = true, value_parser = moment, requires = "start")]
    end: Option<Millis>,
    /// The time between two values of a range. Default: 250 steps.
    #[arg(long, value_parser = parse_duration, requires = "start")]
    step: Option<Duration>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// As the server sends it.
    Json,
    /// A line for each value: the series, the time, the value.
    Csv,
}

/// A date, seconds since 1970, or how long ago.
fn moment(text: &str) -> Result<Millis, String> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()) {
        return Ok(Millis::from_seconds(seconds));
    }
    if let Ok(date) = text.parse::<jiff::Timestamp>() {
        return Ok(Millis(date.as_millisecond()));
    }
    let ago = parse_duration(text.strip_prefix('-').unwrap_or(text));
    ago.map(|ago| Millis::now() - ago).map_err(|_| {
        "write a date such as 2026-01-31T12:00:00Z, seconds since 1970, or how long ago, such as 5m".into()
    })
}

/// Asks; 1 with the server's error.
pub fn run(question: &Question) -> ExitCode {
    let address = question.url.clone().unwrap_or_else(health::own_address);
    let answer = match ask(&address, question) {
        Ok(answer) => answer,
        Err(why) => {
            complain(format_args!("{}: {why}", shown(&address)));
            return ExitCode::FAILURE;
        }
    };
    for (kind, key) in [("warning", "warnings"), ("info", "infos")] {
        for note in answer[key].as_array().into_iter().flatten() {
            complain(format_args!("{kind}: {}", text(note)));
        }
    }
    if answer["status"] != "success" {
        complain(format_args!("{}: {}", text(&answer["errorType"]), text(&answer["error"])));
        return ExitCode::FAILURE;
    }
    let printed = match question.format {
        Format::Json => answer.to_string(),
        Format::Table => table(&answer["data"]),
        Format::Csv => csv(&answer["data"]),
    };
    if !printed.is_empty() {
        say(printed.trim_end_matches('\n'));
    }
    ExitCode::SUCCESS
}

fn ask(address: &str, question: &Question) -> Result<Value, String> {
    let server = Server::at(address)?;
    let path = if question.start.is_some() { "api/v1/query_range" } else { "api/v1/query" };
    let mut request = Request::post_json(server.url(path)?, form(question), Instant::now() + LIMIT);
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    request.max_body = MAX_BODY;
    let reply = server.send(request)?;
    serde_json::from_slice(&reply.body)
        .map_err(|_| format!("answered {} and no JSON: is this the agent?", reply.status))
}

fn form(question: &Question) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", &question.expression);
    if let Some(time) = question.time {
        form.append_pair("time", &seconds(time));
    }
    if let Some(start) = question.start {
        let end = question.end.unwrap_or_else(Millis::now);
        let step = question.step.map_or_else(|| even(end.since(start)), |step| step.as_secs_f64());
        form.append_pair("start", &seconds(start)).append_pair("end", &seconds(end));
        form.append_pair("step", &step.to_string());
    }
    form.finish()
}

/// Whole seconds, at least one.
fn even(range: Duration) -> f64 {
    (range.as_secs_f64() / STEPS as f64).ceil().max(1.0)
}

fn seconds(time: Millis) -> String {
    format!("{}", time.as_seconds())
}

/// `up{job="app"}`, or `{}` for a series without labels.
fn series(metric: &Value) -> String {
    let labels = metric.as_object().into_iter().flatten().filter(|(name, _)| *name != "__name__");
    let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={:?}", text(value))).collect();
    let name = metric["__name__"].as_str().unwrap_or_default();
    if labels.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(", ")) }
}

/// The values of one element of a result, each with its time.
fn points(element: &Value) -> Vec<(Millis, String)> {
    let point = |pair: &Value| Some((Millis::from_seconds(pair[0].as_f64()?), text(&pair[1])));
    let many = element["values"].as_array().into_iter().flatten();
    many.chain(element.get("value")).filter_map(point).collect()
}

/// The result as elements, whatever its type: scalars and texts are elements without labels.
fn elements(data: &Value) -> Vec<(String, Vec<(Millis, String)>)> {
    if let Some("scalar" | "string") = data["resultType"].as_str() {
        return vec![(String::new(), points(&serde_json::json!({"value": data["result"]})))];
    }
    let result = data["result"].as_array().into_iter().flatten();
    result.map(|element| (series(&element["metric"]), points(element))).collect()
}

fn table(data: &Value) -> String {
    let elements = elements(data);
    let mut out = String::new();
    if data["resultType"] == "matrix" {
        for (series, points) in elements {
            let _ = writeln!(out, "{series}");
            for (at, value) in points {
                let _ = writeln!(out, "  {at}  {value}");
            }
        }
        return out;
    }
    let width = elements.iter().map(|(series, _)| series.chars().count()).max().unwrap_or(0);
    for (series, points) in elements {
        for (_, value) in points {
            let line = format!("{series:width$}  {value}");
            let _ = writeln!(out, "{}", line.trim_start());
        }
    }
    out
}

fn csv(data: &Value) -> String {
    let mut out = String::from("series,time,value\n");
    for (series, points) in elements(data) {
        for (at, value) in points {
            let _ = writeln!(out, "{},{at},{}", quoted(&series), quoted(&value));
        }
    }
    out
}

/// As RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector() -> Value {
        serde_json::json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "job": "a\"b"}, "value": [1.5, "1"]},
            {"metric": {}, "value": [1.5, "+Inf"]},
        ]})
    }

    #[test]
    fn answers_are_printed_for_people_and_for_programs() {
        assert_eq!(table(&vector()), "up{job=\"a\\\"b\"}  1\n{}              +Inf\n");
        assert_eq!(
            csv(&vector()),
            "series,time,value\n\"up{job=\"\"a\\\"\"b\"\"}\",1970-01-01T00:00:01.500Z,1\n{},1970-01-01T00:00:01.500Z,+Inf\n"
        );
        let matrix = serde_json::json!({"resultType": "matrix", "result": [{"metric": {"__name__": "x"}, "values": [[0, "1"], [60, "2"]]}]});
        assert_eq!(table(&matrix), "x\n  1970-01-01T00:00:00.000Z  1\n  1970-01-01T00:01:00.000Z  2\n");
        let scalar = serde_json::json!({"resultType": "scalar", "result": [1.5, "3"]});
        assert_eq!(table(&scalar), "3\n");
    }

    #[test]
    fn times_are_dates_seconds_or_ages() {
        assert_eq!(moment("1.5"), Ok(Millis(1500)));
        assert_eq!(moment("1970-01-01T00:01:00Z"), Ok(Millis(60_000)));
        assert!(moment("1h").is_ok_and(|at| Millis::now().since(at) >= Duration::from_hours(1)));
        assert!(moment("soon").is_err());
    }
}
