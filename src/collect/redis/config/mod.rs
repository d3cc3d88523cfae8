//! What CONFIG GET tells: limits, every setting where that is asked for, and which settings do not suit.
//!
//! In: a connection. Out: [`Config`], kept for a while, and its points.
//!
//! Managed servers often forbid the command; then its figures are absent and nothing else is. Passwords are dropped as
//! soon as they are read.

mod advice;

use std::collections::HashMap;

use redis::Pipeline;
use tokio::time::Instant;

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::connection::{Connection, Missed};

pub use advice::advise;

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
static VALUE: Family = Family::gauge("redis_config_value", "A setting that is a number.");
static KEY_VALUE: Family = Family::gauge("redis_config_key_value", "A setting with its value as a label; always 1.");

const BUFFERS: &str = "client-output-buffer-limit";

/// Settings that are points of their own, and those that advice or other looks need.
const WANTED: [&str; 19] = [
    "maxclients",
    "maxmemory",
    "maxmemory-policy",
    "io-threads",
    "repl-backlog-size",
    "databases",
    BUFFERS,
    "appendonly",
    "appendfsync",
    "save",
    "stop-writes-on-bgsave-error",
    "replica-serve-stale-data",
    "tcp-keepalive",
    "slowlog-log-slower-than",
    "latency-tracking",
    "latency-monitor-threshold",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "timeout",
];

/// The settings of a server, without its secrets.
#[derive(Debug, Default, PartialEq)]
pub struct Config(HashMap<String, String>);

impl Config {
    /// Keeps what is no secret.
    pub fn new(mut settings: HashMap<String, String>) -> Self {
        settings.retain(|name, _| !is_secret(name));
        settings.shrink_to_fit();
        Self(settings)
    }

    /// A setting's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A setting's number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.parse().ok()
    }

    /// How many databases there are.
    pub fn databases(&self) -> Option<usize> {
        self.get("databases")?.parse().ok()
    }
}

/// Whether a setting is a password, or a credential of a replica.
pub fn is_secret(name: &str) -> bool {
    name.contains("pass") || name.ends_with("auth")
}

/// Asks; `None` when the server forbids it and that was said before. `all` settings, or those that are needed.
///
/// Since version 7 one command takes several names; before it, all settings in one answer cost less than many commands.
pub async fn ask(
    connection: &mut Connection,
    version: (u32, u32),
    all: bool,
    deadline: Instant,
) -> Option<Result<Config, Missed>> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET");
    if all || version < (7, 0) {
        command.arg("*");
    } else {
        command.arg(&WANTED);
    }
    let mut commands = Pipeline::new();
    commands.add_command(command);
    let answer = connection.ask_if_allowed::<(HashMap<String, String>,)>("CONFIG GET", &commands, deadline).await?;
    Some(answer.map(|(mut settings,)| {
        if !all {
            settings.retain(|name, _| WANTED.contains(&name.as_str()));
        }
        Config::new(settings)
    }))
}

/// Puts the limits into the look, and every setting where `all` is wanted.
pub fn read(config: &Config, all: bool, look: &mut Look) {
    for (name, family) in [
        ("maxclients", &MAXCLIENTS),
        ("maxmemory", &MAXMEMORY),
        ("io-threads", &IO_THREADS),
        ("repl-backlog-size", &BACKLOG),
    ] {
        if let Some(value) = config.number(name) {
            look.value(family, value);
        }
    }
    if let Some(text) = config.get(BUFFERS) {
        buffer_limits(text, look);
    }
    if all {
        every_setting(config, look);
    }
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

fn every_setting(config: &Config, look: &mut Look) {
    for (name, value) in &config.0 {
        look.labeled(&KEY_VALUE, [("key", name.as_str()), ("value", value)], 1.0);
        if let Some(value) = config.number(name).filter(|value| value.is_finite()) {
            look.point(&VALUE, Suffix::None, Labels::new([("key", name.as_str())]), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Config {
        Config::new(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn parameters_become_limits() {
        let given =
            [("maxclients", "10000"), ("databases", "16"), (BUFFERS, "normal 0 0 0 slave 268435456 67108864 60")];
        let (mut look, config) = (Look::new(), config(&given));
        read(&config, false, &mut look);
        assert_eq!((config.databases(), look.get("redis_config_maxclients", &[])), (Some(16), Some(10_000.0)));
        let soft = [("class", "slave"), ("limit", "soft")];
        assert_eq!(look.get("redis_config_client_output_buffer_limit_overcome_seconds", &soft), Some(60.0));
        assert_eq!(look.get("redis_config_maxmemory", &[]), None);
    }

    #[test]
    fn every_setting_is_shown_where_asked_for_but_no_secret() {
        let given = [
            ("hz", "10"),
            ("requirepass", "hush"),
            ("masterauth", "hush"),
            ("tls-key-file-pass", "hush"),
            ("save", ""),
        ];
        let mut look = Look::new();
        read(&config(&given), true, &mut look);
        assert_eq!(look.get("redis_config_value", &[("key", "hz")]), Some(10.0));
        assert_eq!(look.get("redis_config_key_value", &[("key", "save"), ("value", "")]), Some(1.0));
        assert!(!format!("{look:?}").contains("hush"));
    }
}
