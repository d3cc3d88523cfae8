//! Asks the figures of a server.
//!
//! Each question has its own failure: one that fails loses only its own series. Those that are known to work are asked
//! in [one statement](super::joined), the others one after another, in the order of the [registry](super::registry).
//!
//! Invariant: what was obtained stays. When a session breaks at a question, the others can be asked over another
//! session within the same look; what has been answered is not asked again.

use std::borrow::Cow;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::render_duration;

use super::answers::{Answers, Outcome};
use super::facts::Facts;
use super::joined::{self, Arm};
use super::lock;
use super::query::{Pace, Query, Scope};
use super::registry;
use super::rows::Table;
use super::seen::{Progress, Seen};
use super::session::{Missed, Session};
use super::settings::Settings;

/// Of a look's time, the part that one question may use.
const SHARE: u32 = 4;

/// What asking needs beside a session.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Whose databases are wanted.
    pub settings: &'a Settings,
    /// What is known of the questions in the session's database.
    pub answers: &'a Mutex<Answers>,
    /// Which questions.
    pub scope: Option<Scope>,
    /// How long a question may take; one that takes longer each time is paused.
    pub share: Duration,
    /// When all must end.
    pub deadline: Instant,
}

impl<'a> Asker<'a> {
    /// Asks all that a session can be asked, in a look of this length.
    pub fn new(settings: &'a Settings, answers: &'a Mutex<Answers>, look: Duration, deadline: Instant) -> Self {
        Self { settings, answers, scope: None, share: look / SHARE, deadline }
    }

    /// Asks what is not yet there. Says whether the session can be asked again.
    pub async fn ask(self, session: &mut Session, seen: &mut Seen) -> bool {
        seen.go_on();
        let mut run = Run { session, asker: self, seen, usable: true };
        run.prepare();
        run.ask_all().await;
        if run.usable {
            run.show_kept();
        }
        let usable = run.usable;
        if let Some(facts) = seen.facts.take() {
            session.facts = facts;
            self.answers(|answers| answers.meet(&session.facts));
        }
        usable
    }

    fn answers<R>(&self, work: impl FnOnce(&mut Answers) -> R) -> R {
        work(&mut lock(self.answers))
    }
}

/// Questions being asked over one session.
struct Run<'r> {
    session: &'r mut Session,
    asker: Asker<'r>,
    seen: &'r mut Seen,
    /// Cleared when the session breaks: whatever comes after it is not asked over it.
    usable: bool,
}

/// A question with its text for this server.
type Question = (usize, Cow<'static, str>);

impl Run<'_> {
    /// Finds out what this server can be asked.
    fn prepare(&mut self) {
        let facts = &self.session.facts;
        let mut blind = false;
        for (question, query) in registry::ALL.iter().enumerate() {
            let wanted = self.asker.scope.is_none_or(|scope| scope == query.scope);
            if !wanted || self.seen.progress.contains_key(&question) || query.text(facts).is_none() {
                continue;
            }
            self.seen.progress.insert(question, Progress::Open);
            if query.about_others && !facts.sees_others {
                self.seen.done(question, false, Duration::ZERO);
                blind = true;
            }
        }
        if blind {
            self.say_blind();
        }
    }

    /// Says what right is missing, and that nothing is known of others.
    fn say_blind(&mut self) {
        if self.asker.answers(|answers| answers.say_blind(Instant::now())) {
            let user = &self.asker.settings.user;
            let what =
                format!("{user} cannot see what other roles' sessions do; as superuser: grant pg_monitor to {user}");
            self.seen.look.missed(CollectError::new(Reason::Permission, what));
        }
    }

    async fn ask_all(&mut self) {
        let (mut usual, mut slow, mut rare, mut apart) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let open = self.seen.open();
        let by = self.asker.answers(|answers| answers.due_by(&open, Instant::now()));
        for question in open {
            let due = self.asker.answers(|answers| answers.is_due(question, by));
            let Some(sql) = registry::ALL[question].text(&self.session.facts).filter(|_| due) else { continue };
            let (columns, kept) = self.asker.answers(|all| (all.columns(question), all.keeps(question)));
            let Query { pace, locks_tables, .. } = *registry::ALL[question];
            let Some(columns) = columns.filter(|_| !locks_tables) else {
                apart.push((question, sql));
                continue;
            };
            let together = match pace {
                Pace::Rare => &mut rare,
                _ if kept => &mut slow,
                _ => &mut usual,
            };
            together.push(Arm { question: Some(question), sql, columns });
        }
        if !usual.is_empty() {
            usual.push(Arm { question: None, sql: Facts::SQL.into(), columns: Facts::columns() });
        }
        apart.extend(self.ask_together(usual, "figures").await);
        apart.extend(self.ask_together(slow, "slow figures").await);
        apart.extend(self.ask_together(rare, "rare figures").await);
        apart.sort_by_key(|(question, _)| *question);
        for question in apart {
            if !self.usable || !self.ask_one(question).await {
                return;
            }
        }
    }

    /// Asks questions in one statement of this name. When that does not work, gives them back: each must be asked by itself.
    async fn ask_together(&mut self, arms: Vec<Arm>, name: &'static str) -> Vec<Question> {
        if arms.len() >= 2
            && self.usable
            && let Some(limits) = self.session.limits.before(self.asker.deadline)
        {
            let sql = joined::statement(&arms);
            let answers = match self.session.query_again(name, &sql, limits, self.asker.deadline).await {
                Ok(table) => {
                    self.say_unreadable(&table, name);
                    joined::read(&arms, &table)
                }
                Err(missed) => {
                    self.broke(arms.iter().filter_map(|arm| arm.question).collect(), missed);
                    None
                }
            };
            if let Some(answers) = answers {
                arms.iter().zip(answers).for_each(|(arm, answer)| self.arm_answered(arm, &answer));
                return Vec::new();
            }
            let questions = arms.iter().filter_map(|arm| arm.question);
            questions.for_each(|question| self.asker.answers(|all| all.set_apart(question)));
        }
        arms.into_iter().filter_map(|arm| Some((arm.question?, arm.sql))).collect()
    }

    /// Names of roles and databases need not be UTF-8: rows with one that is not are left out.
    fn say_unreadable(&mut self, table: &Table, what: &str) {
        if table.unreadable > 0 {
            let what = format!("{} rows of {what} are left out: a name in them is not UTF-8", table.unreadable);
            self.seen.look.missed(CollectError::new(Reason::Malformed, what));
        }
    }

    fn arm_answered(&mut self, arm: &Arm, answer: &joined::Answer) {
        match arm.question {
            Some(question) => self.answered(question, &answer.table, answer.took),
            None => self.seen.facts = Some(Facts::read(&answer.table)),
        }
    }

    /// Asks one question by itself; false when no time is left for more.
    async fn ask_one(&mut self, (question, sql): Question) -> bool {
        let Query { collector, locks_tables, .. } = *registry::ALL[question];
        if self.seen.given_up == Some(question) {
            return true;
        }
        // Not asked when the server's own time-out would come too late: so the session stays good for the next look.
        let Some(limits) = self.session.limits.before(self.asker.deadline) else {
            self.seen.run_out_of_time(collector);
            return false;
        };
        let began = Instant::now();
        // The others will be asked together the next time.
        let answer = if locks_tables {
            self.session.query_again(collector, &sql, limits, self.asker.deadline).await
        } else {
            self.session.query(collector, &sql, limits, self.asker.deadline).await
        };
        match answer {
            Ok(table) => {
                self.say_unreadable(&table, collector);
                self.answered(question, &table, began.elapsed());
            }
            Err(missed) => self.failed(question, missed, began.elapsed()),
        }
        true
    }

    fn answered(&mut self, question: usize, table: &Table, took: Duration) {
        let query = registry::ALL[question];
        let mut brought = Look::new();
        (query.read)(table, self.asker.settings, &mut brought);
        for error in std::mem::take(&mut brought.failures) {
            self.seen.look.missed(error);
        }
        let blocks = brought.into_blocks();
        self.seen.show(&blocks);
        self.note(question, Outcome::Answered, took, took > self.asker.share, Some(table));
        self.asker.answers(|answers| {
            if answers.keeps(question) {
                answers.keep(question, blocks.into(), Instant::now());
            }
        });
    }

    fn failed(&mut self, question: usize, missed: Missed, took: Duration) {
        if missed.broken {
            // A server that falls silent at a slow question shall not be asked it again and again.
            let kept = self.asker.answers(|answers| answers.keeps(question));
            if kept && missed.error.reason() == Reason::Timeout {
                self.asker.answers(|answers| answers.asked(question, Outcome::Failed, took, None, Instant::now()));
            }
            return self.broke(vec![question], missed);
        }
        let refused = missed.error.reason() == Reason::Permission;
        let cancelled = missed.error.sqlstate() == Some(CANCELLED);
        self.seen.look.missed(missed.error);
        self.note(question, if refused { Outcome::Refused } else { Outcome::Failed }, took, cancelled, None);
    }

    /// Remembers how a question went; one that used too much too often is paused, and that is said.
    fn note(&mut self, question: usize, outcome: Outcome, took: Duration, overdrawn: bool, table: Option<&Table>) {
        let now = Instant::now();
        let pause = self.asker.answers(|answers| {
            answers.asked(question, outcome, took, table.map(Table::columns), now);
            answers.judge(question, overdrawn, now)
        });
        self.seen.done(question, outcome == Outcome::Answered, took);
        if let Some(pause) = pause {
            let (name, pause) = (registry::ALL[question].collector, render_duration(pause));
            let what = format!("the query for {name} took too much of the last looks: it is not asked for {pause}");
            self.seen.look.missed(CollectError::new(Reason::Timeout, what));
        }
    }

    fn broke(&mut self, questions: Vec<usize>, missed: Missed) {
        if missed.broken {
            self.usable = false;
            self.seen.broken_at = Some((questions, missed.error));
        }
    }

    /// What is not asked in this look is as it was before. A broken session shows nothing kept: a server that is gone has
    /// no sizes.
    fn show_kept(&mut self) {
        let now = Instant::now();
        for question in self.seen.open() {
            let (known, paused) = self.asker.answers(|all| (all.known(question, now), all.is_paused(question)));
            if paused {
                self.seen.progress.insert(question, Progress::Paused);
                continue;
            }
            if self.asker.answers(|answers| answers.is_due(question, now)) {
                continue;
            }
            if let Some(blocks) = &known.answer {
                self.seen.show(blocks);
            }
            self.seen.done(question, known.complete, known.took);
        }
    }
}

/// `query_canceled`: the server's `statement_timeout` cut it.
const CANCELLED: &str = "57014";
