//! A master's replicas, and a replica's link to its master. `KeyDB`'s further masters (`master_1_host`) are read alike.

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::Info;
use super::text::{is_numbered, number, part, part_text};

static SLAVE_OFFSET: Family =
    Family::gauge("redis_connected_slave_offset_bytes", "How far the replica has acknowledged, in bytes.");
static SLAVE_LAG: Family =
    Family::gauge("redis_connected_slave_lag_seconds", "How long ago the replica was heard of, in seconds.");
static LINK_UP: Family = Family::gauge("redis_master_link_up", "Whether the replica is connected to its master.");
static MASTER_IO: Family =
    Family::gauge("redis_master_last_io_seconds_ago", "How long ago the master was heard of, in seconds.");
static MASTER_SYNC: Family =
    Family::gauge("redis_master_sync_in_progress", "Whether the replica is being synchronised.");
static REPLICA_OFFSET: Family = Family::gauge("redis_slave_repl_offset", "How far the replica is, in bytes.");

/// Reads one field, if it tells of replication.
pub fn read(name: &str, value: &str, info: &Info<'_>, look: &mut Look) {
    if is_numbered(name, "slave") {
        // Two replicas behind one address, or one whose former connection is not yet given up, tell the same labels. The
        // last to connect is the one that is surely there.
        if last_of(value, info) == Some(name) {
            replica(value, look);
        }
    } else if name.starts_with("master_") || name == "slave_repl_offset" {
        master_link(name, value, info, look);
    }
}

/// The name of the last field that tells of this replica.
fn last_of<'t>(value: &str, info: &Info<'t>) -> Option<&'t str> {
    let identity = |value| ["ip", "port", "state"].map(|part| part_text(value, part));
    let replicas =
        info.fields().filter(|(name, other)| is_numbered(name, "slave") && identity(other) == identity(value));
    replicas.last().map(|(name, _)| name)
}

/// `slave0:ip=10.0.0.1,port=6379,state=online,offset=17,lag=0`
fn replica(value: &str, look: &mut Look) {
    let label = |label, name| (label, part_text(value, name).unwrap_or_default());
    let labels = Labels::new([label("slave_ip", "ip"), label("slave_port", "port"), label("slave_state", "state")]);
    if let Some(offset) = part(value, "offset") {
        look.point(&SLAVE_OFFSET, Suffix::None, labels.clone(), offset);
    }
    if let Some(lag) = part(value, "lag").filter(|lag| *lag >= 0.0) {
        look.point(&SLAVE_LAG, Suffix::None, labels, lag);
    }
}

/// `master_link_status`, or `master_1_link_status` of a second master.
fn master_link(name: &str, value: &str, info: &Info<'_>, look: &mut Look) {
    let (number_of_master, field) = split(name);
    let (family, value) = match field {
        "link_status" => (&LINK_UP, Some(f64::from(u8::from(value == "up")))),
        "last_io_seconds_ago" => (&MASTER_IO, number(value)),
        "sync_in_progress" => (&MASTER_SYNC, number(value)),
        "slave_repl_offset" => (&REPLICA_OFFSET, number(value)),
        _ => return,
    };
    let Some(value) = value else { return };
    let (host, port) = match number_of_master {
        None => (info.text("master_host"), info.text("master_port")),
        Some(at) => (info.text(&format!("master_{at}_host")), info.text(&format!("master_{at}_port"))),
    };
    look.labeled(family, [("master_host", host), ("master_port", port)], value);
}

fn split(name: &str) -> (Option<&str>, &str) {
    let Some(rest) = name.strip_prefix("master_") else { return (None, name) };
    match rest.split_once('_') {
        Some((at, field)) if !at.is_empty() && at.bytes().all(|byte| byte.is_ascii_digit()) => (Some(at), field),
        _ => (None, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_announce_one_address_are_one_series_of_the_last() {
        let info = Info::parse(
            "slave0:ip=nat,port=6379,state=online,offset=1,lag=50\nslave1:ip=nat,port=6380,state=online,offset=2,lag=0\n\
             slave2:ip=nat,port=6379,state=online,offset=3,lag=1",
        );
        let mut look = Look::new();
        info.fields().for_each(|(name, value)| read(name, value, &info, &mut look));
        let lag = |port| {
            look.get(
                "redis_connected_slave_lag_seconds",
                &[("slave_ip", "nat"), ("slave_port", port), ("slave_state", "online")],
            )
        };
        assert_eq!((look.len(), lag("6379"), lag("6380")), (4, Some(1.0), Some(0.0)));
    }

    #[test]
    fn each_of_several_masters_has_its_own_link() {
        let info = Info::parse("master_host:a\nmaster_port:1\nmaster_1_host:b\nmaster_1_port:2");
        let mut look = Look::new();
        read("master_link_status", "up", &info, &mut look);
        read("master_1_link_status", "down", &info, &mut look);
        let link = |host, port| look.get("redis_master_link_up", &[("master_host", host), ("master_port", port)]);
        assert_eq!((link("a", "1"), link("b", "2")), (Some(1.0), Some(0.0)));
    }
}
