//! Reads `time_intervals` and, as Alertmanager still does, `mute_time_intervals`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::yaml::{Fields, Node};

use super::super::time_interval::{self, Span, TimeInterval};

/// Intervals by name.
pub(super) type Intervals = BTreeMap<String, Arc<TimeInterval>>;

/// Reads both lists; they share their names.
pub(super) fn read_all(fields: &mut Fields<'_>) -> Intervals {
    let problems = fields.problems();
    let nodes = fields.list("time_intervals").iter().chain(fields.list("mute_time_intervals"));
    let mut all = Intervals::new();
    for node in nodes {
        let Some(mut interval) = Fields::of(node, "a time interval", problems) else {
            continue;
        };
        let name = interval.required("name").filter(|name| !name.is_empty());
        let spans = interval.list("time_intervals").iter().filter_map(|node| read_span(node, &interval)).collect();
        if let Some(name) = name {
            if all.contains_key(&name) {
                interval.wrong("name", format!("the time interval `{name}` is given twice"), "rename or join them");
            }
            all.insert(name.clone(), Arc::new(TimeInterval { name: name.into(), spans }));
        }
        interval.finish();
    }
    all
}

fn read_span(node: &Node, interval: &Fields<'_>) -> Option<Span> {
    let mut fields = Fields::of(node, "an item of a time interval", interval.problems())?;
    let span = Span {
        times: read_times(&mut fields),
        weekdays: read_each(&mut fields, "weekdays", time_interval::weekdays),
        days_of_month: read_each(&mut fields, "days_of_month", time_interval::days_of_month),
        months: read_each(&mut fields, "months", time_interval::months),
        years: read_each(&mut fields, "years", time_interval::years),
        location: fields.parsed("location", time_interval::location).unwrap_or(TimeZone::UTC),
    };
    fields.finish();
    Some(span)
}

fn read_each<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    fields.take(key)?;
    let problems = fields.problems();
    let one = |node: &Node| {
        let complaint = match node.text().map(&read) {
            Some(Ok(value)) => return Some(value),
            Some(Err(complaint)) => complaint,
            None => format!("an item of `{key}` is {}", node.kind()),
        };
        problems.add(&node.at, complaint, "");
        None
    };
    Some(fields.list(key).iter().filter_map(one).collect())
}

fn read_times(fields: &mut Fields<'_>) -> Option<Vec<(i16, i16)>> {
    fields.take("times")?;
    let problems = fields.problems();
    let one = |node: &Node| {
        let mut range = Fields::of(node, "an item of `times`", problems)?;
        for key in ["start_time", "end_time"] {
            if !range.has(key) {
                range.wrong(
                    key,
                    format!("an item of `times` has no `{key}`"),
                    "write both, such as '09:00' and '17:00'",
                );
            }
        }
        let start = range.parsed("start_time", time_interval::minute);
        let end = range.parsed("end_time", time_interval::minute);
        let read = start.zip(end);
        if read.is_some_and(|(start, end)| start >= end) {
            range.wrong("end_time", "the time ends before it starts", "write two, up to '24:00' and from '00:00'");
        }
        range.finish();
        read
    };
    Some(fields.list("times").iter().filter_map(one).collect())
}
