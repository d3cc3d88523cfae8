//! The Docker engine's API: what we ask it, and what its errors mean.

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerStatsResponse, ContainerSummary};
use bollard::query_parameters::{
    InspectContainerOptions, InspectContainerOptionsBuilder, ListContainersOptionsBuilder, StatsOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker as Client};
use futures_util::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::api::{self, Agreement};
use super::identity::Brand;
use super::machine::Machine;
use super::transport::transport;
use super::{CollectError, Reason};
use crate::collect::dial::Address;
use crate::collect::error::chain;
use crate::runtime::supervise::Supervisor;

/// The client's own time-out in seconds: a last resort, every request is bounded more tightly by its caller.
const CLIENT_TIMEOUT: u64 = 60;
/// Layers that the engine is asked to walk through at the same time.
const MAX_WALKS: usize = 2;
/// How long the engine's words about its machine are believed: long enough to cost nothing.
const BELIEVED: Duration = Duration::from_mins(10);

/// An engine, spoken to in the newest version of the API that both sides know.
pub(super) struct Engine {
    client: Client,
    brand: Brand,
    machine: Mutex<Known>,
    /// One for each request about a container that may be under way.
    requests: Semaphore,
    /// One for each walk through a container's layer that may be under way.
    walks: Semaphore,
}

/// What is known of the engine's machine.
#[derive(Default)]
struct Known {
    machine: Option<(Arc<Machine>, Instant)>,
    /// Whether whoever answers said that we may not know.
    denied: bool,
}

impl Engine {
    /// Agrees on a version of the API. At most `requests` about containers are sent at the same time.
    pub(super) async fn connect(
        address: &Address,
        requests: usize,
        supervisor: &Supervisor,
    ) -> Result<Self, CollectError> {
        let Agreement { version, brand } = api::agree(address, supervisor).await?;
        // The URL fills the header `Host` alone; the transport knows the way, and the version.
        let url = match address {
            Address::Unix(_) => "http://localhost".to_owned(),
            Address::Tcp { .. } => format!("http://{address}"),
        };
        let transport = transport(address, version);
        let client = Client::connect_with_custom_transport(transport, Some(url), CLIENT_TIMEOUT, API_DEFAULT_VERSION)
            .map_err(|error| explain("connect to the Docker engine", &error))?;
        let (requests, walks) = (Semaphore::new(requests), Semaphore::new(MAX_WALKS));
        Ok(Self { client, brand, machine: Mutex::default(), requests, walks })
    }

    /// What the engine says of its machine, asked until `end` where it is not known; and why that failed now.
    ///
    /// Who may not know it, because a proxy denies it, is told so once and then looks without.
    pub(super) async fn machine(&self, end: Instant) -> (Option<Arc<Machine>>, Option<CollectError>) {
        let (last, fresh) = {
            let Known { machine, denied } = &*self.known();
            let fresh = machine.as_ref().is_some_and(|(_, at)| *denied || at.elapsed() < BELIEVED);
            (machine.as_ref().map(|(machine, _)| Arc::clone(machine)), fresh)
        };
        if fresh {
            return (last, None);
        }
        let doing = "ask the Docker engine about its machine";
        let error = match timeout_at(end, self.client.info()).await {
            Ok(Ok(info)) => return (Some(self.learn(Machine::known(info, self.brand))), None),
            Ok(Err(error)) => explain(doing, &error),
            Err(_late) => CollectError::new(Reason::Timeout, format!("cannot {doing}: no answer in time")),
        };
        if matches!(error.reason(), Reason::Permission | Reason::Auth) {
            self.known().denied = true;
            let machine = last.unwrap_or_else(|| self.learn(Machine::unknown(self.brand)));
            return (Some(machine), Some(error));
        }
        (last, Some(error))
    }

    /// Whose engine it is.
    pub(super) fn brand(&self) -> Brand {
        self.brand
    }

    /// The machine's folder for all that the engine keeps, if it has said so.
    pub(super) fn data_root(&self) -> Option<String> {
        self.known().machine.as_ref().and_then(|(machine, _)| machine.data_root()).map(str::to_owned)
    }

    fn learn(&self, machine: Machine) -> Arc<Machine> {
        let machine = Arc::new(machine);
        self.known().machine = Some((Arc::clone(&machine), Instant::now()));
        machine
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change is one assignment, so it is whole after any panic.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
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
        let _permit = self.requests.acquire().await;
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut answers = std::pin::pin!(self.client.stats(id, Some(options)));
        match answers.next().await {
            None => Ok(None),
            Some(answer) => gone_is_none(answer, "read a container's figures"),
        }
    }

    /// All that the engine knows of a container. `None`: it is gone.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<ContainerInspectResponse>, CollectError> {
        let _permit = self.requests.acquire().await;
        let answer = self.client.inspect_container(id, None::<InspectContainerOptions>).await;
        gone_is_none(answer, "inspect a container")
    }

    /// Bytes that a container wrote to its own layer. `None`: it is gone, or the engine does not know.
    ///
    /// The engine walks through all files of the layer for it.
    pub(super) async fn layer_size(&self, id: &str) -> Result<Option<u64>, CollectError> {
        let _permit = self.walks.acquire().await;
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let answer = self.client.inspect_container(id, Some(options)).await;
        let container = gone_is_none(answer, "ask for the size of a container's layer")?;
        Ok(container.and_then(|container| container.size_rw).and_then(|bytes| u64::try_from(bytes).ok()))
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
        other => causes(other).find_map(reason_of_cause).unwrap_or(Reason::Unreachable),
    }
}

/// The transport's own error, or the I/O error that alone tells a refused connection from a forbidden one.
fn reason_of_cause(cause: &(dyn StdError + 'static)) -> Option<Reason> {
    if let Some(error) = cause.downcast_ref::<CollectError>() {
        return Some(error.reason());
    }
    cause.downcast_ref::<io::Error>().map(Reason::of_io)
}

fn causes(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| (*error).source())
}
