//! One run of the collectors: where they read, and where they put what they saw.

use crate::model::{Family, Labels, Suffix};

use super::files::Files;
use super::shared::Shared;
use super::steady::Steady;
use super::{CollectError, Look, Reason};

/// What one collector may show: a thousand cores or five hundred network devices. Beyond it is counted and said.
const MOST_POINTS: usize = 10_000;

/// What a collector found, which decides `node_scrape_collector_success`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It looked, and said what there is; for devices of which a machine may have none, that can be nothing.
    Seen,
    /// The kernel has no such thing, and `node_exporter` calls that no success. It is no failure either.
    NotThere,
}

/// What each collector comes back with. What it saw before an error stays.
pub(super) type Outcome = Result<Found, CollectError>;

/// What a collector may use.
pub(super) struct Visit<'v> {
    /// Where the host's files are.
    pub(super) files: &'v Files,
    look: &'v mut Look,
    shared: &'v mut Shared,
    /// CPU time at the look before.
    pub(super) steady: &'v mut Steady,
    /// The text of `/proc/stat`, which two collectors use and which is costly to make for the kernel.
    pub(super) stat: Option<String>,
    /// How many more points the collector at work may show.
    room: usize,
    /// How many it would have shown beyond.
    dropped: usize,
}

impl<'v> Visit<'v> {
    /// A run that fills `look`.
    pub(super) fn new(files: &'v Files, look: &'v mut Look, shared: &'v mut Shared, steady: &'v mut Steady) -> Self {
        Self { files, look, shared, steady, stat: None, room: MOST_POINTS, dropped: 0 }
    }

    /// Runs a collector, and says of it what it left out.
    pub(super) fn run(&mut self, collector: fn(&mut Self) -> Outcome) -> Outcome {
        (self.room, self.dropped) = (MOST_POINTS, 0);
        let outcome = collector(self);
        self.room = MOST_POINTS;
        if self.dropped > 0 {
            let words =
                format!("{} points beyond the {MOST_POINTS} that a collector may show are left out", self.dropped);
            self.missed(CollectError::new(Reason::TooLarge, words));
        }
        outcome
    }

    /// Adds a value without labels.
    pub(super) fn value(&mut self, family: &Family, value: f64) {
        self.look.value(family, value);
    }

    /// Adds a value with labels.
    pub(super) fn labeled(&mut self, family: &Family, pairs: &[(&str, &str)], value: f64) {
        let labels = self.labels(pairs);
        self.point(family, &labels, value);
    }

    /// Adds a value with a set that more families have.
    pub(super) fn point(&mut self, family: &Family, labels: &Labels, value: f64) {
        if self.has_room() {
            self.look.point(family, Suffix::None, labels.clone(), value);
        }
    }

    fn has_room(&mut self) -> bool {
        let has_room = self.room > 0;
        self.room = self.room.saturating_sub(1);
        self.dropped += usize::from(!has_room);
        has_room
    }

    /// The shared set of these pairs.
    pub(super) fn labels(&mut self, pairs: &[(&str, &str)]) -> Labels {
        self.shared.labels(pairs)
    }

    /// Adds a value of a family that only the kernel names; `make` tells the family from the kernel's name.
    pub(super) fn discovered(&mut self, group: &str, name: &str, make: impl FnOnce(&str) -> Family, value: f64) {
        if self.has_room() {
            self.look.value(self.shared.family(group, name, make), value);
        }
    }

    /// The same with labels.
    pub(super) fn discovered_point(
        &mut self,
        group: &str,
        name: &str,
        make: impl FnOnce(&str) -> Family,
        labels: &Labels,
        value: f64,
    ) {
        if self.has_room() {
            self.look.point(self.shared.family(group, name, make), Suffix::None, labels.clone(), value);
        }
    }

    /// Adds an info metric whose labels are read once; nothing where they cannot be read.
    pub(super) fn constant(&mut self, family: &'static Family, read: impl FnOnce(&Files) -> Option<Labels>) -> Found {
        let files = self.files;
        let Some(labels) = self.shared.constant(&family.name, || read(files)) else {
            return Found::NotThere;
        };
        self.point(family, &labels, 1.0);
        Found::Seen
    }

    /// Notes a failure that leaves the rest of the collector as it is.
    pub(super) fn missed(&mut self, error: CollectError) {
        self.look.missed(error);
    }

    /// How much was seen so far.
    pub(super) fn len(&self) -> usize {
        self.look.len()
    }

    /// What was found since `before` points: something, or no such thing.
    pub(super) fn found_since(&self, before: usize) -> Found {
        if self.len() > before { Found::Seen } else { Found::NotThere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ENTRIES: Family = Family::gauge("node_arp_entries", "For the test.");

    #[test]
    fn a_collector_that_shows_too_much_is_cut_and_it_is_said() {
        let files = Files { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() };
        let (mut look, mut shared, mut steady) = (Look::new(), Shared::default(), Steady::default());
        let mut visit = Visit::new(&files, &mut look, &mut shared, &mut steady);
        let endless: fn(&mut Visit<'_>) -> Outcome = |visit| {
            (0..MOST_POINTS + 2).for_each(|device| visit.labeled(&ENTRIES, &[("device", &device.to_string())], 1.0));
            Ok(Found::Seen)
        };
        assert_eq!(visit.run(endless), Ok(Found::Seen));
        assert_eq!(look.len(), MOST_POINTS);
        assert!(look.failures[0].to_string().contains("2 points beyond"), "{}", look.failures[0]);
    }
}
