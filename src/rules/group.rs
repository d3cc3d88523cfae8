//! A group of rules: evaluates them in order against the store.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::model::{Alert, Block, Family, Labels, METRIC_NAME, MetricKind, Millis, Point, Suffix, Transition};
use crate::promql::{Options, Value};
use crate::store::{Matcher, Picture, Snapshot, Store};

use super::file::{GroupSpec, RuleKind, RuleSpec};
use super::hold::{self, Fed, HoldMissing, Recorded};
use super::missing::{self, Missing};
use super::restore::{self, FOR_STATE, RESTORE_WITHIN};
use super::state::{self, Active, AlertState, Alerts, Change, Condition, Timing};
use super::template::{Expander, Externals};
use super::view::{ActiveAlert, GroupHandle, GroupView, Health, RuleView};

static ALERTS: Family = Family::gauge("ALERTS", "Alerts that are pending or firing (1), by their labels.");
static ALERTS_FOR_STATE: Family =
    Family::gauge(FOR_STATE, "Unix time in seconds since which an alert's condition has held.");

/// What one evaluation of a group brought.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// For `notify`: firing, still firing, resolved.
    pub transitions: Vec<Transition>,
    /// Rules that could not be evaluated; their alerts stay as they were.
    pub failures: Vec<Failure>,
}

/// A rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The recorded metric or the alert.
    pub rule: String,
    /// Why.
    pub error: String,
}

/// A group with the state of its alerts.
#[derive(Debug)]
pub struct Group {
    spec: Arc<GroupSpec>,
    externals: Externals,
    options: Options,
    rules: Vec<RuleState>,
    last_evaluation: Option<Millis>,
    took: Duration,
    /// Whether alerts take over what the store has of them from before the start.
    restores: bool,
    hold: HoldMissing,
    view: Arc<ArcSwap<GroupView>>,
}

#[derive(Debug)]
struct RuleState {
    source: Arc<str>,
    alerts: Alerts,
    health: Health,
    last_error: Option<String>,
    first_evaluation: Option<Millis>,
    last_evaluation: Option<Millis>,
    /// Whether its last picture may have shown anything: one that shows nothing must follow then, to end it.
    recorded: bool,
    /// Metrics that its expression needs and that nobody has.
    missing: Vec<String>,
    /// The selectors of what feeds it, through recording rules too.
    inputs: Vec<Vec<Matcher>>,
    /// What feeds it while it fires.
    fed: Fed,
}

impl Group {
    /// A group that knows no alerts yet.
    pub fn new(spec: GroupSpec, externals: Externals) -> Self {
        let spec = Arc::new(spec);
        let state = |index: usize| RuleState {
            source: format!("rule:{}/{}/{index}", spec.file, spec.name).into(),
            alerts: Alerts::new(),
            health: Health::Unknown,
            last_error: None,
            first_evaluation: None,
            last_evaluation: None,
            recorded: false,
            missing: Vec::new(),
            inputs: spec.rules[index].query.inputs(),
            fed: Fed::default(),
        };
        let rules: Vec<_> = (0..spec.rules.len()).map(state).collect();
        let view = GroupView {
            spec: Arc::clone(&spec),
            last_evaluation: None,
            took: Duration::ZERO,
            rules: vec![RuleView::default(); rules.len()],
        };
        let view = Arc::new(ArcSwap::from_pointee(view));
        let (options, took) = (Options::default(), Duration::ZERO);
        let hold = HoldMissing::default();
        Self { spec, externals, options, rules, last_evaluation: None, took, restores: false, hold, view }
    }

    /// Lets alerts that the store has from before the start go on as they were.
    pub fn restore_from_store(&mut self) {
        self.restores = !self.spec.begins_anew;
    }

    /// Holds alerts whose data are gone because a look failed.
    pub fn hold_missing(&mut self, hold: HoldMissing) {
        self.hold = hold;
    }

    /// Names further selectors of what feeds its rules: those of the rules that record what they ask for.
    pub(super) fn feed_through(&mut self, recorded: &Recorded) {
        for state in &mut self.rules {
            state.inputs = hold::through(std::mem::take(&mut state.inputs), recorded);
        }
    }

    /// As it is written.
    pub fn spec(&self) -> &GroupSpec {
        &self.spec
    }

    /// How often it wants to be evaluated; `None`: the global evaluation interval.
    pub fn interval(&self) -> Option<Duration> {
        self.spec.interval
    }

    /// Limits of its queries, and the step of subqueries that name none (the global evaluation interval).
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// A handle for readers.
    pub fn handle(&self) -> GroupHandle {
        GroupHandle(Arc::clone(&self.view))
    }

    /// Under which sources its rules record.
    pub fn sources(&self) -> Vec<Arc<str>> {
        self.rules.iter().map(|rule| Arc::clone(&rule.source)).collect()
    }

    /// What stays the same over reloads: file and name.
    pub(super) fn key(&self) -> (Arc<str>, Arc<str>) {
        (Arc::clone(&self.spec.file), Arc::clone(&self.spec.name))
    }

    /// Evaluates every rule in order. A rule sees what earlier ones recorded at the same time, so this records as it goes.
    pub fn evaluate(&mut self, store: &Store, now: Millis) -> Evaluation {
        self.evaluate_timed(store, now, || Duration::ZERO)
    }

    /// As [`Self::evaluate`], and shows readers how long it took: the caller has the clock.
    pub fn evaluate_timed(&mut self, store: &Store, now: Millis, took: impl FnOnce() -> Duration) -> Evaluation {
        let mut evaluation = Evaluation::default();
        let at = now - self.spec.query_offset.unwrap_or_default();
        let spec = Arc::clone(&self.spec);
        for (index, rule) in spec.rules.iter().enumerate() {
            let snapshot = store.snapshot();
            let work = AssertUnwindSafe(|| match &rule.kind {
                RuleKind::Record { name } => self.record(rule, name, &snapshot, at),
                RuleKind::Alert { .. } => self.alert(index, rule, &snapshot, (now, at), &mut evaluation.transitions),
            });
            // A rule that panics is one that could not be evaluated: what the rules before it found is still told.
            let outcome = catch_unwind(work).unwrap_or_else(|_| Err("its evaluation panicked: a bug".into()));
            let state = &mut self.rules[index];
            state.first_evaluation.get_or_insert(now);
            state.last_evaluation = Some(now);
            match outcome {
                Ok(blocks) => {
                    (state.health, state.last_error) = (Health::Ok, None);
                    // Most rules give nothing most of the time, and nothing needs no picture.
                    let shows = blocks.iter().any(|block| !block.points.is_empty());
                    if shows || state.recorded {
                        let source = Arc::clone(&state.source);
                        store.record_computed(Picture { source, labels: Labels::empty(), blocks, at });
                    }
                    state.recorded = shows;
                }
                Err(error) => {
                    (state.health, state.last_error) = (Health::Err, Some(error.clone()));
                    evaluation.failures.push(Failure { rule: rule.name().to_owned(), error });
                }
            }
        }
        self.last_evaluation = Some(now);
        self.took = took();
        self.show();
        evaluation
    }

    /// Notes which rules need metrics that do not exist, and hands them back. Readers see it with the next evaluation.
    pub fn note_missing(&mut self, exists: &dyn Fn(&str) -> bool) -> Vec<Missing> {
        let spec = Arc::clone(&self.spec);
        for (rule, state) in spec.rules.iter().zip(&mut self.rules) {
            state.missing = rule.query.missing(exists);
        }
        let all = spec.rules.iter().zip(&self.rules).filter(|(_, state)| !state.missing.is_empty());
        all.map(|(rule, state)| Missing {
            at: rule.at.clone(),
            rule: rule.name().to_owned(),
            metrics: state.missing.clone(),
        })
        .collect()
    }

    /// Takes over the alerts of every rule that goes on, known by its name and labels. Those of other rules end, and so
    /// do those that others know under external labels of before: they fire anew under the new ones.
    pub fn adopt(&mut self, mut previous: Self, now: Millis) -> Vec<Transition> {
        let mut ended = Vec::new();
        for (index, rule) in self.spec.rules.iter().enumerate() {
            let same = |old: &RuleSpec| {
                old.name() == rule.name()
                    && old.labels == rule.labels
                    && std::mem::discriminant(&old.kind) == std::mem::discriminant(&rule.kind)
            };
            let exact = previous.spec.rules.iter().position(|old| old == rule);
            if let Some(from) = exact.or_else(|| previous.spec.rules.iter().position(same)) {
                let (old, new) = (&mut previous.rules[from], &mut self.rules[index]);
                ended.extend(rename(
                    &mut old.alerts,
                    &previous.spec.rules[from],
                    (&previous.externals, &self.externals),
                    now,
                ));
                new.alerts.append(&mut old.alerts);
                (new.health, new.first_evaluation, new.last_evaluation) =
                    (old.health, old.first_evaluation, old.last_evaluation);
                new.last_error = old.last_error.take();
                if exact.is_some() {
                    new.fed = std::mem::take(&mut old.fed);
                }
            }
        }
        // Under the same source another rule may have shown something.
        self.rules.iter_mut().for_each(|rule| rule.recorded = true);
        if self.spec == previous.spec {
            // Who reads the group goes on reading it.
            (self.view, self.last_evaluation, self.took) =
                (Arc::clone(&previous.view), previous.last_evaluation, previous.took);
        }
        self.show();
        ended.extend(previous.end(now));
        ended
    }

    /// The group is gone: what fires is resolved.
    pub(super) fn end(self, now: Millis) -> Vec<Transition> {
        let mut transitions = Vec::new();
        for (rule, state) in self.spec.rules.iter().zip(self.rules) {
            for (labels, active) in state.alerts.iter().filter(|(_, active)| active.is_told()) {
                let alert = self.externals.alert(rule, labels, active, Some(now));
                transitions.push(Transition::Resolved(alert));
            }
        }
        transitions
    }

    fn record(&self, rule: &RuleSpec, name: &str, snapshot: &Snapshot, at: Millis) -> Result<Vec<Block>, String> {
        let mut seen = BTreeMap::new();
        for (labels, value) in self.query(rule, snapshot, at)? {
            let labels = without_name(&labels);
            let labels = rule.labels.iter().fold(labels, |labels, (name, value)| labels.with(name, value.as_str()));
            if seen.insert(labels, value).is_some() {
                return Err("vector contains metrics with the same labelset after applying rule labels".into());
            }
        }
        self.check_limit(seen.len(), "series")?;
        let points: Vec<_> =
            seen.into_iter().map(|(labels, value)| Point { suffix: Suffix::None, labels, value }).collect();
        if points.is_empty() {
            return Ok(Vec::new());
        }
        let help = format!("Recorded: {}", rule.query.text());
        let family = Family::discovered(name.to_owned(), MetricKind::Unknown, help);
        Ok(vec![Block { family, points }])
    }

    fn alert(
        &mut self,
        index: usize,
        rule: &RuleSpec,
        snapshot: &Snapshot,
        (now, at): (Millis, Millis),
        transitions: &mut Vec<Transition>,
    ) -> Result<Vec<Block>, String> {
        let RuleKind::Alert { name, hold, keep_firing_for, .. } = &rule.kind else {
            return Err("not an alerting rule".into());
        };
        let timing = Timing { hold: *hold, keep_firing_for: *keep_firing_for };
        let mut holding = self.holding(rule, snapshot, at)?;
        self.hold(index, rule, &mut holding, snapshot, (now, at));
        self.restore_held(index, rule, (name, timing), &mut holding, snapshot, (now, at));
        self.check_limit(state::count_after(&self.rules[index].alerts, &holding, timing, now), "alerts")?;
        let restored = self.restored(&self.rules[index], &holding, (name, timing), snapshot, now);
        let alerts = &mut self.rules[index].alerts;
        alerts.extend(restored);
        for (labels, active, change) in state::step(alerts, holding, timing, now) {
            let ends_at = (change == Change::Ended).then_some(now);
            let alert = self.externals.alert(rule, &labels, &active, ends_at);
            transitions.push(match change {
                Change::Fires => Transition::Firing(alert),
                Change::StillFires => Transition::Still(alert),
                Change::Ended => Transition::Resolved(alert),
            });
        }
        self.watch(index, snapshot, at);
        Ok(alert_blocks(&self.rules[index].alerts))
    }

    /// Adds to what holds the alerts that fire and of which nobody knows whether they hold.
    fn hold(
        &mut self,
        index: usize,
        rule: &RuleSpec,
        holding: &mut BTreeMap<Labels, Condition>,
        snapshot: &Snapshot,
        (now, at): (Millis, Millis),
    ) {
        let state = &mut self.rules[index];
        if state.fed.is_empty() {
            return;
        }
        state.fed.look(&state.inputs, snapshot, (at - self.options.lookback, at), &self.hold.failing);
        for (labels, active) in state.alerts.iter_mut().filter(|(_, active)| active.state == AlertState::Firing) {
            let why = (!holding.contains_key(labels)).then(|| state.fed.why_unknown(labels, rule)).flatten();
            let Some(why) = why else {
                active.held_since = None;
                continue;
            };
            let since = *active.held_since.get_or_insert(now);
            if now.since(since) < self.hold.longest {
                let annotations = hold::annotated(&active.annotations, since, why);
                holding.insert(labels.clone(), Condition { value: active.value, annotations });
            }
        }
    }

    /// Takes over alerts that fired before the start and of which nobody can know whether they hold, since a look at what
    /// feeds them failed or was not taken yet: they go on to be held, as they were when their data were last there.
    fn restore_held(
        &mut self,
        index: usize,
        rule: &RuleSpec,
        (name, timing): (&str, Timing),
        holding: &mut BTreeMap<Labels, Condition>,
        snapshot: &Snapshot,
        (now, at): (Millis, Millis),
    ) {
        let (state, longest) = (&self.rules[index], self.hold.longest);
        if longest.is_zero() || !self.is_restoring(state, now) {
            return;
        }
        let mut former = restore::former(snapshot, name, now);
        former.retain(|labels, _| !state.alerts.contains_key(labels) && !holding.contains_key(labels));
        if former.is_empty() {
            return;
        }
        let mut fed = Fed::default();
        let since = now - restore::OUTAGE_TOLERANCE - longest;
        let window = (at - self.options.lookback, at);
        let seen = fed.recall(&state.inputs, snapshot, since, window, &self.hold.failing);
        // What the rule gave when the data were last there.
        let mut given: BTreeMap<Millis, BTreeMap<Labels, Condition>> = BTreeMap::new();
        let mut held = Vec::new();
        for (labels, former) in former {
            let restored = former.restored(timing, now).filter(|restored| restored.fired_at.is_some());
            let Some((restored, (series, why))) = restored.zip(fed.unknown(&labels, rule)) else { continue };
            let last = seen.get(series).copied().unwrap_or(now);
            if now.since(last) >= longest {
                continue;
            }
            let given = given.entry(last).or_insert_with(|| self.holding(rule, snapshot, last).unwrap_or_default());
            // Another rule may have alerts of this name.
            let Some(condition) = given.remove(&labels) else { continue };
            let annotations = hold::annotated(&condition.annotations, last, why);
            let mut active = Active::pending(restored.since, restored.fired_at, condition.value);
            active.held_since = Some(last);
            held.push((labels, active, Condition { annotations, ..condition }));
        }
        if !held.is_empty() {
            self.rules[index].fed = fed;
        }
        for (labels, active, condition) in held {
            holding.insert(labels.clone(), condition);
            self.rules[index].alerts.insert(labels, active);
        }
    }

    /// Whether an alert that is new to this process may be one from before its start.
    fn is_restoring(&self, state: &RuleState, now: Millis) -> bool {
        self.restores && state.first_evaluation.is_none_or(|first| now.since(first) <= RESTORE_WITHIN)
    }

    /// Remembers what feeds a rule that has begun to fire.
    fn watch(&mut self, index: usize, snapshot: &Snapshot, at: Millis) {
        let state = &mut self.rules[index];
        let fires = state.alerts.values().any(|active| active.state == AlertState::Firing);
        if !fires || self.hold.longest.is_zero() {
            state.fed.forget();
        } else if state.fed.is_empty() {
            state.fed.look(&state.inputs, snapshot, (at - self.options.lookback, at), &self.hold.failing);
        }
    }

    /// The alerts that are new to this process and were there before it started.
    fn restored(
        &self,
        state: &RuleState,
        holding: &BTreeMap<Labels, Condition>,
        (name, timing): (&str, Timing),
        snapshot: &Snapshot,
        now: Millis,
    ) -> Vec<(Labels, Active)> {
        let mut new = holding.iter().filter(|(labels, _)| !state.alerts.contains_key(*labels)).peekable();
        if !self.is_restoring(state, now) || new.peek().is_none() {
            return Vec::new();
        }
        let former = restore::former(snapshot, name, now);
        let taken_over = |(labels, condition): (&Labels, &Condition)| {
            let restored = former.get(labels)?.restored(timing, now)?;
            Some((labels.clone(), Active::pending(restored.since, restored.fired_at, condition.value)))
        };
        new.filter_map(taken_over).collect()
    }

    /// For which label sets the condition holds, with values and annotations.
    fn holding(&self, rule: &RuleSpec, snapshot: &Snapshot, at: Millis) -> Result<BTreeMap<Labels, Condition>, String> {
        let RuleKind::Alert { name, annotations, .. } = &rule.kind else {
            return Ok(BTreeMap::new());
        };
        let mut holding = BTreeMap::new();
        for (sample, value) in self.query(rule, snapshot, at)? {
            let expander = Expander { snapshot, at, externals: &self.externals, labels: &sample, value };
            let labels = rule
                .labels
                .iter()
                .fold(without_name(&sample), |labels, (name, text)| labels.with(name, expander.expand(text)))
                .with("alertname", name.as_str());
            let annotations =
                Labels::new(annotations.iter().map(|(name, text)| (name.as_str(), expander.expand(text))));
            if holding.insert(labels, Condition { value, annotations }).is_some() {
                return Err("vector contains metrics with the same labelset after applying alert labels".into());
            }
        }
        Ok(holding)
    }

    fn query(&self, rule: &RuleSpec, snapshot: &Snapshot, at: Millis) -> Result<Vec<(Labels, f64)>, String> {
        match rule.query.instant(snapshot, at, &self.options).map_err(|error| error.to_string())?.value {
            Value::Vector(elements) => Ok(elements),
            Value::Scalar(value) => Ok(vec![(Labels::empty(), value)]),
            other => Err(format!("rule result is not a vector or scalar but a {}", other.type_name())),
        }
    }

    /// Prometheus drops all alerts of a rule over its limit. Here they stay: a rule that fails changes no alert.
    fn check_limit(&self, count: usize, what: &str) -> Result<(), String> {
        match usize::try_from(self.spec.limit) {
            Ok(limit) if limit > 0 && count > limit => Err(format!("exceeded limit of {limit} with {count} {what}")),
            _ => Ok(()),
        }
    }

    /// Renews what readers see.
    fn show(&self) {
        let rule = |state: &RuleState| RuleView {
            health: state.health,
            last_error: state.last_error.clone().or_else(|| missing::notice(&state.missing)),
            last_evaluation: state.last_evaluation,
            alerts: state.alerts.iter().map(|(labels, active)| shown(labels, active)).collect(),
        };
        self.view.store(Arc::new(GroupView {
            spec: Arc::clone(&self.spec),
            last_evaluation: self.last_evaluation,
            took: self.took,
            rules: self.rules.iter().map(rule).collect(),
        }));
    }
}

/// Ends what others know under labels that the new external labels change.
fn rename(alerts: &mut Alerts, rule: &RuleSpec, (old, new): (&Externals, &Externals), now: Millis) -> Vec<Transition> {
    let mut ended = Vec::new();
    for (labels, active) in alerts.iter_mut().filter(|(_, active)| active.is_told()) {
        if old.labels.overlaid(labels) != new.labels.overlaid(labels) {
            ended.push(Transition::Resolved(old.alert(rule, labels, active, Some(now))));
            active.renamed = true;
        }
    }
    ended
}

fn shown(labels: &Labels, active: &Active) -> ActiveAlert {
    ActiveAlert {
        labels: labels.clone(),
        annotations: active.annotations.clone(),
        state: active.state,
        active_at: active.since,
        keep_firing_since: active.keep_firing_since,
        value: active.value,
    }
}

fn alert_blocks(alerts: &Alerts) -> Vec<Block> {
    if alerts.is_empty() {
        return Vec::new();
    }
    let point = |labels: Labels, value| Point { suffix: Suffix::None, labels, value };
    let states = alerts.iter().map(|(labels, active)| point(labels.with("alertstate", active.state.as_str()), 1.0));
    let since = alerts.iter().map(|(labels, active)| point(labels.clone(), active.since.0.div_euclid(1000) as f64));
    vec![
        Block { family: ALERTS.clone(), points: states.collect() },
        Block { family: ALERTS_FOR_STATE.clone(), points: since.collect() },
    ]
}

fn without_name(labels: &Labels) -> Labels {
    labels.without(|name| name == METRIC_NAME)
}

impl Externals {
    /// An alert as others see it: with the external labels, which the rule's own win over.
    fn alert(&self, rule: &RuleSpec, labels: &Labels, active: &Active, ends_at: Option<Millis>) -> Alert {
        Alert {
            labels: self.labels.overlaid(labels),
            annotations: active.annotations.clone(),
            // As Prometheus tells it: since it fires, not since the condition holds.
            starts_at: active.fired_at.unwrap_or(active.since),
            ends_at,
            value: active.value,
            generator_url: self.graph_url(rule.query.text()),
        }
    }
}
