//! The few facts of INFO that decide what else is asked and how the server is judged.

use super::text::part;
use super::{Info, instance, modules};

/// What one INFO says of the server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// Major and minor version of Redis; Valkey says 7.2.
    pub version: (u32, u32),
    /// The server's clock in seconds since the epoch.
    pub server_time: Option<f64>,
    /// Identifies the process: another one after a restart.
    pub run_id: String,
    /// Alone, a cluster's node, or a sentinel.
    pub mode: Mode,
    /// The data set is being loaded: commands are refused.
    pub loading: bool,
    /// How much is loaded, in percent, while loading.
    pub loaded_percent: Option<f64>,
    /// On a replica: host and port of its master, where the link to it is down.
    pub lost_master: Option<String>,
    /// Bytes that count against `maxmemory`, and the limit; no limit, nothing here.
    pub memory: Option<(f64, f64)>,
    /// `maxmemory_policy`.
    pub policy: String,
    /// Memory of the machine in bytes.
    pub system_memory: Option<f64>,
    /// The last background save failed, or the append-only file could not be written.
    pub failed_writes: Option<&'static str>,
    /// Keys, and those of them that expire.
    pub keys: (f64, f64),
    /// Keys that expired, and that were evicted, since the server started.
    pub lost_keys: Option<(f64, f64)>,
    /// A module is loaded whose own INFO section we read.
    pub telling_module: bool,
}

/// What a server is one of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Of nothing.
    #[default]
    Standalone,
    /// Of a cluster's nodes.
    Cluster,
    /// Of the sentinels that watch masters; it knows few commands.
    Sentinel,
}

impl Mode {
    fn of(info: &Info<'_>) -> Self {
        if [info.text("redis_mode"), info.text("server_mode")].contains(&"sentinel") {
            Self::Sentinel
        } else if info.text("cluster_enabled") == "1" {
            Self::Cluster
        } else {
            Self::Standalone
        }
    }
}

impl Facts {
    /// Picks the facts. `text` is what `info` was made of.
    pub fn of(info: &Info<'_>, text: &str) -> Self {
        let maxmemory = info.number("maxmemory").filter(|limit| *limit > 0.0);
        // Replication and append-only buffers do not count against the limit.
        let counted =
            info.number("used_memory").map(|used| used - info.number("mem_not_counted_for_evict").unwrap_or_default());
        Self {
            version: version(info.text("redis_version")),
            server_time: info.number("server_time_usec").map(|micros| micros / 1e6),
            run_id: info.text("run_id").to_owned(),
            mode: Mode::of(info),
            loading: info.text("loading") == "1",
            loaded_percent: info.number("loading_loaded_perc"),
            lost_master: lost_master(info),
            memory: counted.zip(maxmemory),
            policy: info.text("maxmemory_policy").to_owned(),
            system_memory: info.number("total_system_memory").filter(|bytes| *bytes > 0.0),
            failed_writes: failed_writes(info),
            keys: keys(info),
            lost_keys: info.number("expired_keys").zip(info.number("evicted_keys")),
            telling_module: instance::module_names(text).any(|name| modules::WITH_FIELDS.contains(&name)),
        }
    }
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn lost_master(info: &Info<'_>) -> Option<String> {
    let down = info.text("role") == "slave" && info.text("master_link_status") == "down";
    down.then(|| format!("{}:{}", info.text("master_host"), info.text("master_port")))
}

fn failed_writes(info: &Info<'_>) -> Option<&'static str> {
    match (info.text("rdb_last_bgsave_status"), info.text("aof_last_write_status")) {
        (_, "err") => Some("aof_last_write_status"),
        ("err", _) => Some("rdb_last_bgsave_status"),
        _ => None,
    }
}

fn keys(info: &Info<'_>) -> (f64, f64) {
    let databases = info.fields().filter(|(name, _)| super::is_numbered(name, "db"));
    let count = |value, name| part(value, name).unwrap_or_default();
    databases.fold((0.0, 0.0), |(keys, expiring), (_, value)| {
        (keys + count(value, "keys"), expiring + count(value, "expires"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> Facts {
        Facts::of(&Info::parse(text), text)
    }

    #[test]
    fn memory_counts_as_the_server_counts_it_against_its_limit() {
        let text = "redis_version:7.0.15\nused_memory:110\nmem_not_counted_for_evict:10\nmaxmemory:100\n";
        assert_eq!((facts(text).memory, facts(text).version), (Some((100.0, 100.0)), (7, 0)));
        assert_eq!(facts("used_memory:110\nmaxmemory:0").memory, None);
    }

    #[test]
    fn a_lost_master_is_one_of_a_replica() {
        let text = "role:slave\nmaster_host:m\nmaster_port:1\nmaster_link_status:";
        assert_eq!(facts(&format!("{text}down")).lost_master.as_deref(), Some("m:1"));
        assert_eq!(facts(&format!("{text}up")).lost_master, None);
    }

    #[test]
    fn keys_are_those_of_all_databases() {
        let text = "db0:keys=5,expires=2,avg_ttl=1\ndb7:keys=1,expires=1,avg_ttl=1\ndb0_distrib_sets_items:2=1\n";
        assert_eq!(facts(text).keys, (6.0, 3.0));
    }

    #[test]
    fn modules_with_figures_of_their_own_are_known() {
        let line = "module:name=search,ver=1,api=1,filters=0,usedby=[],using=[],options=[]";
        assert!(facts(&format!("# Modules\r\nmodule:name=lua,ver=1\r\n{line}\r\n")).telling_module);
        assert!(!facts("module:name=lua,ver=1").telling_module);
    }
}
