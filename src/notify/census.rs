//! How many alerts and silences there are in which state: Alertmanager's gauges, counted when somebody asks.

use std::collections::HashMap;

use crate::model::{Block, Family, Labels, Millis, Point, Suffix};

use super::group::ActiveAlert;
use super::silence::{Silences, State};

static ALERTS: Family = Family::gauge("alertmanager_alerts", "How many alerts by state.");
static SILENCES: Family = Family::gauge("alertmanager_silences", "How many silences by state.");

/// The alerts that fire, whoever told of them, each once; and the silences that can be looked at.
pub(super) fn blocks(alerts: &[ActiveAlert], silences: &Silences, now: Millis) -> Vec<Block> {
    let distinct: HashMap<u64, &ActiveAlert> = alerts.iter().map(|alert| (alert.fingerprint, alert)).collect();
    let is_held_back = |alert: &&&ActiveAlert| {
        alert.inhibited_by.is_some() || !silences.silencing(&alert.alert.labels, now).is_empty()
    };
    let suppressed = distinct.values().filter(is_held_back).count();
    // State is found when it is asked for: none waits to be looked at.
    let alerts = [("active", distinct.len() - suppressed), ("suppressed", suppressed), ("unprocessed", 0)];
    let all = silences.all(now);
    let count = |state: State| (state.as_str(), all.iter().filter(|silence| silence.state(now) == state).count());
    let silences = [State::Active, State::Expired, State::Pending].map(count);
    vec![block(&ALERTS, alerts), block(&SILENCES, silences)]
}

fn block(family: &Family, counts: [(&'static str, usize); 3]) -> Block {
    let point = |(state, count): (&'static str, usize)| Point {
        suffix: Suffix::None,
        labels: Labels::new([("state", state)]),
        value: count as f64,
    };
    Block { family: family.clone(), points: counts.into_iter().map(point).collect() }
}
