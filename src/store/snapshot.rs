//! The view that queries read.

use std::sync::Arc;

use super::cut::Cut;
use super::find::Question;
use super::{Matcher, Series, Store};
use crate::model::{Labels, Millis};

/// A view of the history at one moment. Holds no lock and copies nothing until asked.
///
/// Pictures that are taken later do not change it. Samples that belong to no picture (remote write's) may still come into
/// its time range, as they may lie back by up to [`OUT_OF_ORDER_WINDOW`](super::OUT_OF_ORDER_WINDOW) anyway.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) store: Store,
    pub(super) version: u64,
}

/// A series that a snapshot found, its samples not read yet: who asks for many decodes one after the other into the same place.
#[derive(Debug)]
pub struct Run {
    /// All labels, `__name__` among them.
    pub labels: Labels,
    pub(super) cut: Cut,
}

impl Run {
    /// Puts the samples, staleness markers among them, in order of time into `samples`, in place of what was there.
    pub fn decode_into(&self, samples: &mut Vec<(Millis, f64)>) {
        samples.clear();
        self.cut.decode_into(samples);
    }
}

/// The newest sample of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Newest {
    /// All labels, `__name__` among them.
    pub labels: Labels,
    /// When.
    pub at: Millis,
    /// The value, or a staleness marker.
    pub value: f64,
}

impl Snapshot {
    /// The series that every matcher takes, each with its samples in `(after, until]`. Series without a sample there are left out.
    pub fn select(&self, matchers: &[Matcher], after: Millis, until: Millis) -> Vec<Series> {
        self.each(matchers, after, until).collect()
    }

    /// The series that [`Self::select`] would look at, for reading one after the other: a series may be among them whose
    /// samples are a little outside of the range.
    pub fn runs(&self, matchers: &[Matcher], after: Millis, until: Millis) -> Vec<Run> {
        let (found, shared) = self.store.read().cut(self.question(matchers, after, until));
        // The lock is gone before the samples are decoded.
        shared.into_runs(found)
    }

    /// As [`Self::select`], one series after the other, so that who counts can stop before memory is short.
    pub fn each(&self, matchers: &[Matcher], after: Millis, until: Millis) -> impl Iterator<Item = Series> + use<> {
        let decoded = self.runs(matchers, after, until).into_iter().map(|run| {
            let mut samples = Vec::new();
            run.decode_into(&mut samples);
            Series { labels: run.labels, samples }
        });
        decoded.filter(|series| !series.samples.is_empty())
    }

    /// As [`Self::select`], with the last sample of each series alone.
    pub fn newest(&self, matchers: &[Matcher], after: Millis, until: Millis) -> Vec<Newest> {
        let found = self.store.read().latest(self.question(matchers, after, until));
        let newest = found.into_iter().filter_map(|(labels, latest)| {
            let (at, value) = latest.decode()?;
            Some(Newest { labels, at, value })
        });
        newest.collect()
    }

    /// The labels of the series that [`Self::select`] would look at, without reading samples: a series may be among them
    /// whose samples are a little outside of the range.
    pub fn labels_of(&self, matchers: &[Matcher], after: Millis, until: Millis) -> Vec<Labels> {
        self.store.read().labels(self.question(matchers, after, until))
    }

    /// The names of all labels of all series, sorted.
    pub fn label_names(&self) -> Vec<Arc<str>> {
        self.store.read().series().index().names()
    }

    /// The names of all labels of the series that [`Self::labels_of`] gives, sorted.
    pub fn label_names_of(&self, matchers: &[Matcher], after: Millis, until: Millis) -> Vec<Arc<str>> {
        self.store.read().texts(self.question(matchers, after, until), |labels, take| {
            labels.pairs().iter().for_each(|(name, _)| take(name));
        })
    }

    /// All values of a label, sorted.
    pub fn label_values(&self, name: &str) -> Vec<Arc<str>> {
        self.store.read().series().index().values(name)
    }

    /// All values that a label has in the series that [`Self::labels_of`] gives, sorted.
    pub fn label_values_of(&self, name: &str, matchers: &[Matcher], after: Millis, until: Millis) -> Vec<Arc<str>> {
        self.store.read().texts(self.question(matchers, after, until), |labels, take| {
            labels.shared(name).into_iter().for_each(take);
        })
    }

    fn question<'q>(&self, matchers: &'q [Matcher], after: Millis, until: Millis) -> Question<'q> {
        Question { version: self.version, matchers, after, until }
    }
}
