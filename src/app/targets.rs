//! The targets that are being looked at, and how a new configuration changes them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::collect::{Board, Collect, Target, runner};
use crate::model::Millis;
use crate::runtime::supervise::Supervisor;

/// The running loops, by target name.
#[derive(Default)]
pub struct Targets {
    running: HashMap<Arc<str>, Running>,
}

struct Running {
    target: Arc<Target>,
    stop: CancellationToken,
}

/// Collectors for the targets that are new or changed: built, not started. Building is all that can fail.
pub struct Plan {
    start: Vec<(Arc<Target>, Arc<dyn Collect>)>,
    keep: Vec<Arc<str>>,
}

impl Targets {
    /// Builds what a new list of targets needs beyond what runs already.
    ///
    /// # Errors
    /// A target's settings cannot be used; nothing has changed then.
    pub fn plan(&self, wanted: Vec<Target>, supervisor: &Supervisor) -> Result<Plan, String> {
        let mut plan = Plan { start: Vec::new(), keep: Vec::new() };
        for target in wanted {
            if self.running.get(&target.name).is_some_and(|running| *running.target == target) {
                plan.keep.push(target.name);
                continue;
            }
            let collector = target.kind.build(supervisor).map_err(|why| format!("target {}: {why}", target.name))?;
            plan.start.push((Arc::new(target), collector));
        }
        Ok(plan)
    }

    /// Carries a plan out: unchanged targets go on with their connections and history, the others stop, the new ones start.
    pub fn apply(&mut self, plan: Plan, board: &Board, supervisor: &Supervisor) {
        let now = Millis::now();
        let ended = self.running.extract_if(|name, _| !plan.keep.contains(name));
        for (name, old) in ended.collect::<Vec<_>>() {
            old.stop.cancel();
            if !plan.start.iter().any(|(target, _)| target.name == name) {
                board.forget(&name, now);
            }
        }
        for (target, collector) in plan.start {
            let stop = supervisor.stop_token().child_token();
            board.expect(&target, now);
            runner::start(supervisor, Arc::clone(&target), collector, board.clone(), stop.clone());
            self.running.insert(Arc::clone(&target.name), Running { target, stop });
        }
    }
}
