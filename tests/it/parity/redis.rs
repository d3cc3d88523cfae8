//! `redis_exporter` beside the agent: Redis 7, 8, Valkey, a cluster's node, a replica, a sentinel.

use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::{Difference, What, compare};
use crate::support::peers::newest;
use crate::support::{Agent, RealRedis, RedisSetup, Running, free_port, get, request, wait_until};

/// The newest exporter at a server.
pub struct Exporter {
    port: u16,
    _process: Running,
    _folder: TempDir,
}

impl Exporter {
    pub fn start(redis: &RealRedis, options: &[&str]) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut command = Command::new(newest("redis_exporter"));
        command.args(["-redis.addr", &redis.url(), "-web.listen-address", &format!("127.0.0.1:{port}")]).args(options);
        let process = Running::start(&mut command, &folder.path().join("log"));
        wait_until("the exporter is there", Duration::from_secs(20), || {
            request(port, "GET", "/health", &[], "").filter(|answer| answer.status == 200)
        });
        Self { port, _process: process, _folder: folder }
    }

    pub fn page(&self) -> String {
        get(self.port, "/metrics").body
    }
}

/// What the exporter shows without options, and with those that we always have on.
const OPTIONS: [&str; 3] = ["-include-system-metrics", "-include-modules-metrics", "-ping-on-connect"];

/// With every option that adds series, and the target's keys that mean the same.
const ALL_OPTIONS: [&str; 10] = [
    "-include-config-metrics",
    "-export-client-list",
    "-check-streams",
    "chat-*",
    "-check-keys",
    "k:*",
    "-check-single-keys",
    "hot,none",
    "-count-keys",
    "db0=session:*,db0=query:*",
];
const ALL_KEYS: &str = r#"config_metrics: true, client_list: true, streams: ["chat-*"], keys: ["k:*", hot, none],
    key_groups: ["session:*", "query:*"]"#;

const DIFFERENCES: [Difference; 16] = [
    Difference {
        family: "redis_exporter_build_info",
        what: What::Missing,
        why: "it would name an exporter that is not there; `sidewatch_build_info` names the agent",
    },
    Difference { family: "redis_exporter_*", what: What::Value, why: "each tells of its own scrapes" },
    Difference {
        family: "redis_db_keys_cached",
        what: What::Missing,
        why: "the exporter takes the fourth field of a database's line for cached keys, whatever its name: here it is \
              `subexpiry`, which later exporters and we call redis_db_keys_with_expiring_items",
    },
    Difference {
        family: "redis_config_key_value",
        what: What::Series,
        why: "the exporter leaves out `masterauth` but not Valkey's new name for it, `primaryauth`: a password",
    },
    Difference {
        family: "redis_instance_info",
        what: What::Labels,
        why: "Valkey writes server_mode where Redis writes redis_mode; later exporters and we take it for redis_mode",
    },
    Difference {
        family: "redis_latency_percentiles_usec",
        what: What::Value,
        why: "a percentile falls as well as it rises between two scrapes",
    },
    Difference {
        family: "redis_latency_percentiles_usec",
        what: What::Series,
        why: "our own commands and the exporter's appear while both look",
    },
    Difference {
        family: "redis_commands_*",
        what: What::Series,
        why: "our own commands and the exporter's appear while both look",
    },
    Difference {
        family: "redis_commands_latencies_usec",
        what: What::Value,
        why: "the exporter's sum adds all commands that begin with the same letters (get: getrange, getset); ours is of the \
              command alone",
    },
    Difference {
        family: "redis_instantaneous_*",
        what: What::Value,
        why: "the server's average of the last moments moves by itself",
    },
    Difference {
        family: "redis_connected_client_*",
        what: What::Series,
        why: "each sees its own connection, and the exporter's is another at each scrape",
    },
    Difference {
        family: "redis_connected_client_*",
        what: What::Value,
        why: "buffers are seen in the middle of a command of the looking connection",
    },
    Difference {
        family: "redis_*mem*",
        what: What::Value,
        why: "memory moves with every connection and command, the lookers' own included",
    },
    Difference {
        family: "redis_allocator_*",
        what: What::Value,
        why: "memory moves with every connection and command, the lookers' own included",
    },
    Difference {
        family: "redis_stream_*",
        what: What::Series,
        why: "what the server does not know (a lag, the ids of an empty stream's entries) is 0 there and absent here",
    },
    Difference {
        family: "redis_last_key_groups_scrape_duration_milliseconds",
        what: What::Value,
        why: "each tells of its own pass over the keys",
    },
];

/// Looks at the server with both and compares, with some load in between.
fn side_by_side(redis: &RealRedis, options: &[&str], keys: &str) {
    let exporter = Exporter::start(redis, &[&OPTIONS, options].concat());
    // Both have looked once before it counts: their own connections and commands are there then.
    exporter.page();
    let config = format!(
        "global: {{scrape_interval: 1h, scrape_timeout: 5s}}\ntargets: [{{name: cache, url: \"{}\"{keys}}}]",
        redis.url()
    );
    drop(Agent::start(&config));
    let before = exporter.page();
    let agent = Agent::start(&config);
    let ours = agent.get("/metrics?job=redis").body;
    let after = exporter.page();
    compare(&before, &ours, &after, &DIFFERENCES);
}

fn fill(redis: &RealRedis) {
    let each = "for i = 1, 50 do redis.call('SET', 'session:' .. i, i, 'EX', 3600) redis.call('SET', 'query:' .. i, i) \
                redis.call('SET', 'k:' .. i, i * 3) end";
    redis.cli(&["EVAL", each, "0"]);
    redis.cli(&["SET", "hot", "42"]);
    redis.cli(&["RPUSH", "k:list", "a", "b"]);
    redis.cli(&["ZADD", "k:zset", "1", "a"]);
    redis.cli(&["HSET", "k:hash", "a", "1"]);
    redis.cli(&["SADD", "k:set", "a"]);
    redis.cli(&["PFADD", "k:hll", "a", "b"]);
    redis.cli(&["-n", "3", "SET", "elsewhere", "1"]);
    for number in ["1", "2", "3"] {
        redis.cli(&["XADD", "chat-events", "*", "message", number]);
    }
    redis.cli(&["XGROUP", "CREATE", "chat-events", "ai-processors", "0"]);
    redis.cli(&["XREADGROUP", "GROUP", "ai-processors", "c", "COUNT", "2", "STREAMS", "chat-events", ">"]);
    redis.cli(&["GET", "nothing"]);
    redis.cli(&["LPUSH", "hot", "wrong type"]);
    redis.cli(&["NOSUCHCOMMAND"]);
    redis.cli(&["CONFIG", "SET", "latency-monitor-threshold", "1", "slowlog-log-slower-than", "1000"]);
    redis.cli(&["EVAL", "local x = 0 for i = 1, 3000000 do x = x + i end return x", "0"]);
}

#[test]
fn redis_7_shows_what_the_exporter_shows() {
    let redis = RealRedis::start();
    fill(&redis);
    side_by_side(&redis, &[], "");
    side_by_side(&redis, &ALL_OPTIONS, &format!(", {ALL_KEYS}"));
}

#[test]
fn redis_8_and_valkey_show_what_the_exporter_shows() {
    for program in ["redis-server", "valkey-server"] {
        let redis = RealRedis::with(RedisSetup { newest: Some(program), arguments: Vec::new() });
        fill(&redis);
        side_by_side(&redis, &[], "");
        side_by_side(&redis, &ALL_OPTIONS, &format!(", {ALL_KEYS}"));
    }
}

#[test]
fn a_clusters_node_shows_what_the_exporter_shows() {
    // Its bus would take a port 10,000 further, which may be another test's.
    let bus = free_port().to_string();
    let redis = RealRedis::with(RedisSetup::installed(&["--cluster-enabled", "yes", "--cluster-port", &bus]));
    redis.cli(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    wait_until("the cluster is well", Duration::from_secs(20), || {
        redis.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok").then_some(())
    });
    side_by_side(&redis, &["-is-cluster"], "");
}

#[test]
fn a_replica_and_its_master_show_what_the_exporter_shows() {
    let master = RealRedis::start();
    fill(&master);
    let replica = RealRedis::with(RedisSetup::installed(&["--replicaof", "127.0.0.1", &master.port().to_string()]));
    wait_until("it follows", Duration::from_secs(30), || {
        replica.cli(&["INFO", "replication"]).contains("master_link_status:up").then_some(())
    });
    side_by_side(&replica, &[], "");
    side_by_side(&master, &[], "");
}
