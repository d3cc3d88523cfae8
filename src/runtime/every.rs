//! When things that repeat are due.

use std::time::Duration;

use crate::model::Millis;

/// How long until a name's slot: the name picks a fixed phase of the interval on the wall clock, so that many things
/// with the same interval spread out, and a restart keeps their rhythm.
pub fn until_slot(name: &str, every: Duration, now: Millis) -> Duration {
    let every = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
    // FNV-1a: stable over builds, unlike the standard library's hasher.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let slot = hash % every;
    let phase = u64::try_from(now.0).unwrap_or(0) % every;
    Duration::from_millis((slot + every - phase) % every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_slot_over_restarts_and_apart_from_others() {
        let every = Duration::from_secs(10);
        let slot =
            |name, now: i64| (now + i64::try_from(until_slot(name, every, Millis(now)).as_millis()).unwrap()) % 10_000;
        assert_eq!(slot("orders", 1_000_000), slot("orders", 1_234_567));
        assert_ne!(slot("orders", 0), slot("cache", 0));
    }
}
