//! CPU time that never runs backwards.
//!
//! The kernel's counters of idle and waiting time do so by a tick now and then, and a counter that falls counts as one that
//! was reset: the rate over it would be the whole uptime.

use std::collections::HashMap;

/// When a core's idle time falls by more than this many seconds, the core has been off line and counts anew.
const CAME_BACK: f64 = 3.0;

/// The index of idle time among a core's columns in `/proc/stat`.
const IDLE: usize = 3;

/// The cores' seconds at the look before.
#[derive(Debug, Default)]
pub(super) struct Steady {
    cores: HashMap<Box<str>, Held>,
    look: u64,
}

#[derive(Debug)]
struct Held {
    seconds: Vec<f64>,
    /// The last look that saw the core.
    look: u64,
}

impl Steady {
    /// Begins a look: cores that the look before did not see are forgotten.
    pub(super) fn begin(&mut self) {
        let before = self.look;
        self.cores.retain(|_, held| held.look == before);
        self.look += 1;
    }

    /// A core's seconds, where each is at least what it was.
    pub(super) fn hold(&mut self, core: &str, seconds: &[f64]) -> &[f64] {
        if !self.cores.contains_key(core) {
            self.cores.insert(core.into(), Held { seconds: seconds.to_vec(), look: self.look });
        }
        let Some(held) = self.cores.get_mut(core) else { return &[] };
        held.look = self.look;
        let idle = |seconds: &[f64]| seconds.get(IDLE).copied().unwrap_or_default();
        if held.seconds.len() != seconds.len() || idle(&held.seconds) - idle(seconds) > CAME_BACK {
            held.seconds.clear();
            held.seconds.extend_from_slice(seconds);
        }
        for (held, now) in held.seconds.iter_mut().zip(seconds) {
            *held = held.max(*now);
        }
        &held.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_backwards_is_held_and_a_core_that_came_back_counts_anew() {
        let mut steady = Steady::default();
        steady.begin();
        assert_eq!(steady.hold("0", &[10.0, 0.0, 5.0, 100.0, 2.0]), [10.0, 0.0, 5.0, 100.0, 2.0]);
        steady.begin();
        assert_eq!(steady.hold("0", &[11.0, 0.0, 5.0, 99.9, 1.9]), [11.0, 0.0, 5.0, 100.0, 2.0]);
        steady.begin();
        assert_eq!(steady.hold("0", &[1.0, 0.0, 0.5, 3.0, 0.1]), [1.0, 0.0, 0.5, 3.0, 0.1]);
    }

    #[test]
    fn a_core_that_was_away_for_a_look_is_forgotten() {
        let mut steady = Steady::default();
        steady.begin();
        steady.hold("1", &[5.0, 0.0, 0.0, 5.0]);
        steady.begin();
        steady.begin();
        assert_eq!(steady.hold("1", &[4.0, 0.0, 0.0, 4.0]), [4.0, 0.0, 0.0, 4.0]);
    }
}
