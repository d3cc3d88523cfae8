//! Looks at the containers of a Docker engine, as cAdvisor does, but through the engine's API alone.
//!
//! In: the engine's URL. Out: cAdvisor's `container_*` and `machine_*` families, and the engine's own verdicts
//! (state, health, restarts, exit code) that cAdvisor does not tell.
//!
//! Invariant: one container whose figures hang costs its own figures only, and a look sends at most
//! one list, one events query, and per container one inspect and one stats request.

mod engine;
mod facts;
mod identity;
mod machine;
mod oom;
mod sight;
mod state;
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

use super::{Collect, CollectError, Look, Reason};
use engine::Engine;
use facts::FactsCache;
use oom::OomCounts;
use sight::Sight;

/// The default job of these targets, as rules and dashboards for cAdvisor hard-code it.
pub const JOB: &str = "cadvisor";

/// Containers asked about at the same time. Docker (seen with 20.10) answers even one-shot stats at the next tick of one
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
    /// Where the engine listens.
    pub address: Address,
}

/// Where a Docker engine, or a proxy before its socket, listens.
#[derive(Debug, Clone, PartialEq)]
pub enum Address {
    /// `unix:///var/run/docker.sock`: the engine of this machine.
    Unix(String),
    /// `tcp://host:port` or `http://host:port`, without TLS; `host:port` here.
    Tcp(String),
}

impl Settings {
    /// Reads the kind's own keys: none beyond `url`.
    pub fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        Address::parse(url)
            .map_err(|complaint| fields.wrong("url", complaint, "write unix:///var/run/docker.sock or tcp://host:2375"))
            .ok()
            .map(|address| Self { address })
    }

    /// The engine's host: this machine's name for a socket, else `host:port`.
    pub fn instance(&self) -> String {
        match &self.address {
            Address::Unix(_) => std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned()),
            Address::Tcp(address) => address.clone(),
        }
    }
}

impl Address {
    fn parse(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("unix://") {
            let absolute = path.starts_with('/') && path.len() > 1;
            return if absolute { Ok(Self::Unix(path.to_owned())) } else { Err("`url` names no socket".into()) };
        }
        let parsed = Url::parse(url).map_err(|error| format!("`url` cannot be read: {error}"))?;
        if !matches!(parsed.scheme(), "tcp" | "http") {
            return Err(format!("`url` has the scheme `{}`", parsed.scheme()));
        }
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err("`url` has a user, which a Docker engine does not take".into());
        }
        let host = parsed.host_str().filter(|host| !host.is_empty()).ok_or("`url` names no host")?;
        let default_port = if parsed.scheme() == "http" { 80 } else { 2375 };
        Ok(Self::Tcp(format!("{host}:{}", parsed.port().unwrap_or(default_port))))
    }
}

/// A Docker engine and what is remembered of it between looks.
pub struct Docker {
    settings: Settings,
    kept: Mutex<Kept>,
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
        Self { settings, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // What is kept is only a cache, valid after any panic.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kept connection, or a new one.
    async fn engine(&self) -> Result<Arc<Engine>, CollectError> {
        if let Some(engine) = self.kept().engine.clone() {
            return Ok(engine);
        }
        let engine = Arc::new(Engine::connect(&self.settings.address).await?);
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

    /// Fills in what the engine tells of each container, until `end`. Those not reached come back as they are.
    async fn ask_all(&self, engine: &Engine, chosen: Vec<Sight>, end: Instant, look: &mut Look) -> Vec<Sight> {
        let left = end.saturating_duration_since(Instant::now());
        // Half, so that a second round fits after hanging requests, and those who wait for the look get it soon.
        let (total, bound) = (chosen.len(), (left / 2).max(PATIENCE).min(left));
        let mut asked = stream::iter(chosen).map(|sight| sight.ask(engine, bound)).buffer_unordered(CONCURRENCY);
        let mut seen = Vec::with_capacity(total);
        while let Ok(Some(sight)) = timeout_at(end, asked.next()).await {
            seen.push(sight);
        }
        if seen.len() < total {
            let unseen = total - seen.len();
            look.missed(CollectError::new(Reason::Timeout, format!("{unseen} of {total} containers were not reached")));
        }
        seen
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
        let chosen = self.choose(listed, now, &mut look);
        let ids: HashSet<String> = chosen.iter().map(|sight| sight.id.clone()).collect();
        let window = self.kept().ooms.window(now);
        let ooms = async { timeout_at(end, engine.ooms(window)).await };
        let (mut seen, ooms) = tokio::join!(self.ask_all(&engine, chosen, end, &mut look), ooms);
        match ooms {
            Ok(Ok(ids)) => self.kept().ooms.count(window, &ids),
            Ok(Err(error)) => look.missed(error),
            Err(_) => look.missed(CollectError::new(Reason::Timeout, "the engine's events did not come in time")),
        }
        self.remember(&seen, &ids, now);
        seen.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        let mut devices = usage::Devices::of(&self.settings.address);
        for sight in &mut seen {
            sight.oom_events = self.kept().ooms.of(&sight.id);
            sight.fill(&engine.machine, &mut devices, now, &mut look);
        }
        machine::fill(&engine.machine, &self.settings.address, now, &mut look);
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
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_plain_tcp() {
        assert_eq!(Address::parse("unix:///run/docker.sock"), Ok(Address::Unix("/run/docker.sock".into())));
        assert_eq!(Address::parse("tcp://proxy"), Ok(Address::Tcp("proxy:2375".into())));
        assert_eq!(Address::parse("http://proxy:2376"), Ok(Address::Tcp("proxy:2376".into())));
        for refused in ["unix://", "https://engine", "tcp://user:secret@engine", "/var/run/docker.sock"] {
            let complaint = Address::parse(refused).unwrap_err();
            assert!(!complaint.contains("secret"), "{complaint}");
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_down_and_says_why() {
        let docker = Docker::new(Settings { address: Address::Unix("/nonexistent/docker.sock".into()) });
        let look = docker.look(Instant::now() + Duration::from_secs(1)).await;
        assert!(!look.up && !look.healthy && look.is_empty());
        assert_eq!(look.failures[0].reason(), Reason::Unreachable);
    }
}
