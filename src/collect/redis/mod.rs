//! Looks at a Redis or Valkey server, or a sentinel, in `redis_exporter`'s families.
//!
//! In: a Redis URL, and the keys, streams and groups of keys that the target names. Out: `redis_up`, all that INFO
//! tells, and what other commands add.
//!
//! One INFO at each look says nearly everything. Settings, the slow log and latencies (INFO's percentiles among them) are
//! asked once a minute and shown meanwhile; keys and streams only where the target names them; the key space is passed over in small steps.
//!
//! Invariants: one connection, kept from look to look; one that did not answer in time is closed and never read again.
//! What is shown from memory came over the connection that is in use.

mod clients;
mod cluster;
mod condition;
mod config;
mod connection;
mod info;
mod keys;
mod latency;
mod own;
mod refusals;
mod reply;
mod sentinel;
mod settings;
mod slowlog;
mod streams;
mod visit;

use async_trait::async_trait;
use redis::Pipeline;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::model::{Family, readable};
use crate::runtime::supervise::Supervisor;

use super::look::come_back_by;
use super::{Collect, CollectError, Look, TargetSettings as _};
use connection::{Connection, Missed, Server};
use visit::{Memory, Visit};

pub use settings::Settings;

static UP: Family = Family::gauge(
    "redis_up",
    "Whether the server answered INFO at the last look, and serves commands by what it says.",
);

/// One server.
pub struct Redis {
    server: Server,
    instance: String,
    /// Locked for the length of a look; looks do not overlap.
    kept: Mutex<Kept>,
}

/// What lives from look to look.
struct Kept {
    /// Taken out for a look and put back only when it answered all that it was asked.
    connection: Option<Connection>,
    memory: Memory,
    own: own::Own,
}

impl Redis {
    /// Prepares; connects at the first look.
    ///
    /// # Errors
    /// What TLS needs cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        let instance = settings.instance();
        let kept = Kept { connection: None, memory: Memory::new(&settings), own: own::Own::default() };
        Ok(Self { server: Server::new(settings, supervisor)?, instance, kept: Mutex::new(kept) })
    }

    /// INFO over the kept connection; one that has ended meanwhile is replaced at once.
    async fn info(&self, kept: &mut Kept, deadline: Instant) -> Result<(Connection, String), CollectError> {
        if let Some(connection) = kept.connection.take() {
            match self.ask_info(connection, kept, deadline).await {
                Err(missed) if missed.ended() => {}
                other => return other.map_err(|missed| missed.error),
            }
        }
        kept.memory.begin_anew();
        let connection = self.server.connect(deadline).await?;
        self.ask_info(connection, kept, deadline).await.map_err(|missed| missed.error)
    }

    async fn ask_info(
        &self,
        mut connection: Connection,
        kept: &mut Kept,
        deadline: Instant,
    ) -> Result<(Connection, String), Missed> {
        let what = format!("INFO at {}", self.instance);
        let mut commands = Pipeline::new();
        commands.cmd("INFO").arg(kept.memory.sections(Instant::now()));
        match connection.ask::<(Vec<u8>,)>(&what, &commands, deadline).await {
            Ok((text,)) => Ok((connection, readable(&text).into_owned())),
            Err(missed) => {
                if !missed.broken {
                    kept.connection = Some(connection);
                }
                Err(missed)
            }
        }
    }

    /// Everything that there is to see; `Err` is why the server is not up.
    async fn see(&self, kept: &mut Kept, deadline: Instant, look: &mut Look) -> Result<(), CollectError> {
        let (mut connection, text) = self.info(kept, deadline).await?;
        own::show_connection(&connection, look);
        let mut visit = Visit::new(&mut connection, &text, deadline, look);
        let (ill, asked) = visit.run(&mut kept.memory).await;
        match asked {
            Ok(()) => kept.connection = Some(connection),
            // INFO was answered: one thing was not to be had. What cannot be trusted any more is the connection.
            Err(missed) => {
                look.missed(missed.error);
                if !missed.broken {
                    kept.connection = Some(connection);
                }
            }
        }
        ill.map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Collect for Redis {
    async fn look(&self, deadline: Instant) -> Look {
        let (started, deadline) = (Instant::now(), come_back_by(deadline));
        let mut look = Look::new();
        let mut kept = self.kept.lock().await;
        let outcome = self.see(&mut kept, deadline, &mut look).await;
        look.value(&UP, f64::from(u8::from(outcome.is_ok())));
        kept.own.show(started.elapsed(), outcome.as_ref().err(), &mut look);
        if let Err(error) = outcome {
            look.unhealthy(error);
        }
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.value(&UP, 0.0);
        look.unhealthy(error);
        look
    }
}
