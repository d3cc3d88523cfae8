//! How often alerts ended and came again.
//!
//! In: each alert that fires or has ended, as the dispatcher takes it. Out: how often one fired again within the last hour
//! after it had ended; a message says so, since the tenth page of a night is another news than the first.
//!
//! Invariants: pure, time is an argument; at most [`MAX_ALERTS`] alerts, [`MOST`] times of each. A restart begins anew.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::model::Millis;

use super::group::MAX_ALERTS;

/// What came again within so long counts.
const WINDOW: Duration = Duration::from_hours(1);
/// So many times of one alert are kept; whoever reads of so many needs no exact figure.
const MOST: usize = 100;
/// How often what is over is looked for.
const SWEEP: Duration = Duration::from_mins(1);

/// What is known of one alert.
#[derive(Debug)]
struct Past {
    has_ended: bool,
    /// When it last ended or came again.
    changed: Millis,
    /// When it fired again after an end.
    again: VecDeque<Millis>,
}

/// The alerts that ended within the last hour, by fingerprint.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    all: HashMap<u64, Past>,
    swept: Millis,
}

impl Flapping {
    /// An alert fires, or has ended.
    pub(super) fn note(&mut self, id: u64, fires: bool, now: Millis) {
        if now.since(self.swept) >= SWEEP {
            self.swept = now;
            self.all.retain(|_, past| now.since(past.changed) < WINDOW);
        }
        let has_room = self.all.len() < MAX_ALERTS;
        match self.all.get_mut(&id) {
            Some(past) if past.has_ended == fires => {
                past.has_ended = !fires;
                past.changed = now;
                if fires {
                    past.again.push_back(now);
                    if past.again.len() > MOST {
                        past.again.pop_front();
                    }
                }
            }
            None if !fires && has_room => {
                self.all.insert(id, Past { has_ended: true, changed: now, again: VecDeque::new() });
            }
            _ => {}
        }
    }

    /// How often it came again within the last hour.
    pub(super) fn times(&self, id: u64, now: Millis) -> usize {
        let recent = |past: &Past| past.again.iter().filter(|at| now.since(**at) < WINDOW).count();
        self.all.get(&id).map_or(0, recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> Millis {
        Millis(1_800_000_000_000 + minute * 60_000)
    }

    #[test]
    fn what_ended_and_came_again_within_the_hour_counts() {
        let mut flapping = Flapping::default();
        for (at, fires, expected) in [
            (0, true, 0),
            (1, true, 0),
            (2, false, 0),
            (3, false, 0),
            (4, true, 1),
            (5, true, 1),
            (6, false, 1),
            (30, true, 2),
        ] {
            flapping.note(7, fires, minute(at));
            assert_eq!(flapping.times(7, minute(at)), expected, "minute {at}");
        }
        assert_eq!(flapping.times(8, minute(30)), 0, "another alert");
        assert_eq!((flapping.times(7, minute(64)), flapping.times(7, minute(90))), (1, 0));
        flapping.note(8, true, minute(91));
        assert!(flapping.all.is_empty(), "what is over takes no room");
    }

    #[test]
    fn an_end_long_ago_is_forgotten_and_a_storm_is_bounded() {
        let mut flapping = Flapping::default();
        flapping.note(7, false, minute(0));
        flapping.note(7, true, minute(61));
        assert_eq!(flapping.times(7, minute(61)), 0);
        for second in 0..1_000 {
            flapping.note(8, second % 2 == 1, minute(62) + Duration::from_secs(second));
        }
        assert_eq!(flapping.times(8, minute(79)), MOST);
        for id in 0..2 * MAX_ALERTS as u64 {
            flapping.note(id, false, minute(80));
        }
        assert_eq!(flapping.all.len(), MAX_ALERTS);
    }
}
