//! The store's only clock: the times of the pictures it is shown.
//!
//! A wall clock may be wrong for a while: set ahead by a bad time source, or by a virtual machine that wakes up. What is
//! measured then is recorded under the time it claims, but nothing is forgotten for it until the time has gone on from
//! there for a while. The times themselves show that, so it holds over starts, and a replay of files says the same.

use std::time::Duration;

use crate::model::Millis;

/// A picture that is ahead of the one before by more than this may be of a clock that was set.
const LEAP: Duration = Duration::from_mins(1);
/// After a leap the time must have gone on for so long until it is believed.
const BELIEVED_AFTER: Duration = Duration::from_mins(10);
/// So many leaps in a row are no clock that is set, but someone who looks rarely.
const RARE_LOOKS: u32 = 5;

#[derive(Debug)]
pub(super) struct Clock {
    newest: Millis,
    /// Not after `newest`: what is forgotten is counted from here.
    believed: Millis,
    /// Where the last leap ended, if it is not believed yet.
    leapt_to: Option<Millis>,
    /// How many were not believed.
    leaps: u32,
}

impl Clock {
    /// Before the first picture.
    pub(super) fn new() -> Self {
        Self { newest: Millis(i64::MIN), believed: Millis(i64::MIN), leapt_to: None, leaps: 0 }
    }

    /// The time of the newest picture.
    pub(super) fn newest(&self) -> Millis {
        self.newest
    }

    /// The time from which on what is old may be forgotten.
    pub(super) fn believed(&self) -> Millis {
        self.believed
    }

    /// A picture is of this time; one that is not newer changes nothing.
    pub(super) fn go_on(&mut self, at: Millis) {
        if at <= self.newest {
            return;
        }
        if self.newest.0 != i64::MIN && at.since(self.newest) > LEAP {
            self.leapt_to = Some(at);
            self.leaps += 1;
        }
        self.newest = at;
        let is_steady = self.leapt_to.is_none_or(|leapt_to| at.since(leapt_to) >= BELIEVED_AFTER);
        if is_steady || self.leaps >= RARE_LOOKS {
            self.believe(at);
        }
    }

    /// The clock was set back.
    pub(super) fn set_back(&mut self, at: Millis) {
        self.newest = at;
        if at.since(self.believed) > LEAP {
            // Not all the way, or time went by meanwhile: what is left of the leap is one too.
            (self.leapt_to, self.leaps) = (Some(at), 1);
        } else {
            self.believe(at);
        }
    }

    fn believe(&mut self, at: Millis) {
        (self.believed, self.leapt_to, self.leaps) = (at, None, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::*;

    const MINUTE: i64 = 60_000;

    /// What is believed after pictures of these minutes, in minutes.
    fn believed(minutes: impl IntoIterator<Item = i64>) -> i64 {
        let mut clock = Clock::new();
        for minute in minutes {
            let at = Millis(minute * MINUTE);
            if at < clock.newest() { clock.set_back(at) } else { clock.go_on(at) }
        }
        clock.believed().0 / MINUTE
    }

    /// The same of pictures of each minute of some ranges.
    fn after<const N: usize>(ranges: [RangeInclusive<i64>; N]) -> i64 {
        believed(ranges.into_iter().flatten())
    }

    #[test]
    fn a_leap_is_believed_when_the_time_has_gone_on_for_ten_minutes() {
        assert_eq!(after([100..=102]), 102);
        assert_eq!(after([100..=100, 10_000..=10_000]), 100);
        assert_eq!(after([100..=100, 10_000..=10_009]), 100);
        assert_eq!(after([100..=100, 10_000..=10_010]), 10_010);
        assert_eq!(after([100..=100, 10_000..=10_011]), 10_011);
    }

    #[test]
    fn a_leap_that_is_taken_back_was_none() {
        assert_eq!(after([100..=100, 10_000..=10_009, 101..=101]), 101);
        assert_eq!(after([100..=100, 10_000..=10_009, 109..=110]), 100);
        assert_eq!(after([100..=100, 10_000..=10_009, 109..=119]), 119);
        assert_eq!(after([100..=100, 10_000..=10_000, 5000..=5009]), 100, "taken back in part");
        assert_eq!(after([100..=100, 10_000..=10_009, 109..=109, 20_000..=20_009]), 100, "another one waits anew");
        assert_eq!(after([100..=100, 10_000..=10_009, 20_000..=20_009]), 100);
        assert_eq!(after([100..=100, 50..=50]), 50);
    }

    #[test]
    fn who_looks_rarely_is_believed_some_looks_later() {
        let every_five_minutes = |looks| believed((0..looks).map(|look| 100 + 5 * look));
        assert_eq!(every_five_minutes(5), 100);
        assert_eq!(every_five_minutes(6), 125);
        assert_eq!(every_five_minutes(10), 125);
        assert_eq!(every_five_minutes(11), 150);
    }
}
