//! Keys that are shown one by one: size, memory, and value where it is a number.
//!
//! A text is never shown: it may be a prompt or a secret.

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::Look;
use crate::collect::redis::connection::{Connection, Missed, refusal};
use crate::collect::redis::reply::{number, text};
use crate::model::{Family, Suffix};

use super::Key;

static SIZE: Family = Family::gauge(
    "redis_key_size",
    "Bytes of a text, elements of anything else, distinct elements of a HyperLogLog; 0 where there is no such key.",
);
static VALUE: Family = Family::gauge("redis_key_value", "The key's value, where it is a number.");
static MEMORY: Family = Family::gauge("redis_key_memory_usage_bytes", "Memory that key and value take, in bytes.");

/// The longest text that may be a number.
const LONGEST_NUMBER: isize = 32;
/// With which the value of a `HyperLogLog` begins.
const HYPERLOGLOG: &[u8] = b"HYLL";

/// Looks at keys of one database, which is selected.
pub async fn ask(connection: &mut Connection, keys: &[&Key], deadline: Instant, look: &mut Look) -> Result<(), Missed> {
    let mut commands = Pipeline::new();
    for key in keys {
        commands.cmd("TYPE").arg(&key.name).cmd("MEMORY").arg("USAGE").arg(&key.name);
    }
    let answers = connection.ask_each("TYPE", &mut commands, deadline).await?;
    let mut measured: Vec<(&Key, Measure)> = Vec::with_capacity(keys.len());
    for (key, answers) in keys.iter().zip(answers.chunks_exact(2)) {
        if let Some(error) = refusal(&answers[0], &format!("TYPE {key}")) {
            look.missed(error);
        }
        if let Some(bytes) = number(&answers[1]) {
            look.point(&MEMORY, Suffix::None, key.labels("key"), bytes);
        }
        match text(&answers[0]).as_deref() {
            Some("none") => look.point(&SIZE, Suffix::None, key.labels("key"), 0.0),
            Some(kind) => measured.extend(Measure::of(kind).map(|measure| (*key, measure))),
            None => {}
        }
    }
    sizes(connection, &measured, deadline, look).await
}

/// What tells how large a value is.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    /// A text: also read, as far as it may be a number.
    Text,
    /// A command that counts elements.
    Count(&'static str),
}

impl Measure {
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "string" => Self::Text,
            "list" => Self::Count("LLEN"),
            "set" => Self::Count("SCARD"),
            "zset" => Self::Count("ZCARD"),
            "hash" => Self::Count("HLEN"),
            "stream" => Self::Count("XLEN"),
            // Redis 8's vector sets.
            "vectorset" => Self::Count("VCARD"),
            _ => return None,
        })
    }
}

async fn sizes(
    connection: &mut Connection,
    keys: &[(&Key, Measure)],
    deadline: Instant,
    look: &mut Look,
) -> Result<(), Missed> {
    let mut commands = Pipeline::new();
    for (key, measure) in keys {
        match measure {
            Measure::Count(command) => commands.cmd(command).arg(&key.name),
            Measure::Text => {
                commands.cmd("STRLEN").arg(&key.name);
                commands.cmd("GETRANGE").arg(&key.name).arg(0).arg(LONGEST_NUMBER - 1)
            }
        };
    }
    let mut answers = connection.ask_each("STRLEN", &mut commands, deadline).await?.into_iter();
    let mut hyperloglogs = Vec::new();
    for (key, measure) in keys {
        let size = answers.next().as_ref().and_then(number);
        let start = if *measure == Measure::Text { answers.next() } else { None };
        match (size, start) {
            (_, Some(Value::BulkString(start))) if start.starts_with(HYPERLOGLOG) => hyperloglogs.push(*key),
            (Some(size), start) => {
                look.point(&SIZE, Suffix::None, key.labels("key"), size);
                let whole = start.filter(|_| size <= LONGEST_NUMBER as f64);
                if let Some(value) = whole.as_ref().and_then(number) {
                    look.point(&VALUE, Suffix::None, key.labels("key"), value);
                }
            }
            _ => {}
        }
    }
    count_distinct(connection, &hyperloglogs, deadline, look).await
}

async fn count_distinct(
    connection: &mut Connection,
    keys: &[&Key],
    deadline: Instant,
    look: &mut Look,
) -> Result<(), Missed> {
    let mut commands = Pipeline::new();
    for key in keys {
        commands.cmd("PFCOUNT").arg(&key.name);
    }
    let answers = connection.ask_each("PFCOUNT", &mut commands, deadline).await?;
    for (key, answer) in keys.iter().zip(&answers) {
        if let Some(count) = number(answer) {
            look.point(&SIZE, Suffix::None, key.labels("key"), count);
        }
    }
    Ok(())
}
