//! One connection to a Redis server: login, commands, end.
//!
//! Invariant: the connection never outlives its [`Connection`], and one that did not answer in time is not used again.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::DropGuard;

use crate::collect::dial::{Address, by, dial};
use crate::collect::{CollectError, Reason, TargetSettings as _};
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls;

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

    /// Connects and logs in.
    pub async fn connect(&self, deadline: Instant) -> Result<Connection, CollectError> {
        by(deadline, &format!("login at {}", self.settings.instance()), async {
            let stream = dial(&self.settings.address).await?;
            let mut connection = match &self.tls {
                None => self.over(stream).await?,
                Some((config, name)) => {
                    let connector = tokio_rustls::TlsConnector::from(Arc::clone(config));
                    let stream = connector.connect(name.clone(), stream).await.map_err(|error| {
                        let what = format!("no TLS with {}: {error}", self.settings.instance());
                        CollectError::new(Reason::Tls, what)
                    })?;
                    self.over(stream).await?
                }
            };
            self.log_in(&mut connection, deadline).await.map_err(|missed| missed.error)?;
            Ok(connection)
        })
        .await
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
        Ok(Connection { client, refused: HashSet::new(), _stop: stop.drop_guard() })
    }

    async fn log_in(&self, connection: &mut Connection, deadline: Instant) -> Result<(), Missed> {
        let Some(password) = &self.settings.password else { return Ok(()) };
        let mut auth = redis::cmd("AUTH");
        if let Some(user) = &self.settings.user {
            auth.arg(user);
        }
        auth.arg(password.expose());
        let mut pipeline = Pipeline::new();
        pipeline.add_command(auth);
        let what = format!("login at {}", self.settings.instance());
        connection.ask::<redis::Value>(&what, &pipeline, deadline).await.map(drop)
    }
}

async fn until(stop: tokio_util::sync::CancellationToken, driver: impl Future<Output = ()>) {
    // Stopped or ended by the server: either way it is over.
    let _ = stop.run_until_cancelled(driver).await;
}

/// An open connection. It closes when dropped.
pub struct Connection {
    client: MultiplexedConnection,
    /// What the server forbids this account, by the words of the question: not asked again over this connection.
    refused: HashSet<&'static str>,
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
    /// As [`Self::ask`], for what a server may forbid for good: once refused it is not asked again, and `None` then
    /// means that nothing is to be had and that this has been said.
    pub async fn ask_if_allowed<T: FromRedisValue>(
        &mut self,
        what: &'static str,
        commands: &Pipeline,
        deadline: Instant,
    ) -> Option<Result<T, Missed>> {
        if self.refused.contains(what) {
            return None;
        }
        let answer = self.ask(what, commands, deadline).await;
        if answer.as_ref().is_err_and(|missed| missed.error.reason() == Reason::Permission && !missed.broken) {
            self.refused.insert(what);
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
        // Before 6.0 a wrong password had no code of its own.
        "ERR" if detail.contains("invalid password") || detail.contains("without any password") => Reason::Auth,
        _ => Reason::Status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
