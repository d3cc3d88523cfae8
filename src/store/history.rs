//! What is behind the lock: the series, and which of them each source shows.

mod clock;
mod persisted;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::entry::{EXTERNAL, Entry, Fate};
use super::shape::{Before, SeriesRef};
use super::table::SeriesTable;
use super::{Limits, Picture, overlay};
use crate::model::{Block, Labels, METRIC_NAME, Millis, Point, is_stale, stale_marker};
use clock::Clock;
use persisted::Persisted;

/// How many pictures back a snapshot is told from what came later.
const RECENT: usize = 1024;
/// A picture that is older than the newest one by more than this says that the clock was set back. Less is the disorder
/// of looks that end at the same time, or a clock that waits for the time to come up with it.
const STEP_BACK: Duration = Duration::from_mins(1);
/// A name of a refused series is told at most this often.
const WARN_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(super) struct History {
    limits: Limits,
    series: SeriesTable,
    sources: BTreeMap<Arc<str>, Source>,
    next_source: u32,
    /// Counts pictures. A snapshot is a number of it.
    version: u64,
    /// The latest pictures: which number, whose, of when.
    recent: VecDeque<(u64, u32, Millis)>,
    /// It is set back with the wall clock.
    clock: Clock,
    last_warned: Option<Millis>,
    disk: Persisted,
    pub(super) counts: Counts,
}

/// What happened to samples since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) appended: u64,
    pub(super) refused: u64,
    pub(super) dropped: u64,
    pub(super) clock_steps: u64,
}

/// What a picture brought to light that is worth a line in the log.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// A refused series, when it is time to warn of one.
    pub(super) refused: Option<Labels>,
    /// By how much the clock was set back since the picture before.
    pub(super) step_back: Option<Duration>,
}

#[derive(Debug)]
struct Source {
    id: u32,
    picture: Arc<Picture>,
    /// The series of each point of `picture`, in order.
    refs: Vec<SeriesRef>,
}

impl History {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            series: SeriesTable::new(limits.max_series),
            sources: BTreeMap::new(),
            next_source: EXTERNAL + 1,
            version: 0,
            recent: VecDeque::with_capacity(RECENT),
            clock: Clock::new(),
            last_warned: None,
            disk: Persisted::default(),
            counts: Counts::default(),
        }
    }

    /// Takes a picture of what was seen just now.
    pub(super) fn record(&mut self, picture: Picture) -> Noticed {
        let step_back = self.follow_clock(picture.at);
        Noticed { refused: self.take_picture(picture), step_back }
    }

    /// Takes a picture that was computed, whose time may lie back.
    pub(super) fn record_computed(&mut self, picture: Picture) -> Noticed {
        Noticed { refused: self.take_picture(picture), step_back: None }
    }

    /// The clock was ahead and was put right: what was written under times that are yet to come is forgotten. It would
    /// keep the same series' coming samples out, and push the horizon beyond everything that is true.
    fn follow_clock(&mut self, at: Millis) -> Option<Duration> {
        let ahead = self.newest().since(at);
        if ahead <= STEP_BACK {
            return None;
        }
        self.counts.clock_steps += 1;
        self.rewind(at);
        Some(ahead)
    }

    /// Forgets what is not before `at` and goes on there.
    pub(super) fn rewind(&mut self, at: Millis) {
        self.disk.rewind(at);
        self.series.rewind(at, &self.disk.blocks);
        self.clock.set_back(at);
        self.last_warned = None;
    }

    /// Gives the name of a refused series when it is time to warn of one.
    ///
    /// A series that stands in the picture twice is taken once, the first time, and shown once: a page that says two things
    /// of one series is refused or misread by who scrapes it.
    fn take_picture(&mut self, mut picture: Picture) -> Option<Labels> {
        let before = self.sources.remove(&picture.source);
        let source = before.as_ref().map_or_else(|| self.new_source(), |before| before.id);
        self.note_picture(source, picture.at);

        let same_target = before.as_ref().filter(|before| before.picture.labels == picture.labels);
        let (old_blocks, old_refs) =
            same_target.map_or((&[][..], &[][..]), |before| (&before.picture.blocks, &before.refs));
        let mut walk = Before::new(old_blocks, old_refs);
        let mut refs = Vec::with_capacity(before.as_ref().map_or(0, |before| before.refs.len()));
        let mut refused = None;
        let (target, at) = (picture.labels.clone(), picture.at);
        for Block { family, points } in &mut picture.blocks {
            let mut known = walk.family(&family.name);
            points.retain_mut(|point| {
                let same = known.find(point);
                let taken =
                    self.take(&target, &family.name, point, same.map(|same| same.0), (source, at), &mut refused);
                let Some(reference) = taken else { return false };
                self.share_texts(point, same.map(|same| same.1), reference);
                refs.push(reference);
                true
            });
        }
        let picture = Arc::new(picture);
        self.end_vanished(before.as_ref().map_or(&[], |before| &before.refs), source, picture.at);
        self.series.sweep(self.horizon(), self.memory_horizon(), refs.len());
        self.sources.insert(Arc::clone(&picture.source), Source { id: source, picture, refs });
        self.due_warning(refused)
    }

    /// The point's series, or a mark that it has none; nothing if the picture has had a value of that series already.
    fn take(
        &mut self,
        target: &Labels,
        family: &str,
        point: &Point,
        same: Option<SeriesRef>,
        (source, at): (u32, Millis),
        refused: &mut Option<Labels>,
    ) -> Option<SeriesRef> {
        // A marker says that the series is not shown; ending it is the business of `end_vanished`.
        if is_stale(point.value) {
            return Some(SeriesRef::NONE);
        }
        let known = same.filter(|same| self.series.get(*same).is_some());
        let Some(reference) = known.or_else(|| self.look_up(target, family, point, refused)) else {
            return Some(SeriesRef::NONE);
        };
        if self.series.get(reference).is_some_and(|entry| entry.seen == self.version) {
            self.counts.dropped += 1;
            return None;
        }
        let fate = self.append(reference, at, point.value, source, Duration::ZERO);
        self.counts.dropped += u64::from(fate != Fate::Appended);
        Some(reference)
    }

    /// The series of a point that the source did not show before; none if it is refused.
    fn look_up(
        &mut self,
        target: &Labels,
        family: &str,
        point: &Point,
        refused: &mut Option<Labels>,
    ) -> Option<SeriesRef> {
        let name = format!("{family}{}", point.suffix.as_str());
        let labels = overlay(&point.labels, target).with(METRIC_NAME, name);
        let found = self.intern(&labels);
        if found.is_none() {
            self.counts.refused += 1;
            refused.get_or_insert(labels);
        }
        found
    }

    /// A picture is kept until the next one. Where its label set is in nobody else's hands, it becomes the one of the picture
    /// before, or one of the index' texts, so that each text is in memory once.
    fn share_texts(&self, point: &mut Point, before: Option<&Labels>, reference: SeriesRef) {
        if point.labels.is_shared() {
            return;
        }
        if let Some(before) = before {
            point.labels = before.clone();
        } else if let Some(entry) = self.series.get(reference) {
            point.labels = point.labels.of_texts(&entry.labels);
        }
    }

    /// Takes a sample that `source` brings. One that is not newer than its series' last is taken if it is late by no more
    /// than `window`.
    pub(super) fn append(
        &mut self,
        reference: SeriesRef,
        at: Millis,
        value: f64,
        source: u32,
        window: Duration,
    ) -> Fate {
        let fate = self.put(reference, at, value, window);
        let version = self.version;
        if let Some(entry) = self.series.get_mut(reference) {
            entry.seen = version;
            if fate == Fate::Appended {
                entry.source = source;
            }
        }
        self.counts.appended += u64::from(matches!(fate, Fate::Appended | Fate::Inserted));
        fate
    }

    /// Every sample goes through here, the markers that the store itself puts among them.
    fn put(&mut self, reference: SeriesRef, at: Millis, value: f64, window: Duration) -> Fate {
        let fate = self.put_read(reference, at, value, window);
        if matches!(fate, Fate::Appended | Fate::Inserted) {
            self.disk.note(reference, at, value);
        }
        fate
    }

    /// As [`Self::put`], for what is on disk already.
    fn put_read(&mut self, reference: SeriesRef, at: Millis, value: f64, window: Duration) -> Fate {
        let span = self.chunk_span();
        self.series.get_mut(reference).map_or(Fate::TooOld, |entry| entry.put(at, value, span, window))
    }

    /// Every series is found, or created, here.
    pub(super) fn intern(&mut self, labels: &Labels) -> Option<SeriesRef> {
        self.series.intern(labels)
    }

    /// So that a rarely looked-at series, too, is trimmed in steps that are small beside the retention.
    fn chunk_span(&self) -> Duration {
        self.limits.retention / 4
    }

    fn end_vanished(&mut self, before: &[SeriesRef], source: u32, at: Millis) {
        for reference in before {
            if self.series.get(*reference).is_some_and(|entry| entry.seen != self.version) {
                self.mark_ended(*reference, source, at);
            }
        }
    }

    /// Puts a marker behind a series, once, and only if no other source has gone on with it.
    fn mark_ended(&mut self, reference: SeriesRef, source: u32, at: Millis) {
        let entry = self.series.get(reference).filter(|entry| entry.source == source && !entry.has_ended());
        if let Some(last) = entry.and_then(Entry::last) {
            self.put(reference, at.max(Millis(last.0 + 1)), stale_marker(), Duration::ZERO);
        }
    }

    pub(super) fn end(&mut self, source: &str, at: Millis) {
        let Some(gone) = self.sources.remove(source) else { return };
        self.note_picture(gone.id, at);
        self.end_vanished(&gone.refs, gone.id, at);
    }

    pub(super) fn current(&self) -> Vec<Arc<Picture>> {
        self.sources.values().map(|source| Arc::clone(&source.picture)).collect()
    }

    pub(super) fn series(&self) -> &SeriesTable {
        &self.series
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// For each source that showed something since `version`, sorted: when first.
    pub(super) fn later_than(&self, version: u64) -> Vec<(u32, Millis)> {
        let pictures = self.recent.iter().rev().take_while(|(number, ..)| *number > version);
        let mut later: Vec<_> = pictures.map(|(_, source, at)| (*source, *at)).collect();
        later.sort_unstable();
        later.dedup_by_key(|(source, _)| *source);
        later
    }

    fn new_source(&mut self) -> u32 {
        let id = self.next_source;
        self.next_source = self.next_source.checked_add(1).unwrap_or(EXTERNAL + 1);
        id
    }

    fn note_picture(&mut self, source: u32, at: Millis) {
        self.version += 1;
        self.clock.go_on(at);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((self.version, source, at));
    }

    pub(super) fn due_warning(&mut self, refused: Option<Labels>) -> Option<Labels> {
        let refused = refused?;
        if self.last_warned.is_some_and(|last| self.newest() < last + WARN_EVERY) {
            return None;
        }
        self.last_warned = Some(self.newest());
        Some(refused)
    }

    /// The time of the newest picture.
    pub(super) fn newest(&self) -> Millis {
        self.clock.newest()
    }

    /// Samples before this are forgotten.
    pub(super) fn horizon(&self) -> Millis {
        let now = self.clock.believed();
        if now.0 == i64::MIN { now } else { now - self.limits.retention }
    }
}
