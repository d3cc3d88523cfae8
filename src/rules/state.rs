//! The states of one alerting rule's alerts: pending, firing, kept firing, gone.
//!
//! In: the label sets for which the condition holds now. Out: transitions. Nothing here knows queries or templates.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Labels, Millis};

/// The state of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// The condition holds, not long enough yet.
    Pending,
    /// It has held for long enough.
    Firing,
}

impl AlertState {
    /// As in the label `alertstate`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One label set of a rule for which the condition holds at an evaluation.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub value: f64,
    pub annotations: Labels,
}

/// One alert that is pending or firing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Active {
    pub state: AlertState,
    pub since: Millis,
    pub fired_at: Option<Millis>,
    pub keep_firing_since: Option<Millis>,
    /// Since when it is held although nobody knows whether its condition holds.
    pub held_since: Option<Millis>,
    pub value: f64,
    pub annotations: Labels,
    /// It fires under labels that others have not heard of: since new external labels.
    pub renamed: bool,
}

impl Active {
    /// One whose condition holds; whether it fires is found by the next [`step`].
    pub(super) fn pending(since: Millis, fired_at: Option<Millis>, value: f64) -> Self {
        let (state, annotations) = (AlertState::Pending, Labels::empty());
        Self { state, since, fired_at, keep_firing_since: None, held_since: None, value, annotations, renamed: false }
    }

    /// Whether others have heard that it fires.
    pub(super) fn is_told(&self) -> bool {
        self.state == AlertState::Firing && !self.renamed
    }

    /// The clock was set back: nothing can be since a time that is yet to come, and no wait may last until it comes.
    fn not_after(&mut self, now: Millis) {
        self.since = self.since.min(now);
        self.fired_at = self.fired_at.map(|at| at.min(now));
        self.keep_firing_since = self.keep_firing_since.map(|at| at.min(now));
        self.held_since = self.held_since.map(|at| at.min(now));
    }
}

/// What happened to an alert in one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Fires,
    StillFires,
    Ended,
}

/// A rule's durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub hold: Duration,
    pub keep_firing_for: Duration,
}

/// All alerts of a rule by their labels.
pub(super) type Alerts = BTreeMap<Labels, Active>;

/// Brings the alerts up to date with the conditions that hold `now`. Resolved alerts leave the map and are handed back.
pub(super) fn step(
    alerts: &mut Alerts,
    holding: BTreeMap<Labels, Condition>,
    timing: Timing,
    now: Millis,
) -> Vec<(Labels, Active, Change)> {
    let mut changes = Vec::new();
    alerts.retain(|labels, active| {
        active.not_after(now);
        if holding.contains_key(labels) {
            return true;
        }
        if active.state == AlertState::Pending {
            return false;
        }
        let since = *active.keep_firing_since.get_or_insert(now);
        if now.since(since) < timing.keep_firing_for {
            return true;
        }
        if !active.renamed {
            changes.push((labels.clone(), active.clone(), Change::Ended));
        }
        false
    });
    for (labels, condition) in holding {
        let active = alerts.entry(labels).or_insert_with(|| Active::pending(now, None, condition.value));
        active.value = condition.value;
        active.annotations = condition.annotations;
        active.keep_firing_since = None;
    }
    for (labels, active) in alerts {
        let change = match active.state {
            AlertState::Firing if active.renamed => Change::Fires,
            AlertState::Firing => Change::StillFires,
            AlertState::Pending if now.since(active.since) >= timing.hold => Change::Fires,
            AlertState::Pending => continue,
        };
        (active.state, active.renamed) = (AlertState::Firing, false);
        active.fired_at.get_or_insert(now);
        changes.push((labels.clone(), active.clone(), change));
    }
    changes
}

/// How many alerts there would be after [`step`], to hold a limit before anything changes.
pub(super) fn count_after(
    alerts: &Alerts,
    holding: &BTreeMap<Labels, Condition>,
    timing: Timing,
    now: Millis,
) -> usize {
    let kept = alerts.iter().filter(|(labels, active)| {
        !holding.contains_key(*labels)
            && active.state == AlertState::Firing
            && now.since(active.keep_firing_since.unwrap_or(now)) < timing.keep_firing_for
    });
    holding.len() + kept.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The states at each minute, for a condition that holds where the text has an `x`.
    fn played(holds: &str, hold: u64, keep: u64) -> String {
        let timing = Timing { hold: Duration::from_mins(hold), keep_firing_for: Duration::from_mins(keep) };
        let labels = Labels::new([("a", "1")]);
        let mut alerts = Alerts::new();
        let mut shown = String::new();
        for (minute, holds) in holds.chars().enumerate() {
            let condition = Condition { value: 1.0, annotations: Labels::empty() };
            let holding = if holds == 'x' { BTreeMap::from([(labels.clone(), condition)]) } else { BTreeMap::new() };
            let changes = step(&mut alerts, holding, timing, Millis(0) + Duration::from_mins(minute as u64));
            shown.push(match (changes.first(), alerts.get(&labels)) {
                (Some((.., Change::Fires)), _) => 'F',
                (Some((.., Change::StillFires)), _) => 'f',
                (Some((.., Change::Ended)), _) => 'r',
                (None, Some(_)) => 'p',
                (None, None) => '.',
            });
        }
        shown
    }

    #[test]
    fn an_alert_fires_when_its_condition_has_held_long_enough() {
        assert_eq!(played(".xxx..", 0, 0), ".Fffr.");
        assert_eq!(played("xxxx.", 2, 0), "ppFfr");
    }

    #[test]
    fn a_clock_set_back_makes_no_alert_wait_for_it() {
        let timing = Timing { hold: Duration::from_mins(1), keep_firing_for: Duration::from_mins(1) };
        let mut alerts = Alerts::new();
        let mut at = |minute: i64, holds: bool| {
            let condition = Condition { value: 1.0, annotations: Labels::empty() };
            let holding = if holds { BTreeMap::from([(Labels::empty(), condition)]) } else { BTreeMap::new() };
            step(&mut alerts, holding, timing, Millis(minute * 60_000))
        };
        assert!(at(600, true).is_empty() && at(0, true).is_empty());
        let fires = at(1, true);
        assert!(matches!(&fires[..], [(_, Active { fired_at: Some(Millis(60_000)), .. }, Change::Fires)]), "{fires:?}");
        assert!(matches!(at(600, false)[..], [(.., Change::StillFires)]));
        assert!(matches!(at(2, false)[..], [(.., Change::StillFires)]));
        assert!(matches!(at(3, false)[..], [(.., Change::Ended)]));
    }

    #[test]
    fn a_gap_starts_the_waiting_again() {
        assert_eq!(played("xx.xxx", 2, 0), "pp.ppF");
    }

    #[test]
    fn only_what_fired_is_kept_firing() {
        assert_eq!(played("x..xxx...", 2, 2), "p..ppFffr");
        assert_eq!(played("x.x...", 0, 2), "Fffffr");
    }
}
