//! LATENCY: spikes that the server's latency monitor noted, and a histogram of each command's duration (Redis 7).

use std::collections::HashMap;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::Look;
use crate::model::{Family, Labels, MetricKind, Suffix};

use super::connection::{Connection, Missed};
use super::reply::{field, items, number, number_of, text};

static SPIKE_AT: Family = Family::gauge(
    "redis_latency_spike_last",
    "When the latency monitor noted the last spike of this event, in seconds since the epoch.",
);
static SPIKE: Family =
    Family::gauge("redis_latency_spike_duration_seconds", "How long the last spike of this event was, in seconds.");
static HISTOGRAM: Family = Family::new(
    "redis_commands_latencies_usec",
    MetricKind::Histogram,
    "How long calls of this command take, in microseconds.",
);

/// Asks for spikes; `None` when the server forbids it and that was said before.
pub async fn ask_spikes(connection: &mut Connection, deadline: Instant) -> Option<Result<Look, Missed>> {
    let mut commands = Pipeline::new();
    commands.cmd("LATENCY").arg("LATEST");
    let answer = connection.ask_if_allowed::<(Value,)>("LATENCY LATEST", &commands, deadline).await?;
    Some(answer.map(|(events,)| spikes(&events)))
}

/// Each event is its name, the last spike's time, its milliseconds, and the longest ever.
fn spikes(events: &Value) -> Look {
    let mut look = Look::new();
    for event in items(events) {
        let [name, at, millis, ..] = items(event) else { continue };
        let Some(name) = text(name) else { continue };
        let labels = Labels::new([("event_name", &*name)]);
        for (family, value) in [(&SPIKE_AT, number(at)), (&SPIKE, number(millis).map(|millis| millis / 1e3))] {
            if let Some(value) = value {
                look.point(family, Suffix::None, labels.clone(), value);
            }
        }
    }
    look
}

/// Asks for histograms. `usec` is the time spent in each command by INFO: the histogram itself has no sum.
pub async fn ask_histograms(
    connection: &mut Connection,
    usec: &HashMap<&str, f64>,
    deadline: Instant,
) -> Option<Result<Look, Missed>> {
    let mut commands = Pipeline::new();
    commands.cmd("LATENCY").arg("HISTOGRAM");
    let answer = connection.ask_if_allowed::<(Value,)>("LATENCY HISTOGRAM", &commands, deadline).await?;
    Some(answer.map(|(all,)| histograms(&all, usec)))
}

/// Names and details by turns; the details are `calls`, a number, `histogram_usec`, and bounds and cumulative counts by turns.
fn histograms(all: &Value, usec: &HashMap<&str, f64>) -> Look {
    let mut look = Look::new();
    for pair in items(all).chunks_exact(2) {
        let (Some(command), Some(calls)) = (text(&pair[0]), number_of(&pair[1], "calls")) else { continue };
        // Without the sum it would be half a histogram.
        let Some(sum) = usec.get(&*command) else { continue };
        for bucket in field(&pair[1], "histogram_usec").map(items).unwrap_or_default().chunks_exact(2) {
            if let (Some(bound), Some(count)) = (number(&bucket[0]), number(&bucket[1])) {
                look.point(&HISTOGRAM, Suffix::Bucket, with_bound(&command, &bound.to_string()), count);
            }
        }
        look.point(&HISTOGRAM, Suffix::Bucket, with_bound(&command, "+Inf"), calls);
        let labels = Labels::new([("cmd", &*command)]);
        look.point(&HISTOGRAM, Suffix::Sum, labels.clone(), *sum);
        look.point(&HISTOGRAM, Suffix::Count, labels, calls);
    }
    look
}

fn with_bound(command: &str, bound: &str) -> Labels {
    Labels::new([("cmd", command), ("le", bound)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::redis::reply::tests::bulk;

    #[test]
    fn spikes_have_seconds() {
        let event = Value::Array(vec![bulk("command"), Value::Int(1_700_000_000), Value::Int(22), Value::Int(40)]);
        let look = spikes(&Value::Array(vec![event, Value::Int(1)]));
        let label = [("event_name", "command")];
        assert_eq!(look.get("redis_latency_spike_last", &label), Some(1_700_000_000.0));
        assert_eq!(look.get("redis_latency_spike_duration_seconds", &label), Some(0.022));
    }

    #[test]
    fn a_histogram_has_the_sum_of_its_own_command() {
        let buckets = Value::Array([1, 29, 2, 46].map(Value::Int).to_vec());
        let details = Value::Array(vec![bulk("calls"), Value::Int(46), bulk("histogram_usec"), buckets]);
        let all = Value::Array(vec![bulk("get"), details.clone(), bulk("unknown"), details]);
        let look = histograms(&all, &HashMap::from([("get", 60.0), ("getdel", 1000.0)]));
        let points: Vec<_> = look.blocks()[0].points.iter().map(|p| (p.labels.get("le"), p.value)).collect();
        let wanted = [(Some("1"), 29.0), (Some("2"), 46.0), (Some("+Inf"), 46.0), (None, 60.0), (None, 46.0)];
        assert_eq!(points, wanted);
    }
}
