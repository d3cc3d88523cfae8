//! All series by number and by label, and the forgetting of old ones.

use super::Matcher;
use super::entry::Entry;
use super::index::{Index, SeriesId};
use super::shape::SeriesRef;
use crate::model::{Labels, Millis};

/// Series in numbered slots. A slot is used again after its series is forgotten, with the next generation.
#[derive(Debug)]
pub(super) struct SeriesTable {
    most: usize,
    slots: Vec<Slot>,
    free: Vec<SeriesId>,
    index: Index,
    /// Where the search for forgotten series goes on.
    sweep_at: usize,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

impl SeriesTable {
    /// A table for at most so many series.
    pub(super) fn new(most: usize) -> Self {
        Self { most, slots: Vec::new(), free: Vec::new(), index: Index::default(), sweep_at: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn contains(&self, labels: &Labels) -> bool {
        self.index.id(labels).is_some()
    }

    /// The series with these labels, a new one if there is place.
    pub(super) fn intern(&mut self, labels: &Labels) -> Option<SeriesRef> {
        if let Some(id) = self.index.id(labels) {
            return Some(SeriesRef { id, generation: self.slots[id as usize].generation });
        }
        if self.len() >= self.most {
            return None;
        }
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, entry: None });
            self.slots.len() as SeriesId - 1
        });
        let labels = self.index.insert(labels, id);
        let slot = &mut self.slots[id as usize];
        slot.entry = Some(Entry::new(labels));
        Some(SeriesRef { id, generation: slot.generation })
    }

    /// The series, if it is not forgotten.
    pub(super) fn get(&self, reference: SeriesRef) -> Option<&Entry> {
        let slot = self.slots.get(reference.id as usize)?;
        slot.entry.as_ref().filter(|_| slot.generation == reference.generation)
    }

    pub(super) fn get_mut(&mut self, reference: SeriesRef) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(reference.id as usize)?;
        slot.entry.as_mut().filter(|_| slot.generation == reference.generation)
    }

    /// Series among which are all that the matchers take.
    pub(super) fn candidates(&self, matchers: &[Matcher]) -> Box<dyn Iterator<Item = &Entry> + '_> {
        match self.index.candidates(matchers) {
            Some(ids) => Box::new(ids.into_iter().filter_map(|id| self.slots[id as usize].entry.as_ref())),
            None => Box::new(self.slots.iter().filter_map(|slot| slot.entry.as_ref())),
        }
    }

    /// Looks through some series, a few more for a large picture: trims them, forgets those without samples since
    /// `horizon`. After 64 pictures all have been looked at, and no picture pays for all at once.
    pub(super) fn sweep(&mut self, horizon: Millis, points: usize) {
        let some = (points / 4 + 64).max(self.slots.len() / 64 + 1).min(self.slots.len());
        for _ in 0..some {
            self.sweep_at = (self.sweep_at + 1) % self.slots.len();
            self.forget_if(self.sweep_at, |entry| entry.trim(horizon));
        }
    }

    /// Forgets of all series what is not before `at`.
    pub(super) fn rewind(&mut self, at: Millis) {
        for slot in 0..self.slots.len() {
            self.forget_if(slot, |entry| entry.rewind(at));
        }
    }

    fn forget_if(&mut self, at: usize, is_over: impl FnOnce(&mut Entry) -> bool) {
        let slot = &mut self.slots[at];
        if slot.entry.as_mut().is_some_and(is_over)
            && let Some(entry) = slot.entry.take()
        {
            slot.generation = slot.generation.wrapping_add(1);
            self.index.remove(&entry.labels, at as SeriesId);
            self.free.push(at as SeriesId);
        }
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().filter_map(|slot| slot.entry.as_ref())
    }

    #[cfg(test)]
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }
}
