//! A test file as it is written: promtool's keys, each with its place.

use std::time::Duration;

use crate::model::{Labels, Millis, Problems};
use crate::promql::notation;
use crate::yaml::{Fields, Node, Value, parse};

/// What promtool takes for `evaluation_interval` when it is not given.
const EVALUATION_INTERVAL: Duration = Duration::from_mins(1);

/// A test file.
#[derive(Debug, Clone, Default)]
pub struct TestFile {
    /// Files or patterns, relative to the test file.
    pub rule_files: Vec<String>,
    /// The time between two evaluations of all groups, whatever interval they have.
    pub evaluation_interval: Duration,
    /// Names of groups in the order in which they are evaluated.
    pub group_eval_order: Vec<String>,
    /// Numbers may differ in their last bit.
    pub fuzzy_compare: bool,
    /// The tests.
    pub tests: Vec<Test>,
}

/// One test: series, and what is expected of them.
#[derive(Debug, Clone)]
pub struct Test {
    pub name: String,
    /// The time between two values of a series.
    pub interval: Duration,
    /// The time of the first value.
    pub start: Millis,
    pub series: Vec<TestSeries>,
    /// For templates only.
    pub external_labels: Labels,
    /// For templates only.
    pub external_url: String,
    pub alerts: Vec<AlertTest>,
    pub expressions: Vec<ExpressionTest>,
}

#[derive(Debug, Clone)]
pub struct TestSeries {
    pub labels: Labels,
    /// The value at each step.
    pub values: Vec<Option<f64>>,
}

#[derive(Debug, Clone)]
pub struct AlertTest {
    /// From the start.
    pub eval_time: Duration,
    pub alertname: String,
    /// The labels, `alertname` among them, and the annotations of each alert that fires.
    pub expected: Vec<(Labels, Labels)>,
}

#[derive(Debug, Clone)]
pub struct ExpressionTest {
    pub expression: String,
    /// From the start.
    pub eval_time: Duration,
    pub expected: Vec<(Labels, f64)>,
}

/// Reads a file's text. With a problem, what comes back is of no use.
pub(super) fn read(path: &str, text: &str, problems: &Problems) -> TestFile {
    let node = match parse(text, path) {
        Ok(node) => node,
        Err(problem) => {
            problems.add(&problem.at, problem.what, problem.way_out);
            return TestFile::default();
        }
    };
    let Some(mut fields) = Fields::of(&node, "a test file", problems) else {
        return TestFile::default();
    };
    let rule_files = fields.texts("rule_files");
    let evaluation_interval = interval(&mut fields, "evaluation_interval", EVALUATION_INTERVAL);
    let group_eval_order = fields.texts("group_eval_order");
    let fuzzy_compare = fields.bool("fuzzy_compare").unwrap_or(false);
    let tests = fields.list("tests").iter().filter_map(|node| test(node, evaluation_interval, problems)).collect();
    for (at, name) in group_eval_order.iter().enumerate() {
        if group_eval_order[..at].contains(name) {
            let what = format!("group name repeated in evaluation order: {name}");
            fields.wrong("group_eval_order", what, "name each group once");
        }
    }
    fields.finish();
    TestFile { rule_files, evaluation_interval, group_eval_order, fuzzy_compare, tests }
}

/// An interval; nothing and zero are the default.
fn interval(fields: &mut Fields<'_>, key: &'static str, default: Duration) -> Duration {
    fields.duration(key).filter(|interval| !interval.is_zero()).unwrap_or(default)
}

fn test(node: &Node, evaluation_interval: Duration, problems: &Problems) -> Option<Test> {
    let mut fields = Fields::of(node, "a test", problems)?;
    let test = Test {
        name: fields.text("name").unwrap_or_default(),
        interval: interval(&mut fields, "interval", evaluation_interval),
        start: fields.parsed("start_timestamp", start).unwrap_or_default(),
        series: fields.list("input_series").iter().filter_map(|node| series(node, problems)).collect(),
        external_labels: label_map(&mut fields, "external_labels"),
        external_url: fields.text("external_url").unwrap_or_default(),
        alerts: fields.list("alert_rule_test").iter().filter_map(|node| alert_test(node, problems)).collect(),
        expressions: fields.list("promql_expr_test").iter().filter_map(|node| expression(node, problems)).collect(),
    };
    fields.finish();
    Some(test)
}

/// Unix seconds or RFC 3339.
fn start(text: &str) -> Result<Millis, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
    let date = || text.parse::<jiff::Timestamp>().ok().map(|at| Millis(at.as_millisecond()));
    seconds
        .map(Millis::from_seconds)
        .or_else(date)
        .ok_or_else(|| format!("`{text}` is neither a date such as 2026-01-31T12:00:00Z nor seconds since 1970"))
}

fn series(node: &Node, problems: &Problems) -> Option<TestSeries> {
    let mut fields = Fields::of(node, "an input series", problems)?;
    fields.required("series");
    let labels = fields.parsed("series", |text| match notation::metric(text)? {
        labels if labels.is_empty() => Err("a series has at least one label with a value: write its name".into()),
        labels => Ok(labels),
    });
    let values = fields.parsed("values", notation::values);
    fields.finish();
    Some(TestSeries { labels: labels?, values: values.unwrap_or_default() })
}

fn label_map(fields: &mut Fields<'_>, key: &'static str) -> Labels {
    Labels::new(fields.text_map(key).into_iter().map(|(name, value, _)| (name, value)))
}

fn alert_test(node: &Node, problems: &Problems) -> Option<AlertTest> {
    let mut fields = Fields::of(node, "an alert test", problems)?;
    let eval_time = fields.duration("eval_time").unwrap_or_default();
    let alertname = fields.required("alertname");
    let name = alertname.clone().unwrap_or_default();
    let expected = fields.list("exp_alerts").iter().filter_map(|node| expected_alert(node, &name, problems)).collect();
    fields.finish();
    Some(AlertTest { eval_time, alertname: alertname?, expected })
}

fn expected_alert(node: &Node, name: &str, problems: &Problems) -> Option<(Labels, Labels)> {
    let mut fields = Fields::of(node, "an expected alert", problems)?;
    let labels = fields.text_map("exp_labels");
    for (label, _, at) in labels.iter().filter(|(_, value, _)| value.is_empty()) {
        problems.add(at, format!("no alert has the label `{label}` with an empty value"), "remove it");
    }
    let labels = Labels::new(labels.into_iter().map(|(name, value, _)| (name, value))).with("alertname", name);
    let annotations = label_map(&mut fields, "exp_annotations");
    fields.finish();
    Some((labels, annotations))
}

fn expression(node: &Node, problems: &Problems) -> Option<ExpressionTest> {
    let mut fields = Fields::of(node, "an expression test", problems)?;
    let expression = fields.required("expr");
    let eval_time = fields.duration("eval_time").unwrap_or_default();
    let expected = fields.list("exp_samples").iter().filter_map(|node| expected_sample(node, problems)).collect();
    fields.finish();
    Some(ExpressionTest { expression: expression?, eval_time, expected })
}

fn expected_sample(node: &Node, problems: &Problems) -> Option<(Labels, f64)> {
    let mut fields = Fields::of(node, "an expected sample", problems)?;
    let labels = fields.parsed("labels", notation::metric);
    if fields.has("histogram") {
        fields.take("histogram");
        fields.wrong("histogram", "native histograms are not supported here", "test with classic ones");
    }
    let value = match fields.take("value") {
        None => 0.0,
        Some(node) => number(node).unwrap_or_else(|| {
            fields.wrong("value", "this is not a number as YAML writes it", "write 1.5, 1e3, .nan, .inf or -.inf");
            0.0
        }),
    };
    fields.finish();
    Some((labels.unwrap_or_default(), value))
}

/// A number as YAML 1.1 writes it, as promtool reads it: `NaN` and `Inf` have a point in front.
fn number(node: &Node) -> Option<f64> {
    let Value::Scalar { text, quoted: false } = &node.value else { return None };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    let whole = |text: &str, radix| i64::from_str_radix(text, radix).ok().map(|value| value as f64);
    let value = match digits.as_str() {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" => Some(f64::INFINITY),
        digits if digits.starts_with("0x") => whole(&digits[2..], 16),
        digits if digits.starts_with("0b") => whole(&digits[2..], 2),
        digits if digits.starts_with("0o") => whole(&digits[2..], 8),
        digits if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|c| matches!(c, b'0'..=b'7')) => {
            whole(digits, 8)
        }
        digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => digits.parse().ok(),
        _ => None,
    };
    value.map(|value| sign * value)
}
