//! Go templates with Prometheus' functions, for labels and annotations.
//!
//! In: a text, an alert's labels and value, a snapshot for `query`. Out: the expanded text; what fails becomes
//! `<error expanding template: …>`, so that an alert with a broken text still goes out.

mod functions;

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{TemplateError, Value};

use crate::model::{Labels, Millis};
use crate::promql::Options;
use crate::store::Snapshot;
use crate::template::{expand, parse};

use functions::{Asker, functions};

/// What Prometheus puts before each template of a rule.
const DEFINITIONS: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
    {{$externalURL := .ExternalURL}}{{$value := .Value}}";
/// What the outside adds to alerts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Externals {
    /// On every alert that leaves, and as `$externalLabels`.
    pub labels: Labels,
    /// Where users reach the agent, without a slash at the end; `$externalURL`.
    pub url: Arc<str>,
}

impl Externals {
    /// Where an expression can be looked at.
    pub fn graph_url(&self, expression: &str) -> String {
        format!("{}/graph?g0.expr={}&g0.tab=1", self.url, gotmpl::url_encode(expression))
    }
}

/// Whether a text is a template: its syntax and the names of its functions.
///
/// # Errors
/// What is wrong, in Go's words.
pub fn check(text: &str) -> Result<(), String> {
    if !text.contains("{{") {
        return Ok(());
    }
    let nobody: Asker = Arc::new(|_| Err("no query while checking".into()));
    let functions = functions(&nobody, "");
    parse(&format!("{DEFINITIONS}{text}")).and_then(|tree| tree.check(&functions)).map_err(|error| match error {
        // Columns count from the text's own beginning.
        TemplateError::Parse { line, col, message, .. } | TemplateError::Lex { line, col, message, .. } => {
            let before = if line == 1 { DEFINITIONS.len() } else { 0 };
            format!("{line}:{}: {message}", col.saturating_sub(before).max(1))
        }
        TemplateError::Exec(message) => message,
        other => other.to_string(),
    })
}

/// Expands the templates of one alert.
pub(super) struct Expander<'a> {
    pub snapshot: &'a Snapshot,
    pub at: Millis,
    pub externals: &'a Externals,
    /// The sample's labels, `__name__` among them.
    pub labels: &'a Labels,
    pub value: f64,
}

impl Expander<'_> {
    /// The expanded text, or the failure as text.
    pub(super) fn expand(&self, text: &str) -> String {
        if !text.contains("{{") {
            return text.to_owned();
        }
        let data = Value::Map(Arc::new(BTreeMap::from([
            (Arc::from("Labels"), Self::label_map(self.labels, ["$labels.", ".Labels."], text)),
            (
                Arc::from("ExternalLabels"),
                Self::label_map(&self.externals.labels, ["$externalLabels.", ".ExternalLabels."], text),
            ),
            (Arc::from("ExternalURL"), Value::String(Arc::clone(&self.externals.url))),
            (Arc::from("Value"), Value::Float(self.value)),
        ])));
        let asker = asker(self.snapshot.clone(), self.at);
        expand(&format!("{DEFINITIONS}{text}"), &data, functions(&asker, &self.externals.url))
            .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }

    /// Labels as a map in which those that the text names are there, if only as empty texts: Go's maps of texts give
    /// an empty text for a missing key. A text that ranges over labels gets only those that exist.
    fn label_map(labels: &Labels, asked_by: [&str; 2], text: &str) -> Value {
        let pair = |name: &str, value: &str| (Arc::<str>::from(name), Value::from(value));
        let mut map: BTreeMap<Arc<str>, Value> = labels.iter().map(|(name, value)| pair(name, value)).collect();
        let action = |rest: &str| rest.split("}}").next().unwrap_or_default().trim_start_matches(['-', ' ']).to_owned();
        let ranges_over = |action: String| action.starts_with("range") && action.contains("abels");
        if !text.split("{{").skip(1).map(action).any(ranges_over) {
            for name in asked_by.iter().flat_map(|asked_by| text.split(asked_by).skip(1)) {
                let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
                map.entry(Arc::from(&name[..end])).or_insert_with(|| Value::from(""));
            }
        }
        Value::Map(Arc::new(map))
    }
}

/// Queries for the function `query`, over one snapshot at one time.
fn asker(snapshot: Snapshot, at: Millis) -> Asker {
    Arc::new(move |text| {
        let query = crate::promql::Query::parse(text).map_err(|error| error.to_string())?;
        match query.instant(&snapshot, at, &Options::default()).map_err(|error| error.to_string())?.value {
            crate::promql::Value::Vector(elements) => Ok(elements),
            crate::promql::Value::Scalar(value) => Ok(vec![(Labels::empty(), value)]),
            other => Err(format!("query result is not a vector or scalar but a {}", other.type_name())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Block, Family, MetricKind, Point, Suffix};
    use crate::store::{Limits, Picture, Store};

    fn expanded(text: &str, value: f64) -> String {
        let store = Store::new(Limits { retention: std::time::Duration::from_hours(1), max_series: 100 });
        let point = |instance: &str, value| Point {
            suffix: Suffix::None,
            labels: Labels::new([("instance", instance)]),
            value,
        };
        let family = Family::discovered("up".into(), MetricKind::Gauge, String::new());
        let blocks = vec![Block { family, points: vec![point("b:1", 0.0), point("a:1", 1.0)] }];
        store.record(Picture { source: "s".into(), labels: Labels::empty(), blocks, at: Millis(1000) });
        let externals = Externals { labels: Labels::new([("env", "prod")]), url: "http://sw".into() };
        let labels = Labels::new([("__name__", "up"), ("instance", "db.shop:5432")]);
        let snapshot = store.snapshot();
        Expander { snapshot: &snapshot, at: Millis(2000), externals: &externals, labels: &labels, value }.expand(text)
    }

    #[test]
    fn texts_expand_as_prometheus_expands_them() {
        for (text, value, expected) in [
            ("{{ $labels.instance }} is {{ $value }}", 1_234_567.0, "db.shop:5432 is 1.234567e+06"),
            ("{{ $value }}", 123_456.0, "123456"),
            ("[{{ $labels.nope }}]", 0.0, "[]"),
            ("{{ if $labels.nope }}yes{{ else }}no{{ end }}", 0.0, "no"),
            ("Out of range. {{ if eq $labels.nope \"\" }}none{{ end }}", 0.0, "Out of range. none"),
            ("See docs.example.com. {{ len $labels }}", 0.0, "See docs.example.com. 2"),
            ("{{ printf \"%.2f|%s\" $value $labels.nope }}", 0.5, "0.50|"),
            ("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", 0.0, "__name__=up;instance=db.shop:5432;"),
            ("{{ $externalLabels.env }} {{ $externalURL }}", 0.0, "prod http://sw"),
            ("{{ .Value | humanize }}", 1_234_567.0, "1.235M"),
            ("{{ $value | humanizePercentage }}", 0.123, "12.3%"),
            ("{{ $labels.instance | stripPort | stripDomain | toUpper }}", 0.0, "DB"),
            ("{{ query \"up\" | sortByLabel \"instance\" | first | label \"instance\" }}", 0.0, "a:1"),
            ("{{ range query \"up == 0\" }}{{ .Labels.instance }}:{{ .Value }}{{ end }}", 0.0, "b:1:0"),
            ("{{ with query \"nope\" }}{{ . | first | value }}{{ else }}none{{ end }}", 0.0, "none"),
            ("{{ reReplaceAll \"(.*):.*\" \"$1\" $labels.instance }}", 0.0, "db.shop"),
            ("{{ match \"^db\" $labels.instance }}", 0.0, "true"),
            ("{{ print $value 1e20 }} {{ println \"x\" 1.5 }}", 1e6, "1e+06 1e+20 x 1.5\n"),
            ("{{ toTime $value }}", 60.5, "1970-01-01 00:01:00.5 +0000 UTC"),
            ("{{ (toTime $value).Year }} {{ (toTime $value).Format \"15:04\" }}", 60.0, "1970 00:01"),
            ("{{ $t := toTime $value }}{{ if $t.Format \"4\" | eq \"1\" }}{{ $t.Month }}{{ end }}", 60.0, "January"),
            ("{{ with toTime $value }}{{ .Format \"Mon\" | toUpper }}{{ end }}", 60.0, "THU"),
        ] {
            assert_eq!(expanded(text, value), expected, "{text}");
        }
        assert!(expanded("{{ query \"up ==\" }}", 0.0).starts_with("<error expanding template: "));
        assert!(expanded("{{ first (query \"nope\") }}", 0.0).contains("first() called on vector with no elements"));
    }

    #[test]
    fn a_wrong_template_is_found_before_it_is_used() {
        assert!(check("{{ $value | humanize }}").is_ok());
        assert!(check("{{ $value").unwrap_err().contains("unclosed"));
        assert_eq!(check("{{ nope $value }}").unwrap_err(), "function \"nope\" not defined");
        assert!(check("{{ $nope }}").is_err());
    }
}
