//! Asks the figures of a server, one question after another over one session.
//!
//! Each question has its own time and its own failure: one that fails loses only its own series. The cheap and
//! telling ones come first, those that walk files last.

use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::Family;

use super::rows::Table;
use super::session::Session;
use super::settings::Settings;
use super::{activity, background, database, locks, parameters, replication, server, tables};

static SUCCESS: Family =
    Family::gauge("pg_scrape_collector_success", "Whether a collector brought all its figures (1) or not (0).");
static DURATION: Family =
    Family::gauge("pg_scrape_collector_duration_seconds", "How long a collector took, in seconds.");

/// One question and what its answer means.
pub struct Query {
    /// As `postgres_exporter` calls the collector, for `pg_scrape_collector_success{collector}`.
    pub collector: &'static str,
    /// The first server version that can answer it, as `server_version_num` counts (170000 is 17).
    pub since: u32,
    /// The question.
    pub sql: &'static str,
    /// Puts the answer into the look.
    pub read: fn(&Table, &Settings, &mut Look),
}

static QUERIES: [&Query; 18] = [
    &activity::ACTIVITY,
    &parameters::PARAMETERS,
    &database::STATISTICS,
    &database::CONFLICTS,
    &database::ROLES,
    &locks::LOCKS,
    &replication::ROLE,
    &replication::SLOTS,
    &replication::STANDBYS,
    &background::WRITER,
    &background::CHECKPOINTER,
    &background::ARCHIVER,
    &background::LONG_TRANSACTIONS,
    &tables::ACCESS,
    &tables::BLOCKS,
    &tables::VACUUMS,
    &background::WAL,
    &tables::SIZES,
];

/// Asks everything. Says whether the session can be asked again.
pub async fn collect(session: &Session, settings: &Settings, deadline: Instant, look: &mut Look) -> bool {
    let mut run = Run { session, settings, deadline, look, usable: true };
    let version = run.server().await;
    for query in QUERIES.iter().filter(|query| version.is_none_or(|version| query.since <= version)) {
        run.ask(query).await;
    }
    run.database_sizes().await;
    run.usable
}

/// A look's questions being asked.
struct Run<'r> {
    session: &'r Session,
    settings: &'r Settings,
    deadline: Instant,
    look: &'r mut Look,
    /// Cleared when the session breaks: whatever comes after it is not asked, only marked as not obtained.
    usable: bool,
}

impl Run<'_> {
    /// The server's version, which decides what can be asked.
    async fn server(&mut self) -> Option<u32> {
        let table = self.question(server::COLLECTOR, server::SQL).await?;
        Some(server::read(&table, &self.settings.instance(), self.look))
    }

    async fn ask(&mut self, query: &Query) {
        let began = Instant::now();
        let answer = self.question(query.collector, query.sql).await;
        if let Some(table) = &answer {
            (query.read)(table, self.settings, self.look);
        }
        self.note(query.collector, answer.is_some(), began);
    }

    /// Sizes of databases: each walks a directory, so each is its own question.
    async fn database_sizes(&mut self) {
        let began = Instant::now();
        let list = self.question(database::COLLECTOR, database::LIST).await;
        let mut complete = list.is_some();
        let all = list.map(|table| database::read_list(&table, self.settings, self.look));
        for one in all.unwrap_or_default() {
            match self.question(&format!("the size of database {}", one.name), &one.size_query()).await {
                Some(size) => one.read_size(&size, self.look),
                None => complete = false,
            }
        }
        self.note(database::COLLECTOR, complete, began);
    }

    /// The answer, or `None` with the reason noted.
    ///
    /// Not asked when there is no time left for the server's own time-out: so the session stays good for the next look.
    async fn question(&mut self, what: &str, sql: &str) -> Option<Table> {
        if !self.usable {
            return None;
        }
        if !self.session.has_time(self.deadline) {
            self.look.missed(CollectError::new(Reason::Timeout, format!("no time was left to query for {what}")));
            return None;
        }
        match self.session.query(what, sql, self.deadline).await {
            Ok(table) => Some(table),
            Err(missed) => {
                self.usable = !missed.broken;
                self.look.missed(missed.error);
                None
            }
        }
    }

    fn note(&mut self, collector: &str, success: bool, began: Instant) {
        self.look.labeled(&SUCCESS, [("collector", collector)], f64::from(u8::from(success)));
        self.look.labeled(&DURATION, [("collector", collector)], began.elapsed().as_secs_f64());
    }
}
