//! When things that repeat are due.

use std::time::Duration;

use crate::model::{Millis, fnv1a};

/// How long until a name's slot: the name picks a fixed phase of the interval on the wall clock, so that many things
/// with the same interval spread out, and a restart keeps their rhythm.
pub fn until_slot(name: &str, every: Duration, now: Millis) -> Duration {
    let (slot, every) = slot(name, every);
    Duration::from_millis(u64::try_from((slot - now.0).rem_euclid(every)).unwrap_or(0))
}

/// The name's slot that is nearest to `now`: what a timer that fires a little late was set for.
///
/// Things that compare their own times (`for: 10s` at an interval of 5 s) do so in slots, where no jitter of a timer
/// makes ten seconds 9.999.
pub fn nearest_slot(name: &str, every: Duration, now: Millis) -> Millis {
    let (slot, every) = slot(name, every);
    let past = (now.0 - slot).rem_euclid(every);
    Millis(if past * 2 < every { now.0 - past } else { now.0 - past + every })
}

/// The slot's phase and the interval, in milliseconds.
fn slot(name: &str, every: Duration) -> (i64, i64) {
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
    ((fnv1a(name.bytes()) >> 1).cast_signed() % every, every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_slot_over_restarts_and_apart_from_others() {
        let every = Duration::from_secs(10);
        let slot = |name, now: i64| (Millis(now) + until_slot(name, every, Millis(now))).0 % 10_000;
        assert_eq!(slot("orders", 1_000_000), slot("orders", 1_234_567));
        assert_ne!(slot("orders", 0), slot("cache", 0));
    }

    #[test]
    fn a_late_timer_means_its_own_slot() {
        let every = Duration::from_secs(5);
        let slot = Millis(1_000_000) + until_slot("rules", every, Millis(1_000_000));
        for jitter in [-3, 0, 1, 40, 2000] {
            assert_eq!(nearest_slot("rules", every, Millis(slot.0 + jitter)), slot, "{jitter} ms late");
        }
    }
}
