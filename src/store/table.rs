//! All series by number and by label, and the forgetting of old ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::condition::Condition;
use super::disk::Blocks;
use super::entry::Entry;
use super::index::{Index, SeriesId};
use super::shape::SeriesRef;
use crate::model::{Labels, Millis};

/// Series in numbered slots. A slot is used again after its series is forgotten, with the next generation.
#[derive(Debug)]
pub(super) struct SeriesTable {
    most: usize,
    slots: Vec<Slot>,
    /// The lowest first: the index' lists are then mostly added to at their ends.
    free: BinaryHeap<Reverse<SeriesId>>,
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
        Self { most, slots: Vec::new(), free: BinaryHeap::new(), index: Index::default(), sweep_at: 0 }
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
        let is_full = self.len() >= self.most && !self.contains(labels);
        if is_full { None } else { Some(self.intern_beyond(labels)) }
    }

    /// The series with these labels, a new one though it may be one too many.
    pub(super) fn intern_beyond(&mut self, labels: &Labels) -> SeriesRef {
        if let Some(id) = self.index.id(labels) {
            return SeriesRef { id, generation: self.slots[id as usize].generation };
        }
        let id = self.free.pop().map_or(self.slots.len() as SeriesId, |Reverse(id)| id);
        if id as usize == self.slots.len() {
            self.slots.push(Slot { generation: 0, entry: None });
        }
        let labels = self.index.insert(labels, id);
        let slot = &mut self.slots[id as usize];
        let reference = SeriesRef { id, generation: slot.generation };
        slot.entry = Some(Entry::new(labels, reference));
        reference
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

    /// Series among which are all that the conditions take, if those that are left of `conditions` take them.
    pub(super) fn candidates<'t>(
        &'t self,
        conditions: &mut Vec<Condition<'_>>,
    ) -> impl Iterator<Item = &'t Entry> + use<'t> {
        let ids = self.index.candidates(conditions);
        let count = ids.as_ref().map_or(self.slots.len(), |ids| ids.len());
        (0..count).filter_map(move |at| {
            let slot = ids.as_ref().map_or(at, |ids| ids[at] as usize);
            self.slots[slot].entry.as_ref()
        })
    }

    /// The series of some slots, and the slot behind them if there is one.
    pub(super) fn slots_from(
        &mut self,
        from: usize,
        count: usize,
    ) -> (impl Iterator<Item = &mut Entry>, Option<usize>) {
        let all = self.slots.len();
        let end = (from + count).min(all);
        let some = &mut self.slots[from.min(end)..end];
        (some.iter_mut().filter_map(|slot| slot.entry.as_mut()), (end < all).then_some(end))
    }

    /// Looks through some series, a few more for a large picture: trims them, forgets those without samples since
    /// `horizon`, lets go what memory need not hold from before `memory`. After 64 pictures all have been looked at, and
    /// no picture pays for all at once.
    pub(super) fn sweep(&mut self, horizon: Millis, memory: Millis, points: usize) {
        let some = (points / 4 + 64).max(self.slots.len() / 64 + 1).min(self.slots.len());
        let from = self.sweep_at;
        let count = self.slots.len();
        self.sweep_at = if count == 0 { 0 } else { (from + some) % count };
        self.forget_where((from..from + some).map(|at| at % count), |entry| entry.trim(horizon, memory));
    }

    /// Forgets of all series what is not before `at`.
    pub(super) fn rewind(&mut self, at: Millis, blocks: &Blocks) {
        self.forget_where(0..self.slots.len(), |entry| entry.rewind(at, blocks));
    }

    /// Forgets so many series that `most` are left: those whose last sample is the oldest. Says how many went.
    pub(super) fn keep_newest(&mut self, most: usize) -> usize {
        let over = self.len().saturating_sub(most);
        if over == 0 {
            return 0;
        }
        // Of two with the same last time, one that ended there goes first.
        let age = |entry: &Entry| (entry.last(), !entry.has_ended());
        let slots = self.slots.iter().enumerate();
        let mut by_age: Vec<_> = slots.filter_map(|(at, slot)| Some((age(slot.entry.as_ref()?), at))).collect();
        by_age.select_nth_unstable(over - 1);
        by_age.truncate(over);
        self.forget_where(by_age.into_iter().map(|(_, at)| at), |_| true);
        over
    }

    fn forget_where(&mut self, slots: impl Iterator<Item = usize>, mut is_over: impl FnMut(&mut Entry) -> bool) {
        let mut gone = Vec::new();
        for at in slots {
            let slot = &mut self.slots[at];
            if slot.entry.as_mut().is_some_and(&mut is_over)
                && let Some(entry) = slot.entry.take()
            {
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(Reverse(at as SeriesId));
                gone.push((at as SeriesId, entry.labels));
            }
        }
        gone.sort_unstable_by_key(|(id, _)| *id);
        self.index.remove(&gone);
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
