//! `/federate?match[]=…`: the newest sample of any stored series, as a page that another Prometheus scrapes.
//!
//! As in Prometheus: text 0.0.4 whatever is asked for, no help, every metric untyped, each sample with its time, external
//! labels where the series has none of that name, and `instance=""` where it has no instance, so that the scraper, told
//! to honour labels, adds none.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::exposition::{Format, write_escaped};
use crate::model::{Labels, METRIC_NAME, Millis, is_stale, is_valid_label_name, is_valid_metric_name, write_float};
use crate::promql::Options;
use crate::serve::Parts;
use crate::store::{Newest, Snapshot};

use super::QUERY_LIMIT;
use super::answer::{ApiError, Form, Listed};
use super::asking::Answered;
use super::parameters::Parameters;
use super::selectors::Selectors;

/// Writes the page.
pub async fn show(parts: Parts, headers: HeaderMap, asked: Parameters) -> Response {
    let globals = parts.rules.globals();
    let snapshot = parts.store.snapshot();
    let now = Millis::now();
    let texts = asked.whole().and_then(|asked| asked.selectors());
    let work = move |cancel: Arc<AtomicBool>| newest(&snapshot, &texts?.read_any()?, now, &cancel);
    match parts.asking.ask(QUERY_LIMIT, work).await {
        Ok(Answered { found, room, .. }) => {
            let mut before = None;
            let items = found.into_iter().map(move |series| {
                let name = series.labels.metric_name().to_owned();
                let is_first = before.as_ref() != Some(&name);
                before = Some(name);
                let globals = globals.clone();
                move |out: &mut String| write_series(out, &series, &globals.external_labels, is_first)
            });
            let form = Form { content_type: Format::Text.content_type(), separator: "" };
            Listed { before: String::new(), items, after: String::new() }.respond_as(form, &headers, room)
        }
        Err(ApiError::BadData(why)) => (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response(),
        Err(ApiError::Internal(why)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// The newest sample of each series that goes on, by name and then by labels, each once.
fn newest(
    snapshot: &Snapshot,
    selectors: &Selectors,
    now: Millis,
    cancel: &AtomicBool,
) -> Result<Vec<Newest>, ApiError> {
    let after = now - Options::default().lookback;
    let mut found = selectors.each(cancel, |matchers| snapshot.newest(matchers, after, now))?;
    found.retain(|series| !is_stale(series.value));
    found.sort_by(|a, b| (a.labels.metric_name(), &a.labels).cmp(&(b.labels.metric_name(), &b.labels)));
    found.dedup_by(|a, b| a.labels == b.labels);
    Ok(found)
}

fn write_series(out: &mut String, series: &Newest, external: &Labels, is_first: bool) {
    let name = series.labels.metric_name();
    // A recorded or written series has a name; one without cannot stand on a page.
    if name.is_empty() {
        return;
    }
    let is_plain = is_valid_metric_name(name);
    if is_first {
        out.push_str("# TYPE ");
        write_name(out, name, is_plain);
        out.push_str(" untyped\n");
    }
    if is_plain {
        out.extend([name, "{"]);
    } else {
        out.push('{');
        write_name(out, name, false);
    }
    let own = series.labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let added = external.iter().filter(|(name, _)| series.labels.get(name).is_none());
    let no_instance = series.labels.get("instance").or_else(|| external.get("instance")).is_none();
    let none = no_instance.then_some(("instance", ""));
    let mut between = if is_plain { "" } else { "," };
    for (name, value) in own.chain(added).chain(none) {
        out.push_str(std::mem::replace(&mut between, ","));
        write_name(out, name, is_valid_label_name(name));
        out.push_str("=\"");
        write_escaped(out, value, true);
        out.push('"');
    }
    out.push_str("} ");
    write_float(out, series.value);
    out.extend([" ", &series.at.0.to_string(), "\n"]);
}

/// Names beyond the old alphabet stand in quotes, as Prometheus 3 reads them.
fn write_name(out: &mut String, name: &str, is_plain: bool) {
    if is_plain {
        out.push_str(name);
    } else {
        out.push('"');
        write_escaped(out, name, true);
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(external: &Labels, all: &[(Labels, f64)]) -> String {
        let mut out = String::new();
        for (labels, value) in all {
            let series = Newest { labels: labels.clone(), at: Millis(1_795_266_519_842), value: *value };
            write_series(&mut out, &series, external, true);
        }
        out
    }

    #[test]
    fn series_look_as_prometheus_federates_them() {
        let external = Labels::new([("env", "test"), ("job", "other")]);
        let all = [
            (Labels::new([(METRIC_NAME, "up"), ("instance", "a:1"), ("job", "b\"c\\"), ("zone", "z")]), 0.0),
            (Labels::new([(METRIC_NAME, "x:y"), ("a", "b")]), 1e-7),
            (Labels::new([(METRIC_NAME, "my.metric"), ("l-x", "ü")]), f64::INFINITY),
        ];
        assert_eq!(
            page(&external, &all),
            "# TYPE up untyped\n\
             up{instance=\"a:1\",job=\"b\\\"c\\\\\",zone=\"z\",env=\"test\"} 0 1795266519842\n\
             # TYPE x:y untyped\n\
             x:y{a=\"b\",env=\"test\",job=\"other\",instance=\"\"} 1e-07 1795266519842\n\
             # TYPE \"my.metric\" untyped\n\
             {\"my.metric\",\"l-x\"=\"ü\",env=\"test\",job=\"other\",instance=\"\"} +Inf 1795266519842\n"
        );
    }
}
