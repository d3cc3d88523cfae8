//! Alerts that keep others quiet: while a source fires, targets with the same values of some labels are not told.
//!
//! In: alerts as they come and end. Out: which alert inhibits a label set. As Alertmanager's: whether a source is silenced
//! or inhibited itself plays no part, and of alerts that are both source and target of a rule none inhibits another.
//!
//! Invariant: pure; one look-up costs the same however many sources there are. Holds no more sources than alerts are told.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Alert, Labels, Millis};

use super::matcher::{Matcher, all_take};

/// An item of `inhibit_rules`.
#[derive(Debug, Clone, PartialEq)]
pub struct InhibitRule {
    /// What an alert must fulfil to inhibit others.
    pub source: Vec<Matcher>,
    /// What an alert must fulfil to be inhibited.
    pub target: Vec<Matcher>,
    /// Whose values must be the same in both; a label that neither has is the same.
    pub equal: Vec<String>,
}

/// Values of a rule's `equal` labels.
type Same = Box<[String]>;

/// Sources by when they end, so that the last is the one that counts.
#[derive(Debug, Default)]
struct Sources {
    /// Those that are no targets.
    only: BTreeSet<(Millis, u64)>,
    /// Those that are targets of the same rule too.
    both: BTreeSet<(Millis, u64)>,
}

#[derive(Debug)]
struct Kept {
    same: Same,
    both: bool,
    ends: Millis,
}

/// A rule with its sources.
#[derive(Debug)]
struct Live {
    rule: InhibitRule,
    sources: HashMap<Same, Sources>,
    kept: HashMap<u64, Kept>,
}

/// All rules with the alerts that are their sources now.
#[derive(Debug, Default)]
pub struct Inhibitor(Vec<Live>);

impl Inhibitor {
    /// Without any source.
    pub fn new(rules: &[InhibitRule]) -> Self {
        let rule = |rule: &InhibitRule| Live { rule: rule.clone(), sources: HashMap::new(), kept: HashMap::new() };
        Self(rules.iter().map(rule).collect())
    }

    /// Takes an alert as it is now; `id` is its fingerprint.
    pub fn note(&mut self, id: u64, alert: &Alert, wall: Millis) {
        for rule in &mut self.0 {
            rule.note(id, alert, wall);
        }
    }

    /// Forgets sources that named their end and did not come again before it.
    pub fn forget_ended(&mut self, wall: Millis) {
        for rule in &mut self.0 {
            let ended: Vec<u64> = rule.kept.iter().filter(|(_, kept)| kept.ends <= wall).map(|(id, _)| *id).collect();
            for id in ended {
                rule.forget(id);
            }
        }
    }

    /// The fingerprint of an alert that inhibits a label set.
    pub fn inhibiting(&self, labels: &Labels, wall: Millis) -> Option<u64> {
        self.0.iter().find_map(|rule| rule.inhibiting(labels, wall))
    }
}

impl Live {
    fn note(&mut self, id: u64, alert: &Alert, wall: Millis) {
        self.forget(id);
        let ends = alert.ends_at.unwrap_or(Millis(i64::MAX));
        if ends <= wall || !all_take(&self.rule.source, &alert.labels) {
            return;
        }
        let (same, both) = (self.same(&alert.labels), all_take(&self.rule.target, &alert.labels));
        self.sources.entry(same.clone()).or_default().side(both).insert((ends, id));
        self.kept.insert(id, Kept { same, both, ends });
    }

    fn forget(&mut self, id: u64) {
        if let Some(Kept { same, both, ends }) = self.kept.remove(&id)
            && let Some(sources) = self.sources.get_mut(&same)
        {
            sources.side(both).remove(&(ends, id));
            if sources.only.is_empty() && sources.both.is_empty() {
                self.sources.remove(&same);
            }
        }
    }

    fn inhibiting(&self, labels: &Labels, wall: Millis) -> Option<u64> {
        if self.sources.is_empty() || !all_take(&self.rule.target, labels) {
            return None;
        }
        let sources = self.sources.get(&self.same(labels))?;
        let last = |side: &BTreeSet<(Millis, u64)>| side.last().filter(|(ends, _)| *ends > wall).map(|(_, id)| *id);
        last(&sources.only).or_else(|| {
            let is_source = all_take(&self.rule.source, labels);
            if is_source { None } else { last(&sources.both) }
        })
    }

    fn same(&self, labels: &Labels) -> Same {
        self.rule.equal.iter().map(|name| labels.get(name).unwrap_or_default().to_owned()).collect()
    }
}

impl Sources {
    fn side(&mut self, both: bool) -> &mut BTreeSet<(Millis, u64)> {
        if both { &mut self.both } else { &mut self.only }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::fingerprint;

    fn labels(text: &str) -> Labels {
        Labels::new(text.split(',').filter_map(|pair| pair.split_once('=')))
    }

    fn rule(source: &str, target: &str, equal: &[&str]) -> InhibitRule {
        let read = |text| Matcher::parse_list(text).unwrap();
        InhibitRule {
            source: read(source),
            target: read(target),
            equal: equal.iter().map(ToString::to_string).collect(),
        }
    }

    fn note(inhibitor: &mut Inhibitor, text: &str, ends_at: Option<i64>) -> u64 {
        let alert = Alert {
            labels: labels(text),
            annotations: Labels::empty(),
            starts_at: Millis(0),
            ends_at: ends_at.map(Millis),
            value: 1.0,
            generator_url: String::new(),
        };
        let id = fingerprint(&alert.labels);
        inhibitor.note(id, &alert, Millis(100));
        id
    }

    fn is_inhibited(inhibitor: &Inhibitor, text: &str) -> bool {
        inhibitor.inhibiting(&labels(text), Millis(100)).is_some()
    }

    #[test]
    fn a_source_inhibits_targets_that_are_equal_for_as_long_as_it_fires() {
        let mut inhibitor = Inhibitor::new(&[rule("severity=critical", "severity=warning", &["cluster", "zone"])]);
        assert!(!is_inhibited(&inhibitor, "severity=warning,cluster=a"));
        let id = note(&mut inhibitor, "severity=critical,cluster=a", None);
        assert_eq!(inhibitor.inhibiting(&labels("severity=warning,cluster=a,x=1"), Millis(100)), Some(id));
        assert!(!is_inhibited(&inhibitor, "severity=warning,cluster=b"));
        assert!(!is_inhibited(&inhibitor, "severity=warning,cluster=a,zone=1"));
        assert!(!is_inhibited(&inhibitor, "severity=info,cluster=a"));
        note(&mut inhibitor, "severity=critical,cluster=a", Some(100));
        assert!(!is_inhibited(&inhibitor, "severity=warning,cluster=a"));
        assert!(inhibitor.0[0].sources.is_empty() && inhibitor.0[0].kept.is_empty());
    }

    #[test]
    fn one_of_several_sources_is_enough() {
        let mut inhibitor = Inhibitor::new(&[rule("severity=critical", "severity=warning", &[])]);
        note(&mut inhibitor, "severity=critical,x=1", None);
        note(&mut inhibitor, "severity=critical,x=2", None);
        note(&mut inhibitor, "severity=critical,x=1", Some(50));
        assert!(is_inhibited(&inhibitor, "severity=warning"));
    }

    #[test]
    fn an_alert_that_names_its_end_inhibits_until_then() {
        let mut inhibitor = Inhibitor::new(&[rule("a=1", "b=1", &[])]);
        note(&mut inhibitor, "a=1", Some(200));
        assert!(is_inhibited(&inhibitor, "b=1"));
        assert_eq!(inhibitor.inhibiting(&labels("b=1"), Millis(200)), None);
        inhibitor.forget_ended(Millis(200));
        assert!(inhibitor.0[0].sources.is_empty() && inhibitor.0[0].kept.is_empty());
    }

    #[test]
    fn alerts_that_are_both_source_and_target_do_not_inhibit_each_other() {
        let mut inhibitor = Inhibitor::new(&[rule("s=1", "t=1", &["e"])]);
        note(&mut inhibitor, "s=1,t=1,x=1", None);
        assert!(!is_inhibited(&inhibitor, "s=1,t=1,x=1"), "not itself");
        assert!(!is_inhibited(&inhibitor, "s=1,t=1,x=2"), "nor another such");
        assert!(is_inhibited(&inhibitor, "t=1"), "but what is only a target");
        note(&mut inhibitor, "s=1,x=3", None);
        assert!(is_inhibited(&inhibitor, "s=1,t=1,x=1"), "what is only a source inhibits both");
    }
}
