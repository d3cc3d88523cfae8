//! What INFO tells of each command: `cmdstat_…` and `latency_percentiles_usec_…`.

use std::collections::HashMap;

use crate::collect::Look;
use crate::model::{Family, Labels, MetricKind, Suffix};

use super::Info;
use super::text::{number, part};

static CALLS: Family = Family::counter("redis_commands_total", "Calls of this command.");
static CALL_TIME: Family =
    Family::counter("redis_commands_duration_seconds_total", "Time spent in this command, in seconds.");
static REJECTED: Family =
    Family::counter("redis_commands_rejected_calls_total", "Calls of this command that were refused before execution.");
static FAILED: Family = Family::counter("redis_commands_failed_calls_total", "Calls of this command that failed.");
static PERCENTILES: Family = Family::new(
    "redis_latency_percentiles_usec",
    MetricKind::Summary,
    "How long calls of this command take, in microseconds.",
);

/// `cmdstat_get:calls=21,usec=175,usec_per_call=8.33,rejected_calls=0,failed_calls=0`
pub fn read(info: &Info<'_>, look: &mut Look) {
    for (command, value) in stats(info) {
        let labels = Labels::new([("cmd", command)]);
        for (name, family, scale) in [
            ("calls", &CALLS, 1.0),
            ("usec", &CALL_TIME, 1e-6),
            ("rejected_calls", &REJECTED, 1.0),
            ("failed_calls", &FAILED, 1.0),
        ] {
            if let Some(value) = part(value, name) {
                look.point(family, Suffix::None, labels.clone(), value * scale);
            }
        }
    }
}

/// How long calls take, where INFO was asked for that too; sum and count are of the same moment.
pub fn read_percentiles(info: &Info<'_>, look: &mut Look) {
    let stats: HashMap<&str, &str> = stats(info).collect();
    for (name, percentiles) in info.fields() {
        let Some(command) = name.strip_prefix("latency_percentiles_usec_") else { continue };
        let stat = |name| part(stats.get(command)?, name);
        if let (Some(calls), Some(usec)) = (stat("calls"), stat("usec")) {
            latency(command, percentiles, look);
            let labels = Labels::new([("cmd", command)]);
            look.point(&PERCENTILES, Suffix::Sum, labels.clone(), usec);
            look.point(&PERCENTILES, Suffix::Count, labels, calls);
        }
    }
}

/// Microseconds spent in each command.
pub fn usec_by_command<'t>(info: &Info<'t>) -> HashMap<&'t str, f64> {
    stats(info).filter_map(|(command, value)| Some((command, part(value, "usec")?))).collect()
}

fn stats<'i, 't: 'i>(info: &'i Info<'t>) -> impl Iterator<Item = (&'t str, &'t str)> + 'i {
    info.fields().filter_map(|(name, value)| Some((name.strip_prefix("cmdstat_")?, value)))
}

/// `latency_percentiles_usec_get:p50=0.001,p99=1.003,p99.9=4.015`
fn latency(command: &str, percentiles: &str, look: &mut Look) {
    for (name, value) in percentiles.split(',').filter_map(|part| part.split_once('=')) {
        if let (Some(quantile), Some(value)) = (name.strip_prefix('p'), number(value)) {
            look.point(&PERCENTILES, Suffix::None, Labels::new([("cmd", command), ("quantile", quantile)]), value);
        }
    }
}
