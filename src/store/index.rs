//! Which series have which labels.
//!
//! Invariants: every posting list is sorted and without repeats; a label or value without series is not kept; each text
//! is held once, however many series share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{MatchOp, Matcher};
use crate::model::Labels;

/// The number of a series' slot.
pub(super) type SeriesId = u32;

#[derive(Debug, Default)]
pub(super) struct Index {
    ids: HashMap<Labels, SeriesId>,
    postings: BTreeMap<Arc<str>, HashMap<Arc<str>, Vec<SeriesId>>>,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn id(&self, labels: &Labels) -> Option<SeriesId> {
        self.ids.get(labels).copied()
    }

    /// Takes a new series in. Gives its labels made of the texts that are known already.
    pub(super) fn insert(&mut self, labels: &Labels, id: SeriesId) -> Labels {
        let pairs = labels.pairs().iter().map(|(name, value)| self.post(name, value, id)).collect::<Vec<_>>();
        let labels = Labels::new(pairs);
        self.ids.insert(labels.clone(), id);
        labels
    }

    fn post(&mut self, name: &Arc<str>, value: &Arc<str>, id: SeriesId) -> (Arc<str>, Arc<str>) {
        let name = self.postings.get_key_value(name).map_or(name, |(known, _)| known).clone();
        let values = self.postings.entry(Arc::clone(&name)).or_default();
        let value = values.get_key_value(value).map_or(value, |(known, _)| known).clone();
        let list = values.entry(Arc::clone(&value)).or_default();
        if let Err(at) = list.binary_search(&id) {
            list.insert(at, id);
        }
        (name, value)
    }

    pub(super) fn remove(&mut self, labels: &Labels, id: SeriesId) {
        self.ids.remove(labels);
        for (name, value) in labels.iter() {
            let Some(values) = self.postings.get_mut(name) else { continue };
            let Some(list) = values.get_mut(value) else { continue };
            if let Ok(at) = list.binary_search(&id) {
                list.remove(at);
            }
            if list.is_empty() {
                values.remove(value);
            }
            if values.is_empty() {
                self.postings.remove(name);
            }
        }
    }

    /// The names of all labels, sorted.
    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.postings.keys().cloned().collect()
    }

    /// The values of a label, sorted.
    pub(super) fn values(&self, name: &str) -> Vec<Arc<str>> {
        let mut values: Vec<_> = self.postings.get(name).into_iter().flat_map(HashMap::keys).cloned().collect();
        values.sort();
        values
    }

    /// Series among which are all that the matchers take; not every one of them need be taken. `None`: any may be.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<SeriesId>> {
        let equals =
            matchers.iter().filter(|matcher| matches!(matcher.op, MatchOp::Equal) && !matcher.value.is_empty());
        let lists = equals.map(|matcher| self.list(&matcher.name, &matcher.value));
        if let Some(shortest) = lists.min_by_key(|list| list.len()) {
            return Some(shortest.to_vec());
        }
        // A matcher that does not take "" asks for the label to be there.
        let asking = matchers.iter().filter(|matcher| !matcher.takes_value(""));
        asking.map(|matcher| self.union(matcher)).min_by_key(Vec::len)
    }

    fn list(&self, name: &str, value: &str) -> &[SeriesId] {
        self.postings.get(name).and_then(|values| values.get(value)).map_or(&[], Vec::as_slice)
    }

    fn union(&self, matcher: &Matcher) -> Vec<SeriesId> {
        let values = self.postings.get(matcher.name.as_str()).into_iter().flatten();
        let taken = values.filter(|(value, _)| matcher.takes_value(value));
        // A series has one value of a label, so the lists have nothing in common.
        let mut ids: Vec<SeriesId> = taken.flat_map(|(_, list)| list.iter().copied()).collect();
        ids.sort_unstable();
        ids
    }
}

/// Matchers with what they said of values before: a regular expression is asked once per value, not once per series.
/// Works by the address of a value, which is the same for all series that share it.
pub(super) struct Filter<'m> {
    parts: Vec<(&'m Matcher, Option<HashMap<usize, bool>>)>,
}

impl<'m> Filter<'m> {
    pub(super) fn new(matchers: &'m [Matcher]) -> Self {
        let is_regex = |matcher: &Matcher| matches!(matcher.op, MatchOp::Matches(_) | MatchOp::NotMatches(_));
        Self { parts: matchers.iter().map(|m| (m, is_regex(m).then(HashMap::new))).collect() }
    }

    pub(super) fn takes(&mut self, labels: &Labels) -> bool {
        self.parts.iter_mut().all(|(matcher, known)| match (labels.shared(&matcher.name), known) {
            (Some(value), Some(known)) => {
                *known.entry(value.as_ptr().addr()).or_insert_with(|| matcher.takes_value(value))
            }
            (Some(value), None) => matcher.takes_value(value),
            (None, _) => matcher.takes_value(""),
        })
    }
}
