//! When a question is due, and the answers of slow ones between.
//!
//! Most questions are asked at every look. So that the agent does not hurt what it watches, others are not:
//!
//! - Those at the slow pace are asked about once a minute, the rare ones every five minutes. Between, their last answer is
//!   shown. In databases that are only visited, none is asked more often than once a minute.
//! - What the server refused for want of a right would be an error in its log each time. It is asked again after ten
//!   minutes, or when the role's rights changed; between, its figures are absent and the refusal is not counted again.
//! - A question that used more than its share of the look, several times in a row, is paused: for five minutes, then for
//!   ten, up to an hour. Its figures are absent meanwhile.
//!
//! Invariants: no answer is shown that is older than its pace (in a database that is visited, by
//! two minutes or a round through all of them, at most half an hour); time is an argument.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Block;

use super::facts::Facts;
use super::query::Pace;
use super::registry;
use super::rows::Columns;

/// A little less than a minute: looks a minute apart then each ask.
const SLOW: Duration = Duration::from_secs(55);
/// The same for rare ones.
const RARE: Duration = Duration::from_secs(295);
/// How far apart slow questions may be due and still be asked at the same look.
const TOGETHER: Duration = Duration::from_secs(5);
const REFUSED: Duration = Duration::from_mins(10);
/// How much older than its pace an answer may be that is shown: looks need not meet the time when it is due.
const SPARE: Duration = Duration::from_secs(5);
/// The same where there are so many databases to visit that a minute is too short for all of them.
const LEAST_SPARE_OF_VISITS: Duration = Duration::from_secs(125);
/// Beyond, a figure says too little of how things are: it is absent until the next visit.
const MOST_SPARE_OF_VISITS: Duration = Duration::from_mins(30);
/// How often in a row a question may use more than its share before it is paused.
const PATIENCE: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_mins(5);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

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

/// What is known of one question in one database.
#[derive(Default)]
struct Entry {
    /// Not asked before; `None` for at once.
    due: Option<Instant>,
    outcome: Option<Outcome>,
    /// How long it took when it was last asked.
    took: Duration,
    /// The last answer of a slow one, with its time.
    kept: Option<(Instant, Arc<[Block]>)>,
    /// The columns of its last answer, while it may be joined with others.
    columns: Option<Arc<Columns>>,
    /// How often in a row it used more than its share.
    overdrawn: u32,
    /// How often in a row it was paused.
    pauses: u32,
    paused: bool,
}

/// What is known of all questions in one database, by their places in the [registry](registry::ALL).
pub struct Answers {
    entries: Vec<Entry>,
    /// The server and the role as they were when it was asked.
    facts: Facts,
    /// When it was last said that the role cannot see others.
    blind_since: Option<Instant>,
    /// Of a database that is only visited, every answer is kept.
    visits: bool,
    /// How much older than its pace an answer may be that is shown.
    spare: Duration,
}

/// What to show for a question that is not asked now.
pub struct Known {
    /// The last answer, unless it is too old.
    pub answer: Option<Arc<[Block]>>,
    /// Whether it was answered when it was last asked.
    pub complete: bool,
    /// How long it took then.
    pub took: Duration,
}

impl Default for Answers {
    fn default() -> Self {
        let entries = registry::ALL.iter().map(|_| Entry::default()).collect();
        Self { entries, facts: Facts::default(), blind_since: None, visits: false, spare: SPARE }
    }
}

impl Answers {
    /// For a database that is only visited now and then: all its questions have the slow pace.
    pub fn of_visits() -> Self {
        Self { visits: true, spare: LEAST_SPARE_OF_VISITS, ..Self::default() }
    }

    /// A round through all databases that are visited takes so long.
    pub fn come_round(&mut self, round: Duration) {
        self.spare = (round + SPARE).clamp(LEAST_SPARE_OF_VISITS, MOST_SPARE_OF_VISITS);
    }

    /// A session found the server and the role to be so. When the server started anew, or rights or extensions changed,
    /// what was answered or refused may be so no longer.
    pub fn meet(&mut self, facts: &Facts) {
        if self.facts != *facts {
            self.forget();
            self.facts = facts.clone();
        }
    }

    /// Whether the answers to a question are kept between looks.
    pub fn keeps(&self, question: usize) -> bool {
        self.pause(question).is_some()
    }

    /// How long a question is not asked after it was.
    fn pause(&self, question: usize) -> Option<Duration> {
        match registry::ALL[question].pace {
            Pace::EachLook => self.visits.then_some(SLOW),
            Pace::Slow => Some(SLOW),
            Pace::Rare => Some(RARE),
        }
    }

    /// Whether a question may be asked.
    pub fn is_due(&self, question: usize, now: Instant) -> bool {
        self.entries[question].due.is_none_or(|due| now >= due)
    }

    /// Until when questions count as due at a look. When a slow one is due, those that nearly are come along: questions
    /// that drifted apart would be another statement each time, which the server had to read and plan anew.
    pub fn due_by(&self, questions: &[usize], now: Instant) -> Instant {
        let slow = questions.iter().any(|question| self.keeps(*question) && self.is_due(*question, now));
        if slow { now + TOGETHER } else { now }
    }

    /// The columns of a question that went well when it was last asked.
    pub fn columns(&self, question: usize) -> Option<Arc<Columns>> {
        self.entries[question].columns.clone()
    }

    /// Whether a question is paused for having used too much.
    pub fn is_paused(&self, question: usize) -> bool {
        self.entries[question].paused
    }

    /// From now on it is asked by itself, until it went well.
    pub fn set_apart(&mut self, question: usize) {
        self.entries[question].columns = None;
    }

    /// Notes how a question went, and decides when it is asked again. `columns` are of an answer.
    pub fn asked(
        &mut self,
        question: usize,
        outcome: Outcome,
        took: Duration,
        columns: Option<Arc<Columns>>,
        now: Instant,
    ) {
        let pause = match outcome {
            Outcome::Refused => Some(REFUSED),
            _ => self.pause(question),
        };
        let entry = &mut self.entries[question];
        *entry = Entry {
            due: pause.map(|pause| now + pause),
            outcome: Some(outcome),
            took,
            kept: None,
            columns,
            overdrawn: entry.overdrawn,
            pauses: entry.pauses,
            paused: false,
        };
    }

    /// Keeps what a slow question brought, unless it is paused from now on.
    pub fn keep(&mut self, question: usize, answer: Arc<[Block]>, now: Instant) {
        let entry = &mut self.entries[question];
        entry.kept = (!entry.paused).then_some((now, answer));
    }

    /// After [`asked`](Self::asked): whether it kept within its share of the look. Gives the length of its pause, if one
    /// begins. A question that was paused before has no patience left.
    pub fn judge(&mut self, question: usize, overdrawn: bool, now: Instant) -> Option<Duration> {
        let entry = &mut self.entries[question];
        if !overdrawn {
            (entry.overdrawn, entry.pauses) = (0, 0);
            return None;
        }
        entry.overdrawn += 1;
        entry.columns = None;
        if entry.overdrawn < PATIENCE {
            return None;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << entry.pauses.min(8)).min(LONGEST_PAUSE);
        (entry.paused, entry.due, entry.kept) = (true, Some(now + pause), None);
        (entry.overdrawn, entry.pauses) = (PATIENCE - 1, entry.pauses + 1);
        Some(pause)
    }

    /// What the last answer still tells.
    pub fn known(&self, question: usize, now: Instant) -> Known {
        let entry = &self.entries[question];
        let oldest = self.pause(question).unwrap_or_default() + self.spare;
        let young = |(at, _): &&(Instant, Arc<[Block]>)| now.saturating_duration_since(*at) <= oldest;
        let answer = entry.kept.as_ref().filter(young).map(|(_, blocks)| Arc::clone(blocks));
        Known { answer, complete: entry.outcome == Some(Outcome::Answered), took: entry.took }
    }

    /// Whether it is time to say that the role cannot see others; then it counts as said.
    pub fn say_blind(&mut self, now: Instant) -> bool {
        let due = self.blind_since.is_none_or(|since| now.saturating_duration_since(since) >= REFUSED);
        if due {
            self.blind_since = Some(now);
        }
        due
    }

    /// Forgets answers and refusals. What was too slow stays paused.
    pub fn forget(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| !entry.paused) {
            *entry = Entry { overdrawn: entry.overdrawn, pauses: entry.pauses, ..Entry::default() };
        }
        self.blind_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOK: Duration = Duration::from_millis(3);

    fn question(pace: Pace) -> usize {
        registry::ALL.iter().position(|query| query.pace == pace).unwrap()
    }

    fn answered(answers: &mut Answers, question: usize, now: Instant) {
        answers.asked(question, Outcome::Answered, TOOK, Some(Arc::default()), now);
        answers.keep(question, Arc::from([]), now);
    }

    fn is_shown(answers: &Answers, question: usize, now: Instant) -> bool {
        answers.known(question, now).answer.is_some()
    }

    #[test]
    fn a_slow_question_is_asked_once_a_minute_and_never_shown_for_longer() {
        let (mut answers, start, slow) = (Answers::default(), Instant::now(), question(Pace::Slow));
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(answers.is_due(slow, start));
        answered(&mut answers, slow, start);
        assert!(!answers.is_due(slow, at(50)) && answers.is_due(slow, at(60)));
        assert!(answers.known(slow, at(50)).complete);
        assert!(is_shown(&answers, slow, at(60)) && !is_shown(&answers, slow, at(61)));
        answers.asked(slow, Outcome::Failed, TOOK, None, at(60));
        assert!(!answers.is_due(slow, at(70)), "a failure pauses as well");
        assert!(!answers.known(slow, at(60)).complete && !is_shown(&answers, slow, at(60)));
    }

    #[test]
    fn a_rare_question_is_asked_every_five_minutes() {
        let (mut answers, start, rare) = (Answers::default(), Instant::now(), question(Pace::Rare));
        let at = |seconds| start + Duration::from_secs(seconds);
        answered(&mut answers, rare, start);
        assert!(!answers.is_due(rare, at(290)) && answers.is_due(rare, at(300)));
        assert!(is_shown(&answers, rare, at(300)) && !is_shown(&answers, rare, at(301)));
    }

    #[test]
    fn slow_questions_that_drifted_apart_are_asked_together_again() {
        let (mut answers, start) = (Answers::default(), Instant::now());
        let slow: Vec<usize> = (0..registry::ALL.len()).filter(|at| registry::ALL[*at].pace == Pace::Slow).collect();
        for (late, question) in slow.iter().enumerate() {
            answered(&mut answers, *question, start + Duration::from_millis(late as u64));
        }
        let due = |now| {
            let by = answers.due_by(&slow, now);
            slow.iter().filter(|question| answers.is_due(**question, by)).count()
        };
        assert_eq!((due(start + SLOW - TOGETHER), due(start + SLOW)), (0, slow.len()));
    }

    #[test]
    fn a_database_that_is_only_visited_keeps_every_answer() {
        let (mut answers, start, usual) = (Answers::of_visits(), Instant::now(), question(Pace::EachLook));
        answered(&mut answers, usual, start);
        assert!(!answers.is_due(usual, start) && is_shown(&answers, usual, start + Duration::from_mins(2)));
    }

    #[test]
    fn a_refusal_lasts_ten_minutes_or_until_something_changes() {
        let (mut answers, start, usual) = (Answers::default(), Instant::now(), question(Pace::EachLook));
        answers.asked(usual, Outcome::Refused, TOOK, None, start);
        assert!(!answers.is_due(usual, start + Duration::from_secs(599)));
        assert!(answers.is_due(usual, start + REFUSED));
        answers.meet(&Facts::default());
        assert!(!answers.is_due(usual, start), "nothing changed");
        answers.meet(&Facts { sees_others: true, ..Facts::default() });
        assert!(answers.is_due(usual, start));
    }

    #[test]
    fn a_question_that_is_too_slow_again_and_again_is_paused_for_longer_each_time() {
        let (mut answers, mut now, usual) = (Answers::default(), Instant::now(), question(Pace::EachLook));
        let ask = |answers: &mut Answers, now, overdrawn| {
            answers.asked(usual, Outcome::Answered, TOOK, Some(Arc::default()), now);
            answers.judge(usual, overdrawn, now).map(|pause| pause.as_secs() / 60)
        };
        assert_eq!([true, true, false].map(|slow| ask(&mut answers, now, slow)), [None; 3]);
        assert_eq!([true, true, true].map(|slow| ask(&mut answers, now, slow)), [None, None, Some(5)]);
        assert!(answers.is_paused(usual) && answers.columns(usual).is_none());
        let mut pauses = Vec::new();
        for _ in 0..5 {
            now += LONGEST_PAUSE;
            assert!(answers.is_due(usual, now));
            pauses.extend(ask(&mut answers, now, true));
        }
        assert_eq!(pauses, [10, 20, 40, 60, 60], "once is enough after a pause");
        answers.meet(&Facts { version: 150_014, ..Facts::default() });
        assert!(answers.is_paused(usual), "a change does not make it faster");
        now += LONGEST_PAUSE;
        assert_eq!(ask(&mut answers, now, false), None);
        assert!(!answers.is_paused(usual) && answers.is_due(usual, now));
    }
}
