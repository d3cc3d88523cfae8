//! What an alert was before the agent was started again, read from the series that its rule recorded then.
//!
//! As Prometheus does it (its `rules.alert.for-outage-tolerance` and `for-grace-period`), and one thing more: an alert that
//! fired goes on firing at the first evaluation, whatever its `for`, so that nobody hears of an end that was none; also when
//! what it watches cannot be seen now ([`super::hold`]).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Labels, METRIC_NAME, Millis, is_stale};
use crate::store::{Matcher, Snapshot};

use super::state::Timing;

/// Of an alert that was last seen longer ago nothing is taken over.
pub(super) const OUTAGE_TOLERANCE: Duration = Duration::from_hours(1);
/// An alert that would fire soon waits at least so long after the start, since what it watches was not looked at meanwhile.
const GRACE_PERIOD: Duration = Duration::from_mins(10);
/// So long after a group's first evaluation an alert may be one that was there before: its target needs time for the
/// first looks, a recording rule for what it is computed from.
pub(super) const RESTORE_WITHIN: Duration = Duration::from_mins(1);

/// The series that says since when an alert's condition has held.
pub(super) const FOR_STATE: &str = "ALERTS_FOR_STATE";

/// An alert as it was recorded last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Former {
    /// When it was recorded last.
    last: Millis,
    /// Since when its condition had held then.
    since: Millis,
}

/// Since when an alert's condition has held, and since when it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Restored {
    pub since: Millis,
    pub fired_at: Option<Millis>,
}

/// What is recorded of a rule's alerts, by their labels. What has ended is not among it.
pub(super) fn former(snapshot: &Snapshot, alertname: &str, now: Millis) -> BTreeMap<Labels, Former> {
    let matchers = [Matcher::equal(METRIC_NAME, FOR_STATE), Matcher::equal("alertname", alertname)];
    let mut found = BTreeMap::new();
    for series in snapshot.newest(&matchers, now - OUTAGE_TOLERANCE, now) {
        if !is_stale(series.value) {
            let labels = series.labels.without(|name| name == METRIC_NAME);
            found.insert(labels, Former { last: series.at, since: Millis::from_seconds(series.value) });
        }
    }
    found
}

impl Former {
    /// What it is `now` that its condition holds again; nothing when it starts anew.
    pub(super) fn restored(self, timing: Timing, now: Millis) -> Option<Restored> {
        let pending = self.last.since(self.since);
        let Some(left) = timing.hold.checked_sub(pending).filter(|left| !left.is_zero()) else {
            return Some(Restored { since: self.since, fired_at: Some(self.since + timing.hold) });
        };
        if timing.hold < GRACE_PERIOD {
            return None;
        }
        let since = if left < GRACE_PERIOD {
            now + GRACE_PERIOD - timing.hold
        } else {
            // The time in which nobody looked does not count.
            self.since + now.since(self.last)
        };
        Some(Restored { since, fired_at: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(hold: u64, since: i64, last: i64, now: i64) -> Option<(i64, Option<i64>)> {
        let at = |minute: i64| Millis(minute * 60_000);
        let timing = Timing { hold: Duration::from_mins(hold), keep_firing_for: Duration::ZERO };
        let restored = Former { last: at(last), since: at(since) }.restored(timing, at(now))?;
        Some((restored.since.0 / 60_000, restored.fired_at.map(|at| at.0 / 60_000)))
    }

    #[test]
    fn what_fired_goes_on() {
        assert_eq!(restored(5, 100, 110, 120), Some((100, Some(105))));
        assert_eq!(restored(30, 100, 130, 140), Some((100, Some(130))));
        assert_eq!(restored(0, 100, 100, 101), Some((100, Some(100))));
    }

    #[test]
    fn what_was_pending_goes_on_without_the_time_that_nobody_looked() {
        assert_eq!(restored(60, 100, 110, 130), Some((120, None)));
    }

    #[test]
    fn what_would_fire_soon_waits_for_the_grace_period() {
        assert_eq!(restored(60, 100, 155, 170), Some((120, None)));
        assert_eq!(restored(5, 100, 102, 103), None);
    }
}
