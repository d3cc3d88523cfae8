//! Reads the tree of routes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::yaml::Fields;

use super::super::route::{GroupBy, Hours, Route, Timing};
use super::super::time_interval::TimeInterval;
use super::hours::Intervals;
use super::matchers;

const MATCHERS: matchers::Keys = matchers::Keys { matchers: "matchers", equal: "match", regex: "match_re" };

/// What routes may name.
pub(super) struct Known<'k> {
    pub(super) receivers: BTreeSet<&'k str>,
    pub(super) intervals: Intervals,
}

/// Reads the root, which takes everything at all times.
pub(super) fn read_root(mut fields: Fields<'_>, known: &Known<'_>) -> Option<Route> {
    let inherited = Route::root(String::new(), GroupBy::Labels(Vec::new()), Timing::default());
    if !fields.has("receiver") {
        fields.wrong("receiver", "the root route has no `receiver`", "add `receiver: NAME`");
    }
    let narrows = [
        ("matchers", !fields.list("matchers").is_empty()),
        ("match", !fields.text_map("match").is_empty()),
        ("match_re", !fields.text_map("match_re").is_empty()),
        ("continue", fields.bool("continue") == Some(true)),
        ("mute_time_intervals", !fields.list("mute_time_intervals").is_empty()),
        ("active_time_intervals", !fields.list("active_time_intervals").is_empty()),
    ];
    for (key, _) in narrows.into_iter().filter(|(_, narrows)| *narrows) {
        fields.wrong(key, format!("the root route takes everything, so it has no `{key}`"), "remove it");
    }
    let root = read(fields, inherited, known);
    let routes = root.routes.clone();
    (!root.receiver.is_empty()).then(|| root.with(routes))
}

/// Reads what all routes may say over what they inherit.
fn read(mut fields: Fields<'_>, mut route: Route, known: &Known<'_>) -> Route {
    if let Some(receiver) = fields.text("receiver") {
        if !known.receivers.contains(receiver.as_str()) {
            let names = known.receivers.iter().copied().collect::<Vec<_>>().join(", ");
            let way_out = if names.is_empty() { "add it under `receivers`".into() } else { format!("known: {names}") };
            fields.wrong("receiver", format!("there is no receiver `{receiver}`"), way_out);
        }
        route.receiver = receiver;
    }
    if let Some(group_by) = read_group_by(&mut fields) {
        route.group_by = group_by;
    }
    route.timing = read_timing(&mut fields, route.timing);
    let problems = fields.problems();
    let routes = fields.list("routes").iter().filter_map(|node| {
        let mut fields = Fields::of(node, "a route", problems)?;
        let child = route.child(matchers::read(&mut fields, &MATCHERS));
        let hours = Hours {
            active: read_intervals(&mut fields, "active_time_intervals", &known.intervals),
            muted: read_intervals(&mut fields, "mute_time_intervals", &known.intervals),
        };
        let goes_on = fields.bool("continue").unwrap_or(false);
        Some(read(fields, Route { hours: Arc::new(hours), goes_on, ..child }, known))
    });
    let routes = routes.collect();
    fields.finish();
    Route { routes, ..route }
}

fn read_intervals(fields: &mut Fields<'_>, key: &'static str, known: &Intervals) -> Vec<Arc<TimeInterval>> {
    let problems = fields.problems();
    let mut all = Vec::new();
    for node in fields.list(key) {
        match node.text().map(|name| (name, known.get(name))) {
            Some((_, Some(interval))) => all.push(Arc::clone(interval)),
            Some((name, None)) => {
                let names = known.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let way_out =
                    if names.is_empty() { "add it under `time_intervals`".into() } else { format!("known: {names}") };
                problems.add(&node.at, format!("there is no time interval `{name}`"), way_out);
            }
            None => {
                problems.add(&node.at, format!("an item of `{key}` is {}", node.kind()), "write an interval's name");
            }
        }
    }
    all
}

/// `None` where nothing is said, so that the parent's holds.
fn read_group_by(fields: &mut Fields<'_>) -> Option<GroupBy> {
    let is_given = fields.has("group_by");
    let names = fields.texts("group_by");
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        fields.wrong("group_by", format!("`group_by` names `{twice}` twice"), "keep one of them");
    }
    if names.iter().any(String::is_empty) {
        fields.wrong("group_by", "`group_by` names a label without a name", "write label names, or '...' for all");
    }
    if !names.iter().any(|name| name == "...") {
        return is_given.then_some(GroupBy::Labels(names));
    }
    if names.len() > 1 {
        fields.wrong("group_by", "`...` stands for all labels and cannot have company", "keep `...` or the names");
    }
    Some(GroupBy::All)
}

fn read_timing(fields: &mut Fields<'_>, inherited: Timing) -> Timing {
    let group_wait = fields.duration("group_wait").unwrap_or(inherited.group_wait);
    let mut positive = |key, otherwise| match fields.duration(key) {
        Some(Duration::ZERO) => {
            fields.wrong(key, format!("`{key}` cannot be zero"), "write a duration such as 5m");
            otherwise
        }
        given => given.unwrap_or(otherwise),
    };
    Timing {
        group_wait,
        group_interval: positive("group_interval", inherited.group_interval),
        repeat_interval: positive("repeat_interval", inherited.repeat_interval),
    }
}
