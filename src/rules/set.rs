//! All groups together, and how one set follows another at a reload.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{Millis, Transition};

use super::file::{GroupSpec, RuleKind};
use super::group::Group;
use super::hold::{self, HoldMissing, Recorded};
use super::missing::Missing;
use super::restore::FOR_STATE;
use super::template::Externals;
use super::view::GroupHandle;

/// Every group of every rule file.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// In the order of files and groups.
    pub groups: Vec<Group>,
}

/// What a reload makes of the rules that are no longer there.
#[derive(Debug, Default)]
pub struct Succession {
    /// Sources whose series end: hand each to `Store::end`.
    pub gone: Vec<Arc<str>>,
    /// Firing alerts whose rules are gone, as resolved.
    pub transitions: Vec<Transition>,
}

impl RuleSet {
    /// A set that knows no alerts yet.
    pub fn new(specs: Vec<GroupSpec>, externals: &Externals) -> Self {
        // In order, so that what is recorded from recorded series leads to what was measured.
        let mut recorded = Recorded::new();
        for rule in specs.iter().flat_map(|spec| &spec.rules) {
            if let RuleKind::Record { name } = &rule.kind {
                let inputs = hold::through(rule.query.inputs(), &recorded);
                recorded.entry(name.clone()).or_default().extend(inputs);
            }
        }
        let group = |spec| {
            let mut group = Group::new(spec, externals.clone());
            group.feed_through(&recorded);
            group
        };
        Self { groups: specs.into_iter().map(group).collect() }
    }

    /// Holds alerts whose data are gone because a look failed.
    pub fn hold_missing(&mut self, hold: &HoldMissing) {
        self.groups.iter_mut().for_each(|group| group.hold_missing(hold.clone()));
    }

    /// Handles for readers, in the order of the groups.
    pub fn handles(&self) -> Vec<GroupHandle> {
        self.groups.iter().map(Group::handle).collect()
    }

    /// Notes which rules need metrics that are neither among `names` nor recorded by any rule, and hands those rules back.
    pub fn note_missing(&mut self, names: &HashSet<Arc<str>>) -> Vec<Missing> {
        let rules = self.groups.iter().flat_map(|group| &group.spec().rules);
        let recorded =
            rules.filter(|rule| matches!(rule.kind, RuleKind::Record { .. })).map(|rule| rule.name().to_owned());
        let made_here: HashSet<String> = recorded.chain(["ALERTS".to_owned(), FOR_STATE.to_owned()]).collect();
        let exists = |name: &str| names.contains(name) || made_here.contains(name);
        self.groups.iter_mut().flat_map(|group| group.note_missing(&exists)).collect()
    }

    /// Takes over the state of every rule that goes on; what does not go on ends.
    pub fn succeed(&mut self, previous: Self, now: Millis) -> Succession {
        let mut succession = Succession::default();
        let mut before: HashMap<(Arc<str>, Arc<str>), Group> =
            previous.groups.into_iter().map(|group| (group.key(), group)).collect();
        for group in &mut self.groups {
            if let Some(old) = before.remove(&group.key()) {
                let sources = group.sources();
                succession.gone.extend(old.sources().into_iter().filter(|source| !sources.contains(source)));
                succession.transitions.extend(group.adopt(old, now));
            }
        }
        for old in before.into_values() {
            succession.gone.extend(old.sources());
            succession.transitions.extend(old.end(now));
        }
        succession
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Block, Family, Labels, Point, Problems, Suffix};
    use crate::promql::{Options, Query, Value};
    use crate::rules::read_file;
    use crate::store::{Limits, Picture, Store};

    static UP: Family = Family::gauge("up", "Whether it answered.");

    fn store() -> Store {
        Store::new(Limits { retention: Duration::from_hours(24), max_series: 1000 })
    }

    fn show(store: &Store, minute: i64, values: &[(&str, f64)]) {
        let point = |(instance, value): &(&str, f64)| Point {
            suffix: Suffix::None,
            labels: Labels::new([("instance", *instance)]),
            value: *value,
        };
        let blocks = vec![Block { family: UP.clone(), points: values.iter().map(point).collect() }];
        store.record(Picture { source: "app".into(), labels: Labels::empty(), blocks, at: Millis(minute * 60_000) });
    }

    fn rules(text: &str) -> RuleSet {
        rules_in("prod", text)
    }

    fn rules_in(env: &str, text: &str) -> RuleSet {
        let problems = Problems::new();
        let specs = read_file("r.yml", text, &problems);
        assert!(problems.is_empty(), "{:?}", problems.into_sorted());
        let externals = Externals { labels: Labels::new([("env", env)]), url: "http://sw".into() };
        RuleSet::new(specs, &externals)
    }

    fn asked(store: &Store, minute: i64, query: &str) -> String {
        let query = Query::parse(query).unwrap();
        let Value::Vector(found) =
            query.instant(&store.snapshot(), Millis(minute * 60_000), &Options::default()).unwrap().value
        else {
            panic!("no vector");
        };
        found.iter().map(|(labels, value)| format!("{labels} {value}")).collect::<Vec<_>>().join("; ")
    }

    fn told(transitions: &[Transition]) -> String {
        let one = |transition: &Transition| {
            let word = match transition {
                Transition::Firing(_) => "firing",
                Transition::Still(_) => "still",
                Transition::Resolved(_) => "resolved",
            };
            format!("{word} {} {}", transition.alert().labels, transition.alert().annotations)
        };
        transitions.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    const DOWN: &str = "groups:\n- name: g\n  rules:\n  - record: down:sum\n    expr: sum by (instance) (up == 0) + 1\n    labels: {by: rule}\n  \
        - alert: Down\n    expr: down:sum > 0\n    for: 1m\n    labels: {severity: \"{{ if eq $labels.instance \\\"a\\\" }}page{{ end }}\"}\n    \
        annotations: {summary: \"{{ $labels.__name__ }} of {{ $labels.instance }}: {{ $value }}\"}\n";

    #[test]
    fn a_rule_sees_what_an_earlier_one_recorded_at_the_same_time() {
        let (store, mut set) = (store(), rules(DOWN));
        show(&store, 0, &[("a", 0.0), ("b", 1.0)]);
        let first = set.groups[0].evaluate(&store, Millis(0));
        assert!(first.transitions.is_empty() && first.failures.is_empty(), "{first:?}");
        assert_eq!(
            asked(&store, 0, "ALERTS"),
            r#"{__name__="ALERTS", alertname="Down", alertstate="pending", by="rule", instance="a", severity="page"} 1"#
        );
        show(&store, 1, &[("a", 0.0), ("b", 1.0)]);
        let second = set.groups[0].evaluate(&store, Millis(60_000));
        assert_eq!(
            told(&second.transitions),
            r#"firing {alertname="Down", by="rule", env="prod", instance="a", severity="page"} {summary="down:sum of a: 1"}"#
        );
        assert_eq!(
            asked(&store, 1, "ALERTS_FOR_STATE + 5"),
            r#"{alertname="Down", by="rule", instance="a", severity="page"} 5"#
        );
        show(&store, 2, &[("a", 1.0), ("b", 1.0)]);
        let third = set.groups[0].evaluate(&store, Millis(120_000));
        assert!(told(&third.transitions).starts_with("resolved"));
        assert_eq!(third.transitions[0].alert().ends_at, Some(Millis(120_000)));
        assert_eq!(asked(&store, 2, "{__name__=~\"ALERTS.*|down:sum\"}"), "");
    }

    /// A set as after a start, over what the store has.
    fn started(text: &str) -> RuleSet {
        let mut set = rules(text);
        set.groups.iter_mut().for_each(Group::restore_from_store);
        set
    }

    #[test]
    fn alerts_go_on_after_a_restart() {
        let long = "groups:\n- name: g\n  rules:\n  - {alert: Long, expr: up == 0, for: 30m}\n  - {alert: Short, expr: up == 0, for: 1m}\n";
        let (store, mut set) = (store(), rules(long));
        for minute in 0..=5 {
            show(&store, minute, &[("a", 0.0), ("b", if minute < 5 { 0.0 } else { 1.0 })]);
            set.groups[0].evaluate(&store, Millis(minute * 60_000));
        }
        // Down for ten minutes. What has ended before is not taken over, what fired fires at once, since when it did.
        show(&store, 15, &[("a", 0.0), ("b", 0.0)]);
        let mut after = started(long);
        let first = after.groups[0].evaluate(&store, Millis(15 * 60_000)).transitions;
        assert_eq!(told(&first), r#"firing {alertname="Short", env="prod", instance="a"} {}"#);
        assert_eq!(first[0].alert().starts_at, Millis(60_000));
        assert_eq!(
            asked(&store, 15, "sort(ALERTS_FOR_STATE{alertname=\"Long\"} / 60)"),
            r#"{alertname="Long", instance="a"} 10; {alertname="Long", instance="b"} 15"#
        );
        // A process that does not restore begins anew.
        let mut anew = rules(long);
        assert!(anew.groups[0].evaluate(&store, Millis(16 * 60_000)).transitions.is_empty());
    }

    #[test]
    fn an_alert_that_shows_late_after_a_start_begins_anew() {
        let (store, mut set) = (store(), rules(DOWN));
        for minute in 0..3 {
            show(&store, minute, &[("a", 0.0)]);
            set.groups[0].evaluate(&store, Millis(minute * 60_000));
        }
        let mut after = started(DOWN);
        for minute in 10..12 {
            show(&store, minute, &[("a", 1.0)]);
            after.groups[0].evaluate(&store, Millis(minute * 60_000));
        }
        show(&store, 12, &[("a", 0.0)]);
        assert!(after.groups[0].evaluate(&store, Millis(12 * 60_000)).transitions.is_empty());
    }

    #[test]
    fn rules_over_metrics_that_do_not_exist_are_found() {
        let text = "groups:\n- name: g\n  rules:\n  - {record: r, expr: up}\n  - {alert: A, expr: r > 0 and nope > 0}\n  - {alert: B, expr: absent(nope)}\n  \
            - {alert: C, expr: ALERTS}\n";
        let (store, mut set) = (store(), rules(text));
        show(&store, 0, &[("a", 0.0)]);
        let names: HashSet<Arc<str>> = store.snapshot().label_values("__name__").into_iter().collect();
        let found = set.note_missing(&names);
        assert_eq!(
            found.iter().map(|one| (one.rule.as_str(), &one.metrics[..])).collect::<Vec<_>>(),
            [("A", &["nope".to_owned()][..])]
        );
        set.groups[0].evaluate(&store, Millis(0));
        let shown = |set: &RuleSet| set.handles()[0].load().rules[1].last_error.clone();
        assert!(shown(&set).is_some_and(|notice| notice.contains("`nope`")));
        assert!(set.note_missing(&names.into_iter().chain(["nope".into()]).collect()).is_empty());
        set.groups[0].evaluate(&store, Millis(1000));
        assert_eq!(shown(&set), None);
    }

    #[test]
    fn a_rule_that_gives_nothing_leaves_no_picture() {
        let (store, mut set) = (store(), rules(DOWN));
        for (minute, up, pictures) in [(0, 1.0, 1), (1, 0.0, 3), (2, 1.0, 3)] {
            show(&store, minute, &[("a", up)]);
            set.groups[0].evaluate(&store, Millis(minute * 60_000));
            assert_eq!(store.current().len(), pictures, "{minute}");
        }
        assert_eq!(asked(&store, 2, "down:sum or ALERTS"), "");
    }

    #[test]
    fn a_rule_that_cannot_be_evaluated_changes_no_alert() {
        let text = "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: up == 0 and on () (up * on (x) up)\n";
        let (store, mut set) = (store(), rules(text));
        show(&store, 0, &[("a", 0.0)]);
        assert!(told(&set.groups[0].evaluate(&store, Millis(0)).transitions).starts_with("firing"));
        show(&store, 1, &[("a", 0.0), ("b", 0.0)]);
        let broken = set.groups[0].evaluate(&store, Millis(60_000));
        assert!(broken.failures[0].error.contains("many-to-many"), "{broken:?}");
        assert!(broken.transitions.is_empty());
        let view = set.handles()[0].load();
        assert_eq!((view.rules[0].health.as_str(), view.rules[0].alerts.len()), ("err", 1));
    }

    #[test]
    fn new_external_labels_end_what_was_known_under_the_old_ones() {
        let (store, mut set) = (store(), rules(DOWN));
        for minute in 0..2 {
            show(&store, minute, &[("a", 0.0)]);
            set.groups[0].evaluate(&store, Millis(minute * 60_000));
        }
        let mut staging = rules_in("staging", DOWN);
        let ended = staging.succeed(set, Millis(90_000));
        assert!(ended.gone.is_empty());
        let told_of = |transitions: &[Transition], word: &str, env: &str| {
            let told = told(transitions);
            assert!(told.starts_with(word) && told.contains(&format!("env=\"{env}\"")), "{told}");
        };
        assert_eq!(ended.transitions.len(), 1);
        told_of(&ended.transitions, "resolved", "prod");
        assert_eq!(ended.transitions[0].alert().ends_at, Some(Millis(90_000)));
        // A second reload before the next evaluation: nobody knows the name in between.
        let mut test = rules_in("test", DOWN);
        assert!(test.succeed(staging, Millis(100_000)).transitions.is_empty());
        show(&store, 2, &[("a", 0.0)]);
        let fires = test.groups[0].evaluate(&store, Millis(120_000)).transitions;
        told_of(&fires, "firing", "test");
        assert_eq!(fires[0].alert().starts_at, Millis(60_000));
        show(&store, 3, &[("a", 1.0)]);
        told_of(&test.groups[0].evaluate(&store, Millis(180_000)).transitions, "resolved", "test");
    }

    #[test]
    fn a_reload_keeps_what_goes_on_and_ends_what_does_not() {
        let (store, mut set) = (store(), rules(DOWN));
        for minute in 0..2 {
            show(&store, minute, &[("a", 0.0)]);
            set.groups[0].evaluate(&store, Millis(minute * 60_000));
        }
        let mut same = rules(DOWN);
        let kept = same.succeed(set, Millis(90_000));
        assert!(kept.gone.is_empty() && kept.transitions.is_empty(), "{kept:?}");
        show(&store, 2, &[("a", 0.0)]);
        assert!(told(&same.groups[0].evaluate(&store, Millis(120_000)).transitions).starts_with("still"));
        let ended = RuleSet::default().succeed(same, Millis(150_000));
        assert_eq!(ended.gone.len(), 2);
        assert!(told(&ended.transitions).starts_with("resolved"));
    }
}
