//! Which series have which labels.
//!
//! Invariants: every posting list is sorted and without repeats; a label or value without series is not kept; each text
//! is held once, however many series share it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::condition::Condition;
use super::postings::{intersection, subtract, union};
use crate::model::Labels;

/// The number of a series' slot.
pub(super) type SeriesId = u32;

type Values = HashMap<Arc<str>, Vec<SeriesId>>;

#[derive(Debug, Default)]
pub(super) struct Index {
    ids: HashMap<Labels, SeriesId>,
    postings: BTreeMap<Arc<str>, Values>,
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
        if list.last().is_none_or(|last| *last < id) {
            list.push(id);
        } else if let Err(at) = list.binary_search(&id) {
            list.insert(at, id);
        }
        (name, value)
    }

    /// Takes series out, in order of their numbers: each list is gone through once, however many series vanish.
    pub(super) fn remove(&mut self, gone: &[(SeriesId, Labels)]) {
        let mut lists: HashMap<(&str, &str), Vec<SeriesId>> = HashMap::new();
        for (id, labels) in gone {
            self.ids.remove(labels);
            for pair in labels.iter() {
                lists.entry(pair).or_default().push(*id);
            }
        }
        for ((name, value), gone) in lists {
            let Some(values) = self.postings.get_mut(name) else { continue };
            let Some(list) = values.get_mut(value) else { continue };
            subtract(list, &gone);
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

    /// Series, sorted, among which are all that the conditions take; `None`: any may be. Conditions that hold for all of
    /// them are taken out of `conditions`; the others are still to be asked.
    pub(super) fn candidates(&self, conditions: &mut Vec<Condition<'_>>) -> Option<Cow<'_, [SeriesId]>> {
        // The lists of each condition that names its texts, and how long they are together.
        let mut named: Vec<(usize, Vec<&[SeriesId]>)> = Vec::new();
        let (mut shortest, mut of_one) = (usize::MAX, None);
        for (at, condition) in conditions.iter().enumerate() {
            let Some(texts) = condition.texts() else { continue };
            let lists: Vec<_> = texts.iter().map(|text| self.list(condition.name, text)).collect();
            let length = lists.iter().map(|list| list.len()).sum();
            if length < shortest {
                (shortest, of_one) = (length, Some(named.len()));
            }
            named.push((at, lists));
        }
        let Some(of_one) = of_one else { return self.of_present(conditions) };
        let (at, lists) = named.swap_remove(of_one);
        let mut done = vec![at];
        let mut found = match lists.as_slice() {
            [list] => Cow::Borrowed(*list),
            // A text may stand twice in a pattern.
            _ => Cow::Owned({
                let mut ids = union(lists.into_iter());
                ids.dedup();
                ids
            }),
        };
        for (at, lists) in named {
            // Several lists cost more than looking at the labels of what is left.
            if let [list] = lists.as_slice() {
                found = Cow::Owned(intersection(&found, list));
                done.push(at);
            }
        }
        let mut at = 0;
        conditions.retain(|_| (!done.contains(&at), at += 1).0);
        Some(found)
    }

    /// The series that have a label which some condition asks for.
    fn of_present(&self, conditions: &mut Vec<Condition<'_>>) -> Option<Cow<'_, [SeriesId]>> {
        let asking = conditions.iter().enumerate().filter(|(_, condition)| !condition.takes_absent);
        let found = asking.map(|(at, condition)| (at, self.taken_by(condition)));
        let (at, ids) = found.min_by_key(|(_, ids)| ids.len())?;
        conditions.remove(at);
        Some(Cow::Owned(ids))
    }

    fn list(&self, name: &str, value: &str) -> &[SeriesId] {
        self.postings.get(name).and_then(|values| values.get(value)).map_or(&[], Vec::as_slice)
    }

    fn taken_by(&self, condition: &Condition<'_>) -> Vec<SeriesId> {
        let values = self.postings.get(condition.name).into_iter().flatten();
        let taken = values.filter(|(value, _)| condition.takes_value(value));
        // A series has one value of a label, so the lists have nothing in common.
        union(taken.map(|(_, list)| list.as_slice()))
    }
}
