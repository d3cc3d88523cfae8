//! Annotations: what Prometheus says beside an answer, in its words and with its places.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::error::line_and_column;
use crate::model::render_float;

/// What is to be said of an answer although it could be given: as Prometheus words it, each text once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notes {
    /// The answer may be wrong, such as a quantile outside of 0 to 1.
    pub warnings: Vec<String>,
    /// The question may be meant otherwise, such as `rate` of what is no counter by its name.
    pub infos: Vec<String>,
}

/// Something to be said, each of a place in the query's text in bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Note {
    /// A quantile below 0, above 1 or NaN; its bits.
    Quantile(u64),
    /// A histogram's series whose `le` is no number: metric, value of `le`.
    BadBucket(String, String),
    /// A histogram whose buckets fell: metric.
    Monotonicity(String),
    /// `rate` or `increase` of what does not look like a counter: metric.
    NotACounter(String),
}

/// Gathers while a query is answered. What is said twice is said of its last place, as in Prometheus.
#[derive(Debug, Default)]
pub(super) struct Noted(RefCell<BTreeMap<Note, usize>>);

impl Noted {
    pub(super) fn add(&self, place: usize, note: Note) {
        self.0.borrow_mut().insert(note, place);
    }

    /// A quantile that is none.
    pub(super) fn check_quantile(&self, place: usize, q: f64) {
        if !(0.0..=1.0).contains(&q) {
            self.add(place, Note::Quantile(if q.is_nan() { f64::NAN.to_bits() } else { q.to_bits() }));
        }
    }

    /// As [`Self::check_quantile`], of all that are asked for.
    pub(super) fn check_quantiles(&self, place: usize, quantiles: &[f64]) {
        for q in quantiles {
            self.check_quantile(place, *q);
        }
    }

    pub(super) fn written(self, text: &str) -> Notes {
        let mut notes = Notes::default();
        for (note, place) in self.0.into_inner() {
            let (line, column) = line_and_column(text, place);
            let into = if note.warns() { &mut notes.warnings } else { &mut notes.infos };
            into.push(format!("{} ({line}:{column})", note.written()));
        }
        notes
    }
}

impl Note {
    fn warns(&self) -> bool {
        matches!(self, Self::Quantile(_) | Self::BadBucket(..))
    }

    fn written(&self) -> String {
        match self {
            Self::Quantile(bits) => {
                let q = render_float(f64::from_bits(*bits));
                format!("PromQL warning: quantile value should be between 0 and 1, got {q}")
            }
            Self::BadBucket(metric, le) => {
                let what = format!("bucket label \"le\" is missing or has a malformed value of {le:?}");
                format!("PromQL warning: {what} for metric name {metric:?}")
            }
            Self::Monotonicity(metric) => {
                let see = "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile";
                let what = "input to histogram_quantile needed to be fixed for monotonicity";
                format!("PromQL info: {what} (see {see}) for metric name {metric:?}")
            }
            Self::NotACounter(metric) => {
                let what = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
                format!("PromQL info: {what} {metric:?}")
            }
        }
    }
}
