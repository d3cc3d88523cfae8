//! Reads the text of INFO into `redis_exporter`'s families. Pure: text in, points out.
//!
//! In: INFO's text and, where known, how many databases there are. Out: points in a [`Look`], and [`Facts`] for those
//! who decide what else to ask.
//!
//! Invariant: what cannot be read is passed over: a field is a fact or it is absent.

mod commands;
mod facts;
mod fields;
mod instance;
mod modules;
mod replication;
mod text;

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

pub use commands::{read_percentiles, usec_by_command};
pub use facts::{Facts, Mode};
pub use instance::read_modules;
pub use text::{Info, is_numbered, part, part_text};

use text::number;

static ERRORS: Family = Family::counter("redis_errors_total", "Error replies with this prefix.");
static KEYS: Family = Family::gauge("redis_db_keys", "Keys in this database.");
static EXPIRING: Family = Family::gauge("redis_db_keys_expiring", "Keys in this database that expire.");
static TTL: Family = Family::gauge("redis_db_avg_ttl_seconds", "Average time to live of keys that expire, in seconds.");
static CACHED_KEYS: Family = Family::gauge("redis_db_keys_cached", "Keys of this database held in memory.");
static EXPIRING_ITEMS: Family = Family::gauge(
    "redis_db_keys_with_expiring_items",
    "Keys in this database of which some fields or items expire by themselves.",
);
static FORK_USEC: Family =
    Family::gauge("redis_latest_fork_usec", "How long the last fork took, in microseconds: the older spelling.");

/// Puts all that INFO tells into the look. `databases` is how many there are, where known: INFO names only those
/// with keys, and an empty one has 0 of them.
pub fn read(info: &Info<'_>, databases: Option<usize>, look: &mut Look) {
    for (name, value) in info.fields() {
        field(name, value, info, look);
    }
    commands::read(info, look);
    empty_databases(info, databases, look);
    instance::read(info, look);
}

/// Puts plain fields into the look: for texts that are written as INFO is.
pub fn read_fields(text: &Info<'_>, look: &mut Look) {
    for (name, value) in text.fields() {
        if let (Some(known), Some(value)) = (fields::find(name), number(value)) {
            look.value(&known.family, value * known.scale);
        }
    }
}

fn field(name: &str, value: &str, info: &Info<'_>, look: &mut Look) {
    if let Some(known) = fields::find(name).or_else(|| modules::find(name)) {
        if let Some(value) = number(value) {
            look.value(&known.family, value * known.scale);
            if name == "latest_fork_usec" {
                look.value(&FORK_USEC, value);
            }
        }
    } else if let Some(error) = name.strip_prefix("errorstat_") {
        if let Some(count) = part(value, "count") {
            look.labeled(&ERRORS, [("err", error)], count);
        }
    } else if is_numbered(name, "db") {
        keyspace(name, value, look);
    } else {
        replication::read(name, value, info, look);
    }
}

/// `db0:keys=5,expires=2,avg_ttl=1000,subexpiry=0`; Valkey calls the last `keys_with_volatile_items`.
fn keyspace(db: &str, value: &str, look: &mut Look) {
    let labels = Labels::new([("db", db)]);
    for (name, family, scale) in [
        ("keys", &KEYS, 1.0),
        ("expires", &EXPIRING, 1.0),
        ("avg_ttl", &TTL, 0.001),
        ("cached_keys", &CACHED_KEYS, 1.0),
        ("subexpiry", &EXPIRING_ITEMS, 1.0),
        ("keys_with_volatile_items", &EXPIRING_ITEMS, 1.0),
    ] {
        if let Some(value) = part(value, name) {
            look.point(family, Suffix::None, labels.clone(), value * scale);
        }
    }
}

fn empty_databases(info: &Info<'_>, databases: Option<usize>, look: &mut Look) {
    // A server with thousands of databases is told of by those in use.
    for db in (0..databases.unwrap_or_default().min(64)).map(|db| format!("db{db}")) {
        if info.text(&db).is_empty() {
            let labels = Labels::new([("db", db.as_str())]);
            look.point(&KEYS, Suffix::None, labels.clone(), 0.0);
            look.point(&EXPIRING, Suffix::None, labels, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICA: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux\r\n\
        server_time_usec:1700000000999999\r\nuptime_in_seconds:100\r\n\r\n# Memory\r\nused_memory:1048576\r\n\
        maxmemory:0\r\nmaxmemory_policy:noeviction\r\nmem_fragmentation_ratio:1.25\r\nused_memory_dataset_perc:12.5%\r\n\
        # Persistence\r\nrdb_last_bgsave_status:err\r\naof_last_write_status:ok\r\n# Stats\r\nlatest_fork_usec:1500\r\n\
        brand_new_field:7\r\n# Replication\r\nrole:slave\r\nmaster_host:10.0.0.9\r\nmaster_port:6379\r\n\
        master_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nslave_read_only:1\r\nslave_repl_offset:5\r\n\
        slave0:ip=10.0.0.1,port=6380,state=online,offset=17,lag=1\r\n# Commandstats\r\n\
        cmdstat_get:calls=21,usec=175000,usec_per_call=8.33,rejected_calls=2,failed_calls=1\r\n\
        cmdstat_client|list:calls=1,usec=5,usec_per_call=5.00\r\n# Errorstats\r\nerrorstat_WRONGPASS:count=3\r\n\
        # Latencystats\r\nlatency_percentiles_usec_get:p50=1.003,p99=2.007,p99.9=4.015\r\n# Keyspace\r\n\
        db0:keys=5,expires=2,avg_ttl=1500,subexpiry=0\r\n";

    fn look() -> Look {
        let mut look = Look::new();
        read(&Info::parse(REPLICA), Some(2), &mut look);
        look
    }

    #[test]
    fn plain_fields_have_the_exporters_names_and_units() {
        let look = look();
        for (name, value) in [
            ("redis_memory_used_bytes", 1_048_576.0),
            ("redis_memory_max_bytes", 0.0),
            ("redis_mem_fragmentation_ratio", 1.25),
            ("redis_rdb_last_bgsave_status", 0.0),
            ("redis_aof_last_write_status", 1.0),
            ("redis_latest_fork_seconds", 0.0015),
            ("redis_uptime_in_seconds", 100.0),
            ("redis_start_time_seconds", 1_699_999_900.0),
        ] {
            assert_eq!(look.get(name, &[]), Some(value), "{name}");
        }
        assert!(!look.blocks().iter().any(|block| block.family.name.contains("brand_new")));
    }

    #[test]
    fn commands_errors_and_databases_have_labels() {
        let look = look();
        assert_eq!(look.get("redis_commands_total", &[("cmd", "get")]), Some(21.0));
        assert_eq!(look.get("redis_commands_duration_seconds_total", &[("cmd", "get")]), Some(0.175));
        assert_eq!(look.get("redis_commands_rejected_calls_total", &[("cmd", "get")]), Some(2.0));
        assert_eq!(look.get("redis_commands_failed_calls_total", &[("cmd", "client|list")]), None);
        assert_eq!(look.get("redis_errors_total", &[("err", "WRONGPASS")]), Some(3.0));
        assert_eq!(look.get("redis_db_keys", &[("db", "db0")]), Some(5.0));
        assert_eq!(look.get("redis_db_avg_ttl_seconds", &[("db", "db0")]), Some(1.5));
        assert_eq!(look.get("redis_db_keys", &[("db", "db1")]), Some(0.0));
    }

    #[test]
    fn percentiles_are_of_commands_whose_calls_are_known() {
        let mut look = Look::new();
        read_percentiles(&Info::parse(REPLICA), &mut look);
        let quantile = [("cmd", "get"), ("quantile", "99.9")];
        assert_eq!((look.get("redis_latency_percentiles_usec", &quantile), look.len()), (Some(4.015), 5));
        let mut look = Look::new();
        read_percentiles(&Info::parse("latency_percentiles_usec_get:p50=1.003\n"), &mut look);
        assert_eq!(look.len(), 0);
    }

    #[test]
    fn a_replica_tells_of_its_master_and_its_own_replicas() {
        let look = look();
        let master = [("master_host", "10.0.0.9"), ("master_port", "6379")];
        assert_eq!(look.get("redis_master_link_up", &master), Some(0.0));
        assert_eq!(look.get("redis_master_last_io_seconds_ago", &master), Some(-1.0));
        assert_eq!(look.get("redis_slave_repl_offset", &master), Some(5.0));
        let slave = [("slave_ip", "10.0.0.1"), ("slave_port", "6380"), ("slave_state", "online")];
        assert_eq!(look.get("redis_connected_slave_offset_bytes", &slave), Some(17.0));
        let info = [("master_host", "10.0.0.9"), ("master_port", "6379"), ("read_only", "1")];
        assert_eq!(look.get("redis_slave_info", &info), Some(1.0));
    }

    #[test]
    fn any_text_is_read_without_harm() {
        let mut look = Look::new();
        let text = "a\n:\n:1\ncmdstat_:=,=\ndb:x\nslave9:\nmaster0:\nused_memory:NaN\nlatency_percentiles_usec_x:p=\n";
        read(&Info::parse(text), None, &mut look);
        assert_eq!(look.len(), 1);
        read_percentiles(&Info::parse(text), &mut look);
        assert_eq!(look.len(), 1);
    }
}
