//! How much containers wrote to their own layers: asked rarely, because the engine walks through all their files for it.
//!
//! Invariant: at most [`PER_LOOK`] containers per look, each every [`PACE`], and after a failure after [`RETRY`]. Between,
//! the last answer stands until it is [`OLDEST`].

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::model::Millis;

use super::sight::Sight;

const PER_LOOK: usize = 8;
const PACE: Duration = Duration::from_mins(5);
const RETRY: Duration = Duration::from_mins(30);
const OLDEST: Duration = Duration::from_mins(15);

/// The answers by container id.
#[derive(Debug, Default)]
pub(super) struct Sizes(HashMap<String, Size>);

#[derive(Debug, Clone, Copy)]
struct Size {
    due: Millis,
    answer: Option<(Millis, u64)>,
}

impl Sizes {
    /// Gives running containers the last answers, and marks those that are to be asked about now.
    pub(super) fn prepare(&self, sights: &mut [Sight], now: Millis) {
        let mut left = PER_LOOK;
        for sight in sights.iter_mut().filter(|sight| sight.has_figures()) {
            let size = self.0.get(&sight.id);
            let answer = size.and_then(|size| size.answer).filter(|(at, _)| now.since(*at) < OLDEST);
            sight.layer_bytes = answer.map(|(_, bytes)| bytes);
            sight.must_size = left > 0 && size.is_none_or(|size| now >= size.due);
            left -= usize::from(sight.must_size);
        }
    }

    /// Keeps what was answered in this look; forgets containers that are no longer there.
    pub(super) fn keep(&mut self, seen: &[Sight], ids: &HashSet<String>, now: Millis) {
        self.0.retain(|id, _| ids.contains(id));
        for sight in seen.iter().filter(|sight| sight.sized) {
            let pace = if sight.layer_bytes.is_some() { PACE } else { RETRY };
            let answer = sight.layer_bytes.map(|bytes| (now, bytes));
            self.0.insert(sight.id.clone(), Size { due: now + pace, answer });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::docker::wire::{State, Summary};

    fn running(count: usize) -> Vec<Sight> {
        let state = Some(State::Running);
        let summary = |n: usize| Summary { id: Some(n.to_string()), state, ..Default::default() };
        (0..count).filter_map(|n| Sight::of(summary(n))).collect()
    }

    #[test]
    fn a_few_are_asked_at_a_time_and_answers_stand_for_a_while() {
        let mut sizes = Sizes::default();
        let ids: HashSet<String> = (0..10).map(|n| n.to_string()).collect();
        let mut seen = running(10);
        sizes.prepare(&mut seen, Millis(0));
        assert_eq!(seen.iter().filter(|sight| sight.must_size).count(), PER_LOOK);
        (seen[0].sized, seen[0].layer_bytes) = (true, Some(5));
        seen[1].sized = true;
        sizes.keep(&seen, &ids, Millis(0));
        let asks = |at: i64, who: usize| {
            let mut seen = running(10);
            sizes.prepare(&mut seen, Millis(at * 60_000));
            (seen[who].must_size, seen[who].layer_bytes)
        };
        assert_eq!(asks(4, 0), (false, Some(5)));
        assert_eq!(asks(5, 0), (true, Some(5)));
        assert_eq!(asks(15, 0), (true, None), "too old to be shown");
        assert_eq!(asks(29, 1), (false, None), "it failed");
    }
}
