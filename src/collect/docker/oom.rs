//! Counts out-of-memory kills from the engine's events, since this process first looked (as cAdvisor from the kernel's log).
//!
//! The engine remembers its last few hundred events; the counts can only be too low, when more happened between two looks.
//! All times are the engine's, which stamps the events.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::model::Millis;

/// How far in the past a window ends. The engine waits for the end of one that lies in its future, and its clock is known
/// only as well as its answers are quick.
const SETTLED: Duration = Duration::from_secs(1);

/// The time between two looks, half open: each event falls into exactly one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    since: Millis,
    until: Millis,
}

impl Window {
    /// `since` and `until` as the API takes them: seconds with nanoseconds.
    pub(super) fn as_query(self) -> (String, String) {
        let text = |at: Millis| format!("{}.{:03}000000", at.0.div_euclid(1000), at.0.rem_euclid(1000));
        (text(self.since), text(self.until))
    }

    /// Whether an event at these nanoseconds since the epoch belongs here.
    pub(super) fn contains(self, nanos: i64) -> bool {
        (self.since.0..self.until.0).contains(&nanos.div_euclid(1_000_000))
    }
}

/// The kills per container so far.
#[derive(Debug, Default)]
pub(super) struct OomCounts {
    /// Up to when events were counted; `None` before the first answer.
    counted_until: Option<Millis>,
    kills: HashMap<String, u64>,
}

impl OomCounts {
    /// What to ask for now. The first window is empty: counting starts with the first look.
    pub(super) fn window(&self, now: Millis) -> Window {
        let until = now - SETTLED;
        Window { since: self.counted_until.unwrap_or(until).min(until), until }
    }

    /// Takes in the answer for a window.
    pub(super) fn count(&mut self, window: Window, ids: &[String]) {
        self.counted_until = Some(window.until);
        for id in ids {
            *self.kills.entry(id.clone()).or_default() += 1;
        }
    }

    /// A container's kills; `None` while no answer has ever come.
    pub(super) fn of(&self, id: &str) -> Option<u64> {
        self.counted_until.map(|_| self.kills.get(id).copied().unwrap_or(0))
    }

    /// Forgets containers that are no longer there.
    pub(super) fn keep(&mut self, ids: &HashSet<String>) {
        self.kills.retain(|id, _| ids.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_falls_into_one_window() {
        let mut counts = OomCounts::default();
        assert_eq!(counts.of("a"), None);
        let first = counts.window(Millis(2_500));
        assert_eq!(first.as_query(), ("1.500000000".into(), "1.500000000".into()));
        counts.count(first, &[]);
        assert_eq!(counts.of("a"), Some(0));
        let second = counts.window(Millis(3_500));
        assert!(second.contains(1_500_000_000) && !second.contains(2_500_000_000));
        counts.count(second, &["a".into(), "a".into()]);
        assert_eq!(counts.of("a"), Some(2));
    }
}
