//! The Docker engine's API: what we ask it, and what its errors mean.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::api::{self, Agreement};
use super::identity::Brand;
use super::machine::Machine;
use super::request;
use super::transport::Transport;
use super::wire::{Inspect, Stats, Summary};
use super::{CollectError, Reason};
use crate::collect::dial::Address;
use crate::runtime::supervise::Supervisor;

/// Layers that the engine is asked to walk through at the same time.
const MAX_WALKS: usize = 2;
/// How long the engine's words about its machine are believed: long enough to cost nothing.
const BELIEVED: Duration = Duration::from_mins(10);

/// An engine, spoken to in the newest version of the API that both sides know.
pub(super) struct Engine {
    transport: Transport,
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
        let transport = Transport::new(address, version);
        let (requests, walks) = (Semaphore::new(requests), Semaphore::new(MAX_WALKS));
        Ok(Self { transport, brand, machine: Mutex::default(), requests, walks })
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
        let error = match timeout_at(end, self.ask("/info", doing)).await {
            Ok(Ok(info)) => return (Some(self.learn(Machine::known(info, self.brand))), None),
            Ok(Err(error)) => error,
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
    pub(super) async fn list(&self) -> Result<Vec<Summary>, CollectError> {
        self.ask("/containers/json?all=true", "list the containers").await
    }

    /// A container's figures at this moment. `None`: it is gone.
    ///
    /// `one-shot` spares the engine the second sample it would take a second later for a CPU percentage (API 1.41).
    pub(super) async fn stats(&self, id: &str) -> Result<Option<Stats>, CollectError> {
        let _permit = self.requests.acquire().await;
        let path = format!("/containers/{id}/stats?stream=false&one-shot=true");
        self.ask_of_one(&path, "read a container's figures").await
    }

    /// All that the engine knows of a container. `None`: it is gone.
    pub(super) async fn inspect(&self, id: &str) -> Result<Option<Inspect>, CollectError> {
        let _permit = self.requests.acquire().await;
        self.ask_of_one(&format!("/containers/{id}/json"), "inspect a container").await
    }

    /// Bytes that a container wrote to its own layer. `None`: it is gone, or the engine does not know.
    ///
    /// The engine walks through all files of the layer for it.
    pub(super) async fn layer_size(&self, id: &str) -> Result<Option<u64>, CollectError> {
        let _permit = self.walks.acquire().await;
        let path = format!("/containers/{id}/json?size=true");
        let container: Option<Inspect> = self.ask_of_one(&path, "ask for the size of a container's layer").await?;
        Ok(container.and_then(|container| container.size_rw).and_then(|bytes| u64::try_from(bytes).ok()))
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, doing: &str) -> Result<T, CollectError> {
        let absent = || CollectError::new(Reason::Status, format!("cannot {doing}: it answers 404 Not Found"));
        self.ask_of_one(path, doing).await?.ok_or_else(absent)
    }

    /// A container that vanished since it was listed is no failure.
    async fn ask_of_one<T: DeserializeOwned>(&self, path: &str, doing: &str) -> Result<Option<T>, CollectError> {
        let Some(answer) = self.transport.get(path, doing).await? else {
            return Ok(None);
        };
        let read = serde_json::from_slice(&answer);
        read.map(Some).map_err(|error| request::failed(doing, Reason::Malformed, &error))
    }
}
