//! The targets that are being looked at, and how a new configuration, or a container that comes or goes, changes them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::collect::docker::{Containers, Found};
use crate::collect::{Board, Collect, Complaint, Happenings, Target, runner};
use crate::config::Global;
use crate::model::Millis;
use crate::runtime::supervise::Supervisor;

use super::discovered;

/// The running loops, by target name.
pub struct Targets {
    running: HashMap<Arc<str>, Running>,
    happenings: Happenings,
    /// Fires when a container that asks to be watched came or went.
    changed: Arc<Notify>,
}

struct Running {
    target: Arc<Target>,
    stop: CancellationToken,
    containers: Option<Containers>,
    /// Who asked last, as long as a changed engine has not been listed anew.
    found: Option<Arc<[Found]>>,
}

impl Running {
    fn found(&self) -> Option<Arc<[Found]>> {
        self.containers.as_ref().and_then(|containers| containers.finds.current()).or_else(|| self.found.clone())
    }
}

/// Collectors for the targets that are new or changed: built, not started. Building is all that can fail.
pub struct Plan {
    start: Vec<(Arc<Target>, Arc<dyn Collect>)>,
    keep: Vec<Arc<str>>,
    discovered: usize,
    complaints: Vec<Complaint>,
}

impl Targets {
    /// None yet. What containers tell goes to `happenings`.
    pub fn new(happenings: Happenings) -> Self {
        Self { running: HashMap::new(), happenings, changed: Arc::default() }
    }

    /// Fires when a plan would be another than the last.
    pub fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    /// Builds what the configured targets need, and those that containers ask for, beyond what runs already.
    ///
    /// # Errors
    /// A configured target's settings cannot be used; nothing has changed then.
    pub fn plan(&self, configured: &[Target], global: &Global, supervisor: &Supervisor) -> Result<Plan, String> {
        let (targets, complaints) = discovered::choose(&self.found(configured), configured, global);
        let mut plan = Plan { start: Vec::new(), keep: Vec::new(), discovered: 0, complaints };
        for target in configured {
            self.add(target, supervisor, &mut plan).map_err(|why| format!("target {}: {why}", target.name))?;
        }
        for target in targets {
            match self.add(&target, supervisor, &mut plan) {
                Ok(()) => plan.discovered += 1,
                Err(what) => plan.complaints.push(Complaint { container: Arc::clone(&target.name), what }),
            }
        }
        Ok(plan)
    }

    fn add(&self, target: &Target, supervisor: &Supervisor, plan: &mut Plan) -> Result<(), String> {
        if self.running.get(&target.name).is_some_and(|running| *running.target == *target) {
            plan.keep.push(Arc::clone(&target.name));
        } else {
            let collector = target.kind.build(supervisor)?;
            plan.start.push((Arc::new(target.clone()), collector));
        }
        Ok(())
    }

    /// Who asks at the engines that are still configured, in the order of the configuration.
    fn found(&self, configured: &[Target]) -> Vec<Found> {
        let engines = configured.iter().filter_map(|target| self.running.get(&target.name)?.found());
        engines.flat_map(|found| found.to_vec()).collect()
    }

    /// Carries a plan out: unchanged targets go on with their connections and history, the others stop, the new ones start.
    pub fn apply(&mut self, plan: Plan, board: &Board, supervisor: &Supervisor) {
        let now = Millis::now();
        let ended = self.running.extract_if(|name, _| !plan.keep.contains(name));
        let mut ended: HashMap<_, _> = ended.collect();
        for (name, old) in &ended {
            old.stop.cancel();
            if !plan.start.iter().any(|(target, _)| target.name == *name) {
                board.forget(name, now);
            }
        }
        for (target, collector) in plan.start {
            let stop = supervisor.stop_token().child_token();
            let containers = collector.containers();
            if let Some(containers) = &containers {
                follow(containers, Arc::clone(&self.changed), &stop, supervisor);
            }
            let found = ended.remove(&target.name).and_then(|old| old.found());
            board.expect(&target, now);
            runner::start(supervisor, Arc::clone(&target), collector, board.clone(), stop.clone());
            self.running.insert(Arc::clone(&target.name), Running { target, stop, containers, found });
        }
        self.tell(plan.discovered, plan.complaints);
    }

    fn tell(&self, discovered: usize, complaints: Vec<Complaint>) {
        let log =
            |(name, running): (&Arc<str>, &Running)| Some((Arc::clone(name), running.containers.as_ref()?.log.clone()));
        self.happenings.watch(self.running.iter().filter_map(log).collect::<BTreeMap<_, _>>());
        if self.happenings.targets() != discovered {
            info!(targets = discovered, "containers bring targets by their labels");
        }
        for Complaint { container, what } in self.happenings.discovered(discovered, complaints) {
            warn!(container = &*container, problem = what, "a container's labels bring no target");
        }
    }
}

/// Hands each change of who asks on, until the engine's target ends.
fn follow(containers: &Containers, changed: Arc<Notify>, stop: &CancellationToken, supervisor: &Supervisor) {
    let (mut finds, stop) = (containers.finds.changes(), stop.clone());
    supervisor.spawn_once(async move {
        while let Some(Ok(())) = stop.run_until_cancelled(finds.changed()).await {
            changed.notify_one();
        }
    });
}
