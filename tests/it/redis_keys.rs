//! Keys, streams and groups of keys on a real server, and what looking at them costs it.

use std::time::Duration;

use crate::support::{Agent, Page, RealRedis, RedisSetup, wait_until};

fn agent(redis: &RealRedis, interval: &str, keys: &str) -> Agent {
    let target = format!("{{name: cache, url: \"{}\", {keys}}}", redis.url());
    Agent::start(&format!("global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}\ntargets: [{target}]"))
}

/// Waits for a whole pass that ended after `since`; its page and its time.
fn whole_pass(agent: &Agent, since: f64, limit: Duration) -> (Page, f64) {
    wait_until("a whole pass over the keys", limit, || {
        let page = agent.metrics();
        let ended = page.value("redis_key_groups_last_pass_timestamp_seconds", &[])?;
        (ended > since).then_some((page, ended))
    })
}

/// SLOWLOG measures by the wall clock. Both processes are given the processor before the machine's other load; what holds
/// up even them, a virtual machine's host above all, is no doing of a SCAN. So whoever finds one in SLOWLOG has to show
/// both: that the same SCAN is quick when asked again, and that this machine stands still by Redis' own measure.
#[test]
fn on_a_million_keys_no_scan_of_ours_stands_in_the_slowlog_at_a_millisecond_unless_the_machine_stands_still() {
    let redis = RealRedis::with(RedisSetup::installed(&["--enable-debug-command", "yes"]));
    redis.cli(&["DEBUG", "POPULATE", "999000", "query", "64"]);
    redis.cli(&["EVAL", "for i = 1, 1000 do redis.call('SET', 'ai_api_limit:' .. i, i, 'EX', 3600) end", "0"]);
    assert_eq!(redis.cli(&["DBSIZE"]).trim(), "1000000");
    redis.cli(&["CONFIG", "SET", "slowlog-log-slower-than", "1000", "slowlog-max-len", "100000"]);
    redis.undisturbed();
    let groups = r#"key_groups: ["query:*", {pattern: "ai_api_limit:*", limit: 901}, "session:*"]"#;
    let mut ended = 0.0;
    for pass in 1..=3 {
        redis.cli(&["SLOWLOG", "RESET"]);
        redis.cli(&["CONFIG", "RESETSTAT"]);
        // Begun anew, an agent begins its pass at once.
        let agent = agent(&redis, "500ms", groups);
        agent.undisturbed();
        let (page, time) = whole_pass(&agent, ended, Duration::from_mins(5));
        drop(agent);
        ended = time;
        assert_figures(&page);
        let scans = calls(&redis, "scan");
        assert!((9_000.0..110_000.0).contains(&scans), "{scans} SCANs of ten to a hundred keys");
        let slow = slow_scans(&redis);
        for (_, words) in &slow {
            assert_quick(&redis, words);
        }
        let still = if slow.is_empty() { 0 } else { redis.longest_standstill() };
        assert!(
            slow.is_empty() || still >= 1000,
            "pass {pass}: SCANs in SLOWLOG: {slow:?}; the machine stood still for {still} microseconds"
        );
    }
}

/// A command that is slow by itself is slow each time.
fn assert_quick(redis: &RealRedis, words: &[String]) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    redis.cli(&["SLOWLOG", "RESET"]);
    (0..20).for_each(|_| drop(redis.cli(&words)));
    let slow = slow_commands(redis).iter().filter(|entry| entry.3[0] == "SCAN").count();
    assert!(slow < 5, "{words:?} was slow in {slow} of 20 calls");
}

fn assert_figures(page: &Page) {
    let group = |name: &str, group: &str| page.value(name, &[("key_group", group)]);
    assert_eq!(group("redis_key_group_count", "query:*"), Some(999_000.0));
    assert_eq!(group("redis_key_group_count", "session:*"), Some(0.0));
    assert_eq!(group("redis_key_group_memory_usage_bytes", "session:*"), Some(0.0));
    // Each key takes some 140 bytes; a sample tells the whole within a few percent.
    let bytes = group("redis_key_group_memory_usage_bytes", "query:*").expect("memory");
    assert!((100e6..200e6).contains(&bytes), "{bytes} bytes");
    assert_eq!(group("redis_key_group_keys_expiring", "query:*"), Some(0.0));
    // The whole group is looked at, so these are exact.
    assert_eq!(group("redis_key_group_keys_at_limit", "ai_api_limit:*"), Some(100.0));
    assert_eq!(group("redis_key_group_keys_near_limit", "ai_api_limit:*"), Some(280.0));
    assert_eq!(group("redis_key_group_highest_count", "ai_api_limit:*"), Some(1000.0));
    let looks = page.value("redis_exporter_scrapes_total", &[]).expect("looks");
    assert!(looks > 3.0, "the pass took {looks} looks: a look has a budget");
}

/// Those of our SCANs that the server thought slow: microseconds and words.
fn slow_scans(redis: &RealRedis) -> Vec<(i64, Vec<String>)> {
    let ours = slow_commands(redis).into_iter().filter(|entry| entry.3[0] == "SCAN" && entry.5 == "sidewatch");
    ours.map(|entry| (entry.2, entry.3)).collect()
}

fn slow_commands(redis: &RealRedis) -> Vec<SlowEntry> {
    serde_json::from_str(&redis.cli(&["--json", "SLOWLOG", "GET", "-1"])).expect("the slow log")
}

/// Number, time, microseconds, command and arguments, address, the client's name.
type SlowEntry = (i64, i64, i64, Vec<String>, String, String);

fn calls(redis: &RealRedis, command: &str) -> f64 {
    let stats = redis.cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or_default()
}

#[test]
fn what_a_group_lost_is_told_by_its_sample() {
    let redis = RealRedis::start();
    redis.cli(&["EVAL", "for i = 1, 100 do redis.call('SET', 'session:' .. i, i, 'PX', 4000) end", "0"]);
    redis.cli(&["EVAL", "for i = 1, 100 do redis.call('SET', 'query:' .. i, i) end", "0"]);
    let agent = agent(&redis, "1s", r#"key_groups: ["session:*", "query:*"]"#);
    let (page, first) = whole_pass(&agent, 0.0, Duration::from_secs(20));
    let ttl = page.value("redis_key_group_avg_ttl_seconds", &[("key_group", "session:*")]).expect("a time to live");
    assert!((0.1..4.0).contains(&ttl), "{ttl} s");
    wait_until("sessions expire", Duration::from_secs(20), || (redis.cli(&["DBSIZE"]).trim() == "100").then_some(()));
    redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    wait_until("answers are evicted", Duration::from_secs(20), || (redis.cli(&["DBSIZE"]).trim() == "0").then_some(()));
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);

    let (page, _) = whole_pass(&agent, first, Duration::from_secs(90));
    for (group, expired, evicted) in [("session:*", 100.0, 0.0), ("query:*", 0.0, 100.0)] {
        let labels = [("key_group", group)];
        assert_eq!(page.value("redis_key_group_expired_keys_total", &labels), Some(expired), "{group}");
        assert_eq!(page.value("redis_key_group_evicted_keys_total", &labels), Some(evicted), "{group}");
        assert_eq!(page.value("redis_key_group_count", &labels), Some(0.0), "{group}");
    }
}

#[test]
fn streams_and_keys_are_found_in_the_database_that_is_meant() {
    let redis = RealRedis::start();
    let two = |arguments: &[&str]| redis.cli(&[&["-n", "2"], arguments].concat());
    for number in ["1", "2", "3"] {
        two(&["XADD", "chat-events", "*", "message", number]);
    }
    two(&["XGROUP", "CREATE", "chat-events", "ai-processors", "0"]);
    two(&["XREADGROUP", "GROUP", "ai-processors", "worker-1", "COUNT", "2", "STREAMS", "chat-events", ">"]);
    two(&["RPUSH", "queue", "a", "b"]);
    two(&["SET", "chat-title", "hush"]);
    redis.cli(&["-n", "3", "PFADD", "visitors", "a", "b", "c"]);
    redis.cli(&["-n", "3", "SET", "gauge", "1.5"]);
    let keys = r#"streams: ["chat-*", not-yet], keys: [queue, "db3=visitors", "db3=gauge", "chat-t*", gone]"#;
    let target = format!("{{name: cache, url: \"{}/2\", {keys}}}", redis.url());
    let agent = Agent::start(&format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\ntargets: [{target}]"));
    let page = wait_until("the pattern's stream is found", Duration::from_secs(10), || {
        let page = agent.metrics();
        page.value("redis_stream_length", &[])?;
        Some(page)
    });
    let group = [("db", "db2"), ("stream", "chat-events"), ("group", "ai-processors")];
    assert_eq!(page.value("redis_stream_length", &[("stream", "chat-events"), ("db", "db2")]), Some(3.0));
    assert_eq!(page.value("redis_stream_group_lag", &group), Some(1.0));
    assert_eq!(page.value("redis_stream_group_consumer_messages_pending", &group), Some(2.0));
    for (key, size) in [("queue", 2.0), ("visitors", 3.0), ("gauge", 3.0), ("chat-title", 4.0), ("gone", 0.0)] {
        assert_eq!(page.value("redis_key_size", &[("key", key)]), Some(size), "{key}");
    }
    assert_eq!(page.value("redis_key_value", &[("key", "gauge"), ("db", "db3")]), Some(1.5));
    assert_eq!(page.value("redis_key_value", &[("key", "chat-title")]), None);
    assert!(!agent.metrics_as("text/plain").body.contains("hush"), "a text is not shown");
    let failures = page.sum("sidewatch_target_failures_total", &[("job", "redis")]);
    assert_eq!(failures, Some(0.0), "a stream that is not there yet is nothing wrong");
}

#[test]
fn one_entry_that_is_not_to_be_had_takes_nothing_else_away_and_costs_the_server_no_errors() {
    let redis = RealRedis::with(RedisSetup::installed(&["--databases", "4"]));
    redis.cli(&["XADD", "st", "*", "message", "1"]);
    redis.cli(&["SET", "text", "HYLLO"]);
    redis.cli(&["RPUSH", "list", "a"]);
    redis.cli(&["-n", "1", "EVAL", "for i = 1, 100 do redis.call('SET', 'hush:' .. i, i) end", "0"]);
    let rights = ["ACL", "SETUSER", "watcher", "on", "nopass", "+@all", "~st", "~text", "~list", "~missing"];
    redis.cli(&rights);
    let keys = r#"keys: ["db9=foo", text, hidden], streams: ["db8=st", st, missing, list], key_groups: ["*", "db9=*", "db1=hush:*"]"#;
    let url = redis.url().replacen("redis://", "redis://watcher@", 1);
    let target = format!("{{name: cache, url: \"{url}\", {keys}}}");
    let agent =
        Agent::start(&format!("global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}\ntargets: [{target}]"));
    let (page, _) = whole_pass(&agent, 0.0, Duration::from_secs(20));
    assert_eq!(page.value("redis_stream_length", &[("stream", "st")]), Some(1.0));
    assert_eq!(page.value("redis_key_size", &[("key", "text")]), Some(5.0), "it only begins like a HyperLogLog");
    assert_eq!(page.value("redis_key_group_count", &[("key_group", "*"), ("db", "db0")]), Some(3.0));
    assert_eq!(page.value("redis_key_group_count", &[("db", "db1")]), Some(100.0));
    assert_eq!(page.value("redis_key_group_memory_usage_bytes", &[("db", "db1")]), None, "nobody may tell");
    assert_eq!(page.value("redis_key_group_count", &[("db", "db9")]), None, "missing is not zero");

    let errors = || {
        redis
            .cli(&["INFO", "stats"])
            .lines()
            .find_map(|line| line.strip_prefix("total_error_replies:").map(str::to_owned))
    };
    let (before, looks) = (errors(), |page: &Page| page.value("redis_exporter_scrapes_total", &[]));
    let count = before.as_ref().and_then(|count| count.parse::<u32>().ok()).expect("Redis counts its errors");
    assert!(count < 12, "{count} refusals: a group of hidden keys is asked for one of them");
    let then = looks(&page).expect("looks");
    wait_until("six more looks", Duration::from_secs(20), || looks(&agent.metrics()).filter(|now| *now >= then + 6.0));
    assert_eq!(errors(), before, "no look of ours is an error of the server's");
    let list = redis.cli(&["CLIENT", "LIST"]);
    assert!(list.contains("user=watcher"), "a user without a password is that user: {list}");
}
