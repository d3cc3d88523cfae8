//! One container in one look: what the list, the inspect and the figures say of it.

use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerStatsResponse, ContainerSummary, ContainerSummaryStateEnum as State};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::model::{Millis, Suffix};

use super::engine::Engine;
use super::facts::Facts;
use super::machine::Machine;
use super::{CollectError, Look, Reason, identity, state, usage};

/// A container as far as it was seen.
pub(super) struct Sight {
    /// 64 hexadecimal digits.
    pub(super) id: String,
    /// Without the API's leading slash.
    pub(super) name: String,
    /// What the list says; an image id once its tag has moved on.
    pub(super) image: String,
    /// The container's own labels.
    pub(super) labels: Vec<(String, String)>,
    /// Seconds since the epoch.
    pub(super) created: i64,
    /// Its state at the time of the list.
    pub(super) state: State,
    /// The list's sentence about it: `Up 5 minutes (healthy)`.
    pub(super) status: String,
    /// What an inspect said, now or in a recent look whose state was the same.
    pub(super) facts: Option<Arc<Facts>>,
    /// Whether `facts` are missing or may no longer hold.
    pub(super) must_inspect: bool,
    /// Whether `facts` came in this look.
    pub(super) inspected: bool,
    /// The figures of a running container.
    pub(super) stats: Option<ContainerStatsResponse>,
    /// Out-of-memory kills counted so far.
    pub(super) oom_events: Option<u64>,
    failures: Vec<CollectError>,
    gone: bool,
}

impl Sight {
    /// What the list says. A container without an id cannot be asked about.
    pub(super) fn of(summary: ContainerSummary) -> Option<Self> {
        let id = summary.id?;
        let name = summary.names.into_iter().flatten().min_by_key(|name| name.matches('/').count());
        Some(Self {
            name: name.map_or_else(|| id.clone(), |name| name.trim_start_matches('/').to_owned()),
            image: summary.image.unwrap_or_default(),
            labels: identity::bounded(summary.labels.unwrap_or_default()),
            created: summary.created.unwrap_or_default(),
            state: summary.state.unwrap_or(State::EMPTY),
            status: summary.status.unwrap_or_default(),
            id,
            facts: None,
            must_inspect: true,
            inspected: false,
            stats: None,
            oom_events: None,
            failures: Vec::new(),
            gone: false,
        })
    }

    /// Whether its control groups exist, so that there are figures.
    pub(super) fn has_figures(&self) -> bool {
        matches!(self.state, State::RUNNING | State::PAUSED | State::STOPPING)
    }

    /// Whether a request about it timed out.
    pub(super) fn timed_out(&self) -> bool {
        self.failures.iter().any(|failure| failure.reason() == Reason::Timeout)
    }

    /// Asks the engine for what is missing, each request at most for `bound`.
    pub(super) async fn ask(mut self, engine: &Engine, bound: Duration) -> Self {
        let (must_inspect, has_figures) = (self.must_inspect, self.has_figures());
        let inspect = async { if must_inspect { Some(timeout(bound, engine.inspect(&self.id)).await) } else { None } };
        let stats = async { if has_figures { Some(timeout(bound, engine.stats(&self.id)).await) } else { None } };
        let (inspect, stats) = tokio::join!(inspect, stats);
        if let Some(answer) = inspect {
            self.facts = self.taken("inspect", answer).map(Facts::of);
            self.inspected = self.facts.is_some();
        }
        if let Some(answer) = stats {
            self.stats = self.taken("figures", answer);
        }
        self
    }

    fn taken<T>(&mut self, what: &str, answer: Result<Result<Option<T>, CollectError>, Elapsed>) -> Option<T> {
        match answer {
            Ok(Ok(answer)) => {
                self.gone |= answer.is_none();
                return answer;
            }
            Ok(Err(error)) => self.failures.push(error),
            Err(_) => {
                let message = format!("the engine sent no {what} of container {} in time", self.name);
                self.failures.push(CollectError::new(Reason::Timeout, message));
            }
        }
        None
    }

    /// Adds to the look what was seen and what was not. A container that is gone leaves nothing.
    pub(super) fn fill(&mut self, machine: &Machine, devices: &mut usage::Devices, now: Millis, look: &mut Look) {
        self.failures.drain(..).for_each(|failure| look.missed(failure));
        if self.gone {
            return;
        }
        let labels = identity::labels(self, machine);
        state::fill(self, &labels, look);
        if let Some(facts) = self.facts.as_deref().filter(|_| self.has_figures()) {
            facts.fill_spec(&labels, look);
        }
        if let Some(stats) = &self.stats {
            let limited = self.facts.as_ref().is_some_and(|facts| facts.cpu_quota() != 0);
            usage::fill(stats, limited, &labels, devices, look);
            look.point(&state::LAST_SEEN, Suffix::None, labels.base.clone(), now.as_seconds().floor());
        }
    }
}
