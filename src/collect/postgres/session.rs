//! One session on the server: login, queries, end.
//!
//! Invariant: a session never outlives its [`Session`]. Dropping it closes the socket at once, so a server
//! that went silent keeps nothing of ours open, and an answer that comes too late is never read.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use crate::collect::dial::{by, dial};
use crate::collect::{CollectError, Reason, TargetSettings as _};
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
        Self::of((look / 2).min(Duration::from_secs(2)))
    }

    fn of(statement: Duration) -> Self {
        Self { statement, lock: (statement / 4).min(Duration::from_millis(250)) }
    }

    /// Limits for the next statement: tighter ones when `deadline` is near, so that the server cuts it before we
    /// have to; none when so little is left that hardly a statement could be answered.
    pub fn before(self, deadline: Instant) -> Option<Self> {
        let left = deadline.saturating_duration_since(Instant::now());
        let statement = self.statement.min(left * 3 / 4);
        (statement >= self.statement / 4 && statement >= Duration::from_millis(1)).then(|| Self::of(statement))
    }

    /// For one message with the statement, which then is one transaction: a pooler hands the server's session on to
    /// others after it, so nothing may stay set. (Before 11 a server applies the `statement_timeout` only from the
    /// next message on; there the agent's own time-out must do.) 0 would mean no limit.
    fn around(self, sql: &str) -> String {
        let [statement, lock] = [self.statement, self.lock].map(|limit| limit.as_millis().max(1));
        format!("SET LOCAL statement_timeout={statement}; SET LOCAL lock_timeout={lock}; {sql}")
    }
}

/// Opens sessions on one server.
pub struct Server {
    config: Config,
    settings: Settings,
    tls: Connector,
    supervisor: Supervisor,
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
        Ok(Self { config, settings, tls, supervisor: supervisor.clone() })
    }

    /// What the target is called in messages.
    fn instance(&self) -> String {
        self.settings.instance()
    }

    /// Logs in and asks a first question: only then a login works.
    pub async fn login(&self, deadline: Instant) -> Result<Session, CollectError> {
        let limits = Limits::within(deadline.saturating_duration_since(Instant::now()));
        by(deadline, &format!("login at {}", self.instance()), async {
            let mut session = self.open(limits).await?;
            let facts = session.query("the server's version", Facts::SQL, limits, deadline).await;
            session.facts = Facts::read(&facts.map_err(|missed| missed.error)?);
            Ok(session)
        })
        .await
    }

    async fn open(&self, limits: Limits) -> Result<Session, CollectError> {
        let stream = dial(&self.settings.address).await?;
        let (client, connection) = self
            .config
            .connect_raw(stream, self.tls.clone())
            .await
            .map_err(|error| describe(&error, &format!("cannot log in at {}", self.instance())))?;
        let stop = self.supervisor.stop_token().child_token();
        let (ended, end) = oneshot::channel();
        self.supervisor.spawn_once(drive(connection, stop.clone(), ended));
        Ok(Session { client, limits, facts: Facts::default(), end, _stop: stop.drop_guard() })
    }
}

/// What is asked right after login, since it decides what else can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// `server_version_num` (170000 is 17).
    pub version: u32,
    /// Whether the role sees what the sessions of other roles do, as members of `pg_monitor` do.
    pub sees_others: bool,
}

impl Facts {
    /// What the views themselves check is `pg_read_all_stats`, which `pg_monitor` includes. Before 10 there is neither,
    /// and only superusers see others.
    const SQL: &str = "SELECT current_setting('server_version_num') AS version, coalesce(\
        (SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = 'pg_read_all_stats'), \
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false) AS sees_others";

    fn read(table: &Table) -> Self {
        let Some(row) = table.first() else { return Self::default() };
        let version = row.text("version").and_then(|text| text.parse().ok()).unwrap_or_default();
        Self { version, sees_others: row.text("sees_others") == Some("t") }
    }
}

/// Moves bytes until the client is dropped (a goodbye is sent), the server ends it, or `stop` fires (at once).
pub(in crate::collect) async fn drive<C: Future<Output = Result<(), tokio_postgres::Error>>>(
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

/// An open session. It closes when dropped.
pub struct Session {
    client: Client,
    /// Of the look it was opened in.
    pub limits: Limits,
    /// Renewed from each fresh login, since rights may be granted while a session lives.
    pub facts: Facts,
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

    /// Asks one question; all values come as text. `what` names the question in errors.
    pub async fn query(&self, what: &str, sql: &str, limits: Limits, deadline: Instant) -> Result<Table, Missed> {
        let bound = deadline.min(Instant::now() + limits.statement + GRACE);
        let Ok(answer) = timeout_at(bound, self.client.simple_query(&limits.around(sql))).await else {
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
pub(in crate::collect) fn describe(error: &tokio_postgres::Error, what: &str) -> CollectError {
    if let Some(said) = error.as_db_error() {
        let code = said.code().code();
        return CollectError::new(reason_of(code), format!("{what}: {}", said.message())).with_sqlstate(code);
    }
    let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let reason = match error.source().and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(io) if carries_tls_error(io) => Reason::Tls,
        Some(io) => Reason::of_io(io),
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
        assert_eq!(short.around("SELECT 1"), "SET LOCAL statement_timeout=200; SET LOCAL lock_timeout=50; SELECT 1");
        let shortest = Limits::within(Duration::from_millis(4));
        assert!(shortest.around("").contains("lock_timeout=1;"), "0 would be no limit");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_the_look_limits_the_next_statement() {
        let limits = Limits::within(Duration::from_secs(5));
        let statement =
            |left| limits.before(Instant::now() + Duration::from_millis(left)).map(|l| l.statement.as_millis());
        assert_eq!([4950, 2400, 800, 600].map(statement), [Some(2000), Some(1800), Some(600), None]);
        let tight = Limits::within(Duration::from_millis(45));
        assert!(tight.before(Instant::now() + Duration::from_millis(45)).is_some(), "a look of 50 ms asks too");
        assert!(tight.before(Instant::now()).is_none());
    }

    #[test]
    fn facts_that_are_not_said_are_not_assumed() {
        let facts = |version, sees| Facts::read(&Table::of(&["version", "sees_others"], &[&[version, sees]]));
        assert_eq!(facts("150014", "t"), Facts { version: 150_014, sees_others: true });
        assert_eq!(facts("90624", ""), Facts { version: 90_624, sees_others: false });
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
