//! What did not come out as expected, in promtool's words.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::model::{Labels, render_duration, write_scientific};
use crate::promql::notation::render_labels;

/// A label set and its value.
pub type Sample = (Labels, f64);

/// The labels and the annotations of an alert.
type AlertText = (Labels, Labels);

/// One expectation that does not hold, or one thing that kept a test from being run.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Other alerts fire than expected.
    Alerts {
        /// The test's name, or nothing.
        test: String,
        /// Which alert.
        alertname: String,
        /// From the test's start.
        at: Duration,
        /// In order of their labels.
        expected: Vec<AlertText>,
        /// In order of their labels.
        got: Vec<AlertText>,
    },
    /// An expression gives something else.
    Samples {
        /// The expression.
        expression: String,
        /// From the test's start.
        at: Duration,
        /// In order of their labels.
        expected: Vec<Sample>,
        /// In order of their labels.
        got: Vec<Sample>,
    },
    /// An expression gives nothing: it is wrong.
    Query {
        /// The expression.
        expression: String,
        /// From the test's start.
        at: Duration,
        /// Why.
        error: String,
    },
    /// A rule could not be evaluated.
    Rule {
        /// The recorded metric or the alert.
        rule: String,
        /// From the test's start.
        at: Duration,
        /// Why.
        error: String,
    },
}

impl Failure {
    /// As a list of lines with `-` where something expected is not there, and `+` where something is there that is not expected.
    pub fn diff(&self) -> String {
        let (head, expected, got): (_, Vec<String>, Vec<String>) = match self {
            Self::Alerts { expected, got, .. } => {
                let line = |(labels, annotations): &AlertText| {
                    format!("{} {}", render_labels(labels), render_labels(annotations))
                };
                (self.head(), expected.iter().map(line).collect(), got.iter().map(line).collect())
            }
            Self::Samples { expected, got, .. } => {
                (self.head(), expected.iter().map(sample).collect(), got.iter().map(sample).collect())
            }
            Self::Query { .. } | Self::Rule { .. } => return self.to_string(),
        };
        let gone = expected.iter().filter(|line| !got.contains(line)).map(|line| ('-', line));
        let common = expected.iter().filter(|line| got.contains(line)).map(|line| (' ', line));
        let new = got.iter().filter(|line| !expected.contains(line)).map(|line| ('+', line));
        let mut text = format!("{head}\n        diff (- expected, + got):");
        for (sign, line) in common.chain(gone).chain(new) {
            let _ = write!(text, "\n          {sign} {line}");
        }
        text
    }

    fn head(&self) -> String {
        match self {
            Self::Alerts { test, alertname, at, .. } => {
                let name = if test.is_empty() { String::new() } else { format!("    name: {test},\n") };
                format!("{name}    alertname: {alertname}, time: {}, ", render_duration(*at))
            }
            Self::Samples { expression, at, .. } | Self::Query { expression, at, .. } => {
                format!("    expr: {expression:?}, time: {},", render_duration(*at))
            }
            Self::Rule { rule, at, .. } => format!("    rule: {rule}, time: {},", render_duration(*at)),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        match self {
            Self::Alerts { expected, got, .. } => {
                write!(f, "\n        exp:{}, \n        got:{}", alerts(expected), alerts(got))
            }
            Self::Samples { expected, got, .. } => {
                write!(f, "\n        exp: {}\n        got: {}", samples(expected), samples(got))
            }
            Self::Query { error, .. } | Self::Rule { error, .. } => write!(f, " err: {error}"),
        }
    }
}

fn alerts(alerts: &[AlertText]) -> String {
    if alerts.is_empty() {
        return "[]".into();
    }
    let one = |(number, (labels, annotations)): (usize, &AlertText)| {
        let (labels, annotations) = (render_labels(labels), render_labels(annotations));
        format!("\n            {number}:\n              Labels:{labels}\n              Annotations:{annotations}")
    };
    let all: Vec<_> = alerts.iter().enumerate().map(one).collect();
    format!("[{}\n            ]", all.join(","))
}

fn samples(samples: &[Sample]) -> String {
    if samples.is_empty() { "nil".into() } else { samples.iter().map(sample).collect::<Vec<_>>().join(", ") }
}

fn sample((labels, value): &Sample) -> String {
    format!("{} {}", render_labels(labels), number(*value))
}

/// With an exponent of at least two digits, as Go's `%E`.
fn number(value: f64) -> String {
    let mut text = String::new();
    write_scientific(&mut text, value);
    text.replace('e', "E")
}
