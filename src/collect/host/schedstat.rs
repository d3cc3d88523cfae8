//! `/proc/schedstat`: how long tasks ran on each core, and waited for it. Kernels can be built without it.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

static RUNNING: Family = Family::counter("node_schedstat_running_seconds_total", "Seconds that tasks ran on the core.");
static WAITING: Family =
    Family::counter("node_schedstat_waiting_seconds_total", "Seconds that tasks were ready and waited for the core.");
static SLICES: Family = Family::counter("node_schedstat_timeslices_total", "How often a task got the core.");

const NANOS: f64 = 1e-9;

/// The core's number, nanoseconds run and waited, time slices: the last of nine columns.
fn parse(line: &str) -> Option<(&str, [f64; 3])> {
    let mut words = line.split_ascii_whitespace();
    let core = words.next()?.strip_prefix("cpu")?;
    let mut last = words.skip(6).map_while(|word| word.parse().ok());
    Some((core, [last.next()?, last.next()?, last.next()?]))
}

/// `node_schedstat_*`, as `node_exporter`'s collector `schedstat`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(text) = visit.files.optional_proc("schedstat")? else { return Ok(Found::NotThere) };
    for (core, [running, waiting, slices]) in text.lines().filter_map(parse) {
        let labels = visit.labels(&[("cpu", core)]);
        visit.point(&RUNNING, &labels, running * NANOS);
        visit.point(&WAITING, &labels, waiting * NANOS);
        visit.point(&SLICES, &labels, slices);
    }
    Ok(Found::Seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_three_columns_are_read() {
        let line =
            "cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163 343796328169361 4767485306";
        assert_eq!(parse(line), Some(("0", [2_045_936_778_163.0, 343_796_328_169_361.0, 4_767_485_306.0])));
        assert_eq!((parse("domain0 00000003 212499247"), parse("version 15")), (None, None));
    }
}
