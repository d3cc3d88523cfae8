//! The Docker engine's API: what we ask it, and what its errors mean.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerStatsResponse, ContainerSummary};
use bollard::query_parameters::{
    EventsOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder, StatsOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker as Client};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::machine::Machine;
use super::oom::Window;
use super::{Address, CollectError, Reason};

/// The client's own time-out in seconds: a last resort, every request is bounded more tightly by its caller.
const CLIENT_TIMEOUT: u64 = 60;
/// Events taken from one query; the engine itself remembers fewer.
const MAX_EVENTS: usize = 4096;

/// A connection to an engine, in the newest version of the API that both sides speak.
pub(super) struct Engine {
    client: Client,
    /// What the engine says of its machine; fixed while it runs.
    pub(super) machine: Machine,
}

impl Engine {
    /// Connects, agrees on a version and asks what machine it is.
    pub(super) async fn connect(address: &Address) -> Result<Self, CollectError> {
        let client = match address {
            Address::Unix(path) => Client::connect_with_unix(path, CLIENT_TIMEOUT, API_DEFAULT_VERSION),
            Address::Tcp(address) => Client::connect_with_http(address, CLIENT_TIMEOUT, API_DEFAULT_VERSION),
        };
        let client = client.map_err(|error| explain("connect to the Docker engine", &error))?;
        let client =
            client.negotiate_version().await.map_err(|error| explain("ask the Docker engine's version", &error))?;
        let machine = match client.info().await {
            Ok(info) => Machine::known(info),
            Err(error) => Machine::unknown(explain("ask the Docker engine about its machine", &error)),
        };
        Ok(Self { client, machine })
    }

    /// All containers, running or not.
    pub(super) async fn list(&self) -> Result<Vec<ContainerSummary>, CollectError> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        self.client.list_containers(Some(options)).await.map_err(|error| explain("list the containers", &error))
    }

    /// A container's figures at this moment. `None`: it is gone.
    ///
    /// `one-shot` spares the engine the second sample it would take a second later for a CPU percentage (API 1.41).
    pub(super) async fn stats(&self, id: &str) -> Result<Option<ContainerStatsResponse>, CollectError> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut answers = std::pin::pin!(self.client.stats(id, Some(options)));
        match answers.next().await {
            None => Ok(None),
            Some(answer) => gone_is_none(answer, "read a container's figures"),
        }
    }

    /// All that the engine knows of a container. `None`: it is gone.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<ContainerInspectResponse>, CollectError> {
        let answer = self.client.inspect_container(id, None::<InspectContainerOptions>).await;
        gone_is_none(answer, "inspect a container")
    }

    /// The ids of the containers in which the kernel killed a process for lack of memory, once per kill.
    pub(super) async fn ooms(&self, window: Window) -> Result<Vec<String>, CollectError> {
        let filters = HashMap::from([("type", vec!["container"]), ("event", vec!["oom"])]);
        let (since, until) = window.as_query();
        let options = EventsOptionsBuilder::new().since(&since).until(&until).filters(&filters).build();
        self.client
            .events(Some(options))
            .take(MAX_EVENTS)
            .try_filter_map(|event| async move {
                let inside = event.time_nano.is_some_and(|at| window.contains(at));
                Ok(event.actor.and_then(|actor| actor.id).filter(|_| inside))
            })
            .try_collect()
            .await
            .map_err(|error| explain("read the engine's events", &error))
    }
}

/// A container that vanished since it was listed is no failure.
fn gone_is_none<T>(answer: Result<T, Error>, doing: &str) -> Result<Option<T>, CollectError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(explain(doing, &error)),
    }
}

fn explain(doing: &str, error: &Error) -> CollectError {
    CollectError::new(reason_of(error), format!("cannot {doing}: {}", chain(error)))
}

fn reason_of(error: &Error) -> Reason {
    match error {
        Error::DockerResponseServerError { status_code: 401, .. } => Reason::Auth,
        Error::DockerResponseServerError { status_code: 403, .. } => Reason::Permission,
        Error::DockerResponseServerError { .. } => Reason::Status,
        Error::RequestTimeoutError => Reason::Timeout,
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } | Error::APIVersionParseError {} => {
            Reason::Malformed
        }
        other => io_error(other).map_or(Reason::Unreachable, |io| match io.kind() {
            io::ErrorKind::ConnectionRefused => Reason::Refused,
            io::ErrorKind::PermissionDenied => Reason::Permission,
            io::ErrorKind::TimedOut => Reason::Timeout,
            _ => Reason::Unreachable,
        }),
    }
}

/// The first I/O error in the chain of causes: it alone tells a refused connection from a forbidden one.
fn io_error(error: &Error) -> Option<&io::Error> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
