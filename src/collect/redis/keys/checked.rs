//! Keys that are shown one by one: size, memory, and value where it is a number.
//!
//! A text is never shown: it may be a prompt or a secret.

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::Look;
use crate::collect::redis::connection::{Connection, Missed};
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
/// How long one is in its dense encoding: 16 bytes, and 16384 registers of six bits.
const DENSE: f64 = 12304.0;

/// Looks at keys of one database, which is selected.
pub async fn ask(connection: &mut Connection, keys: &[&Key], deadline: Instant, look: &mut Look) -> Result<(), Missed> {
    let keys: Vec<&Key> = keys.iter().filter(|key| connection.may_ask("TYPE", key)).copied().collect();
    let mut commands = Pipeline::new();
    for key in &keys {
        commands.cmd("TYPE").arg(&key.name);
    }
    let answers = connection.ask_each("TYPE", &mut commands, deadline).await?;
    let mut measured: Vec<(&Key, Measure)> = Vec::with_capacity(keys.len());
    let mut there: Vec<&Key> = Vec::with_capacity(keys.len());
    for (key, answer) in keys.iter().zip(&answers) {
        if let Some(error) = connection.refusal_for("TYPE", key, answer) {
            look.missed(error);
        }
        let kind = text(answer);
        there.extend(kind.as_deref().filter(|kind| *kind != "none").map(|_| *key));
        match kind.as_deref() {
            Some("none") => look.point(&SIZE, Suffix::None, key.labels("key"), 0.0),
            Some(kind) => measured.extend(Measure::of(kind).map(|measure| (*key, measure))),
            None => {}
        }
    }
    memory(connection, there, deadline, look).await?;
    sizes(connection, measured, deadline, look).await
}

async fn memory(
    connection: &mut Connection,
    mut keys: Vec<&Key>,
    deadline: Instant,
    look: &mut Look,
) -> Result<(), Missed> {
    keys.retain(|key| connection.may_ask("MEMORY USAGE", key));
    let mut commands = Pipeline::new();
    for key in &keys {
        commands.cmd("MEMORY").arg("USAGE").arg(&key.name);
    }
    let answers = connection.ask_each("MEMORY USAGE", &mut commands, deadline).await?;
    for (key, answer) in keys.iter().zip(&answers) {
        if let Some(error) = connection.refusal_for("MEMORY USAGE", key, answer) {
            look.missed(error);
        }
        if let Some(bytes) = number(answer) {
            look.point(&MEMORY, Suffix::None, key.labels("key"), bytes);
        }
    }
    Ok(())
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

impl Measure {
    /// The command whose answer is the size.
    fn command(self) -> &'static str {
        match self {
            Self::Text => "STRLEN",
            Self::Count(command) => command,
        }
    }
}

/// Whether PFCOUNT will take a text for what it counts, by its beginning: a mark, and the encoding, dense (0), which has
/// one length, or sparse (1). Others are texts that happen to begin so.
fn is_hyperloglog(start: &[u8], length: f64) -> bool {
    let encoding = start.strip_prefix(HYPERLOGLOG).and_then(<[u8]>::first);
    encoding == Some(&1) || (encoding == Some(&0) && length == DENSE)
}

async fn sizes(
    connection: &mut Connection,
    mut keys: Vec<(&Key, Measure)>,
    deadline: Instant,
    look: &mut Look,
) -> Result<(), Missed> {
    keys.retain(|(key, measure)| connection.may_ask(measure.command(), key));
    let mut commands = Pipeline::new();
    for (key, measure) in &keys {
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
    for (key, measure) in &keys {
        let Some(size) = answers.next() else { break };
        if let Some(error) = connection.refusal_for(measure.command(), key, &size) {
            look.missed(error);
        }
        let size = number(&size);
        let start = if *measure == Measure::Text { answers.next() } else { None };
        match (size, start) {
            (Some(size), Some(Value::BulkString(start))) if is_hyperloglog(&start, size) => hyperloglogs.push(*key),
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
    let keys: Vec<&Key> = keys.iter().filter(|key| connection.may_ask("PFCOUNT", key)).copied().collect();
    let mut commands = Pipeline::new();
    for key in &keys {
        commands.cmd("PFCOUNT").arg(&key.name);
    }
    let answers = connection.ask_each("PFCOUNT", &mut commands, deadline).await?;
    for (key, answer) in keys.iter().zip(&answers) {
        if let Some(error) = connection.refusal_for("PFCOUNT", key, answer) {
            look.missed(error);
        }
        if let Some(count) = number(answer) {
            look.point(&SIZE, Suffix::None, key.labels("key"), count);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_like_a_hyperloglog_is_a_text() {
        assert!(is_hyperloglog(b"HYLL\x01\0\0\0", 20.0) && is_hyperloglog(b"HYLL\0\0\0\0", DENSE));
        assert!(!is_hyperloglog(b"HYLL", 4.0) && !is_hyperloglog(b"HYLLO", 5.0) && !is_hyperloglog(b"HYLL\0", 5.0));
    }
}
