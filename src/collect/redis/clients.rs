//! CLIENT LIST: each connection with its buffers, where the target asks for it (`client_list: true`).

use redis::Pipeline;
use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::{Family, Labels, Suffix, readable};

use super::connection::{Connection, Missed};

/// Connections shown: each is thirteen series.
const MOST: usize = 256;

static INFO: Family = Family::gauge("redis_connected_client_info", "A connection, in labels; always 1.");
static CREATED: Family = Family::gauge(
    "redis_connected_client_created_at_timestamp",
    "When the connection was opened, in seconds since the epoch.",
);
static IDLE: Family = Family::gauge(
    "redis_connected_client_idle_since_timestamp",
    "When the connection last sent a command, in seconds since the epoch.",
);

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family::gauge(name, help)
}

/// The list's fields that are numbers.
static NUMBERS: [(&str, Family); 10] = [
    ("sub", gauge("redis_connected_client_channel_subscriptions_count", "Channels the connection listens to.")),
    ("psub", gauge("redis_connected_client_pattern_matching_subscriptions_count", "Patterns it listens to.")),
    ("ssub", gauge("redis_connected_client_shard_channel_subscriptions_count", "Shard channels it listens to.")),
    ("watch", gauge("redis_connected_client_shard_channel_watched_keys", "Keys it watches.")),
    ("qbuf", gauge("redis_connected_client_query_buffer_length_bytes", "Bytes of its commands not yet read.")),
    ("qbuf-free", gauge("redis_connected_client_query_buffer_free_space_bytes", "Room left in its query buffer.")),
    ("obl", gauge("redis_connected_client_output_buffer_length_bytes", "Bytes in its fixed output buffer.")),
    ("oll", gauge("redis_connected_client_output_list_length", "Replies that wait in its output list.")),
    ("omem", gauge("redis_connected_client_output_buffer_memory_usage_bytes", "Bytes of its output list.")),
    ("tot-mem", gauge("redis_connected_client_total_memory_consumed_bytes", "Bytes of all its buffers.")),
];

/// Asks; `None` when the server forbids it and that was said before. `now` is the server's time in seconds.
pub async fn ask(
    connection: &mut Connection,
    now: Option<f64>,
    deadline: Instant,
    look: &mut Look,
) -> Option<Result<(), Missed>> {
    let mut commands = Pipeline::new();
    commands.cmd("CLIENT").arg("LIST");
    let answer = connection.ask_if_allowed::<(Vec<u8>,)>("CLIENT LIST", &commands, deadline).await?;
    Some(answer.map(|(text,)| read(&readable(&text), now, look)))
}

/// `id=11 addr=127.0.0.1:63508 … name= age=6321 idle=6320 flags=N db=0 sub=0 … user=default resp=2`, a line each.
fn read(text: &str, now: Option<f64>, look: &mut Look) {
    let all = text.lines().filter(|line| line.starts_with("id="));
    for line in all.clone().take(MOST) {
        client(line, now, look);
    }
    let dropped = all.skip(MOST).count();
    if dropped > 0 {
        let words = format!("CLIENT LIST: {dropped} connections beyond the first {MOST} are not shown");
        look.missed(CollectError::new(Reason::TooLarge, words));
    }
}

fn client(line: &str, now: Option<f64>, look: &mut Look) {
    let part = |wanted: &str| line.split(' ').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == wanted);
    let text = |name: &str| part(name).map_or("", |(_, value)| value);
    let number = |name: &str| text(name).parse::<f64>().ok();
    let host = text("addr").rsplit_once(':').map_or("", |(host, _)| host);
    let mut info = vec![("host", host)];
    info.extend(["id", "name", "flags", "db", "user", "resp"].map(|name| (name, text(name))));
    look.point(&INFO, Suffix::None, Labels::new(info), 1.0);
    let labels = Labels::new([("id", text("id")), ("name", text("name"))]);
    for (name, family) in &NUMBERS {
        if let Some(value) = number(name) {
            look.point(family, Suffix::None, labels.clone(), value);
        }
    }
    for (name, family) in [("age", &CREATED), ("idle", &IDLE)] {
        if let (Some(now), Some(ago)) = (now, number(name)) {
            look.point(family, Suffix::None, labels.clone(), now - ago);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_its_buffers_and_its_times() {
        let line = "id=11 addr=[::1]:63508 laddr=[::1]:6379 fd=8 name=web age=60 idle=5 flags=N db=0 sub=1 psub=0 ssub=0 \
            multi=-1 qbuf=26 qbuf-free=20448 obl=0 oll=2 omem=40 tot-mem=22426 events=r cmd=get user=app resp=2\n";
        let mut look = Look::new();
        read(line, Some(1000.0), &mut look);
        let labels = [("id", "11"), ("name", "web")];
        assert_eq!(look.get("redis_connected_client_output_list_length", &labels), Some(2.0));
        assert_eq!(look.get("redis_connected_client_created_at_timestamp", &labels), Some(940.0));
        assert_eq!(look.get("redis_connected_client_idle_since_timestamp", &labels), Some(995.0));
        let info = [("db", "0"), ("flags", "N"), ("host", "[::1]"), ("resp", "2"), ("user", "app")];
        let info: Vec<_> = info.into_iter().chain(labels).collect();
        assert_eq!(look.get("redis_connected_client_info", &info), Some(1.0));
    }

    #[test]
    fn what_the_bound_drops_is_said() {
        let mut look = Look::new();
        read(&"id=1 addr=a:1 name=\n".repeat(MOST + 3), None, &mut look);
        assert_eq!(look.len(), MOST);
        assert!(look.failures[0].to_string().contains("3 connections"));
    }
}
