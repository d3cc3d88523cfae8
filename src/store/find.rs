//! Answers to a snapshot's questions, under the lock: as little as can be is done here.

use std::collections::HashSet;
use std::sync::Arc;

use super::Matcher;
use super::condition::Condition;
use super::cut::{Latest, Shared, Span};
use super::entry::Entry;
use super::history::History;
use crate::model::{Labels, Millis};

/// Which series, at which state of the store, in which time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'q> {
    pub(super) version: u64,
    pub(super) matchers: &'q [Matcher],
    pub(super) after: Millis,
    pub(super) until: Millis,
}

impl History {
    /// The series that the matchers take, with where their samples are.
    pub(super) fn cut(&self, question: Question<'_>) -> (Vec<(Labels, Span)>, Shared) {
        let mut shared = Shared::with(&self.blocks());
        let mut found = Vec::new();
        self.find(question, |entry, after, until| {
            let span = entry.cut(after, until, &mut shared);
            found.extend(span.map(|span| (entry.labels.clone(), span)));
        });
        (found, shared)
    }

    /// The series that the matchers take, with the last sample alone.
    pub(super) fn latest(&self, question: Question<'_>) -> Vec<(Labels, Latest)> {
        let blocks = self.blocks();
        let mut found = Vec::new();
        self.find(question, |entry, after, until| {
            found.extend(entry.latest(&blocks, after, until).map(|latest| (entry.labels.clone(), latest)));
        });
        found
    }

    /// The labels of the series that the matchers take.
    pub(super) fn labels(&self, question: Question<'_>) -> Vec<Labels> {
        let blocks = self.blocks();
        let mut found = Vec::new();
        self.find(question, |entry, after, until| {
            if entry.reaches_into(&blocks, after, until) {
                found.push(entry.labels.clone());
            }
        });
        found
    }

    /// Texts of the series that the matchers take, each once, sorted.
    pub(super) fn texts(
        &self,
        question: Question<'_>,
        mut texts: impl FnMut(&Labels, &mut dyn FnMut(&Arc<str>)),
    ) -> Vec<Arc<str>> {
        let blocks = self.blocks();
        let mut found = Vec::new();
        // By address: the index holds each text once.
        let mut seen = HashSet::new();
        self.find(question, |entry, after, until| {
            if entry.reaches_into(&blocks, after, until) {
                texts(&entry.labels, &mut |text| {
                    if seen.insert(text.as_ptr().addr()) {
                        found.push(Arc::clone(text));
                    }
                });
            }
        });
        found.sort_unstable();
        found
    }

    fn find(&self, question: Question<'_>, mut take: impl FnMut(&Entry, Millis, Millis)) {
        let after = question.after.max(Millis(self.horizon().0.saturating_sub(1)));
        let later = self.later_than(question.version);
        let mut conditions = question.matchers.iter().map(Condition::new).collect();
        let candidates = self.series().candidates(&mut conditions);
        for entry in candidates {
            if !conditions.iter_mut().all(|condition| condition.takes(&entry.labels)) {
                continue;
            }
            let first_later = later.binary_search_by_key(&entry.source, |(source, _)| *source);
            let until = first_later.map_or(question.until, |at| question.until.min(Millis(later[at].1.0 - 1)));
            take(entry, after, until);
        }
    }
}
