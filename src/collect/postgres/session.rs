//! One session on the server: login, queries, end.
//!
//! Invariant: a session never outlives its [`Session`]. Dropping it closes the socket at once, so a server
//! that went silent keeps nothing of ours open, and an answer that comes too late is never read.

use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use crate::collect::dial::{by, class, dial};
use crate::collect::{CollectError, Reason};
use crate::runtime::supervise::Supervisor;

use super::rows::Table;
use super::settings::Settings;
use super::tls::Connector;

/// As it stands in `pg_stat_activity`, so that an operator knows whose session it is.
const APPLICATION: &str = "sidewatch";
/// How much later than the server's own time-out an answer may come before the server counts as frozen.
const GRACE: Duration = Duration::from_millis(500);
/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

/// How long one statement, and the wait for one lock in it, may take on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `statement_timeout`.
    pub statement: Duration,
    /// `lock_timeout`: shorter, so that a locked table costs little of the look.
    pub lock: Duration,
}

impl Limits {
    /// Limits that leave a look of this length time for other statements.
    pub fn within(look: Duration) -> Self {
        let statement = (look / 2).clamp(Duration::from_millis(100), Duration::from_secs(2));
        Self { statement, lock: (statement / 4).min(Duration::from_millis(250)) }
    }

    /// As startup options, so that they hold before the first statement and cost no round trip.
    fn as_options(self) -> String {
        format!("-c statement_timeout={} -c lock_timeout={}", self.statement.as_millis(), self.lock.as_millis())
    }
}

/// Opens sessions on one server.
pub struct Server {
    config: Config,
    settings: Settings,
    tls: Connector,
    supervisor: Supervisor,
    /// Set when what is there (an older `PgBouncer`) refuses startup options.
    plain: AtomicBool,
}

impl Server {
    /// Prepares logins.
    ///
    /// # Errors
    /// What TLS needs cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        let tls = Connector::new(&settings)?;
        let mut config = Config::new();
        config.user(&settings.user).dbname(&settings.database).application_name(APPLICATION).ssl_mode(tls.mode);
        if let Some(password) = &settings.password {
            config.password(password.expose());
        }
        Ok(Self { config, settings, tls, supervisor: supervisor.clone(), plain: AtomicBool::new(false) })
    }

    /// What the target is called in messages.
    fn instance(&self) -> String {
        self.settings.instance()
    }

    /// Logs in and asks for `SELECT 1`: only then a login works.
    pub async fn login(&self, deadline: Instant) -> Result<Session, CollectError> {
        let limits = Limits::within(deadline.saturating_duration_since(Instant::now()));
        by(deadline, &format!("login at {}", self.instance()), async {
            let session = match self.open(limits).await {
                Err(refused) if refused.says_options_unknown() && !self.plain.swap(true, Ordering::Relaxed) => {
                    debug!(server = %self.instance(), "no startup options here; the agent's own time-outs must do");
                    self.open(limits).await
                }
                other => other,
            };
            let session = session.map_err(|refusal| refusal.error)?;
            match session.client.simple_query("SELECT 1").await {
                Ok(_) => Ok(session),
                Err(error) => Err(describe(&error, &format!("{} does not answer SELECT 1", self.instance()))),
            }
        })
        .await
    }

    async fn open(&self, limits: Limits) -> Result<Session, Refusal> {
        let stream = dial(&self.settings.address).await.map_err(Refusal::other)?;
        let mut config = self.config.clone();
        if !self.plain.load(Ordering::Relaxed) {
            config.options(limits.as_options());
        }
        let (client, connection) = config.connect_raw(stream, self.tls.clone()).await.map_err(|error| Refusal {
            protocol: error.code().is_some_and(|code| code.code() == "08P01"),
            error: describe(&error, &format!("cannot log in at {}", self.instance())),
        })?;
        let stop = self.supervisor.stop_token().child_token();
        let (ended, end) = oneshot::channel();
        self.supervisor.spawn_once(drive(connection, stop.clone(), ended));
        Ok(Session { client, limits, end, _stop: stop.drop_guard() })
    }
}

/// Moves bytes until the client is dropped (a goodbye is sent), the server ends it, or `stop` fires (at once).
async fn drive<C: Future<Output = Result<(), tokio_postgres::Error>>>(
    connection: C,
    stop: CancellationToken,
    ended: oneshot::Sender<()>,
) {
    if let Some(Err(error)) = stop.run_until_cancelled(connection).await {
        debug!(%error, "a PostgreSQL session broke");
    }
    // Nobody may be waiting for the end.
    let _ = ended.send(());
}

/// Why a session was not opened.
struct Refusal {
    error: CollectError,
    /// SQLSTATE 08P01 before login: a pooler that does not take our startup parameters.
    protocol: bool,
}

impl Refusal {
    fn other(error: CollectError) -> Self {
        Self { error, protocol: false }
    }

    fn says_options_unknown(&self) -> bool {
        self.protocol && self.error.to_string().contains("startup parameter")
    }
}

/// An open session. It closes when dropped.
pub struct Session {
    client: Client,
    limits: Limits,
    end: oneshot::Receiver<()>,
    _stop: DropGuard,
}

/// Why a query brought nothing.
pub struct Missed {
    /// In words, with the SQLSTATE where the server gave one.
    pub error: CollectError,
    /// The session is of no more use: it broke, or an answer may still be under way.
    pub broken: bool,
}

impl Session {
    /// Whether the server, or the network, has ended it.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether the server could still cut a slow statement before `deadline`.
    pub fn has_time(&self, deadline: Instant) -> bool {
        deadline.saturating_duration_since(Instant::now()) >= self.limits.statement
    }

    /// Asks one question; all values come as text. `what` names the question in errors.
    pub async fn query(&self, what: &str, sql: &str, deadline: Instant) -> Result<Table, Missed> {
        let bound = deadline.min(Instant::now() + self.limits.statement + GRACE);
        let Ok(answer) = timeout_at(bound, self.client.simple_query(sql)).await else {
            let error = CollectError::new(Reason::Timeout, format!("no answer in time: query for {what}"));
            return Err(Missed { error, broken: true });
        };
        let messages = answer.map_err(|error| Missed {
            error: describe(&error, &format!("query for {what} failed")),
            broken: error.as_db_error().is_none() || self.client.is_closed(),
        })?;
        Ok(Table::new(messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })))
    }

    /// Says goodbye and waits a moment for it to be sent.
    pub async fn close(self, deadline: Instant) {
        drop(self.client);
        let left = deadline.saturating_duration_since(Instant::now());
        // Whether it was sent or not, the guard ends the connection now.
        let _ = timeout(left.min(GOODBYE), self.end).await;
    }
}

/// Puts a driver's error into our words and classes. The server's message is kept, the SQLSTATE becomes the label.
fn describe(error: &tokio_postgres::Error, what: &str) -> CollectError {
    if let Some(said) = error.as_db_error() {
        let code = said.code().code();
        return CollectError::new(reason_of(code), format!("{what}: {}", said.message())).with_sqlstate(code);
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let reason = match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) if carries_tls_error(io) => Reason::Tls,
        Some(io) => class(io),
        None if error.is_closed() => Reason::Unreachable,
        None => reason_by_stage(error),
    };
    CollectError::new(reason, format!("{what}: {cause}"))
}

fn carries_tls_error(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// The driver hides at what it failed but for its words.
fn reason_by_stage(error: &tokio_postgres::Error) -> Reason {
    let said = error.to_string();
    if said.contains("TLS") {
        Reason::Tls
    } else if said.contains("authentication") || said.contains("password") || said.contains("configuration") {
        // The only configuration that can be wrong here is a password that the server asks for and nobody gave.
        Reason::Auth
    } else {
        Reason::Malformed
    }
}

/// The class of a SQLSTATE (`PostgreSQL` manual, appendix A).
fn reason_of(code: &str) -> Reason {
    match code {
        // insufficient_privilege
        "42501" => Reason::Permission,
        // query_canceled (statement_timeout), lock_not_available (lock_timeout)
        "57014" | "55P03" => Reason::Timeout,
        // admin_shutdown, crash_shutdown, cannot_connect_now: starting up or going down
        "57P01" | "57P02" | "57P03" => Reason::Unreachable,
        _ if code.starts_with("28") => Reason::Auth,
        _ if code.starts_with("53") => Reason::Limit,
        _ => Reason::Query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_leave_room_in_the_look() {
        let usual = Limits::within(Duration::from_secs(5));
        assert_eq!((usual.statement.as_millis(), usual.lock.as_millis()), (2000, 250));
        let short = Limits::within(Duration::from_millis(400));
        assert_eq!((short.statement.as_millis(), short.lock.as_millis()), (200, 50));
        assert_eq!(short.as_options(), "-c statement_timeout=200 -c lock_timeout=50");
    }

    #[test]
    fn sqlstates_have_classes() {
        for (code, reason) in [
            ("28P01", Reason::Auth),
            ("28000", Reason::Auth),
            ("53300", Reason::Limit),
            ("3D000", Reason::Query),
            ("42501", Reason::Permission),
            ("55P03", Reason::Timeout),
            ("57P03", Reason::Unreachable),
        ] {
            assert_eq!(reason_of(code), reason, "{code}");
        }
    }
}
