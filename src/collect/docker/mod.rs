//! Looks at the containers of a Docker engine or of Podman, as cAdvisor does, but through the engine's API alone; where the
//! machine's control groups and `/proc` can be read, from these, which are finer and cost the engine nothing. (The sizes of
//! layers alone are asked of the engine in either case, every five minutes.)
//!
//! In: the engine's URL, and where the machine's files are. Out: cAdvisor's `container_*` and `machine_*` families, and the
//! engine's own verdicts (state, health, restarts, exit code) that cAdvisor does not tell. What happens to containers is
//! followed beside the looks, see [`events`].
//!
//! A look goes: list; inspect whom is not known; read the files; ask for the figures that the files do not have.
//!
//! Invariant: one container whose figures hang costs its own figures only, and a look sends at most one list and per
//! container one inspect and one stats request, and rarely one for the size of its layer. The first look, and the one after
//! a failed list, ping the engine before, to agree on a version of the API; what machine it is (`/info`) is asked when it is not known, and again
//! every ten minutes.

mod api;
mod cgroup;
mod deploys;
mod details;
mod discovery;
mod engine;
pub mod events;
mod facts;
mod families;
mod filesystem;
mod identity;
mod labels;
mod lint;
mod local;
mod machine;
mod patience;
mod process;
mod question;
mod request;
mod root;
mod settings;
mod sight;
mod sizes;
mod state;
mod topology;
mod transport;
mod usage;
mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use crate::model::Millis;
use crate::runtime::supervise::Supervisor;

use super::dial::Address;
use super::host::Aside;
use super::{Collect, CollectError, Look, Reason};
pub use discovery::{Finds, Found};
use engine::Engine;
use events::{EventLog, Events};
use facts::FactsCache;
use labels::KnownLabels;
use local::{Local, Seen, Wanted};
use machine::{LocalFiles, Machine};
use patience::Hanging;
pub use settings::Settings;
use sight::Sight;
use sizes::Sizes;
use wire::Summary;

/// Running containers beyond this are not looked at, and the look says so.
const MAX_RUNNING: usize = 500;
/// Containers that do not run keep their state series, the newest of them up to this many.
const MAX_AT_REST: usize = 100;
/// What a request may take at least, if there is time: a tick of that clock and a busy engine.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What an engine tells beyond its looks. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Containers {
    /// The containers that ask to be watched.
    pub finds: Finds,
    /// The last things that happened.
    pub log: EventLog,
}

/// A Docker engine and what is remembered of it between looks.
pub struct Docker {
    settings: Settings,
    supervisor: Supervisor,
    events: Events,
    kept: Mutex<Kept>,
    /// Reads the machine's files.
    aside: Aside,
    /// Made at the first look, aside. Locked by the thread that reads alone.
    local: Arc<Mutex<Option<Local>>>,
}

#[derive(Default)]
struct Kept {
    engine: Option<Arc<Engine>>,
    facts: FactsCache,
    sizes: Sizes,
    hanging: Hanging,
    /// The control groups that were seen, by container id: a container at rest has none, but keeps its `id`.
    groups: HashMap<String, String>,
    labels: KnownLabels,
}

impl Docker {
    /// A target that has not been contacted yet.
    pub fn new(settings: Settings, supervisor: &Supervisor) -> Self {
        let events = Events::new(settings.address.clone(), settings.discover, supervisor);
        let supervisor = supervisor.clone();
        Self { settings, supervisor, events, kept: Mutex::default(), aside: Aside::default(), local: Arc::default() }
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
        let engine = Arc::new(Engine::connect(&self.settings.address, question::CONCURRENCY, &self.supervisor).await?);
        self.kept().engine = Some(Arc::clone(&engine));
        Ok(engine)
    }

    async fn list(&self) -> Result<(Arc<Engine>, Vec<Summary>), CollectError> {
        let engine = self.engine().await?;
        let listed = engine.list().await.inspect_err(|_| self.forget_engine())?;
        Ok((engine, listed))
    }

    /// After a failure the next look connects anew: another engine, of another version, may answer there.
    fn forget_engine(&self) {
        self.kept().engine = None;
    }

    /// Which containers to look at, those that hung of late last.
    fn choose(&self, listed: Vec<Summary>, now: Millis, look: &mut Look) -> Vec<Sight> {
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
        let changed = self.events.take_changed();
        let kept = self.kept();
        running.sort_by_key(|sight| kept.hanging.hung(&sight.id));
        for sight in &mut running {
            (sight.facts, sight.must_inspect) = kept.facts.get(sight, now);
            sight.must_inspect |= changed.contains(sight.id.as_str());
            sight.group = kept.groups.get(&sight.id).cloned();
            sight.left_out = kept.hanging.leaves_out(&sight.id);
        }
        kept.sizes.prepare(&mut running, now);
        running
    }

    /// What the machine's files say of the containers and of itself.
    async fn read_files(&self, wanted: Vec<Wanted>, end: Instant) -> Result<Seen, CollectError> {
        let local = Arc::clone(&self.local);
        let files = self.settings.files.clone();
        let same_machine = matches!(self.settings.address, Address::Unix(_));
        let read = move || {
            let mut local = local.lock().unwrap_or_else(PoisonError::into_inner);
            let local = local.get_or_insert_with(|| Local::new(files.unwrap_or_else(local::usual_files)));
            local.read(&wanted, same_machine, std::time::Instant::now())
        };
        self.aside.run("docker", end, read).await
    }

    /// Fills in all that is to be known of the chosen containers and of their machine.
    async fn see(&self, engine: &Engine, chosen: &mut [Sight], end: Instant, look: &mut Look) -> (Machine, Seen) {
        let left = end.saturating_duration_since(Instant::now());
        // A third for the inspects, then half: so that what hangs leaves time for what comes after, and those who wait
        // for the look get it soon; but never all, so that what did come is taken in before the end.
        let brief = (left / 3).max(PATIENCE).min(left * 4 / 10);
        let bound = (left / 2).max(PATIENCE).min(left * 9 / 10);
        let soon = Instant::now() + bound;
        let containers = async {
            let unasked = question::ask_all(engine, chosen, Sight::who, brief, end).await;
            let data_root = engine.data_root();
            let wanted = chosen.iter().filter_map(|sight| sight.wanted(data_root.as_deref())).collect();
            let seen = self.read_files(wanted, soon.max(Instant::now() + brief).min(end)).await;
            let (mut seen, failure) = seen.map_or_else(|error| (Seen::default(), Some(error)), |seen| (seen, None));
            for sight in chosen.iter_mut() {
                sight.found = seen.containers.remove(&sight.id);
                sight.group = sight.found.as_ref().map(|found| found.group.clone()).or(sight.group.take());
            }
            let left = end.saturating_duration_since(Instant::now());
            let unsaid = question::ask_all(engine, chosen, Sight::what, bound.min(left * 9 / 10), end).await;
            (seen, [unasked, failure, unsaid])
        };
        let ((seen, missed), (machine, failure)) = tokio::join!(containers, engine.machine(soon));
        let machine = machine.unwrap_or_else(|| Arc::new(Machine::unknown(engine.brand())));
        for failure in failure.into_iter().chain(missed.into_iter().flatten()) {
            look.missed(failure);
        }
        (machine.supposing(seen.usual_driver), seen)
    }

    /// Adds to the look all that was seen.
    fn fill(&self, seen: &mut [Sight], machine: &Machine, files: &LocalFiles, now: Millis, look: &mut Look) {
        let mut kept = self.kept();
        let devices = usage::Devices::of(&files.diskstats);
        for sight in &mut *seen {
            let ended_so = sight.facts.as_ref().and_then(|facts| facts.oom_killed).unwrap_or(false);
            sight.oom_events = self.events.ooms(&sight.id, ended_so);
            sight.fill(machine, &mut kept.labels, &devices, now, look);
        }
        lint::fill(seen, look);
        self.events.fill(look);
        machine::fill(machine, files, now, kept.labels.root(), look);
        kept.labels.end_look();
    }

    /// Which containers have ended, for the case that no event told it.
    fn note_ends(&self, seen: &[Sight], now: Millis) {
        for sight in seen {
            let Some((facts, finished)) = sight.verdicts().and_then(|facts| Some((facts, facts.finished?))) else {
                continue;
            };
            let exit_code = facts.exit_code.filter(|_| !sight.has_figures());
            self.events.ended(&sight.id, &facts.findings.subject, Millis::from_seconds(finished), exit_code, now);
        }
    }

    /// Keeps what the next look can use.
    fn remember(&self, seen: &[Sight], ids: &HashSet<String>, now: Millis) {
        let mut kept = self.kept();
        kept.hanging.learn(seen.iter().map(|sight| (sight.id.as_str(), (!sight.left_out).then(|| sight.timed_out()))));
        kept.facts.keep(seen, ids, now);
        kept.sizes.keep(seen, ids, now);
        let group = |sight: &Sight| Some((sight.id.clone(), sight.group.clone()?));
        kept.groups = seen.iter().filter_map(group).collect();
    }
}

#[async_trait]
impl Collect for Docker {
    async fn look(&self, deadline: Instant) -> Look {
        self.events.start();
        let asked = Instant::now();
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
        self.events.listed(asked, &listed, now);
        let mut look = Look::new();
        let mut seen = self.choose(listed, now, &mut look);
        let ids: HashSet<String> = seen.iter().map(|sight| sight.id.clone()).collect();
        let (machine, files) = self.see(&engine, &mut seen, end, &mut look).await;
        self.remember(&seen, &ids, now);
        seen.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.id.cmp(&b.id)));
        self.note_ends(&seen, now);
        self.fill(&mut seen, &machine, &files.machine, now, &mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.up = false;
        look.unhealthy(error);
        look
    }

    fn containers(&self) -> Option<Containers> {
        Some(self.events.containers())
    }
}

#[cfg(test)]
mod tests;
