//! One session on the server: login, queries, end.
//!
//! Invariant: a session never outlives its [`Session`]. Dropping it closes the socket at once, so a server
//! that went silent keeps nothing of ours open, and an answer that comes too late is never read.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::{Client, Config, SimpleColumn, SimpleQueryMessage, SimpleQueryRow};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use crate::collect::dial::{by, dial};
use crate::collect::{CollectError, Reason, TargetSettings as _};
use crate::runtime::supervise::Supervisor;

use super::facts::Facts;
use super::limits::Limits;
use super::prepared::Prepared;
use super::reasons::{describe, wants_tls};
use super::rows::{Row, Table};
use super::settings::{Settings, TlsMode};
use super::tls::Connector;

/// As it stands in `pg_stat_activity`, so that an operator knows whose session it is.
const APPLICATION: &str = "sidewatch";
/// How much later than the server's own time-out an answer may come before the server counts as frozen.
const GRACE: Duration = Duration::from_millis(500);
/// `query_canceled`: a time-out of the server's.
const CANCELLED: &str = "57014";
/// How often a first question that was cancelled is asked once more.
const HASTY: u32 = 3;
/// How long a polite goodbye may take.
const GOODBYE: Duration = Duration::from_millis(200);

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

    /// Logs in, at the URL's database or another one.
    pub async fn open(&self, database: Option<&str>, deadline: Instant) -> Result<Session, CollectError> {
        by(deadline, &format!("login at {}", self.instance()), self.connect(database, deadline)).await
    }

    fn refused(&self, error: &tokio_postgres::Error) -> CollectError {
        let refused = describe(error, &format!("cannot log in at {}", self.instance()));
        let needs_tls = self.settings.tls == TlsMode::Disable && wants_tls(error);
        if needs_tls { refused.of_class(Reason::Tls) } else { refused }
    }

    async fn connect(&self, database: Option<&str>, deadline: Instant) -> Result<Session, CollectError> {
        let limits = Limits::within(deadline.saturating_duration_since(Instant::now()));
        let config =
            database.map_or(Cow::Borrowed(&self.config), |name| Cow::Owned(self.config.clone().dbname(name).clone()));
        let began = Instant::now();
        let stream = dial(&self.settings.address).await?;
        let (connected, local) = (began.elapsed(), stream.local_address());
        let tls = self.tls.timed();
        let (client, connection) =
            config.connect_raw(stream, tls.clone()).await.map_err(|error| self.refused(&error))?;
        let encrypted = tls.took();
        let phases = Phases {
            connect: connected,
            tls: encrypted,
            auth: began.elapsed().saturating_sub(connected + encrypted.unwrap_or_default()),
            query: None,
        };
        let stop = self.supervisor.stop_token().child_token();
        let (ended, end) = oneshot::channel();
        self.supervisor.spawn_once(drive(connection, stop.clone(), ended));
        Ok(Session {
            client,
            limits,
            phases,
            facts: Facts::default(),
            local,
            keeps: Keeps::Nothing,
            prepared: Prepared::default(),
            end,
            _stop: stop.drop_guard(),
        })
    }
}

/// How long the parts of a login took.
#[derive(Debug, Clone, Copy)]
pub struct Phases {
    /// Name resolution and connection.
    pub connect: Duration,
    /// The TLS handshake, if there was one.
    pub tls: Option<Duration>,
    /// The server's process for the session, and the password.
    pub auth: Duration,
    /// The first question.
    pub query: Option<Duration>,
}

/// The rows of the last statement of a message.
fn last_answer(messages: &[SimpleQueryMessage]) -> Table {
    let mut table = Table::default();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => table = Table::named(columns.iter().map(SimpleColumn::name)),
            SimpleQueryMessage::Row(row) => push(&mut table, row),
            _ => {}
        }
    }
    table
}

/// Adds a row, unless a name in it is not UTF-8. Names of roles and databases are stored in the encoding of the database in
/// which they were given, and sent as they stand.
fn push(table: &mut Table, row: &SimpleQueryRow) {
    if (0..row.len()).all(|at| row.try_get(at).is_ok()) {
        table.push((0..row.len()).map(|at| row.try_get(at).ok().flatten()));
    } else {
        table.unreadable += 1;
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
    /// How long its login took.
    pub phases: Phases,
    /// What [`learn`](Self::learn) found, or a later look, since rights may be granted while a session lives.
    pub facts: Facts,
    /// Our end of the connection.
    local: Option<SocketAddr>,
    keeps: Keeps,
    prepared: Prepared,
    end: oneshot::Receiver<()>,
    _stop: DropGuard,
}

/// Whom the server sees at the other end.
fn client(row: Row<'_>) -> Option<(IpAddr, u16)> {
    let address: IpAddr = row.text("client_address")?.parse().ok()?;
    Some((address.to_canonical(), row.text("client_port")?.parse().ok()?))
}

/// What may be left in the server's session between two messages.
#[derive(PartialEq, Eq)]
enum Keeps {
    /// Nothing, as far as we know: behind a pooler others use it between.
    Nothing,
    /// Whatever we want: it is ours alone.
    Anything,
    /// The limits, which are set, and prepared statements.
    Limits,
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

    /// Asks the least there is: only a login that can ask works.
    pub async fn try_out(&mut self, deadline: Instant) -> Result<(), CollectError> {
        self.first("a first answer", "SELECT 1", deadline).await.map(drop)
    }

    /// Asks what decides what else can be asked.
    ///
    /// Whether the session is ours alone is seen by address and port: a pooler, or another proxy, has its own connection
    /// with the server. Without them, on a Unix socket, nothing is assumed.
    pub async fn learn(&mut self, deadline: Instant) -> Result<(), CollectError> {
        let answer = self.first("the server's version", Facts::SQL, deadline).await?;
        self.facts = Facts::read(&answer);
        let seen = answer.first().and_then(client);
        if seen.is_some() && seen == self.local.map(|local| (local.ip().to_canonical(), local.port())) {
            self.keeps = Keeps::Anything;
        }
        Ok(())
    }

    async fn first(&mut self, what: &str, sql: &str, deadline: Instant) -> Result<Table, CollectError> {
        let began = Instant::now();
        let message = self.limits.around(sql);
        let mut answer = self.send(what, &message, self.limits, deadline).await;
        // A role's own time-out may be so short that it strikes before ours is set.
        for _ in 0..HASTY {
            match &answer {
                Err(missed) if !missed.broken && missed.error.sqlstate() == Some(CANCELLED) => {}
                _ => break,
            }
            answer = self.send(what, &message, self.limits, deadline).await;
        }
        self.phases.query = Some(began.elapsed());
        answer.map_err(|missed| missed.error)
    }

    /// Prepares a session that is ours alone for many looks: its limits need not be set for each statement.
    pub async fn settle(&mut self, deadline: Instant) {
        if self.keeps == Keeps::Anything {
            let set = self.send("its limits", &self.limits.for_session(), self.limits, deadline).await;
            if set.is_ok() {
                self.keeps = Keeps::Limits;
            }
        }
    }

    /// Asks a question that is likely to be asked again just so. A [settled](Self::settle) session prepares
    /// it under `name`, which also names the question in errors.
    pub async fn query_again(
        &mut self,
        name: &'static str,
        sql: &str,
        limits: Limits,
        deadline: Instant,
    ) -> Result<Table, Missed> {
        if self.keeps != Keeps::Limits {
            return self.query(name, sql, limits, deadline).await;
        }
        let message = self.prepared.execute(name, sql);
        let answer = self.query(name, &message, limits, deadline).await;
        if answer.is_err() {
            self.prepared.forget();
        }
        answer
    }

    /// Asks one question; all values come as text. `what` names the question in errors.
    pub async fn query(&self, what: &str, sql: &str, limits: Limits, deadline: Instant) -> Result<Table, Missed> {
        if self.keeps == Keeps::Limits && limits == self.limits {
            return self.send(what, sql, limits, deadline).await;
        }
        self.send(what, &limits.around(sql), limits, deadline).await
    }

    async fn send(&self, what: &str, message: &str, limits: Limits, deadline: Instant) -> Result<Table, Missed> {
        let bound = deadline.min(Instant::now() + limits.statement + GRACE);
        let Ok(answer) = timeout_at(bound, self.client.simple_query(message)).await else {
            let error = CollectError::new(Reason::Timeout, format!("no answer in time: query for {what}"));
            return Err(Missed { error, broken: true });
        };
        let messages = answer.map_err(|error| Missed {
            error: describe(&error, &format!("query for {what} failed")),
            broken: error.as_db_error().is_none() || self.client.is_closed(),
        })?;
        Ok(last_answer(&messages))
    }

    /// Says goodbye and waits a moment for it to be sent.
    pub async fn close(self, deadline: Instant) {
        drop(self.client);
        let left = deadline.saturating_duration_since(Instant::now());
        // Whether it was sent or not, the guard ends the connection now.
        let _ = timeout(left.min(GOODBYE), self.end).await;
    }
}
