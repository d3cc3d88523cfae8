//! Looks at a `PostgreSQL` server, in `postgres_exporter`'s families.
//!
//! In: a libpq URL. Out: what one kept session sees, and whether a fresh login works (`pg_up`).
//!
//! At each look a new login is tried beside the kept session: connections may be used up, `pg_hba.conf` changed or a
//! password expired while an old session goes on, and then `pg_up` must be 0. What the kept session sees stays in the
//! look, since it tells who holds the connections. A kept session that breaks within a look leaves what it brought, and
//! the fresh one goes on where it broke.
//!
//! Invariants: at most two sessions, one question under way in each; nothing outlives the look but the kept session;
//! a session that did not answer in time is closed and never read again.

mod activity;
mod background;
mod database;
mod figures;
mod locks;
mod pace;
mod parameters;
mod query;
mod replication;
mod rows;
mod server;
pub(super) mod session;
mod settings;
mod tables;
pub(super) mod tls;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::Family;
use crate::runtime::supervise::Supervisor;

use super::look::come_back_by;
use super::{Collect, CollectError, Look};
use figures::{Asker, Seen};
use pace::Pace;
use session::{Server, Session};

pub use settings::{Settings, TlsMode};

static UP: Family = Family::gauge("pg_up", "Whether the last look could log in anew and query (1) or not (0).");
static SCRAPE_DURATION: Family =
    Family::gauge("pg_exporter_last_scrape_duration_seconds", "How long the last look took, in seconds.");
static SCRAPE_ERROR: Family =
    Family::gauge("pg_exporter_last_scrape_error", "Whether anything failed in the last look (1) or not (0).");

/// One server.
pub struct Postgres {
    server: Server,
    settings: Settings,
    /// Taken out for a look and put back only when it answered all that it was asked.
    kept: Mutex<Option<Session>>,
    pace: Pace,
}

impl Postgres {
    /// Prepares; connects at the first look.
    ///
    /// # Errors
    /// What TLS needs (`sslrootcert`) cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        Ok(Self {
            server: Server::new(settings.clone(), supervisor)?,
            settings,
            kept: Mutex::new(None),
            pace: Pace::default(),
        })
    }

    fn take_kept(&self) -> Option<Session> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.filter(|session| !session.is_closed())
    }

    fn keep(&self, session: Session) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
    }

    /// Asks a session what is not yet seen; gives it back if it can be asked again.
    async fn ask(&self, session: Session, seen: &mut Seen, deadline: Instant) -> Option<Session> {
        let asker = Asker { settings: &self.settings, pace: &self.pace, deadline };
        asker.ask(&session, seen).await.then_some(session)
    }

    async fn ask_kept(&self, seen: &mut Seen, deadline: Instant) -> Option<Session> {
        self.ask(self.take_kept()?, seen, deadline).await
    }

    /// What is seen, which session to keep, and why no login works, if none does.
    async fn see(&self, deadline: Instant) -> (Look, Option<Session>, Option<CollectError>) {
        let mut seen = Seen::default();
        let (login, kept) = tokio::join!(self.server.login(deadline), self.ask_kept(&mut seen, deadline));
        let (kept, refused) = match (login, kept) {
            (Ok(fresh), Some(mut kept)) => {
                if kept.facts != fresh.facts {
                    kept.facts = fresh.facts;
                    self.pace.forget_refusals();
                }
                fresh.close(deadline).await;
                (Some(kept), None)
            }
            // Without a kept session that answers, the fresh one takes its place within the same look.
            (Ok(fresh), None) => (self.ask(fresh, &mut seen, deadline).await, None),
            (Err(error), kept) => (kept, Some(error)),
        };
        (seen.into_look(), kept, refused)
    }
}

#[async_trait]
impl Collect for Postgres {
    async fn look(&self, deadline: Instant) -> Look {
        let began = Instant::now();
        let (mut look, kept, refused) = self.see(come_back_by(deadline)).await;
        if let Some(session) = kept {
            self.keep(session);
        }
        look.value(&UP, f64::from(u8::from(refused.is_none())));
        if let Some(error) = refused {
            look.unhealthy(error);
        }
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
