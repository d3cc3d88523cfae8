//! The silences by name, and by a pair that an alert must have for a silence to take it.
//!
//! A thousand silences are mostly about a thousand instances: an alert is compared with those that name one of its own
//! pairs, and with the few that ask for no particular value.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Labels, Millis};

use super::super::matcher::{Matcher, Operator, all_take};
use super::{Silence, SilenceId, State};

/// All silences that are known.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_id: HashMap<SilenceId, Arc<Silence>>,
    /// By label and value of one matcher that asks for just this value.
    by_pair: HashMap<String, HashMap<String, Vec<Arc<Silence>>>>,
    /// Those that have no such matcher.
    others: Vec<Arc<Silence>>,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: &SilenceId) -> Option<Arc<Silence>> {
        self.by_id.get(id).cloned()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Silence>> {
        self.by_id.values()
    }

    /// Takes a silence in, in the place of the one of the same name.
    pub(super) fn put(&mut self, silence: Arc<Silence>) {
        if let Some(old) = self.by_id.insert(silence.id.clone(), Arc::clone(&silence)) {
            self.unlist(&old);
        }
        self.list(&silence).push(silence);
    }

    /// What ended long ago.
    pub(super) fn forgotten(&self, now: Millis) -> impl Iterator<Item = &Arc<Silence>> {
        self.by_id.values().filter(move |silence| silence.is_forgotten(now))
    }

    /// Forgets what ended long ago.
    pub(super) fn forget(&mut self, now: Millis) {
        let over: Vec<_> = self.forgotten(now).cloned().collect();
        for silence in over {
            self.by_id.remove(&silence.id);
            self.unlist(&silence);
        }
    }

    /// The names of those that are active and take these labels, in order.
    pub(super) fn silencing(&self, labels: &Labels, now: Millis) -> Vec<SilenceId> {
        let listed = |(name, value): (&str, &str)| self.by_pair.get(name).and_then(|values| values.get(value));
        let asked = labels.iter().filter_map(listed).flatten().chain(&self.others);
        let holding = asked.filter(|it| it.state(now) == State::Active && all_take(&it.wish.matchers, labels));
        let mut ids: Vec<_> = holding.map(|silence| silence.id.clone()).collect();
        ids.sort();
        ids
    }

    fn unlist(&mut self, silence: &Silence) {
        self.list(silence).retain(|other| other.id != silence.id);
        if let Some(matcher) = pair(silence)
            && let Some(values) = self.by_pair.get_mut(matcher.name())
        {
            values.retain(|_, listed| !listed.is_empty());
            if values.is_empty() {
                self.by_pair.remove(matcher.name());
            }
        }
    }

    /// Where a silence is listed.
    fn list(&mut self, silence: &Silence) -> &mut Vec<Arc<Silence>> {
        match pair(silence) {
            Some(matcher) => {
                let values = self.by_pair.entry(matcher.name().to_owned()).or_default();
                values.entry(matcher.value().to_owned()).or_default()
            }
            None => &mut self.others,
        }
    }
}

/// The matcher by which a silence is found: one that asks for a value, and better not for the alert's name, which many share.
fn pair(silence: &Silence) -> Option<&Matcher> {
    let exact = |matcher: &&Matcher| matcher.operator() == Operator::Equal && !matcher.value().is_empty();
    let mut exact = silence.wish.matchers.iter().filter(exact);
    let first = exact.next()?;
    if first.name() == "alertname" { exact.next().or(Some(first)) } else { Some(first) }
}
