//! One connection to a Redis server: login, commands, end.
//!
//! Invariant: the connection never outlives its [`Connection`], and one that did not answer in time is not used again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::DropGuard;

use crate::collect::dial::{Address, Stream, by, dial};
use crate::collect::{CollectError, Reason, TargetSettings as _};
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls;

use super::keys::Key;
use super::refusals::{Refusals, is_lasting};
use super::settings::Settings;

/// Opens connections to one server.
pub struct Server {
    settings: Settings,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    supervisor: Supervisor,
}

impl Server {
    /// Prepares connections.
    ///
    /// # Errors
    /// What TLS needs cannot be used.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Result<Self, String> {
        let tls = match (&settings.tls, &settings.address) {
            (Some(trust), Address::Tcp { host, .. }) => {
                let name = ServerName::try_from(host.clone()).map_err(|error| format!("the host {host}: {error}"))?;
                Some((Arc::new(tls::client_config(trust)?), name))
            }
            _ => None,
        };
        Ok(Self { settings, tls, supervisor: supervisor.clone() })
    }

    /// Connects, logs in and says who we are.
    pub async fn connect(&self, deadline: Instant) -> Result<Connection, CollectError> {
        let started = Instant::now();
        let mut connection = self.log_in_anew(deadline).await?;
        connection.connect_time = started.elapsed();
        connection.introduce(deadline).await;
        Ok(connection)
    }

    async fn log_in_anew(&self, deadline: Instant) -> Result<Connection, CollectError> {
        by(deadline, &format!("login at {}", self.settings.instance()), async {
            let stream = dial(&self.settings.address).await?;
            let mut connection = match &self.tls {
                None => self.over(stream).await?,
                Some(tls) => self.over(self.shake_hands(tls, stream, deadline).await?).await?,
            };
            self.log_in(&mut connection, deadline).await.map_err(|missed| missed.error)?;
            Ok(connection)
        })
        .await
    }

    async fn shake_hands(
        &self,
        (config, name): &(Arc<ClientConfig>, ServerName<'static>),
        stream: Stream,
        deadline: Instant,
    ) -> Result<TlsStream<Stream>, CollectError> {
        let connector = TlsConnector::from(Arc::clone(config));
        // What is left is for asking why there is no answer.
        let patience = deadline.saturating_duration_since(Instant::now()) * 3 / 4;
        match timeout(patience, connector.connect(name.clone(), stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                let what = format!("no TLS with {}: {error}", self.settings.instance());
                Err(CollectError::new(Reason::Tls, what))
            }
            Err(_late) => Err(self.without_tls().await),
        }
    }

    /// Why a TLS greeting got no answer. A server without TLS takes it for the beginning of a command and waits for the
    /// rest; asked in plain text, it answers. One that is silent to that too comes to the caller's deadline.
    async fn without_tls(&self) -> CollectError {
        let instance = self.settings.instance();
        match self.answers_plainly().await {
            Ok(true) => {
                let words =
                    format!("no TLS with {instance}: the port speaks plain text, for which the URL is redis://");
                CollectError::new(Reason::Tls, words)
            }
            _ => CollectError::new(Reason::Timeout, format!("no answer in time: TLS with {instance}")),
        }
    }

    /// Whether a server answers a plain PING: with a status or an error, before any login.
    async fn answers_plainly(&self) -> Result<bool, CollectError> {
        let broken = |error: std::io::Error| CollectError::new(Reason::of_io(&error), format!("PING: {error}"));
        let mut stream = dial(&self.settings.address).await?;
        stream.write_all(b"PING\r\n").await.map_err(broken)?;
        Ok([b'+', b'-'].contains(&stream.read_u8().await.map_err(broken)?))
    }

    async fn over<S>(&self, stream: S) -> Result<Connection, CollectError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        // Nothing is sent before our own first command: its answer then says plainly what is wrong.
        let info = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (client, driver) = MultiplexedConnection::new_with_config(&info, stream, config)
            .await
            .map_err(|error| describe(&error, &format!("cannot talk to {}", self.settings.instance())))?;
        let stop = self.supervisor.stop_token().child_token();
        self.supervisor.spawn_once(until(stop.clone(), driver));
        Ok(Connection {
            client,
            refused: Refusals::default(),
            database: 0,
            connect_time: Duration::ZERO,
            ping_time: None,
            _stop: stop.drop_guard(),
        })
    }

    async fn log_in(&self, connection: &mut Connection, deadline: Instant) -> Result<(), Missed> {
        let Some(auth) = auth(&self.settings) else { return Ok(()) };
        let mut pipeline = Pipeline::new();
        pipeline.add_command(auth);
        let what = format!("login at {}", self.settings.instance());
        connection.ask::<Value>(&what, &pipeline, deadline).await.map(drop)
    }
}

/// The login, if the target names anybody. A user without a password (`nopass`) logs in with any: only without AUTH
/// would it be `default`.
fn auth(settings: &Settings) -> Option<redis::Cmd> {
    let mut auth = redis::cmd("AUTH");
    match (&settings.user, &settings.password) {
        (None, None) => return None,
        (None, Some(password)) => auth.arg(password.expose()),
        (Some(user), password) => auth.arg(user).arg(password.as_ref().map_or("", |password| password.expose())),
    };
    Some(auth)
}

async fn until(stop: tokio_util::sync::CancellationToken, driver: impl Future<Output = ()>) {
    // Stopped or ended by the server: either way it is over.
    let _ = stop.run_until_cancelled(driver).await;
}

/// An open connection. It closes when dropped.
pub struct Connection {
    client: MultiplexedConnection,
    /// What the server will not answer.
    refused: Refusals,
    /// The selected database.
    database: u16,
    /// How long it took to connect and log in.
    pub connect_time: Duration,
    /// How long the server took to answer a PING right after.
    pub ping_time: Option<Duration>,
    _stop: DropGuard,
}

/// Why a command brought nothing.
pub struct Missed {
    /// In words.
    pub error: CollectError,
    /// The connection is of no more use: it broke, or an answer may still be under way.
    pub broken: bool,
}

impl Missed {
    /// The connection ended, rather than being slow: a new one may work at once.
    pub fn ended(&self) -> bool {
        self.broken && self.error.reason() != Reason::Timeout
    }
}

impl Connection {
    /// Gives the connection a name for CLIENT LIST and measures a round trip. A server that refuses either tells so by
    /// what it answers to INFO.
    async fn introduce(&mut self, deadline: Instant) {
        let mut commands = Pipeline::new();
        commands.cmd("CLIENT").arg("SETNAME").arg("sidewatch").ignore_errors();
        let _ = self.ask::<Vec<Value>>("CLIENT SETNAME", &commands, deadline).await;
        let started = Instant::now();
        if self.ask::<Value>("PING", Pipeline::new().cmd("PING"), deadline).await.is_ok() {
            self.ping_time = Some(started.elapsed());
        }
    }

    /// Goes to a database, unless it is there. `None` means that it is not to be had and that this has been said.
    pub async fn select(&mut self, database: u16, deadline: Instant) -> Option<Result<(), Missed>> {
        if self.database == database {
            return Some(Ok(()));
        }
        if self.refused.has_database(database, Instant::now()) {
            return None;
        }
        let what = format!("SELECT {database}");
        let answer = self.ask::<Value>(&what, Pipeline::new().cmd("SELECT").arg(database), deadline).await;
        match &answer {
            Ok(_) => self.database = database,
            Err(missed) if !missed.broken => self.refused.add_database(database, Instant::now()),
            Err(_) => {}
        }
        Some(answer.map(drop))
    }

    /// Whether the server may be asked this of a key: it has not refused it lately.
    pub fn may_ask(&self, what: &str, key: &Key) -> bool {
        !self.refused.has_key(what, key, Instant::now())
    }

    /// As [`refusal`], for an answer that tells of a key: it is not asked the same again for a while.
    pub fn refusal_for(&mut self, what: &'static str, key: &Key, answer: &Value) -> Option<CollectError> {
        let Value::ServerError(error) = answer else { return None };
        if is_lasting(error.code()) {
            self.refused.add_key(what, key, Instant::now());
        }
        refusal(answer, &format!("{what} {key}"))
    }

    /// Sends commands in one go and gives each its own answer: what failed is a [`Value::ServerError`].
    pub async fn ask_each(
        &mut self,
        what: &str,
        commands: &mut Pipeline,
        deadline: Instant,
    ) -> Result<Vec<Value>, Missed> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(what, commands.ignore_errors(), deadline).await
    }

    /// As [`Self::ask`], for what a server may forbid for good: once refused it is not asked again for a while, and
    /// `None` then means that nothing is to be had and that this has been said.
    pub async fn ask_if_allowed<T: FromRedisValue>(
        &mut self,
        what: &'static str,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Option<Result<T, Missed>> {
        if self.refused.has_question(what, Instant::now()) {
            return None;
        }
        let answer = self.ask(what, commands, deadline).await;
        if answer.as_ref().is_err_and(|missed| missed.error.reason() == Reason::Permission && !missed.broken) {
            self.refused.add_question(what, Instant::now());
        }
        Some(answer)
    }

    /// Sends commands in one go. `what` names them in errors, which come from the first that failed.
    pub async fn ask<T: FromRedisValue>(
        &mut self,
        what: &str,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Result<T, Missed> {
        match timeout_at(deadline, commands.query_async(&mut self.client)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Missed { error: describe(&error, what), broken: error.is_io_error() }),
            Err(_late) => {
                let error = CollectError::new(Reason::Timeout, format!("no answer in time: {what}"));
                Err(Missed { error, broken: true })
            }
        }
    }
}

/// The class and words of one command's error reply.
pub fn refusal(answer: &Value, what: &str) -> Option<CollectError> {
    let Value::ServerError(error) = answer else { return None };
    let (code, detail) = (error.code(), error.details().unwrap_or_default());
    Some(CollectError::new(reason_of(code, detail), format!("{what}: {code} {detail}")))
}

/// Puts the client's error into our words and classes.
fn describe(error: &RedisError, what: &str) -> CollectError {
    if let Some((code, detail)) = answer_of(error) {
        return CollectError::new(reason_of(&code, &detail), format!("{what}: {code} {detail}"));
    }
    let io = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let reason = match io {
        Some(io) => Reason::of_io(io),
        None if error.is_timeout() => Reason::Timeout,
        None if error.is_io_error() => Reason::Unreachable,
        None => Reason::Malformed,
    };
    CollectError::new(reason, format!("{what}: {error}"))
}

/// The server's own code and words. A pipeline's error has words only within.
fn answer_of(error: &RedisError) -> Option<(String, String)> {
    if let Some((_, first)) = error.clone().into_server_errors().and_then(|errors| errors.first().cloned()) {
        return Some((first.code().to_owned(), first.details().unwrap_or_default().to_owned()));
    }
    error.code().map(|code| (code.to_owned(), error.detail().unwrap_or_default().to_owned()))
}

/// The class of an error reply by its first word.
fn reason_of(code: &str, detail: &str) -> Reason {
    match code {
        // DENIED is protected mode.
        "NOAUTH" | "WRONGPASS" | "DENIED" => Reason::Auth,
        "NOPERM" => Reason::Permission,
        // Managed servers take commands away by renaming them.
        "ERR" if detail.to_ascii_lowercase().starts_with("unknown command") => Reason::Permission,
        "ERR" if detail.contains("max number of clients") => Reason::Limit,
        // A write at `maxmemory`.
        "OOM" => Reason::Limit,
        // Before 6.0 a wrong password had no code of its own.
        "ERR" if detail.contains("invalid password") || detail.contains("without any password") => Reason::Auth,
        _ => Reason::Status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_password_logs_in_all_the_same() {
        let login = |url| {
            let packed = auth(&Settings::from_url(url).unwrap())?.get_packed_command();
            Some(String::from_utf8(packed).unwrap())
        };
        assert_eq!(login("redis://cache"), None);
        assert_eq!(login("redis://:x@cache").as_deref(), Some("*2\r\n$4\r\nAUTH\r\n$1\r\nx\r\n"));
        for url in ["redis://app@cache", "redis://app:@cache"] {
            assert_eq!(login(url).as_deref(), Some("*3\r\n$4\r\nAUTH\r\n$3\r\napp\r\n$0\r\n\r\n"), "{url}");
        }
    }

    #[test]
    fn error_replies_have_classes() {
        for (code, detail, reason) in [
            ("NOAUTH", "Authentication required.", Reason::Auth),
            ("WRONGPASS", "invalid username-password pair or user is disabled.", Reason::Auth),
            ("NOPERM", "User x has no permissions to run the 'config|get' command", Reason::Permission),
            ("ERR", "unknown command 'CONFIG', with args beginning with: 'GET'", Reason::Permission),
            ("ERR", "max number of clients reached", Reason::Limit),
            ("ERR", "invalid password", Reason::Auth),
            ("LOADING", "Redis is loading the dataset in memory", Reason::Status),
            ("MASTERDOWN", "Link with MASTER is down", Reason::Status),
        ] {
            assert_eq!(reason_of(code, detail), reason, "{code}");
        }
    }
}
