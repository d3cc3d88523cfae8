//! Asks the figures of a server, one question after another.
//!
//! Each question has its own time and its own failure: one that fails loses only its own series. The cheap and
//! telling ones come first, those that walk files last, and these at their own pace ([`Pace`]).
//!
//! Invariant: what was obtained stays. When a session breaks at a question, the others can be asked over another
//! session within the same look; what has been answered is not asked again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::Family;

use super::database::Database;
use super::pace::{Known, Outcome, Pace};
use super::query::Query;
use super::rows::Table;
use super::session::{Missed, Session};
use super::settings::Settings;
use super::{activity, background, database, locks, parameters, replication, server, tables};

static SUCCESS: Family =
    Family::gauge("pg_scrape_collector_success", "Whether a collector brought all its figures (1) or not (0).");
static DURATION: Family =
    Family::gauge("pg_scrape_collector_duration_seconds", "How long a collector took, in seconds.");

/// About what other roles' sessions do. A role without the right sees them with everything NULL: what is counted then
/// looks like nobody.
static OF_OTHERS: [&Query; 4] =
    [&activity::ACTIVITY, &background::LONG_TRANSACTIONS, &replication::STANDBYS, &tables::VACUUMS];
/// What the missing right is called among paused questions.
const OTHERS: &str = "sessions of other roles";

static USUAL: [&Query; 14] = [
    &server::SERVER,
    &parameters::PARAMETERS,
    &database::STATISTICS,
    &database::CONFLICTS,
    &database::ROLES,
    &locks::LOCKS,
    &replication::ROLE,
    &replication::SLOTS,
    &background::WRITER,
    &background::CHECKPOINTER,
    &background::ARCHIVER,
    &tables::ACCESS,
    &tables::BLOCKS,
    &background::WAL,
];

static COSTLY: [&Query; 1] = [&tables::SIZES];

/// What a look has obtained so far.
#[derive(Default)]
pub struct Seen {
    look: Look,
    /// `server_version_num` of the server that was asked.
    version: u32,
    /// How each collector went that is through: whether it brought all, and how long it took.
    done: BTreeMap<&'static str, (bool, Duration)>,
    /// The databases whose size is still to be asked; `None` before the list is there.
    sizes: Option<VecDeque<Database>>,
    /// Whether a size was missed.
    sizes_missed: bool,
    /// The question at which a session broke, and why.
    broken_at: Option<(String, CollectError)>,
    /// A question that a session did not survive is not asked a second time.
    given_up: Option<String>,
    /// Whether questions went unasked for want of time.
    out_of_time: bool,
}

impl Seen {
    /// The look, with what each collector brought. A collector that was never asked brought nothing.
    pub fn into_look(mut self) -> Look {
        if let Some((_, error)) = self.broken_at.take() {
            self.look.missed(error);
        }
        for (collector, (complete, took)) in &self.done {
            self.look.labeled(&SUCCESS, [("collector", collector)], f64::from(u8::from(*complete)));
            self.look.labeled(&DURATION, [("collector", collector)], took.as_secs_f64());
        }
        let all = OF_OTHERS.iter().chain(&USUAL).chain(&COSTLY).filter(|query| query.since <= self.version);
        for collector in all.map(|query| query.collector).chain([database::COLLECTOR]).filter(|_| self.version > 0) {
            if !self.done.contains_key(collector) {
                self.look.labeled(&SUCCESS, [("collector", collector)], 0.0);
            }
        }
        self.look
    }

    /// Said once a look: one slow answer is one failure, however many questions come after it.
    fn run_out_of_time(&mut self, what: &str) {
        if !std::mem::replace(&mut self.out_of_time, true) {
            let error = CollectError::new(Reason::Timeout, format!("no time was left to query for {what} and more"));
            self.look.missed(error);
        }
    }

    /// Before another session is asked. A session that merely ended says nothing about the question it ended at; one
    /// that fell silent does.
    fn go_on(&mut self) {
        if let Some((question, error)) = self.broken_at.take().filter(|(_, error)| error.reason() == Reason::Timeout) {
            self.look.missed(error);
            self.given_up = Some(question);
        }
    }
}

/// What asking needs beside a session.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Whose databases are wanted.
    pub settings: &'a Settings,
    /// When which question is due.
    pub pace: &'a Pace,
    /// When all must end.
    pub deadline: Instant,
}

impl Asker<'_> {
    /// Asks what is not yet there. Says whether the session can be asked again.
    pub async fn ask(self, session: &Session, seen: &mut Seen) -> bool {
        seen.go_on();
        seen.version = session.facts.version;
        let mut run = Run { session, asker: self, seen, usable: true };
        if session.facts.sees_others {
            run.ask_all(&OF_OTHERS, false).await;
        } else {
            run.leave_out_others();
        }
        run.ask_all(&USUAL, false).await;
        run.ask_all(&COSTLY, true).await;
        run.database_sizes().await;
        run.usable
    }
}

/// Questions being asked over one session.
struct Run<'r> {
    session: &'r Session,
    asker: Asker<'r>,
    seen: &'r mut Seen,
    /// Cleared when the session breaks: whatever comes after it is not asked over it.
    usable: bool,
}

impl Run<'_> {
    async fn ask_all(&mut self, queries: &[&Query], costly: bool) {
        let version = self.session.facts.version;
        for query in queries.iter().filter(|query| query.since <= version) {
            if !self.seen.done.contains_key(query.collector) {
                self.ask(query, costly).await;
            }
        }
    }

    async fn ask(&mut self, query: &Query, costly: bool) {
        let began = Instant::now();
        let Some(known) = self.question(query.collector, query.sql, costly).await else { return };
        if let Some(table) = &known.answer {
            (query.read)(table, self.asker.settings, &mut self.seen.look);
        }
        self.seen.done.insert(query.collector, (known.complete, began.elapsed()));
    }

    /// Says what right is missing, and that nothing is known of others.
    fn leave_out_others(&mut self) {
        let now = Instant::now();
        if self.asker.pace.is_due(OTHERS, now) {
            let user = &self.asker.settings.user;
            let what =
                format!("{user} cannot see what other roles' sessions do; as superuser: grant pg_monitor to {user}");
            self.seen.look.missed(CollectError::new(Reason::Permission, what));
            self.asker.pace.asked(OTHERS, Outcome::Refused, None, now);
        }
        for query in OF_OTHERS.iter().filter(|query| query.since <= self.session.facts.version) {
            self.seen.done.insert(query.collector, (false, Duration::ZERO));
        }
    }

    /// Sizes of databases: each walks a directory, so each is its own question.
    async fn database_sizes(&mut self) {
        if self.seen.done.contains_key(database::COLLECTOR) {
            return;
        }
        let began = Instant::now();
        if self.seen.sizes.is_none() {
            let Some(list) = self.question(database::COLLECTOR, database::LIST, false).await else { return };
            let read = |table: Arc<Table>| database::read_list(&table, self.asker.settings, &mut self.seen.look);
            self.seen.sizes_missed = !list.complete;
            self.seen.sizes = Some(list.answer.map(read).unwrap_or_default().into());
        }
        while let Some(one) = self.seen.sizes.as_mut().and_then(VecDeque::pop_front) {
            let what = format!("the size of database {}", one.name);
            let Some(size) = self.question(&what, &one.size_query(), true).await else {
                self.seen.sizes.get_or_insert_default().push_front(one);
                return;
            };
            self.seen.sizes_missed |= !size.complete;
            if let Some(table) = size.answer {
                one.read_size(&table, &mut self.seen.look);
            }
        }
        self.seen.done.insert(database::COLLECTOR, (!self.seen.sizes_missed, began.elapsed()));
    }

    /// What is known after asking, or without asking, where that is not due or no time is left. `None` when this
    /// session cannot tell and another one may.
    async fn question(&mut self, what: &str, sql: &str, costly: bool) -> Option<Known> {
        let Asker { pace, deadline, .. } = self.asker;
        // A broken session shows nothing kept either: a server that is gone has no sizes.
        if !self.usable {
            return None;
        }
        let now = Instant::now();
        if !pace.is_due(what, now) || self.seen.given_up.as_deref() == Some(what) {
            return Some(pace.known(what, now));
        }
        // Not asked when the server's own time-out would come too late: so the session stays good for the next look.
        let Some(limits) = self.session.limits.before(deadline) else {
            self.seen.run_out_of_time(what);
            return Some(Known { complete: false, ..pace.known(what, now) });
        };
        let (outcome, answer) = match self.session.query(what, sql, limits, deadline).await {
            Ok(table) => (Outcome::Answered, Some(Arc::new(table))),
            Err(Missed { error, broken: true }) => {
                self.usable = false;
                if costly && error.reason() == Reason::Timeout {
                    pace.asked(what, Outcome::Failed, None, now);
                }
                self.seen.broken_at = Some((what.to_owned(), error));
                return None;
            }
            Err(Missed { error, .. }) => {
                let refused = error.reason() == Reason::Permission;
                self.seen.look.missed(error);
                (if refused { Outcome::Refused } else { Outcome::Failed }, None)
            }
        };
        if costly || outcome == Outcome::Refused {
            pace.asked(what, outcome, answer, now);
            return Some(pace.known(what, now));
        }
        Some(Known { answer, complete: outcome == Outcome::Answered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(reason: Reason) -> Seen {
        let mut seen = Seen { version: 150_000, ..Seen::default() };
        seen.done.insert("locks", (true, Duration::from_millis(5)));
        seen.broken_at = Some(("wal".into(), CollectError::new(reason, "query for wal failed")));
        seen
    }

    fn success(look: &Look, collector: &str) -> Option<f64> {
        look.get("pg_scrape_collector_success", &[("collector", collector)])
    }

    #[test]
    fn what_was_obtained_before_a_session_broke_stays() {
        let look = seen(Reason::Timeout).into_look();
        assert_eq!((success(&look, "locks"), success(&look, "wal")), (Some(1.0), Some(0.0)));
        assert_eq!(look.failures.len(), 1);
        assert_eq!(success(&look, "stat_checkpointer"), None, "a server of version 15 has none");
    }

    #[test]
    fn only_a_question_that_silenced_a_session_is_given_up() {
        let mut silent = seen(Reason::Timeout);
        silent.go_on();
        assert_eq!((silent.given_up.as_deref(), silent.look.failures.len()), (Some("wal"), 1));
        let mut ended = seen(Reason::Unreachable);
        ended.go_on();
        assert_eq!((ended.given_up, ended.look.failures.len()), (None, 0), "the next session can tell");
    }

    #[test]
    fn running_out_of_time_is_one_failure() {
        let mut seen = Seen::default();
        for what in ["wal", "database"] {
            seen.run_out_of_time(what);
        }
        assert_eq!(seen.look.failures.len(), 1);
    }

    #[test]
    fn without_any_session_nothing_is_said_of_collectors() {
        assert!(Seen::default().into_look().is_empty());
    }
}
