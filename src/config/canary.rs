//! The rule that fires the canary, for those who have one.

use std::time::Duration;

use crate::model::Problems;
use crate::notify::CANARY;
use crate::rules::{GroupSpec, read_file};

/// As the shipped rules: nothing is said of metrics that it needs.
const FILE: &str = "shipped/canary.yml";

/// A group that fires the canary in the first half of each period and ends it in the second: so each is a new alert, whatever
/// anybody's `repeat_interval` is, and what cannot be evaluated any more fires none. It stands on a sample of the agent's own,
/// so that the store has its part in the proof.
pub fn rules(every: Duration) -> Vec<GroupSpec> {
    // In whole milliseconds, as evaluations are.
    let half = (every.as_millis() / 2).max(1);
    let (half_seconds, seconds) = (half as f64 / 1000.0, half as f64 / 500.0);
    let text = format!(
        "groups:
- name: {CANARY}
  interval: {half}ms
  rules:
  - alert: {CANARY}
    expr: time() - process_start_time_seconds{{job=\"sidewatch\"}} and on () (vector(time() % {seconds}) < {half_seconds})
    labels: {{severity: none}}
    annotations:
      summary: A canary. Nothing is wrong, and nothing is to be done.
      description: >-
        This alert comes on a schedule, to prove that alerts arrive. The agent runs for {{{{ $value | humanizeDuration }}}}.
        What to worry about is its absence.
"
    );
    let problems = Problems::new();
    let mut groups = read_file(FILE, &text, &problems);
    // A canary of before a restart proves nothing of what is there after it.
    for group in &mut groups {
        group.begins_anew = true;
    }
    debug_assert!(problems.is_empty(), "the canary's rule is broken: {problems:?}");
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Block, Family, Labels, Millis, Point, Suffix, Transition};
    use crate::rules::{Externals, RuleSet};
    use crate::store::{Limits, Picture, Store};

    static START: Family = Family::gauge("process_start_time_seconds", "When it started.");

    #[test]
    fn each_period_has_a_canary_that_begins_and_ends_in_it() {
        let every = Duration::from_secs(15);
        let store = Store::new(Limits { retention: Duration::from_hours(1), max_series: 100 });
        let point = Point { suffix: Suffix::None, labels: Labels::empty(), value: 0.0 };
        let blocks = vec![Block { family: START.clone(), points: vec![point] }];
        let labels = Labels::new([("job", "sidewatch"), ("instance", "shop-1")]);
        let begin = 1_795_230_240_000;
        store.record(Picture { source: "own".into(), labels, blocks, at: Millis(begin) });
        let externals = Externals { labels: Labels::empty(), url: "http://sw".into() };
        // Wherever the group's slot lies in the period.
        for phase in [0, 1, 3000, 7499] {
            let mut set = RuleSet::new(rules(every), &externals);
            assert_eq!(set.groups[0].interval(), Some(Duration::from_millis(7500)));
            let mut told = Vec::new();
            for turn in 0..6 {
                let at = Millis(begin + phase + turn * 7500);
                told.extend(set.groups[0].evaluate(&store, at).transitions.into_iter().map(|one| (turn, one)));
            }
            let told: Vec<_> = told
                .iter()
                .map(|(turn, one)| match one {
                    Transition::Firing(alert) => format!("{turn} fires {}", alert.labels),
                    Transition::Still(_) => format!("{turn} still"),
                    Transition::Resolved(_) => format!("{turn} ends"),
                })
                .collect();
            let fires = |turn| {
                format!(
                    r#"{turn} fires {{alertname="SidewatchCanary", instance="shop-1", job="sidewatch", severity="none"}}"#
                )
            };
            let ends = |turn| format!("{turn} ends");
            assert_eq!(told, [fires(0), ends(1), fires(2), ends(3), fires(4), ends(5)], "{phase}");
        }
    }

    #[test]
    fn the_canary_of_before_a_restart_is_not_the_one_after_it() {
        let store = Store::new(Limits { retention: Duration::from_hours(1), max_series: 100 });
        let point = Point { suffix: Suffix::None, labels: Labels::empty(), value: 0.0 };
        let blocks = vec![Block { family: START.clone(), points: vec![point] }];
        let begin = 1_795_230_240_768;
        store.record(Picture {
            source: "own".into(),
            labels: Labels::new([("job", "sidewatch")]),
            blocks,
            at: Millis(begin),
        });
        let externals = Externals { labels: Labels::empty(), url: "http://sw".into() };
        let fired_at = [0, 3000].map(|after| {
            let mut set = RuleSet::new(rules(Duration::from_mins(1)), &externals);
            set.groups[0].restore_from_store();
            let told = set.groups[0].evaluate(&store, Millis(begin + after)).transitions;
            assert!(matches!(told[..], [Transition::Firing(_)]), "{told:?}");
            told[0].alert().starts_at.0 - begin
        });
        assert_eq!(fired_at, [0, 3000]);
    }
}
