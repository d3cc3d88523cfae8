//! What a look has obtained so far in one database, and how each question went.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::{Block, Family};

use super::answers::Answers;
use super::facts::Facts;
use super::{lock, registry};

static SUCCESS: Family =
    Family::gauge("pg_scrape_collector_success", "Whether a collector brought all its figures (1) or not (0).");
static DURATION: Family =
    Family::gauge("pg_scrape_collector_duration_seconds", "How long a collector's queries took last, in seconds.");
static PAUSED: Family = Family::gauge(
    "pg_scrape_collector_paused",
    "1 while a collector's query is not asked, since it took too much of several looks.",
);

/// How one question went, in this look.
#[derive(Clone, Copy)]
pub(super) enum Progress {
    /// The server can answer it, and it is still to be asked.
    Open,
    /// It is through: whether it brought all, and how long it took.
    Done { complete: bool, took: Duration },
    /// It is not asked for a while.
    Paused,
}

/// What a look has obtained so far in one database.
#[derive(Default)]
pub struct Seen {
    pub(super) look: Look,
    /// The questions that the server can answer, by their places in the registry.
    pub(super) progress: BTreeMap<usize, Progress>,
    /// The question, or the questions together, at which a session broke, and why.
    pub(super) broken_at: Option<(Vec<usize>, CollectError)>,
    /// A question that a session did not survive is not asked a second time.
    pub(super) given_up: Option<usize>,
    /// Whether questions went unasked for want of time.
    pub(super) out_of_time: bool,
    /// The server and the role as they are by now.
    pub(super) facts: Option<Facts>,
}

impl Seen {
    /// The look, with what each collector brought. A collector that was never asked brought nothing.
    pub fn into_look(mut self) -> Look {
        if let Some((_, error)) = self.broken_at.take() {
            self.look.missed(error);
        }
        let mut collectors: BTreeMap<&str, (bool, Duration, bool)> = BTreeMap::new();
        for (question, progress) in &self.progress {
            let (all, sum, paused) =
                collectors.entry(registry::ALL[*question].collector).or_insert((true, Duration::ZERO, false));
            match progress {
                Progress::Open => *all = false,
                Progress::Done { complete, took } => (*all, *sum) = (*all && *complete, *sum + *took),
                Progress::Paused => (*all, *paused) = (false, true),
            }
        }
        for (collector, (complete, took, paused)) in collectors {
            self.look.labeled(&SUCCESS, [("collector", collector)], f64::from(u8::from(complete)));
            self.look.labeled(&DURATION, [("collector", collector)], took.as_secs_f64());
            if paused {
                self.look.labeled(&PAUSED, [("collector", collector)], 1.0);
            }
        }
        self.look
    }

    /// Notes what could not be seen.
    pub fn missed(&mut self, error: CollectError) {
        self.look.missed(error);
    }

    /// Adds what was seen in another database. There, too, a collector must have brought all.
    pub fn add(&mut self, mut other: Self, database: &str) {
        if let Some((_, error)) = other.broken_at.take() {
            other.look.missed(error);
        }
        for error in std::mem::take(&mut other.look.failures) {
            self.look.missed(error.reworded(|words| format!("database {database}: {words}")));
        }
        for (question, there) in &other.progress {
            match (self.progress.get_mut(question), there) {
                (Some(Progress::Done { complete, .. }), Progress::Done { complete: there, .. }) => *complete &= *there,
                (Some(here @ Progress::Done { .. }), other) => *here = *other,
                _ => {}
            }
        }
    }

    /// Shows what is known of another database from its last visit, which may have been in this look.
    pub fn show_kept(&mut self, answers: &Mutex<Answers>) {
        let (answers, now) = (lock(answers), Instant::now());
        let known = (0..registry::ALL.len()).filter_map(|question| answers.known(question, now).answer);
        known.for_each(|blocks| self.show(&blocks));
    }

    /// The questions that are still to be asked.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = |(question, progress): (&usize, &Progress)| matches!(progress, Progress::Open).then_some(*question);
        self.progress.iter().filter_map(open).collect()
    }

    /// Notes that a question is through.
    pub(super) fn done(&mut self, question: usize, complete: bool, took: Duration) {
        self.progress.insert(question, Progress::Done { complete, took });
    }

    /// Shows what a question brought, now or before.
    pub(super) fn show(&mut self, blocks: &[Block]) {
        for block in blocks {
            for point in &block.points {
                self.look.point(&block.family, point.suffix, point.labels.clone(), point.value);
            }
        }
    }

    /// Said once a look: one slow answer is one failure, however many questions come after it.
    pub(super) fn run_out_of_time(&mut self, what: &str) {
        if !std::mem::replace(&mut self.out_of_time, true) {
            let error = CollectError::new(Reason::Timeout, format!("no time was left to query for {what} and more"));
            self.look.missed(error);
        }
    }

    /// Before another session is asked. A session that merely ended says nothing about the question it ended at; one
    /// that fell silent does. Of several questions each gets its chance by itself.
    pub(super) fn go_on(&mut self) {
        if let Some((questions, error)) = self.broken_at.take().filter(|(_, error)| error.reason() == Reason::Timeout) {
            self.look.missed(error);
            if let [question] = questions[..] {
                self.given_up = Some(question);
            }
        }
    }
}
