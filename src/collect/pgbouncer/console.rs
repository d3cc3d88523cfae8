//! One session on PgBouncer's admin console: login, SHOW commands, end.
//!
//! The console takes simple queries only and has no time-outs of its own, so every command is bounded here.
//!
//! Invariant: rows are handed on as they arrive; no answer is held as a whole, since SHOW CLIENTS has a row for each of
//! possibly ten thousand clients.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Config, SimpleColumn, SimpleQueryMessage, SimpleQueryRow};
use tokio_util::sync::DropGuard;

use crate::collect::dial::{by, dial};
use crate::collect::postgres::reasons::describe;
use crate::collect::postgres::session::drive;
use crate::collect::postgres::tls::Connector;
use crate::collect::{CollectError, Reason};
use crate::runtime::supervise::Supervisor;

use super::settings::Settings;

/// As it stands in SHOW CLIENTS, so that an operator knows whose session it is.
const APPLICATION: &str = "sidewatch";
/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);
/// PgBouncer's code for nearly everything that it refuses; its words tell more.
const PROTOCOL_VIOLATION: &str = "08P01";

/// Opens sessions on one console.
pub struct Door {
    config: Config,
    settings: Settings,
    tls: Connector,
    supervisor: Supervisor,
}

impl Door {
    /// Prepares logins.
    ///
    /// # Errors
    /// What TLS needs cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        let tls = Connector::new(&settings.login)?;
        let mut config = Config::new();
        config.user(settings.user()).dbname(&settings.login.database).application_name(APPLICATION).ssl_mode(tls.mode);
        if let Some(password) = &settings.login.password {
            config.password(password.expose());
        }
        Ok(Self { config, settings, tls, supervisor: supervisor.clone() })
    }

    /// Logs in. PgBouncer checks the right to use the console within the login, so no first question is needed.
    pub async fn login(&self, deadline: Instant) -> Result<Console, CollectError> {
        let what = format!("login at {}", self.settings.address());
        by(deadline, &what, self.open()).await
    }

    async fn open(&self) -> Result<Console, CollectError> {
        let stream = dial(self.settings.address()).await?;
        let connected = self.config.connect_raw(stream, self.tls.clone()).await;
        let (client, connection) = connected.map_err(|error| self.refused(&error))?;
        let stop = self.supervisor.stop_token().child_token();
        let (ended, end) = oneshot::channel();
        self.supervisor.spawn_once(drive(connection, stop.clone(), ended));
        Ok(Console { client, end, _stop: stop.drop_guard() })
    }

    /// Why the login failed. PgBouncer's "not allowed" becomes words that tell what to change.
    fn refused(&self, error: &tokio_postgres::Error) -> CollectError {
        let user = self.settings.user();
        let said = failed(error, &format!("cannot log in at {}", self.settings.address()));
        if said.reason() == Reason::Permission {
            return said.reworded(|words| format!("{words}: `{user}` is neither in stats_users nor in admin_users"));
        }
        said
    }
}

/// An open session. It closes when dropped.
pub struct Console {
    client: Client,
    end: oneshot::Receiver<()>,
    _stop: DropGuard,
}

/// Why a command brought nothing, or not all.
#[derive(Debug)]
pub struct Missed {
    /// In words.
    pub error: CollectError,
    /// The session is of no more use: it broke, or an answer may still be under way.
    pub broken: bool,
}

impl Console {
    /// Whether PgBouncer, or the network, has ended it.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a command; `each` gets every row, with the wanted columns at their places in `columns`.
    pub async fn show(
        &self,
        command: &str,
        columns: &[&str],
        deadline: Instant,
        each: impl FnMut(Row<'_>) + Send,
    ) -> Result<(), Missed> {
        let answer = timeout_at(deadline, self.rows(command, columns, each)).await;
        let Ok(answer) = answer else {
            let error = CollectError::new(Reason::Timeout, format!("no answer in time: {command}"));
            return Err(Missed { error, broken: true });
        };
        answer.map_err(|error| Missed {
            broken: error.as_db_error().is_none() || self.client.is_closed(),
            error: failed(&error, &format!("{command} failed")),
        })
    }

    async fn rows(
        &self,
        command: &str,
        columns: &[&str],
        mut each: impl FnMut(Row<'_>) + Send,
    ) -> Result<(), tokio_postgres::Error> {
        let mut messages = pin!(self.client.simple_query_raw(command).await?);
        let mut places = Vec::new();
        while let Some(message) = messages.try_next().await? {
            match message {
                SimpleQueryMessage::RowDescription(found) => places = places_of(columns, &found),
                SimpleQueryMessage::Row(row) => each(Row { row: &row, places: &places }),
                _ => {}
            }
        }
        Ok(())
    }

    /// Says goodbye and waits a moment for it to be sent.
    pub async fn close(self, deadline: Instant) {
        drop(self.client);
        let left = deadline.saturating_duration_since(Instant::now());
        // Whether it was sent or not, the guard ends the connection now.
        let _ = timeout(left.min(GOODBYE), self.end).await;
    }
}

/// Where the wanted columns stand; versions differ in which they have, and in their order.
fn places_of(wanted: &[&str], found: &[SimpleColumn]) -> Vec<Option<usize>> {
    wanted.iter().map(|wanted| found.iter().position(|column| column.name() == *wanted)).collect()
}

/// One row of an answer.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    row: &'r SimpleQueryRow,
    places: &'r [Option<usize>],
}

impl<'r> Row<'r> {
    /// The text of the wanted column of this number; `None` for NULL and for a column that this version lacks.
    pub fn text(&self, wanted: usize) -> Option<&'r str> {
        // A text that is not UTF-8 counts as absent, which `try_get` tells apart and `get` would panic over.
        self.row.try_get((*self.places.get(wanted)?)?).ok().flatten()
    }

    /// Whether there is a text that is not UTF-8. The driver keeps its bytes to itself.
    pub fn is_unreadable(&self, wanted: usize) -> bool {
        let place = self.places.get(wanted).copied().flatten();
        place.is_some_and(|place| self.row.try_get(place).is_err())
    }

    /// Its number.
    pub fn number(&self, wanted: usize) -> Option<f64> {
        self.text(wanted)?.parse().ok()
    }
}

/// Puts a driver's error into our words and classes.
fn failed(error: &tokio_postgres::Error, what: &str) -> CollectError {
    match error.as_db_error().filter(|said| said.code().code() == PROTOCOL_VIOLATION) {
        Some(said) => CollectError::new(reason_of(said.message()), format!("{what}: {}", said.message())),
        None => describe(error, what),
    }
}

/// What PgBouncer means. It says most refusals with one code for all; its texts have stayed the same since 1.5.
fn reason_of(said: &str) -> Reason {
    let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
    if says(&["not allowed", "admin access needed"]) {
        Reason::Permission
    } else if says(&["no more connections", "too many"]) {
        Reason::Limit
    } else if says(&["SSL required", "TLS required", "SSL"]) {
        Reason::Tls
    } else if says(&["shutting down", "server conn crashed", "server login"]) {
        Reason::Unreachable
    } else if says(&["timeout"]) {
        Reason::Timeout
    } else if says(&["auth", "password", "no such user", "login rejected"]) {
        Reason::Auth
    } else {
        Reason::Query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbouncers_words_have_classes() {
        for (said, reason) in [
            ("password authentication failed", Reason::Auth),
            ("SASL authentication failed", Reason::Auth),
            ("no such user: nobody", Reason::Auth),
            ("not allowed", Reason::Permission),
            ("admin access needed", Reason::Permission),
            ("no more connections allowed (max_client_conn)", Reason::Limit),
            ("SSL required", Reason::Tls),
            ("pgbouncer is shutting down", Reason::Unreachable),
            ("invalid command 'SHOW NOTHING;', use SHOW HELP;", Reason::Query),
        ] {
            assert_eq!(reason_of(said), reason, "{said}");
        }
    }
}
