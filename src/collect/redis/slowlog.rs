//! The slow log: how long it is, and its newest entry. Of the entry only number and duration are looked at: its command
//! may hold anything.

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::Look;
use crate::model::Family;

use super::connection::{Connection, Missed};

static LENGTH: Family = Family::gauge("redis_slowlog_length", "Entries in the slow log.");
static LAST: Family = Family::gauge("redis_slowlog_last_id", "Number of the newest entry in the slow log.");
static DURATION: Family = Family::gauge(
    "redis_last_slow_execution_duration_seconds",
    "How long the newest command in the slow log took, in seconds.",
);

/// Asks; `None` when the server forbids it and that was said before.
pub async fn ask(connection: &mut Connection, deadline: Instant) -> Option<Result<Look, Missed>> {
    let mut commands = Pipeline::new();
    commands.cmd("SLOWLOG").arg("LEN").cmd("SLOWLOG").arg("GET").arg(1);
    let answer = connection.ask_if_allowed::<(i64, Vec<Vec<Value>>)>("SLOWLOG", &commands, deadline).await?;
    Some(answer.map(|(length, entries)| read(length, &entries)))
}

fn read(length: i64, entries: &[Vec<Value>]) -> Look {
    // As the exporter: 0 while the log is empty.
    let (id, micros) = match entries.first().map(Vec::as_slice) {
        Some([Value::Int(id), _, Value::Int(micros), ..]) => (*id, *micros),
        _ => (0, 0),
    };
    let mut look = Look::new();
    look.value(&LENGTH, length as f64);
    look.value(&LAST, id as f64);
    look.value(&DURATION, micros as f64 / 1e6);
    look
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entry_tells_its_number_and_duration() {
        let entry = vec![Value::Int(14), Value::Int(1_700_000_000), Value::Int(15_000), Value::Array(Vec::new())];
        let look = read(3, &[entry]);
        assert_eq!(look.get("redis_slowlog_last_id", &[]), Some(14.0));
        assert_eq!(look.get("redis_last_slow_execution_duration_seconds", &[]), Some(0.015));
        assert_eq!(read(0, &[]).get("redis_slowlog_length", &[]), Some(0.0));
    }
}
