//! What INFO does not tell: limits from CONFIG GET, and the slow log.
//!
//! Managed servers often forbid these commands; then their figures are absent and nothing else is. The refusal is
//! noted once for each connection.

use std::collections::HashMap;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::Look;
use crate::model::Family;

use super::connection::Connection;

static MAXCLIENTS: Family = Family::gauge("redis_config_maxclients", "Connections the server allows.");
static MAXMEMORY: Family =
    Family::gauge("redis_config_maxmemory", "Memory the server may use for data, in bytes; 0 for no limit.");
static IO_THREADS: Family = Family::gauge("redis_config_io_threads", "Threads that read and write connections.");
static BACKLOG: Family = Family::gauge("redis_config_repl_backlog_size", "Size of the replication backlog, in bytes.");
static BUFFER_LIMIT: Family = Family::gauge(
    "redis_config_client_output_buffer_limit_bytes",
    "Output buffer at which a client of this class is disconnected, in bytes; 0 for no limit.",
);
static BUFFER_TIME: Family = Family::gauge(
    "redis_config_client_output_buffer_limit_overcome_seconds",
    "How long a client of this class may be over the soft limit, in seconds.",
);
static SLOWLOG_LENGTH: Family = Family::gauge("redis_slowlog_length", "Entries in the slow log.");
static SLOWLOG_LAST: Family = Family::gauge("redis_slowlog_last_id", "Number of the newest entry in the slow log.");
static SLOWLOG_DURATION: Family = Family::gauge(
    "redis_last_slow_execution_duration_seconds",
    "How long the newest command in the slow log took, in seconds.",
);

const PARAMETERS: [(&str, Option<&Family>); 6] = [
    ("maxclients", Some(&MAXCLIENTS)),
    ("maxmemory", Some(&MAXMEMORY)),
    ("io-threads", Some(&IO_THREADS)),
    ("repl-backlog-size", Some(&BACKLOG)),
    ("databases", None),
    (BUFFERS, None),
];
const BUFFERS: &str = "client-output-buffer-limit";

/// Asks. Gives the number of databases, where known, and whether the connection can be asked again.
pub async fn collect(connection: &mut Connection, deadline: Instant, look: &mut Look) -> (Option<usize>, bool) {
    let mut commands = Pipeline::new();
    for (name, _) in PARAMETERS {
        commands.cmd("CONFIG").arg("GET").arg(name);
    }
    let answer = connection.ask_if_allowed::<Vec<HashMap<String, String>>>("CONFIG GET", &commands, deadline).await;
    let databases = match answer {
        None => None,
        Some(Ok(answers)) => read_parameters(&answers.into_iter().flatten().collect(), look),
        Some(Err(missed)) => {
            look.missed(missed.error);
            if missed.broken {
                return (None, false);
            }
            None
        }
    };
    (databases, slow_log(connection, deadline, look).await)
}

fn read_parameters(parameters: &HashMap<String, String>, look: &mut Look) -> Option<usize> {
    for (name, family) in PARAMETERS {
        if let (Some(family), Some(value)) = (family, parameters.get(name).and_then(|text| text.parse().ok())) {
            look.value(family, value);
        }
    }
    if let Some(text) = parameters.get(BUFFERS) {
        buffer_limits(text, look);
    }
    parameters.get("databases")?.parse().ok()
}

/// `normal 0 0 0 slave 268435456 67108864 60 …`: class, hard limit, soft limit, seconds.
fn buffer_limits(text: &str, look: &mut Look) {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    for four in words.chunks_exact(4) {
        let (class, numbers) = (four[0], [1, 2, 3].map(|at| four[at].parse::<f64>().ok()));
        for (family, limit, value) in [
            (&BUFFER_LIMIT, "hard", numbers[0]),
            (&BUFFER_LIMIT, "soft", numbers[1]),
            (&BUFFER_TIME, "soft", numbers[2]),
        ] {
            if let Some(value) = value {
                look.labeled(family, [("class", class), ("limit", limit)], value);
            }
        }
    }
}

/// Of the newest entry only number and duration are looked at: its command may hold anything.
async fn slow_log(connection: &mut Connection, deadline: Instant, look: &mut Look) -> bool {
    let mut commands = Pipeline::new();
    commands.cmd("SLOWLOG").arg("LEN").cmd("SLOWLOG").arg("GET").arg(1);
    match connection.ask_if_allowed::<(i64, Vec<Vec<Value>>)>("SLOWLOG", &commands, deadline).await {
        None => true,
        Some(Ok((length, entries))) => {
            let last = entries.first().map(Vec::as_slice);
            // As the exporter: 0 while the log is empty.
            let (id, micros) = match last {
                Some([Value::Int(id), _, Value::Int(micros), ..]) => (*id, *micros),
                _ => (0, 0),
            };
            look.value(&SLOWLOG_LENGTH, length as f64);
            look.value(&SLOWLOG_LAST, id as f64);
            look.value(&SLOWLOG_DURATION, micros as f64 / 1e6);
            true
        }
        Some(Err(missed)) => {
            look.missed(missed.error);
            !missed.broken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_limits() {
        let given =
            [("maxclients", "10000"), ("databases", "16"), (BUFFERS, "normal 0 0 0 slave 268435456 67108864 60")];
        let mut look = Look::new();
        let databases = read_parameters(&given.map(|(name, value)| (name.into(), value.into())).into(), &mut look);
        assert_eq!((databases, look.get("redis_config_maxclients", &[])), (Some(16), Some(10_000.0)));
        let soft = [("class", "slave"), ("limit", "soft")];
        assert_eq!(look.get("redis_config_client_output_buffer_limit_overcome_seconds", &soft), Some(60.0));
        assert_eq!(look.get("redis_config_maxmemory", &[]), None);
    }
}
