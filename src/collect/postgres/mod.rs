//! Looks at a `PostgreSQL` server, in `postgres_exporter`'s families.
//!
//! In: a libpq URL. Out: what one kept session sees, and whether a fresh login works (`pg_up`).
//!
//! At each look a new login is tried beside the kept session: connections may be used up, `pg_hba.conf` changed or a
//! password expired while an old session goes on, and then `pg_up` must be 0. What the kept session sees stays in the
//! look, since it tells who holds the connections. A kept session that breaks within a look leaves what it brought, and
//! the fresh one goes on where it broke.
//!
//! Further databases need no session of their own: the short login visits them in turn ([`visits`]).
//!
//! Invariants: at most two sessions, and one statement under way on the server; nothing outlives the look but the kept
//! session; a session that did not answer in time is closed and never read again.

mod activity;
mod advice;
mod answers;
mod background;
mod blocking;
mod buffercache;
mod checkpointer;
mod connections;
mod database;
mod facts;
mod figures;
mod idle;
mod indexes;
mod joined;
mod limits;
mod locks;
mod parameters;
mod prepared;
mod query;
pub(super) mod reasons;
mod registry;
mod replication;
mod rows;
mod seen;
mod server;
pub(super) mod session;
mod settings;
mod statements;
mod tables;
pub(super) mod tls;
mod vacuum;
mod vector;
mod visits;
mod wal_receiver;
mod wraparound;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::Family;
use crate::runtime::supervise::Supervisor;

use super::look::come_back_by;
use super::{Collect, CollectError, Look};
use answers::Answers;
use figures::Asker;
use query::Scope;
use seen::Seen;
use session::{Phases, Server, Session};
use visits::{Visit, Visits};

pub use settings::{Settings, TlsMode};

static UP: Family = Family::gauge("pg_up", "Whether the last look could log in anew and query (1) or not (0).");
static SCRAPE_DURATION: Family =
    Family::gauge("pg_exporter_last_scrape_duration_seconds", "How long the last look took, in seconds.");
static SCRAPE_ERROR: Family =
    Family::gauge("pg_exporter_last_scrape_error", "Whether anything failed in the last look (1) or not (0).");

static SCRAPES: Family = Family::counter("pg_exporter_scrapes_total", "Looks at the server.");

static LOGIN: Family = Family::gauge(
    "pg_login_duration_seconds",
    "How long the parts of the last look's login took, in seconds: connect (with name resolution), tls, auth, query (the first one).",
);

/// One server.
pub struct Postgres {
    server: Server,
    settings: Settings,
    /// Taken out for a look and put back only when it answered all that it was asked.
    kept: Mutex<Option<Session>>,
    answers: Mutex<Answers>,
    visits: Visits,
    /// How often it was looked.
    looks: AtomicU64,
}

impl Postgres {
    /// Prepares; connects at the first look.
    ///
    /// # Errors
    /// What TLS needs (`sslrootcert`) cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        Ok(Self {
            server: Server::new(settings.clone(), supervisor)?,
            visits: Visits::of(&settings),
            looks: AtomicU64::new(0),
            settings,
            kept: Mutex::new(None),
            answers: Mutex::default(),
        })
    }

    fn take_kept(&self) -> Option<Session> {
        lock(&self.kept).take().filter(|session| !session.is_closed())
    }

    /// Asks a session what is not yet seen; gives it back if it can be asked again.
    async fn ask(&self, mut session: Session, seen: &mut Seen, within: Within) -> Option<Session> {
        let asker = Asker::new(&self.settings, &self.answers, within.look, within.asking);
        asker.ask(&mut session, seen).await.then_some(session)
    }

    async fn ask_kept(&self, kept: Option<Session>, seen: &mut Seen, within: Within) -> Option<Session> {
        self.ask(kept?, seen, within).await
    }

    /// What is seen, which session to keep, and how the login went.
    async fn see(&self, within: Within) -> (Look, Option<Session>, Result<Phases, CollectError>) {
        let (mut seen, kept) = (Seen::default(), self.take_kept());
        self.visits.looked(Instant::now());
        let visit = kept.as_ref().and_then(|_| self.visits.due(Instant::now()));
        let (login, mut kept) = tokio::join!(self.log_in(visit, within), self.ask_kept(kept, &mut seen, within));
        let login = match login {
            Ok(fresh) => self.use_fresh(fresh, &mut kept, &mut seen, within).await,
            Err(error) => Err(error),
        };
        if kept.is_some() {
            self.visits.iter().for_each(|visit| seen.show_kept(&visit.answers));
        }
        (seen.into_look(), kept, login)
    }

    /// Logs in for a visit, or at the URL's own database, which decides when a visit fails.
    async fn log_in<'v>(&self, visit: Option<&'v Visit>, within: Within) -> Result<Fresh<'v>, CollectError> {
        let mut missed = None;
        if let Some(visit) = visit {
            match self.server.open(Some(&visit.name), within.end).await {
                Ok(session) => return Ok(Fresh { session, visit: Some(visit), missed }),
                Err(error) => {
                    visit.failed(Instant::now());
                    missed = Some(error.reworded(|words| format!("database {}: {words}", visit.name)));
                }
            }
        }
        let session = self.server.open(None, within.end).await?;
        Ok(Fresh { session, visit: None, missed })
    }

    /// Tries a new session out, visits with it, or keeps it. Its first question waits until the kept one is through: one
    /// statement at a time.
    async fn use_fresh(
        &self,
        fresh: Fresh<'_>,
        kept: &mut Option<Session>,
        seen: &mut Seen,
        within: Within,
    ) -> Result<Phases, CollectError> {
        let Fresh { mut session, visit, missed } = fresh;
        if let Some(error) = missed {
            seen.missed(error);
        }
        if kept.is_some() && visit.is_none() {
            session.try_out(within.end).await?;
        } else {
            session.learn(within.end).await?;
        }
        let phases = session.phases;
        match (kept.is_some(), visit) {
            (true, Some(visit)) => self.look_around(session, visit, seen, within).await,
            // Without a kept session that answers, the fresh one takes its place within the same look.
            (false, None) => {
                lock(&self.answers).meet(&session.facts);
                session.settle(within.end).await;
                *kept = self.ask(session, seen, within).await;
            }
            // It has shown that a login works. (In another database it cannot be kept; the next look logs in at the right one.)
            (true, None) | (false, Some(_)) => session.close(within.end).await,
        }
        Ok(phases)
    }

    /// Asks what only a session in that database can tell.
    async fn look_around(&self, mut session: Session, visit: &Visit, seen: &mut Seen, within: Within) {
        lock(&visit.answers).meet(&session.facts);
        let mut found = Seen::default();
        let asker = Asker::new(&self.settings, &visit.answers, within.look, within.end);
        let usable = Asker { scope: Some(Scope::Database), ..asker }.ask(&mut session, &mut found).await;
        visit.visited(Instant::now());
        seen.add(found, &visit.name);
        if usable {
            session.close(within.end).await;
        }
    }
}

/// A new session.
struct Fresh<'v> {
    session: Session,
    /// The other database that it is in.
    visit: Option<&'v Visit>,
    /// Why it is not in the one that was to be visited.
    missed: Option<CollectError>,
}

/// The times of a look.
#[derive(Clone, Copy)]
struct Within {
    /// How long it may take.
    look: Duration,
    /// When the kept session's questions must end, so that the new session's first one has time.
    asking: Instant,
    /// When all must end.
    end: Instant,
}

impl Within {
    fn new(began: Instant, deadline: Instant) -> Self {
        let end = come_back_by(deadline);
        let look = end.saturating_duration_since(began);
        Self { look, asking: end - (look / 10).min(Duration::from_millis(500)), end }
    }
}

/// A lock that a panicking look left is as good as any: what it guards is changed as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn show_login(phases: Phases, look: &mut Look) {
    let Phases { connect, tls, auth, query } = phases;
    for (phase, took) in [("connect", Some(connect)), ("tls", tls), ("auth", Some(auth)), ("query", query)] {
        if let Some(took) = took {
            look.labeled(&LOGIN, [("phase", phase)], took.as_secs_f64());
        }
    }
}

#[async_trait]
impl Collect for Postgres {
    async fn look(&self, deadline: Instant) -> Look {
        let began = Instant::now();
        let (mut look, kept, login) = self.see(Within::new(began, deadline)).await;
        if kept.is_some() {
            *lock(&self.kept) = kept;
        }
        look.value(&UP, f64::from(u8::from(login.is_ok())));
        match login {
            Ok(phases) => show_login(phases, &mut look),
            Err(error) => look.unhealthy(error),
        }
        look.value(&SCRAPES, self.looks.fetch_add(1, Ordering::Relaxed) as f64 + 1.0);
        look.value(&SCRAPE_ERROR, f64::from(u8::from(!look.failures.is_empty())));
        look.value(&SCRAPE_DURATION, began.elapsed().as_secs_f64());
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.value(&UP, 0.0);
        look.unhealthy(error);
        look
    }
}
