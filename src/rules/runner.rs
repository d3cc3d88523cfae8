//! Owns the time of rule groups: evaluates each at its interval and passes on what changed.
//!
//! In: rule groups, the store. Out: recorded series into the store, [`Transition`]s to whoever tells people.
//!
//! Invariants: evaluation touches the store alone, so no target, receiver or disk can hold it up. Readers see the groups'
//! views and never wait for an evaluation. Timers keep to the slots of the wall clock, also when that is set anew.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::{self, Instant};
use tracing::warn;

use crate::model::{Labels, METRIC_NAME, Millis, Transition};
use crate::promql::Options;
use crate::runtime::every::{nearest_slot, until_slot};
use crate::runtime::own_metrics::RuleMetrics;
use crate::runtime::supervise::Supervisor;
use crate::store::Store;

use super::{ActiveAlert, AlertState, Externals, GroupHandle, GroupSpec, GroupView, HoldMissing, RuleSet};

/// With no group at all, the loop sleeps until groups come.
const IDLE: Duration = Duration::from_hours(1);

/// A timer that is further off its slot than this is set anew.
const OFF_SLOT: Duration = Duration::from_millis(50);

/// Targets have had their first looks by then, and rules their first evaluations.
const FIRST_LOOKS: Duration = Duration::from_mins(2);

/// A metric that has come since is noticed after so long.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// The files of the rules that come with the agent.
const SHIPPED: &str = "shipped/";

/// Where transitions go, with how often their group is evaluated. Must not block.
pub type Tell = Arc<dyn Fn(Vec<Transition>, Duration) + Send + Sync>;

/// The rules that are being evaluated. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Rules(Arc<Shared>);

struct Shared {
    store: Store,
    metrics: RuleMetrics,
    external_url: Arc<str>,
    /// Held over evaluations; readers take `handles` instead.
    running: Mutex<Running>,
    handles: ArcSwap<Vec<GroupHandle>>,
    globals: ArcSwap<Globals>,
    hold: ArcSwap<HoldMissing>,
    changed: Notify,
}

/// What the section `global:` says of rules and queries.
#[derive(Debug, Clone, PartialEq)]
pub struct Globals {
    /// The evaluation interval: of groups that name none, and the step of subqueries that name none.
    pub interval: Duration,
    /// Go on alerts and exports.
    pub external_labels: Labels,
}

/// The groups, and beside each when it is due.
#[derive(Default)]
struct Running {
    set: RuleSet,
    turns: Vec<Turn>,
    /// Told with the next evaluation: alerts of rules that a reload removed.
    ended: Vec<Transition>,
    /// When it is looked next whether the metrics exist that rules need; nothing: not before the first evaluation.
    look_for_missing: Option<Instant>,
    missing_told: bool,
}

/// Both clocks at one moment. The steady one is the system's, not Tokio's: it stands still together with the wall clock
/// in tests that pause Tokio's.
#[derive(Debug, Clone, Copy)]
struct Clocks {
    steady: std::time::Instant,
    wall: Millis,
}

impl Clocks {
    fn now() -> Self {
        Self { steady: std::time::Instant::now(), wall: Millis::now() }
    }

    /// By how much the wall clock was set forward or back since an earlier moment, or went on while the machine slept.
    fn shift_since(self, earlier: Self) -> Duration {
        let expected = earlier.wall + self.steady.saturating_duration_since(earlier.steady);
        self.wall.since(expected).max(expected.since(self.wall))
    }
}

struct Turn {
    name: Arc<str>,
    every: Duration,
    due: Instant,
    /// When `due` was last set by the wall clock.
    set: Clocks,
}

impl Turn {
    fn new(spec: &GroupSpec, default_interval: Duration) -> Self {
        let (name, every) = (Arc::clone(&spec.name), spec.interval.unwrap_or(default_interval));
        let clocks = Clocks::now();
        Self { due: Instant::now() + until_slot(&name, every, clocks.wall), name, every, set: clocks }
    }

    /// The slot that the timer was set for; from here on the next one is due. Turns that were missed are not made up for.
    fn take(&mut self, now: Instant, clocks: Clocks) -> (Millis, Duration) {
        let late = now.saturating_duration_since(self.due);
        if clocks.shift_since(self.set) > OFF_SLOT {
            // The timer was set for a slot of another time: what is meant is the slot that has passed last.
            let next = until_slot(&self.name, self.every, clocks.wall);
            (self.due, self.set) = (now + next, clocks);
            return (clocks.wall + next - self.every, late);
        }
        while self.due <= now {
            self.due += self.every;
        }
        (nearest_slot(&self.name, self.every, clocks.wall - late), late)
    }
}

impl Rules {
    /// No group yet. `external_url` starts the links to expressions.
    pub fn new(store: Store, metrics: RuleMetrics, external_url: &str) -> Self {
        let (running, handles, changed) = (Mutex::default(), ArcSwap::default(), Notify::new());
        let globals = Globals { interval: Options::default().subquery_step, external_labels: Labels::empty() };
        let (external_url, globals) = (external_url.into(), ArcSwap::from_pointee(globals));
        let hold = ArcSwap::default();
        Self(Arc::new(Shared { store, metrics, external_url, running, handles, globals, hold, changed }))
    }

    /// Holds alerts whose data are gone because a look failed, from the next [`Self::replace`] on.
    pub fn hold_missing(&self, hold: HoldMissing) {
        self.0.hold.store(Arc::new(hold));
    }

    /// Takes new rule files: alerts of rules that go on go on, those of others end.
    pub fn replace(&self, specs: &[GroupSpec], default_interval: Duration, external_labels: &Labels) {
        let externals = Externals { labels: external_labels.clone(), url: Arc::clone(&self.0.external_url) };
        let mut set = RuleSet::new(specs.to_vec(), &externals);
        set.hold_missing(&self.0.hold.load());
        for group in &mut set.groups {
            self.0.metrics.announce(&group.spec().name);
            group.restore_from_store();
            group.set_options(Options { subquery_step: default_interval, ..Options::default() });
        }
        let turns = specs.iter().map(|spec| Turn::new(spec, default_interval)).collect();
        let now = Millis::now();
        let mut running = self.lock();
        let succession = set.succeed(std::mem::take(&mut running.set), now);
        let mut ended = std::mem::take(&mut running.ended);
        ended.extend(succession.transitions);
        self.0.handles.store(Arc::new(set.handles()));
        let globals = Globals { interval: default_interval, external_labels: external_labels.clone() };
        self.0.globals.store(Arc::new(globals));
        *running = Running { set, turns, ended, ..Running::default() };
        drop(running);
        for source in succession.gone {
            self.0.store.end(&source, now);
        }
        self.0.changed.notify_one();
    }

    /// Starts the one loop of all groups.
    pub fn start(&self, supervisor: &Supervisor, tell: Tell) {
        let (rules, stop) = (self.clone(), supervisor.stop_token().clone());
        supervisor.spawn("rules", stop.clone(), move || {
            let (rules, tell, stop) = (rules.clone(), Arc::clone(&tell), stop.clone());
            async move { while stop.run_until_cancelled(rules.turn(&tell)).await.is_some() {} }
        });
    }

    /// Waits for the next group that is due, or for new groups, and evaluates what is due.
    async fn turn(&self, tell: &Tell) {
        let next = self.lock().turns.iter().map(|turn| turn.due).min();
        tokio::select! {
            () = time::sleep_until(next.unwrap_or_else(|| Instant::now() + IDLE)) => {}
            () = self.0.changed.notified() => {}
        }
        self.evaluate_due(Instant::now(), tell);
    }

    /// Tells after each group, so that a panic in one takes nothing along that another has found.
    fn evaluate_due(&self, now: Instant, tell: &Tell) {
        let mut running = self.lock();
        self.look_for_missing(&mut running, now);
        let Running { set, turns, ended, .. } = &mut *running;
        tell_any(tell, std::mem::take(ended), Duration::ZERO);
        for (group, turn) in set.groups.iter_mut().zip(turns).filter(|(_, turn)| turn.due <= now) {
            let (at, late) = turn.take(now, Clocks::now());
            let started = Instant::now();
            let mut took = Duration::ZERO;
            let outcome = group.evaluate_timed(&self.0.store, at, || {
                took = started.elapsed();
                took
            });
            self.0.metrics.observe(&turn.name, group.spec().rules.len(), outcome.failures.len(), took, late);
            for failure in outcome.failures {
                warn!(group = &*turn.name, rule = failure.rule, error = failure.error, "a rule could not be evaluated");
            }
            tell_any(tell, outcome.transitions, turn.every);
        }
    }

    /// Every group as it was after its last evaluation, in the order of files and groups.
    pub fn groups(&self) -> Vec<Arc<GroupView>> {
        self.0.handles.load().iter().map(GroupHandle::load).collect()
    }

    /// What holds for all groups, and for whoever asks the store.
    pub fn globals(&self) -> Arc<Globals> {
        self.0.globals.load_full()
    }

    /// Finds rules over metrics that do not exist: said once, after targets had time for their first looks, and shown with
    /// the rule for as long as it is so. Nothing is said of the shipped rules, which are there for targets of every kind.
    fn look_for_missing(&self, running: &mut Running, now: Instant) {
        let due = *running.look_for_missing.get_or_insert(now + FIRST_LOOKS);
        if now < due {
            return;
        }
        running.look_for_missing = Some(now + LOOK_AGAIN);
        let snapshot = self.0.store.snapshot();
        let names: HashSet<_> = snapshot.label_values(METRIC_NAME).into_iter().collect();
        for missing in running.set.note_missing(&names) {
            if !running.missing_told && !missing.at.file.starts_with(SHIPPED) {
                warn!(
                    rule = missing.rule, at = %missing.at, metrics = missing.metrics.join(", "),
                    "a rule needs metrics that do not exist, so it gives nothing: correct their names, watch what shows them, or remove the rule"
                );
            }
        }
        running.missing_told = true;
    }

    /// The alerts that fire now, oldest first.
    pub fn firing(&self) -> Vec<ActiveAlert> {
        let handles = self.0.handles.load_full();
        let views = handles.iter().map(GroupHandle::load);
        let rules = views.flat_map(|view| view.rules.clone());
        let mut firing: Vec<_> =
            rules.flat_map(|rule| rule.alerts).filter(|alert| alert.state == AlertState::Firing).collect();
        firing.sort_by_key(|alert| alert.active_at);
        firing
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell_any(tell: &Tell, transitions: Vec<Transition>, every: Duration) {
    if !transitions.is_empty() {
        tell(transitions, every);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use prometheus_client::registry::Registry;

    use super::*;
    use crate::model::Problems;
    use crate::rules::read_file;
    use crate::store::Limits;

    const EVERY: Duration = Duration::from_secs(10);

    fn specs(text: &str) -> Vec<GroupSpec> {
        let problems = Problems::new();
        let specs = read_file("r.yml", text, &problems);
        assert!(problems.is_empty(), "{problems:?}");
        specs
    }

    /// Groups `a` and `b` with an alert each that fires at once.
    fn rules() -> Rules {
        let store = Store::new(Limits { retention: Duration::from_hours(1), max_series: 100 });
        let rules = Rules::new(store, RuleMetrics::register(&mut Registry::default()), "http://sidewatch:9640");
        let group = |name: &str| format!("- name: {name}\n  rules: [{{alert: {name}, expr: vector(1)}}]\n");
        rules.replace(&specs(&format!("groups:\n{}{}", group("a"), group("b"))), EVERY, &Labels::empty());
        rules
    }

    #[test]
    fn after_a_step_of_the_wall_clock_turns_are_on_its_slots_again() {
        let spec = &specs("groups: [{name: g, rules: [{record: r, expr: up}]}]")[0];
        let on_slot = |at: Millis| until_slot("g", EVERY, at).is_zero();
        for step in [-7_777_777, -3_000, 3_000, 86_400_001] {
            let mut turn = Turn::new(spec, EVERY);
            // As the timer finds the clocks: in order, then after a step, then in order again.
            let clocks = |due: Instant, turn: &Turn, step: i64| {
                let passed = due.saturating_duration_since(Instant::now() - turn.set.steady.elapsed());
                let wall = turn.set.wall + passed;
                Clocks { steady: turn.set.steady + passed, wall: Millis(wall.0 + step) }
            };
            let first = clocks(turn.due, &turn, 0);
            let (at, late) = turn.take(turn.due, first);
            assert!(on_slot(at) && late.is_zero());
            let stepped = clocks(turn.due, &turn, step);
            let now = turn.due;
            let (at, _) = turn.take(now, stepped);
            assert!(on_slot(at) && at <= stepped.wall && stepped.wall.since(at) <= EVERY, "{step}");
            assert!(turn.due > now && turn.due - now <= EVERY);
            let wall = stepped.wall + (turn.due - now);
            let later = Clocks { steady: stepped.steady + (turn.due - now), wall };
            assert_eq!(turn.take(turn.due, later), (wall, Duration::ZERO), "the timer is on the slot, {step}");
        }
    }

    #[test]
    fn who_asks_what_fires_waits_for_no_evaluation() {
        let rules = rules();
        rules.evaluate_due(Instant::now() + EVERY, &(Arc::new(|_, _| ()) as Tell));
        let _evaluating = rules.lock();
        assert_eq!(rules.firing().len(), 2);
    }

    #[test]
    fn a_panic_behind_one_group_takes_nothing_of_another_along() {
        let rules = rules();
        let told = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&told);
        let tell: Tell = Arc::new(move |transitions, _| {
            let name = transitions[0].alert().labels.get("alertname").map(str::to_owned);
            hear.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
            assert_ne!(name.as_deref(), Some("b"), "on purpose");
        });
        let now = Instant::now() + EVERY;
        assert!(catch_unwind(AssertUnwindSafe(|| rules.evaluate_due(now, &tell))).is_err());
        assert_eq!(told.lock().unwrap_or_else(PoisonError::into_inner).len(), 2);
        assert_eq!(rules.firing().len(), 2);
    }
}
