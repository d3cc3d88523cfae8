//! When a question is due, and the answers of costly ones between.
//!
//! Most questions are asked at every look. Two sorts are not, so that the agent does not hurt what it watches:
//!
//! - Sizes walk the files of every table, index and database. They are asked at most once a minute. Between, each look
//!   that gets answers shows the last one, as long as it is not older than three minutes; then it is absent.
//! - What the server refused for want of a right would be an error in its log each time. It is asked again after ten
//!   minutes, or when the role's rights changed; between, its figures are absent and the refusal is not counted again.
//!
//! Invariant: bounded. A question that nobody asks any more (a dropped database's) is forgotten.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::rows::Table;

/// A little less than a minute: looks a minute apart then each ask.
const COSTLY: Duration = Duration::from_secs(55);
const REFUSED: Duration = Duration::from_mins(10);
/// How old an answer may be that is shown.
const OLDEST: Duration = Duration::from_mins(3);
/// Longer than any pause, so that whatever is still asked is still known.
const FORGOTTEN: Duration = Duration::from_mins(30);

/// What is known of paused questions, by the words that name them.
#[derive(Default)]
pub struct Pace(Mutex<HashMap<Box<str>, Asked>>);

struct Asked {
    at: Instant,
    outcome: Outcome,
    /// The last answer, with its time.
    answer: Option<(Instant, Arc<Table>)>,
}

/// How a question went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It failed; it may work next time.
    Failed,
    /// The right is missing.
    Refused,
}

impl Outcome {
    fn pause(self) -> Duration {
        if self == Self::Refused { REFUSED } else { COSTLY }
    }
}

/// What to show for a question that is not asked now.
pub struct Known {
    /// The last answer, unless it is too old.
    pub answer: Option<Arc<Table>>,
    /// Whether it was answered when it was last asked.
    pub complete: bool,
}

impl Pace {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a question may be asked.
    pub fn is_due(&self, what: &str, now: Instant) -> bool {
        self.lock().get(what).is_none_or(|asked| now.saturating_duration_since(asked.at) >= asked.outcome.pause())
    }

    /// Notes that a question was asked, and begins its pause.
    pub fn asked(&self, what: &str, outcome: Outcome, answer: Option<Arc<Table>>, now: Instant) {
        let mut all = self.lock();
        all.retain(|_, asked| now.saturating_duration_since(asked.at) < FORGOTTEN);
        let before = all.remove(what).and_then(|asked| asked.answer);
        let answer = answer.map(|table| (now, table)).or(before);
        all.insert(what.into(), Asked { at: now, outcome, answer });
    }

    /// What the last answer still tells.
    pub fn known(&self, what: &str, now: Instant) -> Known {
        let all = self.lock();
        let asked = all.get(what);
        let young = |(at, _): &&(Instant, Arc<Table>)| now.saturating_duration_since(*at) <= OLDEST;
        let answer = asked.and_then(|asked| asked.answer.as_ref().filter(young)).map(|(_, table)| Arc::clone(table));
        Known { answer, complete: asked.is_some_and(|asked| asked.outcome == Outcome::Answered) }
    }

    /// The role's rights changed: what was refused is due at once.
    pub fn forget_refusals(&self) {
        self.lock().retain(|_, asked| asked.outcome != Outcome::Refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Arc<Table> {
        Arc::new(Table::of(&["size"], &[&["8192"]]))
    }

    #[test]
    fn a_costly_answer_is_shown_for_three_minutes_and_asked_for_each_minute() {
        let (pace, start) = (Pace::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(pace.is_due("size", start));
        pace.asked("size", Outcome::Answered, Some(table()), start);
        assert!(!pace.is_due("size", at(50)) && pace.is_due("size", at(60)));
        assert!(pace.known("size", at(50)).complete);
        pace.asked("size", Outcome::Failed, None, at(60));
        assert!(!pace.is_due("size", at(70)), "a failure pauses as well");
        assert!(!pace.known("size", at(70)).complete);
        assert!(pace.known("size", at(180)).answer.is_some());
        assert!(pace.known("size", at(181)).answer.is_none());
    }

    #[test]
    fn a_refusal_lasts_ten_minutes_or_until_rights_change() {
        let (pace, start) = (Pace::default(), Instant::now());
        pace.asked("wal", Outcome::Refused, None, start);
        assert!(!pace.is_due("wal", start + Duration::from_secs(599)));
        assert!(pace.is_due("wal", start + REFUSED));
        pace.forget_refusals();
        assert!(pace.is_due("wal", start));
    }

    #[test]
    fn what_is_asked_no_more_is_forgotten() {
        let (pace, start) = (Pace::default(), Instant::now());
        pace.asked("the size of database dropped", Outcome::Answered, Some(table()), start);
        pace.asked("another", Outcome::Answered, Some(table()), start + FORGOTTEN);
        assert_eq!(pace.lock().len(), 1);
    }
}
