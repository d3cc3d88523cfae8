//! Looks at the containers of a Docker engine, as cAdvisor does, but through the engine's API alone.
//!
//! In: the engine's URL. Out: cAdvisor's `container_*` and `machine_*` families, and the engine's own verdicts
//! (state, health, restarts, exit code) that cAdvisor does not tell.
//!
//! Invariant: one container whose figures hang costs its own figures only, and a look sends at most one list, one events
//! query, and per container one inspect and one stats request. The first look, and the one after a failed list, ask the
//! engine's version before; what machine it is (`/info`) is asked when it is not known, and again every ten minutes.

use crate::runtime::supervise::Supervisor;
mod engine;
mod facts;
mod families;
mod identity;
mod machine;
mod oom;
mod sight;
mod state;
mod transport;
mod usage;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::ContainerSummary;
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::model::Millis;
use crate::yaml::Fields;

use super::dial::Address;
use super::host::{Aside, host_name};
use super::{Collect, CollectError, Look, Reason, TargetSettings};
use engine::Engine;
use facts::FactsCache;
use machine::{LocalFiles, Machine};
use oom::OomCounts;
use sight::Sight;

/// Requests about containers at the same time, each on a connection of its own. Docker (seen with 20.10) answers even one-shot stats at the next tick of one
/// clock, up to a second later, for all that wait: asking a few at a time would cost a second for each few.
const CONCURRENCY: usize = 128;
/// Running containers beyond this are not looked at, and the look says so.
const MAX_RUNNING: usize = 500;
/// Containers that do not run keep their state series, the newest of them up to this many.
const MAX_AT_REST: usize = 100;
/// What a request may take at least, if there is time: a tick of that clock and a busy engine.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What a target of this kind needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the engine, or a proxy before its socket, listens: `unix:///var/run/docker.sock` for the engine of this
    /// machine, or `tcp://host:port` (also `http://`), without TLS.
    pub address: Address,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "docker";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = "cadvisor";

    /// Reads the kind's own keys: none beyond `url`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        parse(url)
            .map_err(|complaint| fields.wrong("url", complaint, "write unix:///var/run/docker.sock or tcp://host:2375"))
            .ok()
            .map(|address| Self { address })
    }

    /// The engine's host: for a socket this machine's name, from `/host/etc/hostname` or else the kernel, and `localhost`
    /// where our container sees only its own id, which changes with every container; for TCP `host:port`.
    fn instance(&self) -> String {
        match &self.address {
            Address::Unix(_) => host_name(),
            Address::Tcp { .. } => self.address.to_string(),
        }
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(Docker::new(self)))
    }
}

fn parse(url: &str) -> Result<Address, String> {
    if let Some(path) = url.strip_prefix("unix://") {
        let absolute = path.starts_with('/') && path.len() > 1;
        return if absolute { Ok(Address::Unix(path.into())) } else { Err("`url` names no socket".into()) };
    }
    let parsed = Url::parse(url).map_err(|error| format!("`url` cannot be read: {error}"))?;
    if !matches!(parsed.scheme(), "tcp" | "http") {
        return Err(format!("`url` has the scheme `{}`", parsed.scheme()));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("`url` has a user, which a Docker engine does not take".into());
    }
    let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or("`url` names no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let default_port = if parsed.scheme() == "http" { 80 } else { 2375 };
    Ok(Address::Tcp { host, port: parsed.port().unwrap_or(default_port) })
}

/// A Docker engine and what is remembered of it between looks.
pub struct Docker {
    settings: Settings,
    kept: Mutex<Kept>,
    /// Reads our own machine's files.
    local: Aside,
}

#[derive(Default)]
struct Kept {
    engine: Option<Arc<Engine>>,
    facts: FactsCache,
    ooms: OomCounts,
    /// Containers whose requests timed out in the last look; they come last in the next.
    slow: HashSet<String>,
}

impl Docker {
    /// A target that has not been contacted yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, kept: Mutex::default(), local: Aside::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // What is kept is only a cache, valid after any panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine as it is known, or made known now.
    async fn engine(&self) -> Result<Arc<Engine>, CollectError> {
        if let Some(engine) = self.kept().engine.clone() {
            return Ok(engine);
        }
        let engine = Arc::new(Engine::connect(&self.settings.address, CONCURRENCY).await?);
        self.kept().engine = Some(Arc::clone(&engine));
        Ok(engine)
    }

    async fn list(&self) -> Result<(Arc<Engine>, Vec<ContainerSummary>), CollectError> {
        let engine = self.engine().await?;
        let listed = engine.list().await.inspect_err(|_| self.forget_engine())?;
        Ok((engine, listed))
    }

    /// After a failure the next look connects anew: another engine, of another version, may answer there.
    fn forget_engine(&self) {
        self.kept().engine = None;
    }

    /// Which containers to look at, the slow ones of the last look last.
    fn choose(&self, listed: Vec<ContainerSummary>, now: Millis, look: &mut Look) -> Vec<Sight> {
        let (mut running, mut at_rest): (Vec<_>, Vec<_>) =
            listed.into_iter().filter_map(Sight::of).partition(Sight::has_figures);
        if running.len() > MAX_RUNNING {
            let left = running.len() - MAX_RUNNING;
            look.missed(CollectError::new(Reason::Limit, format!("{left} running containers beyond {MAX_RUNNING}")));
            running.truncate(MAX_RUNNING);
        }
        at_rest.sort_by_key(|sight| std::cmp::Reverse(sight.created));
        at_rest.truncate(MAX_AT_REST);
        running.append(&mut at_rest);
        let kept = self.kept();
        running.sort_by_key(|sight| kept.slow.contains(&sight.id));
        for sight in &mut running {
            (sight.facts, sight.must_inspect) = kept.facts.get(sight, now);
        }
        running
    }

    /// Fills in what the engine tells of each container, each request at most until `bound` and all until `end`.
    /// Those not reached stay as the list has them.
    async fn ask_all(&self, engine: &Engine, chosen: &mut [Sight], bound: Duration, end: Instant, look: &mut Look) {
        let questions: Vec<_> =
            chosen.iter().enumerate().filter_map(|(at, sight)| Some((at, sight.question()?))).collect();
        let mut unreached = questions.len();
        let mut asked = stream::iter(questions)
            .map(|(at, question)| async move { (at, question.ask(engine, Instant::now() + bound).await) })
            .buffer_unordered(CONCURRENCY);
        while let Ok(Some((at, answers))) = timeout_at(end, asked.next()).await {
            chosen[at].take(answers);
            unreached -= 1;
        }
        if unreached > 0 {
            let message = format!("{unreached} of {} containers were not reached", chosen.len());
            look.missed(CollectError::new(Reason::Timeout, message));
        }
    }

    /// What machine the engine runs on, and the out-of-memory kills since the last look, counted.
    async fn ask_engine(&self, engine: &Engine, end: Instant) -> (Arc<Machine>, Vec<CollectError>) {
        let (machine, failure) = engine.machine(end).await;
        let mut failures = Vec::from_iter(failure);
        // Without the engine's clock, what is asked for would be another time.
        let Some(machine) = machine else {
            return (Arc::new(Machine::unknown()), failures);
        };
        let window = self.kept().ooms.window(machine.clock(Millis::now()));
        match timeout_at(end, engine.ooms(window)).await {
            Ok(Ok(ids)) => self.kept().ooms.count(window, &ids),
            Ok(Err(error)) => failures.push(error),
            Err(_) => failures.push(CollectError::new(Reason::Timeout, "the engine's events did not come in time")),
        }
        (machine, failures)
    }

    /// What our own machine's files say of the engine's, where it is the same.
    async fn local_files(&self, end: Instant) -> Result<LocalFiles, CollectError> {
        match self.settings.address {
            Address::Unix(_) => self.local.run("docker", end, LocalFiles::read).await,
            Address::Tcp { .. } => Ok(LocalFiles::default()),
        }
    }

    /// Keeps what the next look can use.
    fn remember(&self, seen: &[Sight], ids: &HashSet<String>, now: Millis) {
        let mut kept = self.kept();
        kept.slow = seen.iter().filter(|sight| sight.timed_out()).map(|sight| sight.id.clone()).collect();
        kept.facts.keep(seen, ids, now);
        kept.ooms.keep(ids);
    }
}

#[async_trait]
impl Collect for Docker {
    async fn look(&self, deadline: Instant) -> Look {
        let left = deadline.saturating_duration_since(Instant::now());
        let end = deadline.checked_sub((left / 10).min(Duration::from_millis(200))).unwrap_or(deadline);
        let (engine, listed) = match timeout_at(end, self.list()).await {
            Ok(Ok(listed)) => listed,
            Ok(Err(error)) => return self.unanswered(error),
            Err(_) => {
                self.forget_engine();
                return self.unanswered(CollectError::new(Reason::Timeout, "the Docker engine did not answer in time"));
            }
        };
        let now = Millis::now();
        let mut look = Look::new();
        let mut seen = self.choose(listed, now, &mut look);
        let ids: HashSet<String> = seen.iter().map(|sight| sight.id.clone()).collect();
        let left = end.saturating_duration_since(Instant::now());
        // Half, so that a second round fits after hanging requests, and those who wait for the look get it soon;
        // but never all, so that what did come is taken in before the end.
        let bound = (left / 2).max(PATIENCE).min(left * 9 / 10);
        let soon = Instant::now() + bound;
        let ((), (machine, failures), local) = tokio::join!(
            self.ask_all(&engine, &mut seen, bound, end, &mut look),
            self.ask_engine(&engine, soon),
            self.local_files(soon),
        );
        for failure in failures {
            look.missed(failure);
        }
        let local = local.unwrap_or_else(|error| {
            look.missed(error);
            LocalFiles::default()
        });
        self.remember(&seen, &ids, now);
        seen.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        let devices = usage::Devices::of(&local.diskstats);
        for sight in &mut seen {
            sight.oom_events = self.kept().ooms.of(&sight.id);
            sight.fill(&machine, &devices, now, &mut look);
        }
        machine::fill(&machine, &local, now, &mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.up = false;
        look.unhealthy(error);
        look
    }
}

#[cfg(test)]
mod tests;
