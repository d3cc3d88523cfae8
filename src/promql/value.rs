//! What a query gives.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::model::{Labels, Millis};
use crate::store::Series;

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// Label sets with one value each, in the order the query asks for (`sort`, `topk`), else by labels.
    Vector(Vec<(Labels, f64)>),
    /// A text.
    String(String),
    /// Label sets with values over time.
    Matrix(Vec<Series>),
}

impl Value {
    /// As the HTTP API calls it: `scalar`, `vector`, `string`, `matrix`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::Vector(_) => "vector",
            Self::String(_) => "string",
            Self::Matrix(_) => "matrix",
        }
    }
}

/// One element of an instant vector while it is worked on.
#[derive(Debug, Clone)]
pub(super) struct Element {
    pub labels: Labels,
    pub value: f64,
}

/// A value while it is worked on.
#[derive(Debug, Clone)]
pub(super) enum Worked {
    Scalar(f64),
    Vector(Vec<Element>),
    Matrix(Matrix),
    String(String),
}

/// A series within a window of time.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub labels: Labels,
    pub samples: Samples,
}

impl From<Series> for Run {
    fn from(mut series: Series) -> Self {
        // What reads grow in steps; what is kept counts.
        series.samples.shrink_to_fit();
        let within = 0..series.samples.len();
        Self { labels: series.labels, samples: Samples { all: Arc::new(series.samples), within } }
    }
}

impl From<Run> for Series {
    fn from(run: Run) -> Self {
        Self { labels: run.labels, samples: run.samples.to_vec() }
    }
}

/// Samples in order of time. Parts share their memory: a window over what was read costs no copy.
#[derive(Debug, Clone)]
pub(super) struct Samples {
    all: Arc<Vec<(Millis, f64)>>,
    within: Range<usize>,
}

impl Samples {
    /// Those in `(after, until]`.
    pub(super) fn between(&self, after: Millis, until: Millis) -> Self {
        let from = self.partition_point(|(time, _)| *time <= after);
        let end = self.partition_point(|(time, _)| *time <= until).max(from);
        let start = self.within.start;
        Self { all: Arc::clone(&self.all), within: start + from..start + end }
    }
}

impl Deref for Samples {
    type Target = [(Millis, f64)];

    fn deref(&self) -> &Self::Target {
        &self.all[self.within.clone()]
    }
}

/// Series with their samples in one window of time, staleness markers left out.
#[derive(Debug, Clone)]
pub(super) struct Matrix {
    pub series: Vec<Run>,
    /// Exclusive.
    pub after: i64,
    /// Inclusive.
    pub until: i64,
}
