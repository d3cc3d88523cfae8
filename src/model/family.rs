//! Metric families and the points that belong to them.

use std::borrow::Cow;

use super::Labels;

/// What a metric family measures, as the exposition formats name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Only rises, or starts again from zero.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Cumulative buckets, a sum and a count.
    Histogram,
    /// Quantiles, a sum and a count.
    Summary,
    /// Nobody said; text 0.0.4 calls it `untyped`.
    Unknown,
}

impl MetricKind {
    /// The word in a text 0.0.4 `# TYPE` line.
    pub fn text_name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Unknown => "untyped",
        }
    }
}

/// Name, help and type of a metric, declared once beside its collector.
///
/// The name is the one Prometheus stores (`llm_tokens_total`), without a histogram's suffixes.
///
/// ```
/// use sidewatch::model::Family;
/// static PG_UP: Family = Family::gauge("pg_up", "Whether the last look could log in and query (1) or not (0).");
/// assert_eq!(PG_UP.name, "pg_up");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The full metric name.
    pub name: Cow<'static, str>,
    /// One sentence: meaning and unit.
    pub help: Cow<'static, str>,
    /// Its type.
    pub kind: MetricKind,
}

impl Family {
    /// A family known at compile time.
    pub const fn new(name: &'static str, kind: MetricKind, help: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), help: Cow::Borrowed(help), kind }
    }

    /// A gauge known at compile time.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, MetricKind::Gauge, help)
    }

    /// A counter known at compile time.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, MetricKind::Counter, help)
    }

    /// A family whose name only the target knows (`pg_settings_…`, an app's own metrics).
    pub fn discovered(name: String, kind: MetricKind, help: String) -> Self {
        Self { name: Cow::Owned(name), help: Cow::Owned(help), kind }
    }
}

/// What follows the family's name in a sample's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Suffix {
    /// Nothing: counters, gauges, unknowns, a summary's quantiles.
    #[default]
    None,
    /// `_bucket`, with the label `le`.
    Bucket,
    /// `_sum`.
    Sum,
    /// `_count`.
    Count,
}

impl Suffix {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bucket => "_bucket",
            Self::Sum => "_sum",
            Self::Count => "_count",
        }
    }
}

/// One value of a family, without the labels of its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Which of the family's sample names.
    pub suffix: Suffix,
    /// The point's own labels, without `__name__`, `job` and `instance`.
    pub labels: Labels,
    /// Its value in the family's unit.
    pub value: f64,
}

/// A family with its points from one look.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// What is measured.
    pub family: Family,
    /// The values, at most one per suffix and label set.
    pub points: Vec<Point>,
}
