//! Streams with their groups and consumers: XINFO of the streams that the target names.
//!
//! In: streams by name. Out: `redis_stream_*`. Entries themselves are never kept: of the first and the last only the id.
//!
//! Invariant: at most [`MOST_STREAMS`] streams, [`MOST_GROUPS`] groups of a stream and [`MOST_CONSUMERS`] consumers of a
//! group; what these drop is said.

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::{Family, Labels, Suffix, readable};

use super::connection::{Connection, Missed};
use super::keys::Key;
use super::reply::{field, items, number_of, text, text_of};

/// All of its parts are one question to the server's rights.
const XINFO: &str = "XINFO";
/// Streams looked at.
pub const MOST_STREAMS: usize = 64;
/// Groups shown of a stream.
const MOST_GROUPS: usize = 32;
/// Consumers shown of a group.
const MOST_CONSUMERS: usize = 64;

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family::gauge(name, help)
}

/// Of XINFO STREAM.
static STREAM_NUMBERS: [(&str, Family); 5] = [
    ("length", gauge("redis_stream_length", "Entries in the stream.")),
    ("radix-tree-keys", gauge("redis_stream_radix_tree_keys", "Keys of the stream's tree.")),
    ("radix-tree-nodes", gauge("redis_stream_radix_tree_nodes", "Nodes of the stream's tree.")),
    ("groups", gauge("redis_stream_groups", "Groups that read the stream.")),
    (
        "entries-added",
        Family::counter(
            "redis_stream_entries_added_total",
            "Entries added to the stream since it was created (Redis 7).",
        ),
    ),
];

/// Of XINFO STREAM: ids, told by their milliseconds.
static STREAM_IDS: [(&str, Family); 4] = [
    ("last-generated-id", gauge("redis_stream_last_generated_id", "Milliseconds of the newest id given out.")),
    ("max-deleted-entry-id", gauge("redis_stream_max_deleted_entry_id", "Milliseconds of the newest id deleted.")),
    ("first-entry", gauge("redis_stream_first_entry_id", "Milliseconds of the oldest entry's id.")),
    ("last-entry", gauge("redis_stream_last_entry_id", "Milliseconds of the newest entry's id.")),
];

/// Of XINFO GROUPS. The lag is unknown, and then absent, where entries were deleted from the middle.
static GROUP_NUMBERS: [(&str, Family); 4] = [
    ("consumers", gauge("redis_stream_group_consumers", "Consumers of the group.")),
    ("pending", gauge("redis_stream_group_messages_pending", "Entries delivered to the group and not acknowledged.")),
    ("entries-read", gauge("redis_stream_group_entries_read", "Entries that the group has read (Redis 7).")),
    ("lag", gauge("redis_stream_group_lag", "Entries that the group has still to read (Redis 7).")),
];
static GROUP_ID: Family =
    gauge("redis_stream_group_last_delivered_id", "Milliseconds of the newest id delivered to the group.");

static CONSUMER_PENDING: Family =
    gauge("redis_stream_group_consumer_messages_pending", "Entries delivered to the consumer and not acknowledged.");
static CONSUMER_IDLE: Family =
    gauge("redis_stream_group_consumer_idle_seconds", "How long ago the consumer tried to read, in seconds.");

/// Looks at streams of one database, which is selected: in three round trips, however many they are. The first asks what
/// they are, since XINFO of anything else is an error that the server counts.
pub async fn ask(
    connection: &mut Connection,
    streams: &[&Key],
    deadline: Instant,
    look: &mut Look,
) -> Result<(), Missed> {
    let streams = there(connection, streams, deadline, look).await?;
    let mut commands = Pipeline::new();
    for stream in &streams {
        commands.cmd("XINFO").arg("STREAM").arg(&stream.name).cmd("XINFO").arg("GROUPS").arg(&stream.name);
    }
    let answers = connection.ask_each("XINFO STREAM", &mut commands, deadline).await?;
    let mut readers = Vec::new();
    for (stream, answers) in streams.iter().zip(answers.chunks_exact(2)) {
        let labels = stream.labels("stream");
        // One that went since is asked again at the next look: nothing is wrong with it.
        if let (false, Some(error)) = (is_gone(&answers[0]), connection.refusal_for(XINFO, stream, &answers[0])) {
            look.missed(error);
        }
        read_stream(&answers[0], &labels, look);
        readers.extend(read_groups(&answers[1], stream, &labels, look));
    }
    let mut commands = Pipeline::new();
    for (stream, group, _) in &readers {
        commands.cmd("XINFO").arg("CONSUMERS").arg(&stream.name).arg(group);
    }
    let answers = connection.ask_each("XINFO CONSUMERS", &mut commands, deadline).await?;
    for ((stream, _, labels), answer) in readers.iter().zip(&answers) {
        if let (false, Some(error)) = (is_gone(answer), connection.refusal_for(XINFO, stream, answer)) {
            look.missed(error);
        }
        read_consumers(answer, labels, look);
    }
    Ok(())
}

/// Those that are streams by TYPE, and may be asked about.
async fn there<'s>(
    connection: &mut Connection,
    streams: &[&'s Key],
    deadline: Instant,
    look: &mut Look,
) -> Result<Vec<&'s Key>, Missed> {
    let may_ask = |key: &&&Key| connection.may_ask("TYPE", key) && connection.may_ask(XINFO, key);
    let mut streams: Vec<&Key> = streams.iter().filter(may_ask).copied().collect();
    let mut commands = Pipeline::new();
    for stream in &streams {
        commands.cmd("TYPE").arg(&stream.name);
    }
    let mut answers = connection.ask_each("TYPE", &mut commands, deadline).await?.into_iter();
    streams.retain(|stream| {
        let Some(answer) = answers.next() else { return false };
        let error = connection.refusal_for("TYPE", stream, &answer).or_else(|| other_than_stream(stream, &answer));
        if let Some(error) = error {
            look.missed(error);
        }
        text(&answer).as_deref() == Some("stream")
    });
    Ok(streams)
}

/// A stream begins with its first entry: until then there is nothing to see, and nothing wrong. Another kind is a mistake.
fn other_than_stream(key: &Key, answer: &Value) -> Option<CollectError> {
    let kind = text(answer).filter(|kind| !matches!(&**kind, "stream" | "none"))?;
    Some(CollectError::new(Reason::Status, format!("{key} is a {kind}, not a stream")))
}

/// Stream or group went between two questions.
fn is_gone(answer: &Value) -> bool {
    let says = |words: &str| words.contains("no such key") || words.contains("No such consumer group");
    matches!(answer, Value::ServerError(error) if error.code() == "NOGROUP" || error.details().is_some_and(says))
}

fn read_stream(answer: &Value, labels: &Labels, look: &mut Look) {
    for (name, family) in &STREAM_NUMBERS {
        if let Some(value) = number_of(answer, name) {
            look.point(family, Suffix::None, labels.clone(), value);
        }
    }
    for (name, family) in &STREAM_IDS {
        let id = field(answer, name);
        if let Some(millis) = id.and_then(|id| milliseconds(items(id).first().unwrap_or(id))) {
            look.point(family, Suffix::None, labels.clone(), millis);
        }
    }
}

/// `1700000000123-0`
fn milliseconds(id: &Value) -> Option<f64> {
    text(id)?.split('-').next()?.parse().ok()
}

/// Gives the groups whose consumers are to be looked at: stream, the group's name, and its labels.
fn read_groups<'s>(
    answer: &Value,
    stream: &'s Key,
    labels: &Labels,
    look: &mut Look,
) -> Vec<(&'s Key, Vec<u8>, Labels)> {
    let mut readers = Vec::new();
    for group in items(answer).iter().take(MOST_GROUPS) {
        let Some(Value::BulkString(name)) = field(group, "name") else { continue };
        let labels = labels.with("group", &*readable(name));
        for (field, family) in &GROUP_NUMBERS {
            if let Some(value) = number_of(group, field) {
                look.point(family, Suffix::None, labels.clone(), value);
            }
        }
        if let Some(millis) = field(group, "last-delivered-id").and_then(milliseconds) {
            look.point(&GROUP_ID, Suffix::None, labels.clone(), millis);
        }
        if number_of(group, "consumers").is_some_and(|consumers| consumers > 0.0) {
            readers.push((stream, name.clone(), labels));
        }
    }
    say_dropped(items(answer).len(), MOST_GROUPS, &format!("groups of {stream}"), look);
    readers
}

fn read_consumers(answer: &Value, labels: &Labels, look: &mut Look) {
    for consumer in items(answer).iter().take(MOST_CONSUMERS) {
        let Some(name) = text_of(consumer, "name") else { continue };
        let labels = labels.with("consumer", &*name);
        if let Some(pending) = number_of(consumer, "pending") {
            look.point(&CONSUMER_PENDING, Suffix::None, labels.clone(), pending);
        }
        if let Some(millis) = number_of(consumer, "idle") {
            look.point(&CONSUMER_IDLE, Suffix::None, labels, millis / 1e3);
        }
    }
    let of = format!("consumers of {}", labels.get("group").unwrap_or_default());
    say_dropped(items(answer).len(), MOST_CONSUMERS, &of, look);
}

fn say_dropped(all: usize, most: usize, what: &str, look: &mut Look) {
    if all > most {
        look.missed(CollectError::new(Reason::TooLarge, format!("{} {what} are not shown", all - most)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::redis::reply::tests::bulk;

    fn stream() -> Key {
        Key { database: 2, name: "chat-events".into() }
    }

    const LABELS: [(&str, &str); 2] = [("db", "db2"), ("stream", "chat-events")];

    #[test]
    fn ids_are_told_by_their_milliseconds() {
        let entry = Value::Array(vec![bulk("1700000000001-0"), Value::Array(vec![bulk("message"), bulk("a secret")])]);
        let answer = Value::Array(vec![
            bulk("length"),
            Value::Int(5),
            bulk("last-generated-id"),
            bulk("1700000000005-3"),
            bulk("first-entry"),
            entry,
            bulk("last-entry"),
            Value::Nil,
        ]);
        let mut look = Look::new();
        read_stream(&answer, &stream().labels("stream"), &mut look);
        assert_eq!(look.get("redis_stream_length", &LABELS), Some(5.0));
        assert_eq!(look.get("redis_stream_last_generated_id", &LABELS), Some(1_700_000_000_005.0));
        assert_eq!(look.get("redis_stream_first_entry_id", &LABELS), Some(1_700_000_000_001.0));
        assert_eq!(look.get("redis_stream_last_entry_id", &LABELS), None, "an empty stream has none");
        assert!(!format!("{look:?}").contains("secret"));
    }

    #[test]
    fn a_lag_that_the_server_does_not_know_is_absent() {
        let group = [
            (bulk("name"), bulk("ai")),
            (bulk("consumers"), Value::Int(0)),
            (bulk("pending"), Value::Int(3)),
            (bulk("lag"), Value::Nil),
        ];
        let group = Value::Array(group.into_iter().flat_map(|(name, value)| [name, value]).collect());
        let mut look = Look::new();
        let readers = read_groups(&Value::Array(vec![group]), &stream(), &stream().labels("stream"), &mut look).len();
        let labels: Vec<_> = LABELS.into_iter().chain([("group", "ai")]).collect();
        assert_eq!((readers, look.get("redis_stream_group_messages_pending", &labels)), (0, Some(3.0)));
        assert_eq!(look.get("redis_stream_group_lag", &labels), None);
    }

    #[test]
    fn only_a_key_of_another_kind_is_a_mistake() {
        let kind = |kind| other_than_stream(&stream(), &Value::SimpleString(String::from(kind)));
        assert!(kind("none").is_none() && kind("stream").is_none());
        assert!(kind("hash").is_some_and(|error| error.to_string().contains("is a hash, not a stream")));
    }

    #[test]
    fn groups_whose_names_differ_in_a_bad_byte_differ_in_their_labels() {
        let group = |name: &[u8]| {
            Value::Array(vec![bulk("name"), Value::BulkString(name.to_vec()), bulk("lag"), Value::Int(1)])
        };
        let mut look = Look::new();
        let groups = Value::Array(vec![group(b"g\xfe"), group(b"g\xff")]);
        read_groups(&groups, &stream(), &stream().labels("stream"), &mut look);
        for name in ["g\\xfe", "g\\xff"] {
            let labels: Vec<_> = LABELS.into_iter().chain([("group", name)]).collect();
            assert_eq!(look.get("redis_stream_group_lag", &labels), Some(1.0), "{name}");
        }
    }

    #[test]
    fn what_the_bounds_drop_is_said() {
        let consumer = Value::Array(vec![bulk("name"), bulk("c"), bulk("pending"), Value::Int(1)]);
        let mut look = Look::new();
        read_consumers(&Value::Array(vec![consumer; MOST_CONSUMERS + 2]), &Labels::empty(), &mut look);
        assert_eq!(look.len(), MOST_CONSUMERS);
        assert!(look.failures[0].to_string().contains("2 consumers"));
    }
}
