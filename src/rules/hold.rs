//! Alerts whose data are gone because a look failed are held, not resolved (`alerting.hold_missing`).
//!
//! An alert ends when its condition no longer holds. When what fed the condition cannot be seen any more, nobody knows
//! whether it holds; Prometheus ends the alert all the same, and whoever was woken hears that all is well. Here it goes
//! on, and an annotation says so, until the data are back, the target is watched no longer, or the time is over.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, METRIC_NAME, Millis, is_stale};
use crate::store::{MatchOp, Matcher, Snapshot};

use super::file::RuleSpec;

/// The annotation that says that an alert is held, since when and why.
const ANNOTATION: &str = "held";

/// So many series are remembered of a rule that fires; one over more is not held.
const MAX_FED: usize = 10_000;

/// The targets whose last look did not see all, or that were not looked at yet: their labels, and what could not be seen.
pub type FailingTargets = Arc<dyn Fn() -> Vec<(Labels, String)> + Send + Sync>;

/// How long alerts are held, and how it is known that a look failed.
#[derive(Clone)]
pub struct HoldMissing {
    /// At most so long; zero for never, which is what Prometheus does.
    pub longest: Duration,
    /// Asked at each evaluation of a rule that fires.
    pub failing: FailingTargets,
}

impl Default for HoldMissing {
    fn default() -> Self {
        Self { longest: Duration::ZERO, failing: Arc::new(Vec::new) }
    }
}

impl fmt::Debug for HoldMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HoldMissing").field("longest", &self.longest).finish_non_exhaustive()
    }
}

/// What feeds a rule while it fires.
#[derive(Debug, Default)]
pub(super) struct Fed(Vec<Input>);

/// The series that one selector of the expression finds.
#[derive(Debug, Default)]
struct Input {
    there: BTreeSet<Labels>,
    /// Those that were there, and are gone while their target fails; why it does.
    gone: Vec<(Labels, String)>,
    /// Those that were there at the look before, and ended.
    ended: Vec<Labels>,
}

impl Fed {
    /// Nothing fires, so that nothing need be remembered.
    pub(super) fn forget(&mut self) {
        self.0 = Vec::new();
    }

    /// Whether nothing is remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at what feeds the rule, in `(after, at]`. What was there and is gone because its target fails stays in mind.
    pub(super) fn look(
        &mut self,
        selectors: &[Vec<Matcher>],
        snapshot: &Snapshot,
        (after, at): (Millis, Millis),
        failing: &FailingTargets,
    ) {
        let mut before = std::mem::take(&mut self.0);
        before.resize_with(selectors.len(), Input::default);
        let mut failing_targets = None;
        let mut room = MAX_FED;
        for (matchers, before) in selectors.iter().zip(before) {
            let newest = snapshot.newest(matchers, after, at).into_iter().filter(|newest| !is_stale(newest.value));
            let there: BTreeSet<_> = newest.map(|newest| newest.labels).take(room).collect();
            let former = before.there.into_iter().chain(before.gone.into_iter().map(|(labels, _)| labels));
            let missing = former.filter(|labels| !there.contains(labels));
            let (mut gone, mut ended) = (Vec::new(), Vec::new());
            for labels in missing {
                let failing = failing_targets.get_or_insert_with(|| failing());
                let of = |target: &Labels| ["job", "instance"].iter().all(|name| target.get(name) == labels.get(name));
                match failing.iter().find(|(target, _)| of(target)) {
                    Some((_, why)) => gone.push((labels, why.clone())),
                    None => ended.push(labels),
                }
            }
            gone.truncate(room - there.len());
            room -= there.len() + gone.len();
            self.0.push(Input { there, gone, ended });
        }
    }

    /// As [`Self::look`] for an agent that has just started: what was there is what the store has since `since`. Gives when
    /// each of these series was seen last.
    pub(super) fn recall(
        &mut self,
        selectors: &[Vec<Matcher>],
        snapshot: &Snapshot,
        since: Millis,
        (after, at): (Millis, Millis),
        failing: &FailingTargets,
    ) -> HashMap<Labels, Millis> {
        let mut seen = HashMap::new();
        self.0 = Vec::new();
        for matchers in selectors {
            let mut input = Input::default();
            for series in snapshot.newest(matchers, since, at).into_iter().take(MAX_FED) {
                // A stale marker stands where it was looked for and was not there.
                let last = if is_stale(series.value) { Millis(series.at.0 - 1) } else { series.at };
                seen.insert(series.labels.clone(), last);
                input.there.insert(series.labels);
            }
            self.0.push(input);
        }
        self.look(selectors, snapshot, (after, at), failing);
        seen
    }

    /// Why nobody knows whether the condition of an alert still holds; nothing if that is known.
    pub(super) fn why_unknown(&self, alert: &Labels, rule: &RuleSpec) -> Option<&str> {
        self.unknown(alert, rule).map(|(_, why)| why)
    }

    /// A series without which nobody knows whether the condition of an alert still holds, and why it is gone.
    pub(super) fn unknown(&self, alert: &Labels, rule: &RuleSpec) -> Option<(&Labels, &str)> {
        self.0.iter().find_map(|input| input.unknown(alert, rule))
    }
}

impl Input {
    /// A series feeds an alert if they agree in the labels that both have. Where none does, the selector is one of other
    /// things, such as the right side of an `on ()`: then any of its series does.
    fn unknown(&self, alert: &Labels, rule: &RuleSpec) -> Option<(&Labels, &str)> {
        let of_rule = |name: &str| name == "alertname" || rule.labels.iter().any(|(known, _)| known == name);
        let agrees = |series: &Labels| {
            series.iter().all(|(name, value)| of_rule(name) || alert.get(name).is_none_or(|own| own == value))
        };
        let gone = self.gone.iter().map(|(labels, _)| labels);
        let is_other = !self.there.iter().chain(gone).chain(&self.ended).any(agrees);
        let of_alert = self.gone.iter().find(|(series, _)| is_other || agrees(series));
        of_alert.map(|(series, why)| (series, why.as_str()))
    }
}

/// What each recorded metric is computed from.
pub(super) type Recorded = HashMap<String, Vec<Vec<Matcher>>>;

/// The selectors, and those of what is recorded under the names that they ask for.
pub(super) fn through(selectors: Vec<Vec<Matcher>>, recorded: &Recorded) -> Vec<Vec<Matcher>> {
    let named = |matchers: &Vec<Matcher>| {
        let is_name = |matcher: &&Matcher| matcher.name == METRIC_NAME && matches!(matcher.op, MatchOp::Equal);
        matchers.iter().find(is_name).and_then(|matcher| recorded.get(&matcher.value))
    };
    let behind: Vec<_> = selectors.iter().filter_map(named).flatten().cloned().collect();
    [selectors, behind].concat()
}

/// The annotations of an alert that is held.
pub(super) fn annotated(annotations: &Labels, since: Millis, why: &str) -> Labels {
    let since = since.to_rfc3339();
    annotations.with(ANNOTATION, format!("not known whether it still holds: no data since {since}, as {why}").as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::model::{Block, Family, Point, Problems, Suffix, Transition};
    use crate::promql::Options;
    use crate::rules::{RuleSet, read_file};
    use crate::store::{Limits, Picture, Store};

    static LOAD: Family = Family::gauge("load", "How much there is to do.");

    struct Rig {
        store: Store,
        set: RuleSet,
        failing: Arc<Mutex<Vec<(Labels, String)>>>,
        minute: i64,
        rules: String,
        longest: u64,
    }

    fn target(instance: &str) -> Labels {
        Labels::new([("job", "postgres"), ("instance", instance)])
    }

    fn set(rules: &str, failing: &Arc<Mutex<Vec<(Labels, String)>>>, longest: u64) -> RuleSet {
        let problems = Problems::new();
        let specs = read_file("r.yml", &format!("groups:\n- name: g\n  rules:\n{rules}"), &problems);
        assert!(problems.is_empty(), "{:?}", problems.into_sorted());
        let mut set = RuleSet::new(specs, &super::super::Externals::default());
        let asked = Arc::clone(failing);
        let failing_targets: FailingTargets = Arc::new(move || asked.lock().unwrap().clone());
        let hold = HoldMissing { longest: Duration::from_mins(longest), failing: failing_targets };
        set.hold_missing(&hold);
        set.groups[0].set_options(Options::default());
        set
    }

    fn rig(rules: &str, longest: u64) -> Rig {
        let failing = Arc::new(Mutex::new(Vec::new()));
        let set = set(rules, &failing, longest);
        let store = Store::new(Limits { retention: Duration::from_hours(2), max_series: 1000 });
        Rig { store, set, failing, minute: 0, rules: rules.to_owned(), longest }
    }

    impl Rig {
        fn show(&self, instance: &str, values: &[(&str, f64)]) {
            let point = |(db, value): &(&str, f64)| Point {
                suffix: Suffix::None,
                labels: Labels::new([("db", *db)]),
                value: *value,
            };
            let blocks = vec![Block { family: LOAD.clone(), points: values.iter().map(point).collect() }];
            let (source, labels) = (instance.into(), target(instance));
            self.store.record(Picture { source, labels, blocks, at: Millis(self.minute * 60_000) });
        }

        fn fails(&self, instances: &[&str]) {
            *self.failing.lock().unwrap() =
                instances.iter().map(|instance| (target(instance), "connection refused".to_owned())).collect();
        }

        /// Another agent over what this one stored.
        fn restart(&mut self) {
            self.set = set(&self.rules, &self.failing, self.longest);
            self.set.groups[0].restore_from_store();
        }

        /// `F`iring, still, `h`eld, `r`esolved, by alert.
        fn evaluate(&mut self) -> String {
            let now = Millis(self.minute * 60_000);
            let evaluation = self.set.groups[0].evaluate(&self.store, now);
            assert_eq!(evaluation.failures, []);
            self.minute += 1;
            let word = |transition: &Transition| {
                let alert = transition.alert();
                let held = alert.annotations.get(ANNOTATION).is_some();
                let word = match transition {
                    Transition::Firing(_) => "F",
                    Transition::Still(_) if held => "h",
                    Transition::Still(_) => "f",
                    Transition::Resolved(_) => "r",
                };
                format!("{word}{}", alert.labels.get("db").or(alert.labels.get("instance")).unwrap_or_default())
            };
            evaluation.transitions.iter().map(word).collect::<Vec<_>>().join(" ")
        }
    }

    const HIGH: &str = "  - {alert: High, expr: load > 5, labels: {severity: page}}\n";

    #[test]
    fn an_alert_is_held_while_its_target_fails_and_ends_with_good_data() {
        let mut rig = rig(HIGH, 60);
        rig.show("a", &[("x", 9.0), ("y", 9.0), ("z", 1.0)]);
        assert_eq!(rig.evaluate(), "Fx Fy");
        rig.fails(&["a"]);
        rig.show("a", &[]);
        assert_eq!(rig.evaluate(), "hx hy");
        rig.show("a", &[]);
        assert_eq!(rig.evaluate(), "hx hy");
        let told = rig.set.groups[0].evaluate(&rig.store, Millis(rig.minute * 60_000)).transitions;
        assert_eq!(
            told[0].alert().annotations.get(ANNOTATION),
            Some("not known whether it still holds: no data since 1970-01-01T00:01:00.000Z, as connection refused")
        );
        assert_eq!(told[0].alert().value.to_string(), "9");
        rig.fails(&[]);
        rig.show("a", &[("x", 1.0), ("y", 8.0)]);
        assert_eq!(rig.evaluate(), "rx fy");
    }

    #[test]
    fn what_can_be_seen_and_is_well_ends_though_another_look_fails() {
        let mut rig = rig(HIGH, 60);
        rig.show("a", &[("x", 9.0), ("y", 9.0)]);
        rig.show("b", &[("u", 9.0)]);
        assert_eq!(rig.evaluate(), "Fu Fx Fy");
        rig.fails(&["a"]);
        rig.show("a", &[("x", 1.0)]);
        rig.show("b", &[]);
        assert_eq!(rig.evaluate(), "ru rx hy", "of `a` only `y` is not known; `b` was seen, and `u` is gone");
    }

    #[test]
    fn it_is_held_no_longer_than_configured_and_not_for_a_target_that_is_gone() {
        let mut rig = rig(HIGH, 2);
        rig.show("a", &[("x", 9.0)]);
        assert_eq!(rig.evaluate(), "Fx");
        rig.fails(&["a"]);
        rig.show("a", &[]);
        assert_eq!([rig.evaluate(), rig.evaluate(), rig.evaluate(), rig.evaluate()], ["hx", "hx", "rx", ""]);
        rig.fails(&[]);
        rig.show("a", &[("x", 9.0)]);
        assert_eq!(rig.evaluate(), "Fx");
        rig.fails(&["a"]);
        rig.show("a", &[]);
        assert_eq!(rig.evaluate(), "hx");
        rig.fails(&[]);
        assert_eq!(rig.evaluate(), "rx");
    }

    #[test]
    fn what_is_computed_from_the_data_is_held_too() {
        let rules = "  - {record: load:max, expr: max by (instance) (load)}\n  - {alert: High, expr: load:max > 5}\n";
        let mut rig = rig(rules, 60);
        rig.show("a", &[("x", 9.0)]);
        rig.show("b", &[("x", 1.0)]);
        assert_eq!(rig.evaluate(), "Fa");
        rig.fails(&["a"]);
        rig.show("a", &[]);
        rig.show("b", &[("x", 1.0)]);
        assert_eq!(rig.evaluate(), "ha");
        rig.fails(&["b"]);
        assert_eq!(rig.evaluate(), "ra");
    }

    #[test]
    fn a_held_alert_is_held_after_a_restart_with_what_it_said_before() {
        let rules = "  - {record: load:max, expr: max by (instance) (load)}\n  - {alert: High, expr: load:max > 5, for: 1m, annotations: {summary: is {{ $value }}}}\n  \
            - {alert: High, expr: load > 100, labels: {severity: page}}\n";
        for (fails, expected) in [(true, ["Fa", "ha", "ra", ""]), (false, ["", "", "", ""])] {
            let mut rig = rig(&rules.replace("is {{ $value }}", "'is {{ $value }}'"), 60);
            rig.show("a", &[("x", 9.0)]);
            assert_eq!(rig.evaluate(), "");
            rig.show("a", &[("x", 9.0)]);
            assert_eq!(rig.evaluate(), "Fa");
            rig.fails(&["a"]);
            rig.show("a", &[]);
            assert_eq!(rig.evaluate(), "ha");
            rig.restart();
            if !fails {
                rig.fails(&[]);
            }
            rig.minute += 10;
            let first = rig.set.groups[0].evaluate(&rig.store, Millis(rig.minute * 60_000)).transitions;
            assert_eq!(first.len(), usize::from(fails), "{first:?}");
            if let Some(Transition::Firing(alert)) = first.first() {
                assert_eq!(alert.starts_at, Millis(60_000), "since when it fired");
                assert_eq!(alert.annotations.get("summary"), Some("is 9"));
                assert_eq!(
                    alert.annotations.get(ANNOTATION),
                    Some(
                        "not known whether it still holds: no data since 1970-01-01T00:01:59.999Z, as connection refused"
                    )
                );
            }
            rig.minute += 1;
            assert_eq!(rig.evaluate(), expected[1]);
            rig.fails(&[]);
            rig.show("a", &[("x", 1.0)]);
            assert_eq!([&*rig.evaluate(), &*rig.evaluate()], [expected[2], expected[3]]);
        }
    }

    #[test]
    fn the_time_for_which_an_alert_is_held_goes_on_over_a_restart() {
        let mut rig = rig(HIGH, 5);
        rig.show("a", &[("x", 9.0)]);
        assert_eq!(rig.evaluate(), "Fx");
        rig.fails(&["a"]);
        rig.show("a", &[]);
        assert_eq!(rig.evaluate(), "hx");
        rig.restart();
        assert_eq!([rig.evaluate(), rig.evaluate(), rig.evaluate(), rig.evaluate()], ["Fx", "hx", "hx", "hx"]);
        assert_eq!([rig.evaluate(), rig.evaluate()], ["rx", ""]);
    }

    #[test]
    fn without_it_alerts_end_as_in_prometheus() {
        let mut rig = rig(HIGH, 0);
        rig.show("a", &[("x", 9.0)]);
        assert_eq!(rig.evaluate(), "Fx");
        rig.fails(&["a"]);
        rig.show("a", &[]);
        assert_eq!(rig.evaluate(), "rx");
    }
}
