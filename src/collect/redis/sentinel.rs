//! A sentinel: which masters it watches, how they are, and who else watches them.
//!
//! In: INFO's `master0:` lines and SENTINEL's answers. Out: `redis_sentinel_*`.

use std::borrow::Cow;

use redis::{Pipeline, Value};
use tokio::time::Instant;

use crate::collect::{CollectError, Look, Reason};
use crate::model::{Family, Labels, Suffix};

use super::config::is_secret;
use super::connection::{Connection, Missed};
use super::info::{Info, is_numbered, part, part_text};
use super::reply::{items, number_of, text, text_of};

/// Masters looked at, and peers of each that are shown.
const MOST: usize = 32;

static STATUS: Family = Family::gauge("redis_sentinel_master_status", "Whether the sentinel finds this master well.");
static SLAVES: Family =
    Family::gauge("redis_sentinel_master_slaves", "Replicas of this master that the sentinel knows.");
static SENTINELS: Family = Family::gauge("redis_sentinel_master_sentinels", "Sentinels that watch this master.");
static OK_SENTINELS: Family =
    Family::gauge("redis_sentinel_master_ok_sentinels", "Sentinels that watch this master and are not held for down.");
static OK_SLAVES: Family =
    Family::gauge("redis_sentinel_master_ok_slaves", "Replicas of this master that are not held for down.");
static CKQUORUM: Family = Family::gauge(
    "redis_sentinel_master_ckquorum_status",
    "Whether enough sentinels are there to decide on a failover; the sentinel's words in `message`.",
);
static PING_REPLY: Family = Family::gauge(
    "redis_sentinel_master_last_ok_ping_reply_seconds",
    "How long ago the master answered a PING well, in seconds.",
);
static PEER: Family =
    Family::gauge("redis_sentinel_peer_info", "Another sentinel of this master, in labels; always 1.");

static CONFIG_VALUE: Family = Family::gauge("redis_sentinel_config_value", "A sentinel's setting that is a number.");
static CONFIG_KEY_VALUE: Family =
    Family::gauge("redis_sentinel_config_key_value", "A sentinel's setting with its value as a label; always 1.");

/// Numbers of SENTINEL MASTERS under their own names.
static SETTINGS: [(&str, Family); 5] = [
    ("quorum", gauge("redis_sentinel_master_setting_ckquorum", "Sentinels that must agree that the master is down.")),
    (
        "failover-timeout",
        gauge("redis_sentinel_master_setting_failover_timeout", "Time-out of a failover, in milliseconds."),
    ),
    ("parallel-syncs", gauge("redis_sentinel_master_setting_parallel_syncs", "Replicas synchronised at once.")),
    (
        "down-after-milliseconds",
        gauge(
            "redis_sentinel_master_setting_down_after_milliseconds",
            "Silence after which the master is held for down, in milliseconds.",
        ),
    ),
    ("config-epoch", gauge("redis_sentinel_master_config_epoch", "Epoch of the master's configuration.")),
];

const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family::gauge(name, help)
}

/// `master0:name=mymaster,status=ok,address=10.0.0.1:6379,slaves=1,sentinels=3`
pub fn read_info(info: &Info<'_>, look: &mut Look) {
    for (_, value) in info.fields().filter(|(name, _)| is_numbered(name, "master")) {
        let label = |name| part_text(value, name).unwrap_or_default();
        let labels = Labels::new([("master_name", label("name")), ("master_address", label("address"))]);
        let status = label("status");
        let well = f64::from(u8::from(status == "ok"));
        look.point(&STATUS, Suffix::None, labels.with("master_status", status), well);
        for (name, family) in [("slaves", &SLAVES), ("sentinels", &SENTINELS)] {
            if let Some(value) = part(value, name) {
                look.point(family, Suffix::None, labels.clone(), value);
            }
        }
    }
}

/// Asks for the masters, and of each for its quorum, its sentinels and its replicas, in two round trips.
pub async fn ask(connection: &mut Connection, config: bool, deadline: Instant, look: &mut Look) -> Result<(), Missed> {
    let mut commands = Pipeline::new();
    commands.cmd("SENTINEL").arg("MASTERS");
    let Some(answer) = connection.ask_if_allowed::<(Value,)>("SENTINEL MASTERS", &commands, deadline).await else {
        return Ok(());
    };
    let (masters,) = answer?;
    let masters: Vec<&Value> = items(&masters).iter().take(MOST).collect();
    let mut commands = Pipeline::new();
    for name in masters.iter().filter_map(|master| text_of(master, "name")) {
        for question in ["CKQUORUM", "SENTINELS", "SLAVES"] {
            commands.cmd("SENTINEL").arg(question).arg(&*name);
        }
    }
    let answers = connection.ask_each("SENTINEL", &mut commands, deadline).await?;
    for (master, answers) in masters.iter().zip(answers.chunks_exact(3)) {
        read_master(master, answers, look);
    }
    if config {
        let mut commands = Pipeline::new();
        commands.cmd("SENTINEL").arg("CONFIG").arg("GET").arg("*");
        let answers = connection.ask_each("SENTINEL CONFIG GET", &mut commands, deadline).await?;
        for settings in &answers {
            read_config(settings, look);
        }
    }
    Ok(())
}

/// Names and values by turns; passwords are left out.
fn read_config(settings: &Value, look: &mut Look) {
    for pair in items(settings).chunks_exact(2) {
        let (Some(name), Some(value)) = (text(&pair[0]), text(&pair[1])) else { continue };
        if is_secret(&name) {
            continue;
        }
        look.labeled(&CONFIG_KEY_VALUE, [("key", &*name), ("value", &*value)], 1.0);
        if let Ok(number) = value.parse() {
            look.labeled(&CONFIG_VALUE, [("key", &*name)], number);
        }
    }
}

/// `answers` are those to CKQUORUM, SENTINELS and SLAVES.
fn read_master(master: &Value, answers: &[Value], look: &mut Look) {
    let field = |name| text_of(master, name).unwrap_or(Cow::Borrowed(""));
    let (name, address) = (field("name"), format!("{}:{}", field("ip"), field("port")));
    let labels = Labels::new([("master_name", &*name), ("master_address", &*address)]);
    for (field, family) in &SETTINGS {
        if let Some(value) = number_of(master, field) {
            look.point(family, Suffix::None, labels.clone(), value);
        }
    }
    if let Some(millis) = number_of(master, "last-ok-ping-reply") {
        look.point(&PING_REPLY, Suffix::None, labels.clone(), millis / 1e3);
    }
    quorum(&name, &answers[0], look);
    if let Value::Array(sentinels) = &answers[1] {
        // The one that we ask is well.
        look.point(&OK_SENTINELS, Suffix::None, labels.clone(), 1.0 + well(sentinels));
        peers(&labels, sentinels, look);
    }
    if let Value::Array(slaves) = &answers[2] {
        look.point(&OK_SLAVES, Suffix::None, labels, well(slaves));
    }
}

/// The sentinel says in words what its quorum is, as an answer or as an error.
fn quorum(master: &str, answer: &Value, look: &mut Look) {
    let (status, message) = match answer {
        Value::ServerError(error) => (0.0, format!("{} {}", error.code(), error.details().unwrap_or_default())),
        other => (1.0, text(other).unwrap_or_default().into_owned()),
    };
    look.labeled(&CKQUORUM, [("master_name", master), ("message", &*message)], status);
}

fn well(instances: &[Value]) -> f64 {
    let flags = instances.iter().filter_map(|instance| text_of(instance, "flags"));
    flags.filter(|flags| !flags.contains("o_down") && !flags.contains("s_down")).count() as f64
}

fn peers(master: &Labels, sentinels: &[Value], look: &mut Look) {
    for sentinel in sentinels.iter().take(MOST) {
        let own = ["name", "ip", "port", "runid", "flags"]
            .map(|name| (name, text_of(sentinel, name).unwrap_or_default().into_owned()));
        look.point(&PEER, Suffix::None, master.overlaid(&Labels::new(own)), 1.0);
    }
    if sentinels.len() > MOST {
        let words = format!("{} sentinels beyond the first {MOST} are not shown", sentinels.len() - MOST);
        look.missed(CollectError::new(Reason::TooLarge, words));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::redis::reply::tests::bulk;

    fn map(pairs: &[(&str, &str)]) -> Value {
        Value::Array(pairs.iter().flat_map(|(name, value)| [bulk(name), bulk(value)]).collect())
    }

    #[test]
    fn info_names_each_master() {
        let text = "master0:name=mymaster,status=sdown,address=10.0.0.1:6379,slaves=2,sentinels=3";
        let mut look = Look::new();
        read_info(&Info::parse(text), &mut look);
        let labels = [("master_address", "10.0.0.1:6379"), ("master_name", "mymaster")];
        assert_eq!(look.get("redis_sentinel_master_sentinels", &labels), Some(3.0));
        let status: Vec<_> = labels.into_iter().chain([("master_status", "sdown")]).collect();
        assert_eq!(look.get("redis_sentinel_master_status", &status), Some(0.0));
    }

    #[test]
    fn only_those_not_held_for_down_count_as_well() {
        let master =
            map(&[("name", "m"), ("ip", "::1"), ("port", "6379"), ("quorum", "2"), ("last-ok-ping-reply", "464")]);
        let sentinels =
            [map(&[("name", "a"), ("flags", "sentinel")]), map(&[("name", "b"), ("flags", "s_down,sentinel")])];
        let answers = [bulk("OK 2 usable Sentinels."), Value::Array(sentinels.to_vec()), Value::Array(vec![])];
        let mut look = Look::new();
        read_master(&master, &answers, &mut look);
        let labels = [("master_address", "::1:6379"), ("master_name", "m")];
        assert_eq!(look.get("redis_sentinel_master_ok_sentinels", &labels), Some(2.0));
        assert_eq!(look.get("redis_sentinel_master_ok_slaves", &labels), Some(0.0));
        assert_eq!(look.get("redis_sentinel_master_setting_ckquorum", &labels), Some(2.0));
        assert_eq!(look.get("redis_sentinel_master_last_ok_ping_reply_seconds", &labels), Some(0.464));
        let quorum = [("master_name", "m"), ("message", "OK 2 usable Sentinels.")];
        assert_eq!(look.get("redis_sentinel_master_ckquorum_status", &quorum), Some(1.0));
    }
}
