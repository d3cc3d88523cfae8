//! `status/…`: what answers here, since when and with what limits.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};

use crate::model::{Labels, METRIC_NAME, Millis, render_duration};
use crate::promql::{Notes, Options};
use crate::serve::Parts;
use crate::serve::settings::host_name;

use super::answer::{ApiError, success};
use super::asking::AT_ONCE;
use super::json::rfc3339;
use super::parameters::Parameters;
use super::{QUERY_LIMIT, VERSION_SPOKEN};

/// `GET /api/v1/status/buildinfo`. Grafana looks at the version to know what it may ask: it is that of the API spoken here.
pub async fn build(headers: HeaderMap) -> Response {
    let data = json!({
        "version": VERSION_SPOKEN,
        "revision": concat!("sidewatch-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    success(&headers, &data.to_string(), &Notes::default())
}

/// `GET /api/v1/status/runtimeinfo`. What only a Go program has is empty or 0.
pub async fn runtime(parts: Parts, headers: HeaderMap) -> Response {
    let now = Millis::now();
    let blocks = parts.own.blocks(now);
    let value = |name: &str| {
        let block = blocks.iter().find(|block| block.family.name == name);
        block.and_then(|block| block.points.first()).map(|point| point.value)
    };
    let time = |name: &str| rfc3339(value(name).map(Millis::from_seconds));
    let folder = std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default();
    let data = json!({
        "startTime": time("process_start_time_seconds"),
        "CWD": folder,
        "hostname": host_name(),
        "serverTime": rfc3339(Some(now)),
        "reloadConfigSuccess": value("sidewatch_config_last_reload_successful") == Some(1.0),
        "lastConfigTime": time("sidewatch_config_last_reload_success_timestamp_seconds"),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": render_duration(parts.limits.retention),
    });
    success(&headers, &data.to_string(), &Notes::default())
}

/// `GET /api/v1/status/flags`: what a Prometheus would have to be started with to behave so.
pub async fn flags(parts: Parts, headers: HeaderMap) -> Response {
    let options = Options::default();
    let data = json!({
        "query.lookback-delta": render_duration(options.lookback),
        "query.max-concurrency": AT_ONCE.to_string(),
        "query.max-samples": options.max_samples.to_string(),
        "query.timeout": render_duration(QUERY_LIMIT),
        "storage.tsdb.retention.time": render_duration(parts.limits.retention),
        "web.enable-remote-write-receiver": "true",
        "web.external-url": parts.settings.external_url,
        "web.listen-address": parts.settings.listen.to_string(),
    });
    success(&headers, &data.to_string(), &Notes::default())
}

/// `GET /api/v1/status/config`: what is looked at and evaluated, in the words of a Prometheus' configuration. It is made of
/// what everybody may see anyway, so it holds no secret.
pub async fn config(parts: Parts, headers: HeaderMap) -> Response {
    let globals = parts.rules.globals();
    let mut yaml = format!("global:\n  evaluation_interval: {}\n", render_duration(globals.interval));
    if !globals.external_labels.is_empty() {
        yaml.push_str("  external_labels:\n");
        push_labels(&mut yaml, "    ", &globals.external_labels);
    }
    let mut files: Vec<_> = parts.rules.groups().iter().map(|group| Arc::clone(&group.spec.file)).collect();
    files.dedup();
    push_list(&mut yaml, "rule_files", files.iter().map(|file| quoted(file)));
    let states = parts.board.states();
    let targets = states.iter().map(|(_, state)| {
        let target = state.target();
        let mut text = format!(
            "job_name: {}\n  scrape_interval: {}\n  scrape_timeout: {}\n  static_configs:\n  - targets:\n    - {}\n    labels:\n",
            quoted(target.labels.get("job").unwrap_or_default()),
            render_duration(target.interval),
            render_duration(target.timeout),
            quoted(target.labels.get("instance").unwrap_or_default()),
        );
        push_labels(&mut text, "      ", &target.labels);
        text.trim_end().to_owned()
    });
    push_list(&mut yaml, "scrape_configs", targets);
    success(&headers, &json!({"yaml": yaml}).to_string(), &Notes::default())
}

fn push_list(yaml: &mut String, key: &str, items: impl Iterator<Item = String>) {
    let mut items = items.peekable();
    if items.peek().is_some() {
        yaml.extend([key, ":\n"]);
    }
    for item in items {
        yaml.extend(["- ", &item, "\n"]);
    }
}

fn push_labels(yaml: &mut String, indent: &str, labels: &Labels) {
    for (name, value) in labels.iter() {
        yaml.extend([indent, &quoted(name), ": ", &quoted(value), "\n"]);
    }
}

/// A text of JSON is one of YAML, too.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// `GET /api/v1/status/tsdb`: what most series have. Bytes are those of the values alone.
pub async fn tsdb(parts: Parts, headers: HeaderMap, asked: Parameters) -> Result<Response, ApiError> {
    let most = match asked.text("limit") {
        "" => 10,
        text => match text.parse::<usize>() {
            Ok(number) if number > 0 => number,
            _ => return Err(ApiError::BadData("limit must be a positive number".into())),
        },
    };
    let snapshot = parts.store.snapshot();
    let retention = parts.limits.retention;
    let work = move |_| {
        let now = Millis::now();
        let all = snapshot.labels_of(&[], now - retention, Millis(i64::MAX));
        Ok(Tally::of(&all).show(all.len(), most, (now - retention, now)).to_string())
    };
    let answered = parts.asking.ask(QUERY_LIMIT, work).await?;
    Ok(success(&headers, &answered.found, &Notes::default()))
}

/// `GET /api/v1/status/walreplay`: the agent answers when it has read what there is.
pub async fn wal_replay(headers: HeaderMap) -> Response {
    success(&headers, &json!({"min": 0, "max": 0, "current": 0}).to_string(), &Notes::default())
}

/// How often each pair occurs.
struct Tally<'l> {
    pairs: HashMap<(&'l str, &'l str), u64>,
}

impl<'l> Tally<'l> {
    fn of(all: &'l [Labels]) -> Self {
        let mut pairs = HashMap::new();
        for pair in all.iter().flat_map(Labels::iter) {
            *pairs.entry(pair).or_default() += 1;
        }
        Self { pairs }
    }

    fn show(&self, series: usize, most: usize, (since, until): (Millis, Millis)) -> Value {
        let (mut values, mut bytes) = (HashMap::new(), HashMap::new());
        for (name, value) in self.pairs.keys() {
            *values.entry((*name).to_owned()).or_default() += 1;
            *bytes.entry((*name).to_owned()).or_default() += value.len() as u64;
        }
        let names = self.pairs.iter().filter(|((name, _), _)| *name == METRIC_NAME);
        let others = self.pairs.iter().filter(|((name, _), _)| *name != METRIC_NAME);
        json!({
            // Samples are not counted in chunks here.
            "headStats": {
                "numSeries": series, "numLabelPairs": self.pairs.len(), "chunkCount": 0,
                "minTime": since.0, "maxTime": until.0,
            },
            "seriesCountByMetricName": top(names.map(|((_, value), count)| ((*value).to_owned(), *count)), most),
            "labelValueCountByLabelName": top(values, most),
            "memoryInBytesByLabelName": top(bytes, most),
            "seriesCountByLabelValuePair":
                top(others.map(|((name, value), count)| (format!("{name}={value}"), *count)), most),
        })
    }
}

/// The largest, first; equal ones by name.
fn top(all: impl IntoIterator<Item = (String, u64)>, most: usize) -> Vec<Value> {
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_unstable_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    all.into_iter().take(most).map(|(name, value)| json!({"name": name, "value": value})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_series_have_comes_first() {
        let all = [
            Labels::new([(METRIC_NAME, "a"), ("job", "x")]),
            Labels::new([(METRIC_NAME, "a"), ("job", "yy")]),
            Labels::new([(METRIC_NAME, "b"), ("job", "x")]),
        ];
        let shown = Tally::of(&all).show(3, 1, (Millis(1), Millis(2)));
        assert_eq!(shown["headStats"]["numLabelPairs"], 4);
        assert_eq!(shown["seriesCountByMetricName"], json!([{"name": "a", "value": 2}]));
        assert_eq!(shown["labelValueCountByLabelName"], json!([{"name": "__name__", "value": 2}]));
        assert_eq!(shown["memoryInBytesByLabelName"], json!([{"name": "job", "value": 3}]));
        assert_eq!(shown["seriesCountByLabelValuePair"], json!([{"name": "job=x", "value": 2}]));
    }
}
