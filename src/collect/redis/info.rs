//! Reads the text of INFO into `redis_exporter`'s families. Pure: text in, points out.
//!
//! What cannot be read is passed over: a field is a fact or it is absent.

use std::collections::HashMap;

use crate::collect::Look;
use crate::model::{Family, Labels, MetricKind, Suffix};

use super::fields;

static CALLS: Family = Family::counter("redis_commands_total", "Calls of this command.");
static CALL_TIME: Family =
    Family::counter("redis_commands_duration_seconds_total", "Time spent in this command, in seconds.");
static REJECTED: Family =
    Family::counter("redis_commands_rejected_calls_total", "Calls of this command that were refused before execution.");
static FAILED: Family = Family::counter("redis_commands_failed_calls_total", "Calls of this command that failed.");
static PERCENTILES: Family = Family::new(
    "redis_latency_percentiles_usec",
    MetricKind::Summary,
    "How long calls of this command take, in microseconds.",
);
static ERRORS: Family = Family::counter("redis_errors_total", "Error replies with this prefix.");
static KEYS: Family = Family::gauge("redis_db_keys", "Keys in this database.");
static EXPIRING: Family = Family::gauge("redis_db_keys_expiring", "Keys in this database that expire.");
static TTL: Family = Family::gauge("redis_db_avg_ttl_seconds", "Average time to live of keys that expire, in seconds.");
static CACHED_KEYS: Family = Family::gauge("redis_db_keys_cached", "Keys of this database held in memory.");
static INSTANCE: Family = Family::gauge("redis_instance_info", "What the server is, in labels; always 1.");
static SLAVE: Family = Family::gauge("redis_slave_info", "Whom the replica follows, in labels; always 1.");
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
static START: Family =
    Family::gauge("redis_start_time_seconds", "When the server started by its own clock, in seconds since the epoch.");

/// Puts all that INFO tells into the look. `databases` is how many there are, where known: INFO names only those
/// with keys, and an empty one has 0 of them.
pub fn read(text: &str, databases: Option<usize>, look: &mut Look) {
    let info = Info::parse(text);
    for (name, value) in &info.fields {
        field(name, value, &info, look);
    }
    commands(&info, look);
    empty_databases(&info, databases, look);
    instance(&info, look);
}

/// `name:value` lines in their order, and by name.
struct Info<'t> {
    fields: Vec<(&'t str, &'t str)>,
    by_name: HashMap<&'t str, &'t str>,
}

impl<'t> Info<'t> {
    fn parse(text: &'t str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let by_name: HashMap<_, _> = lines.clone().filter_map(|line| line.split_once(':')).collect();
        // A field that stands twice counts once: two points with one identity are nobody's.
        let mut left = by_name.clone();
        let fields =
            lines.filter_map(|line| line.split_once(':')).filter(|(name, _)| left.remove(name).is_some()).collect();
        Self { fields, by_name }
    }

    fn text(&self, name: &str) -> &'t str {
        self.by_name.get(name).copied().unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<f64> {
        number(self.by_name.get(name)?)
    }
}

fn field(name: &str, value: &str, info: &Info<'_>, look: &mut Look) {
    if let Some(known) = fields::find(name) {
        if let Some(value) = number(value) {
            look.value(&known.family, value * known.scale);
        }
    } else if let Some(error) = name.strip_prefix("errorstat_") {
        if let Some(count) = part(value, "count") {
            look.labeled(&ERRORS, [("err", error)], count);
        }
    } else if is_numbered(name, "db") {
        keyspace(name, value, look);
    } else if is_numbered(name, "slave") {
        replica(value, look);
    } else {
        master_link(name, value, info, look);
    }
}

/// `db0:keys=5,expires=2,avg_ttl=1000,subexpiry=0`
fn keyspace(db: &str, value: &str, look: &mut Look) {
    for (name, family, scale) in [
        ("keys", &KEYS, 1.0),
        ("expires", &EXPIRING, 1.0),
        ("avg_ttl", &TTL, 0.001),
        ("cached_keys", &CACHED_KEYS, 1.0),
    ] {
        if let Some(value) = part(value, name) {
            look.labeled(family, [("db", db)], value * scale);
        }
    }
}

fn empty_databases(info: &Info<'_>, databases: Option<usize>, look: &mut Look) {
    // A server with thousands of databases is told of by those in use.
    for db in (0..databases.unwrap_or_default().min(64)).map(|db| format!("db{db}")) {
        if !info.by_name.contains_key(db.as_str()) {
            look.labeled(&KEYS, [("db", db.as_str())], 0.0);
            look.labeled(&EXPIRING, [("db", db.as_str())], 0.0);
        }
    }
}

/// `slave0:ip=10.0.0.1,port=6379,state=online,offset=17,lag=0`
fn replica(value: &str, look: &mut Look) {
    let labels = [
        ("slave_ip", part_text(value, "ip").unwrap_or_default()),
        ("slave_port", part_text(value, "port").unwrap_or_default()),
        ("slave_state", part_text(value, "state").unwrap_or_default()),
    ];
    if let Some(offset) = part(value, "offset") {
        look.labeled(&SLAVE_OFFSET, labels, offset);
    }
    if let Some(lag) = part(value, "lag").filter(|lag| *lag >= 0.0) {
        look.labeled(&SLAVE_LAG, labels, lag);
    }
}

fn master_link(name: &str, value: &str, info: &Info<'_>, look: &mut Look) {
    let (family, value) = match name {
        "master_link_status" => (&LINK_UP, Some(f64::from(u8::from(value == "up")))),
        "master_last_io_seconds_ago" => (&MASTER_IO, number(value)),
        "master_sync_in_progress" => (&MASTER_SYNC, number(value)),
        "slave_repl_offset" => (&REPLICA_OFFSET, number(value)),
        _ => return,
    };
    if let Some(value) = value {
        look.labeled(
            family,
            [("master_host", info.text("master_host")), ("master_port", info.text("master_port"))],
            value,
        );
    }
}

/// `cmdstat_get:calls=21,usec=175,usec_per_call=8.33,rejected_calls=0,failed_calls=0`
fn commands(info: &Info<'_>, look: &mut Look) {
    for (name, value) in &info.fields {
        let Some(command) = name.strip_prefix("cmdstat_") else { continue };
        let labels = [("cmd", command)];
        for (name, family, scale) in [
            ("calls", &CALLS, 1.0),
            ("usec", &CALL_TIME, 1e-6),
            ("rejected_calls", &REJECTED, 1.0),
            ("failed_calls", &FAILED, 1.0),
        ] {
            if let Some(value) = part(value, name) {
                look.labeled(family, labels, value * scale);
            }
        }
        let percentiles = info.text(&format!("latency_percentiles_usec_{command}"));
        latency(command, percentiles, part(value, "calls"), part(value, "usec"), look);
    }
}

/// `latency_percentiles_usec_get:p50=0.001,p99=1.003,p99.9=4.015`
fn latency(command: &str, percentiles: &str, calls: Option<f64>, usec: Option<f64>, look: &mut Look) {
    let (false, Some(calls), Some(usec)) = (percentiles.is_empty(), calls, usec) else { return };
    for (name, value) in percentiles.split(',').filter_map(|part| part.split_once('=')) {
        if let (Some(quantile), Some(value)) = (name.strip_prefix('p'), number(value)) {
            let labels = Labels::new([("cmd", command), ("quantile", quantile)]);
            look.point(&PERCENTILES, Suffix::None, labels, value);
        }
    }
    let labels = Labels::new([("cmd", command)]);
    look.point(&PERCENTILES, Suffix::Sum, labels.clone(), usec);
    look.point(&PERCENTILES, Suffix::Count, labels, calls);
}

fn instance(info: &Info<'_>, look: &mut Look) {
    const LABELS: [&str; 12] = [
        "role",
        "redis_version",
        "redis_build_id",
        "redis_mode",
        "os",
        "maxmemory_policy",
        "tcp_port",
        "run_id",
        "process_id",
        "master_replid",
        "valkey_version",
        "availability_zone",
    ];
    let mut labels = Labels::new(LABELS.iter().map(|name| (*name, info.text(name))));
    if info.text("redis_mode").is_empty() {
        labels = labels.with("redis_mode", info.text("server_mode"));
    }
    look.point(&INSTANCE, Suffix::None, labels, 1.0);
    if info.text("role") == "slave" {
        let labels = [
            ("master_host", info.text("master_host")),
            ("master_port", info.text("master_port")),
            ("read_only", info.text("slave_read_only")),
        ];
        look.labeled(&SLAVE, labels, 1.0);
    }
    if let (Some(now), Some(uptime)) = (info.number("server_time_usec"), info.number("uptime_in_seconds")) {
        look.value(&START, (now / 1e6).floor() - uptime);
    }
}

/// A number as INFO writes it; a status word is 1 for good and 0 for bad; a percent sign is dropped.
fn number(text: &str) -> Option<f64> {
    match text {
        "ok" | "true" => Some(1.0),
        "err" | "fail" | "false" => Some(0.0),
        _ => text.strip_suffix('%').unwrap_or(text).parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// A part of `a=1,b=2`.
fn part_text<'t>(value: &'t str, name: &str) -> Option<&'t str> {
    value.split(',').filter_map(|part| part.split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn part(value: &str, name: &str) -> Option<f64> {
    number(part_text(value, name)?)
}

/// Whether a name is a word and a number: `db0`, `slave12`.
fn is_numbered(name: &str, word: &str) -> bool {
    name.strip_prefix(word).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
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
        read(REPLICA, Some(2), &mut look);
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
        read(
            "a\n:\n:1\ncmdstat_:=,=\ndb:x\nslave9:\nused_memory:NaN\nlatency_percentiles_usec_x:p=\n",
            None,
            &mut look,
        );
        assert_eq!(look.len(), 1);
    }
}
