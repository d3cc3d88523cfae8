//! Looks at a Redis server, in `redis_exporter`'s families.
//!
//! In: a Redis URL. Out: PING's verdict (`redis_up`), all that INFO tells, and a few limits from CONFIG GET.
//!
//! Invariants: one connection, kept from look to look; one that did not answer in time is closed and never read again.

mod config;
mod connection;
mod fields;
mod info;
mod settings;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::model::Family;
use crate::runtime::supervise::Supervisor;

use super::look::come_back_by;
use super::{Collect, CollectError, Look, Reason, TargetSettings as _};
use connection::{Connection, Missed, Server};

pub use settings::Settings;

static UP: Family = Family::gauge("redis_up", "Whether the server answered PING and INFO at the last look.");

/// One server.
pub struct Redis {
    server: Server,
    instance: String,
    /// Taken out for a look and put back only when it answered all that it was asked.
    kept: Mutex<Option<Connection>>,
}

/// What PING and INFO brought.
struct Answers {
    connection: Connection,
    /// INFO's text, or why there is none.
    info: Result<String, Missed>,
    /// Why PING was not answered with PONG.
    unwell: Option<CollectError>,
}

impl Redis {
    /// Prepares; connects at the first look.
    ///
    /// # Errors
    /// What TLS needs cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        let instance = settings.instance();
        Ok(Self { server: Server::new(settings, supervisor)?, instance, kept: Mutex::new(None) })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// PING and INFO. A kept connection that has ended meanwhile is replaced at once.
    async fn answers(&self, deadline: Instant) -> Result<Answers, CollectError> {
        let kept = self.kept().take();
        if let Some(kept) = kept {
            match self.ping(kept, deadline).await {
                Err(missed) if missed.ended() => {}
                other => return other.map_err(|missed| missed.error),
            }
        }
        let fresh = self.server.connect(deadline).await?;
        self.ping(fresh, deadline).await.map_err(|missed| missed.error)
    }

    async fn ping(&self, mut connection: Connection, deadline: Instant) -> Result<Answers, Missed> {
        let what = format!("PING at {}", self.instance);
        let unwell = match connection.ask::<Value>(&what, Pipeline::new().cmd("PING"), deadline).await {
            Ok(_) => None,
            Err(missed) if missed.broken => return Err(missed),
            // An account that may not PING but may INFO sees enough.
            Err(missed) if missed.error.reason() == Reason::Permission => None,
            Err(missed) => Some(missed.error),
        };
        let what = format!("INFO at {}", self.instance);
        let info = connection.ask::<(Vec<u8>,)>(&what, Pipeline::new().cmd("INFO").arg("all"), deadline).await;
        match info {
            Err(missed) if missed.ended() => Err(missed),
            info => {
                let info = info.map(|(text,)| String::from_utf8_lossy(&text).into_owned());
                Ok(Answers { connection, info, unwell })
            }
        }
    }

    /// Turns answers into points; the connection is kept if it is still good.
    async fn read(&self, answers: Answers, deadline: Instant, look: &mut Look) {
        let Answers { mut connection, info, unwell } = answers;
        let failure = match info {
            Ok(text) => {
                let (databases, usable) = config::collect(&mut connection, deadline, look).await;
                info::read(&text, databases, look);
                if usable {
                    *self.kept() = Some(connection);
                }
                unwell
            }
            Err(missed) => {
                if !missed.broken {
                    *self.kept() = Some(connection);
                }
                Some(unwell.unwrap_or(missed.error))
            }
        };
        look.value(&UP, f64::from(u8::from(failure.is_none())));
        if let Some(error) = failure {
            look.unhealthy(error);
        }
    }
}

#[async_trait]
impl Collect for Redis {
    async fn look(&self, deadline: Instant) -> Look {
        let deadline = come_back_by(deadline);
        let mut look = Look::new();
        match self.answers(deadline).await {
            Ok(answers) => self.read(answers, deadline, &mut look).await,
            Err(error) => return self.unanswered(error),
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
