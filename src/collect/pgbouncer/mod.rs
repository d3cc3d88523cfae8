//! Looks at PgBouncer through its admin console, in `pgbouncer_exporter`'s families.
//!
//! In: a URL of the console. Out: what SHOW tells of pools, databases, totals and clients, and whether one can log in
//! (`pgbouncer_up`).
//!
//! At each look the kept session is asked first, then a new login is tried: passwords are changed and new connections
//! are refused while an old session goes on. What changes by an operator's hand alone (settings, the version) is asked once a
//! minute. A kept session that breaks, or is silent for half of the look, is dropped, and the
//! fresh one takes its place within the same look.
//!
//! Invariants: one session kept, one login a look, one command under way; a session that did not answer in time is
//! closed and never read again. PgBouncer takes console users also at `max_client_conn`, so we take no client's place.

mod clients;
mod console;
mod facts;
mod settings;
mod sheets;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::{Block, Family};
use crate::runtime::supervise::Supervisor;

use super::look::come_back_by;
use super::paced::{Paced, show};
use super::{Collect, CollectError, Look, Reason};
use clients::Clients;
use console::{Console, Door, Missed};
use facts::Facts;
use sheets::Sheet;

pub use settings::Settings;

static UP: Family =
    Family::gauge("pgbouncer_up", "Whether the last look could log in and got every answer (1) or not (0).");

/// One PgBouncer.
pub struct PgBouncer {
    door: Door,
    /// Taken out for a look and put back only when it answered all that it was asked.
    kept: Mutex<Option<Session>>,
}

/// A session, and what is remembered of it.
struct Session {
    console: Console,
    settings: Paced<Vec<Block>>,
}

/// What one look has seen so far.
#[derive(Default)]
struct Seen {
    look: Look,
    /// Commands that PgBouncer refused.
    refused: Vec<CollectError>,
}

impl PgBouncer {
    /// Prepares; connects at the first look.
    ///
    /// # Errors
    /// What TLS needs (`sslrootcert`) cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        Ok(Self { door: Door::new(settings, supervisor)?, kept: Mutex::new(None) })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Session>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_kept(&self, seen: &mut Seen, deadline: Instant) -> Option<Session> {
        let mut kept = self.kept().take().filter(|session| !session.console.is_closed())?;
        let left = deadline.saturating_duration_since(Instant::now());
        // A broken session is no failure yet: the fresh one is asked the same.
        seen.ask(&mut kept, Instant::now() + left / 2).await.is_ok().then_some(kept)
    }

    /// Sees all; an error says why nobody can log in, or why not everything was seen.
    async fn see(&self, seen: &mut Seen, deadline: Instant) -> Result<(), CollectError> {
        let kept = self.ask_kept(seen, deadline).await;
        let login = self.door.login(deadline).await;
        let session = match (kept, login) {
            (Some(kept), Ok(fresh)) => {
                fresh.close(deadline).await;
                kept
            }
            (Some(kept), Err(error)) => {
                // What the kept session sees tells why nobody else gets in.
                *self.kept() = Some(kept);
                return Err(error);
            }
            (None, login) => {
                let mut fresh = Session { console: login?, settings: Paced::new() };
                // What a session brought before it broke would stand twice.
                *seen = Seen::default();
                seen.ask(&mut fresh, deadline).await?;
                fresh
            }
        };
        *self.kept() = Some(session);
        Ok(())
    }
}

impl Seen {
    /// Runs every command that is due. An error means that the session is of no more use.
    async fn ask(&mut self, session: &mut Session, deadline: Instant) -> Result<(), CollectError> {
        let Session { console, settings } = session;
        self.ask_facts(&facts::LISTS, console, deadline).await?;
        for sheet in Sheet::ALL {
            let answer = run_sheet(sheet, console, deadline, &mut self.look).await;
            self.note(answer)?;
        }
        let answer = run_clients(console, deadline, &mut self.look).await;
        self.note(answer)?;
        // Last, so that nothing remembered is shown of a session that does not answer any more.
        self.ask_settings(console, settings, deadline).await
    }

    /// SHOW VERSION and CONFIG, which is the longest answer of a pool with few clients. Shows meanwhile what they said.
    async fn ask_settings(
        &mut self,
        console: &Console,
        known: &mut Paced<Vec<Block>>,
        deadline: Instant,
    ) -> Result<(), CollectError> {
        let now = Instant::now();
        if let Some(blocks) = known.get().filter(|_| !known.due(now)) {
            show(blocks, &mut self.look);
            return Ok(());
        }
        known.clear();
        let mut seen = Self::default();
        let (command, columns) = facts::VERSION;
        let look = &mut seen.look;
        let answer = console.show(command, &columns, deadline, |row| facts::read_version(row, look)).await;
        seen.note(answer)?;
        seen.ask_facts(&facts::CONFIG, console, deadline).await?;
        show(seen.look.blocks(), &mut self.look);
        // What was refused is asked again at the next look, and said again.
        if seen.refused.is_empty() {
            known.set(now, seen.look.into_blocks());
        }
        self.refused.append(&mut seen.refused);
        Ok(())
    }

    async fn ask_facts(&mut self, facts: &Facts, console: &Console, deadline: Instant) -> Result<(), CollectError> {
        let look = &mut self.look;
        let answer = console.show(facts.command, &facts.columns, deadline, |row| facts.read(row, look)).await;
        self.note(answer)
    }

    /// A command that PgBouncer refuses costs its own series only.
    fn note(&mut self, answer: Result<(), Missed>) -> Result<(), CollectError> {
        match answer {
            Err(missed) if missed.broken => return Err(missed.error),
            Err(missed) => self.refused.push(missed.error),
            Ok(()) => {}
        }
        Ok(())
    }
}

async fn run_sheet(sheet: &Sheet, console: &Console, deadline: Instant, look: &mut Look) -> Result<(), Missed> {
    let (mut rows, mut unreadable) = (0, 0);
    let each = |row: console::Row<'_>| {
        rows += 1;
        if rows <= sheets::MOST_ROWS && !sheet.read(row, look) {
            unreadable += 1;
        }
    };
    console.show(sheet.command, &sheet.columns(), deadline, each).await?;
    if unreadable > 0 {
        let what = format!("{}: {unreadable} rows with a name that is not UTF-8 are not shown", sheet.command);
        look.missed(CollectError::new(Reason::Malformed, what));
    }
    if rows > sheets::MOST_ROWS {
        let what = format!("{} has {rows} rows; {} of them are shown", sheet.command, sheets::MOST_ROWS);
        look.missed(CollectError::new(Reason::TooLarge, what));
    }
    Ok(())
}

async fn run_clients(console: &Console, deadline: Instant, look: &mut Look) -> Result<(), Missed> {
    let mut clients = Clients::default();
    console.show(clients::COMMAND, &clients::COLUMNS, deadline, |row| clients.add(row)).await?;
    let left_out = clients.write(look);
    if left_out > 0 {
        let what = format!("{left_out} clients are of more kinds than are counted apart");
        look.missed(CollectError::new(Reason::TooLarge, what));
    }
    Ok(())
}

#[async_trait]
impl Collect for PgBouncer {
    async fn look(&self, deadline: Instant) -> Look {
        let mut seen = Seen::default();
        let outcome = self.see(&mut seen, come_back_by(deadline)).await;
        let Seen { mut look, refused, .. } = seen;
        for error in outcome.err().into_iter().chain(refused) {
            look.unhealthy(error);
        }
        look.value(&UP, f64::from(u8::from(look.healthy)));
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.value(&UP, 0.0);
        look.unhealthy(error);
        look
    }
}
