//! Redis as it fails: each fault gives its own reason, and goes when the fault goes.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Agent, BlackHole, RealRedis, RedisSetup, Silent, free_port, run, wait_until};

/// Looks come every second and end after one: a fault shows within two, on a machine that does other things too.
const SOON: Duration = Duration::from_secs(10);

/// An agent with these targets, each with its name for a job.
fn agent(targets: &[(&str, &str)]) -> Agent {
    let mut config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\ntargets:\n".to_owned();
    for (name, rest) in targets {
        config.extend(["  - {name: ", name, ", job: ", name, ", ", rest, "}\n"]);
    }
    Agent::start(&config)
}

fn url(url: &str) -> String {
    format!("url: \"{url}\"")
}

/// Waits until `/health` says of the target what holds all words.
fn assert_verdict(agent: &Agent, target: &str, words: &[&str]) {
    let mut said = String::new();
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until(&format!("{target}: {words:?}"), SOON, || {
            agent.health().1["checks"][target].as_str().unwrap_or_default().clone_into(&mut said);
            words.iter().all(|word| said.contains(word)).then_some(())
        });
    }));
    assert!(told.is_ok(), "{target} should say {words:?}, and says {said:?}");
    let up = agent.metrics().value("redis_up", &[("job", target)]);
    assert_eq!(up, Some(f64::from(u8::from(words == ["ok"]))), "redis_up of {target}");
}

/// Waits until a series has a value.
fn assert_value(agent: &Agent, name: &str, labels: &[(&str, &str)], wanted: impl Fn(Option<f64>) -> bool) {
    let mut seen = None;
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until(name, SOON, || {
            seen = agent.metrics().sum(name, labels);
            wanted(seen).then_some(())
        });
    }));
    assert!(told.is_ok(), "{name} {labels:?} is {seen:?}");
}

fn failures(agent: &Agent, target: &str, reason: &str) -> f64 {
    let labels = [("job", target), ("reason", reason)];
    agent.metrics().value("sidewatch_target_failures_total", &labels).unwrap_or_default()
}

/// Waits until so many more looks were taken.
fn looks(agent: &Agent, target: &str, more: f64) {
    let count = || agent.metrics().value("redis_exporter_scrapes_total", &[("job", target)]).unwrap_or_default();
    let before = count();
    wait_until("more looks", SOON + SOON, || (count() >= before + more).then_some(()));
}

#[test]
fn missing_and_wrong_credentials_are_auth_and_missing_rights_are_permission() {
    let redis = RealRedis::with(RedisSetup::installed(&["--requirepass", "secret"]));
    let cli = |arguments: &[&str]| {
        let mut all = vec!["-a", "secret", "--no-auth-warning"];
        all.extend(arguments);
        redis.cli(&all)
    };
    cli(&["ACL", "SETUSER", "blind", "on", ">pw", "+ping"]);
    cli(&["ACL", "SETUSER", "partly", "on", ">pw", "+ping", "+info"]);
    let at = redis.instance();
    let agent = agent(&[
        ("without", &url(&format!("redis://{at}"))),
        ("wrong", &url(&format!("redis://:other@{at}"))),
        ("nobody", &url(&format!("redis://ghost:pw@{at}"))),
        ("blind", &url(&format!("redis://blind:pw@{at}"))),
        ("partly", &format!("{}, key_groups: [\"a:*\"], streams: [b]", url(&format!("redis://partly:pw@{at}")))),
        ("right", &url(&format!("redis://:secret@{at}"))),
    ]);
    assert_verdict(&agent, "without", &["auth", "NOAUTH"]);
    assert_verdict(&agent, "wrong", &["auth", "WRONGPASS"]);
    assert_verdict(&agent, "nobody", &["auth", "WRONGPASS"]);
    assert_verdict(&agent, "blind", &["permission", "NOPERM"]);
    assert_verdict(&agent, "partly", &["ok"]);
    assert_verdict(&agent, "right", &["ok"]);

    let page = agent.metrics();
    assert!(page.value("redis_uptime_in_seconds", &[("job", "partly")]).is_some());
    for name in ["redis_config_maxclients", "redis_slowlog_length", "redis_key_group_count"] {
        assert_eq!(page.value(name, &[("job", "partly")]), None, "{name} could not be seen");
    }
    assert!(failures(&agent, "partly", "permission") >= 3.0);
    let refused =
        || cli(&["INFO", "stats"]).lines().find(|line| line.starts_with("acl_access_denied_cmd")).map(str::to_owned);
    looks(&agent, "partly", 3.0);
    cli(&["ACL", "SETUSER", "blind", "+info"]);
    assert_verdict(&agent, "blind", &["ok"]);
    looks(&agent, "partly", 1.0);
    let before = refused();
    looks(&agent, "partly", 3.0);
    assert_eq!(refused(), before, "what is forbidden is not asked again and again");

    cli(&["ACL", "SETUSER", "partly", "~*", "+@all"]);
    cli(&["CLIENT", "KILL", "USER", "partly"]);
    assert_value(&agent, "redis_config_maxclients", &[("job", "partly")], |value| value.is_some());
    cli(&["CONFIG", "SET", "requirepass", "other"]);
    assert_verdict(&agent, "wrong", &["ok"]);
    assert!(!agent.log().contains("secret") && !agent.metrics_as("text/plain").body.contains("secret"));
}

#[test]
fn a_server_that_loads_its_data_says_so_and_how_far_it_is() {
    let mut redis = RealRedis::start();
    redis.cli(&["EVAL", "for i = 1, 20000 do redis.call('SET', 'key:' .. i, i) end", "0"]);
    redis.cli(&["SAVE"]);
    let agent = agent(&[("cache", &url(&redis.url()))]);
    assert_verdict(&agent, "cache", &["ok"]);
    redis.start_again_with(&["--key-load-delay", "400", "--loading-process-events-interval-bytes", "1024"]);
    assert_verdict(&agent, "cache", &["LOADING"]);
    assert_eq!(agent.metrics().value("redis_loading_dump_file", &[]), Some(1.0), "what INFO tells stays to be seen");
    wait_until("it is loaded", Duration::from_mins(1), || redis.cli(&["PING"]).starts_with("PONG").then_some(()));
    assert_verdict(&agent, "cache", &["ok"]);
}

#[test]
fn at_maxmemory_writes_are_told_to_be_refused_while_reads_go_on() {
    let redis = RealRedis::with(RedisSetup::installed(&["--maxmemory", "4mb", "--maxmemory-policy", "noeviction"]));
    let agent = agent(&[("cache", &url(&redis.url()))]);
    let refuses = [("job", "cache"), ("reason", "oom")];
    assert_value(&agent, "redis_refuses_writes", &refuses, |value| value == Some(0.0));
    redis.cli(&["EVAL", "for i = 1, 4000 do redis.call('SET', 'key:' .. i, string.rep('x', 1000)) end", "0"]);
    // A script is let go over the limit; a client's writes are not.
    wait_until("a write is refused", SOON, || redis.cli(&["APPEND", "more", "x"]).contains("OOM").then_some(()));
    assert_value(&agent, "redis_refuses_writes", &refuses, |value| value == Some(1.0));
    assert!(failures(&agent, "cache", "limit") > 0.0);
    assert_verdict(&agent, "cache", &["ok"]);
    redis.cli(&["FLUSHALL"]);
    assert_value(&agent, "redis_refuses_writes", &refuses, |value| value == Some(0.0));
}

#[test]
fn a_replica_without_its_master_says_so_and_is_down_only_if_it_may_not_serve() {
    let mut master = RealRedis::start();
    let of = ["--replicaof", "127.0.0.1", &master.port().to_string()].map(str::to_owned);
    let replica = |more: &[&str]| {
        let more = more.iter().map(|argument| (*argument).to_owned());
        RealRedis::with(RedisSetup { newest: None, arguments: of.iter().cloned().chain(more).collect() })
    };
    let (serving, strict) = (replica(&[]), replica(&["--replica-serve-stale-data", "no"]));
    wait_until("both follow", Duration::from_secs(30), || {
        let linked = |redis: &RealRedis| redis.cli(&["INFO", "replication"]).contains("master_link_status:up");
        (linked(&serving) && linked(&strict)).then_some(())
    });
    let agent = agent(&[("serving", &url(&serving.url())), ("strict", &url(&strict.url()))]);
    let master_port = master.port().to_string();
    let link = [("job", "serving"), ("master_host", "127.0.0.1"), ("master_port", &*master_port)];
    assert_value(&agent, "redis_master_link_up", &link, |value| value == Some(1.0));
    assert_verdict(&agent, "strict", &["ok"]);

    master.stop();
    assert_value(&agent, "redis_master_link_up", &link, |value| value == Some(0.0));
    assert_verdict(&agent, "serving", &["ok"]);
    assert!(failures(&agent, "serving", "status") > 0.0, "that it may be stale is counted");
    assert_verdict(&agent, "strict", &["status", "MASTERDOWN", &master_port]);
    master.start_again();
    assert_value(&agent, "redis_master_link_up", &link, |value| value == Some(1.0));
    assert_verdict(&agent, "strict", &["ok"]);
}

#[test]
fn behind_tls_with_an_authority_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    make_authority(folder.path());
    let (port, key, certificate, authority) =
        (free_port().to_string(), path("key.pem"), path("cert.pem"), path("ca.pem"));
    let mut redis = RealRedis::with(RedisSetup::installed(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &authority,
        "--tls-auth-clients",
        "no",
    ]));
    let (plain, silent) = (redis.instance(), Silent::start());
    let agent = agent(&[
        ("trusting", &format!("url: \"rediss://127.0.0.1:{port}\", tls: {{ca_file: \"{authority}\"}}")),
        ("stranger", &url(&format!("rediss://127.0.0.1:{port}"))),
        ("heedless", &format!("url: \"rediss://127.0.0.1:{port}\", tls: {{insecure_skip_verify: true}}")),
        ("plaintext", &url(&format!("redis://127.0.0.1:{port}"))),
        ("no-tls-there", &url(&format!("rediss://{plain}"))),
        ("silent", &url(&format!("rediss://127.0.0.1:{}", silent.port()))),
    ]);
    assert_verdict(&agent, "trusting", &["ok"]);
    assert_verdict(&agent, "heedless", &["ok"]);
    assert_verdict(&agent, "stranger", &["tls", "certificate"]);
    // A server without TLS takes the greeting for the beginning of a command, and waits for the rest.
    assert_verdict(&agent, "no-tls-there", &["tls", "plain text"]);
    assert_verdict(&agent, "silent", &["timeout"]);
    wait_until("a plain client is not answered", SOON, || {
        (agent.metrics().value("redis_up", &[("job", "plaintext")]) == Some(0.0)).then_some(())
    });
    redis.stop();
    assert_verdict(&agent, "trusting", &["refused"]);
    redis.start_again();
    assert_verdict(&agent, "trusting", &["ok"]);
}

/// An authority and a certificate of its own for 127.0.0.1.
fn make_authority(folder: &Path) {
    let openssl = |arguments: &str| {
        run(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
    };
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority");
    openssl("req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=cache");
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1,DNS:localhost\n").expect("our folder");
    openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem -days 2 -extfile names",
    );
}

#[test]
fn a_server_that_cannot_be_reached_costs_a_look_and_no_answer() {
    let (redis, silent, hole) = (RealRedis::start(), Silent::start(), BlackHole::start());
    let agent = agent(&[
        ("cache", &url(&redis.url())),
        ("refused", &url(&format!("redis://127.0.0.1:{}", free_port()))),
        ("silent", &url(&format!("redis://127.0.0.1:{}", silent.port()))),
        ("dropped", &url(&format!("redis://127.0.0.1:{}", hole.port()))),
    ]);
    assert_verdict(&agent, "refused", &["refused"]);
    assert_verdict(&agent, "silent", &["timeout"]);
    assert_verdict(&agent, "dropped", &["timeout"]);
    assert_verdict(&agent, "cache", &["ok"]);

    redis.signal("STOP");
    assert_verdict(&agent, "cache", &["timeout"]);
    let asked = Instant::now();
    let page = agent.metrics();
    assert!(asked.elapsed() < Duration::from_secs(1), "/metrics took {:?}", asked.elapsed());
    assert_eq!(page.value("redis_memory_used_bytes", &[("job", "cache")]), None, "what is not seen is not shown");
    let error = [("job", "cache"), ("err", "timeout")];
    assert_eq!(page.value("redis_exporter_last_scrape_error", &error), Some(1.0));
    redis.signal("CONT");
    assert_verdict(&agent, "cache", &["ok"]);
    assert_eq!(
        agent.metrics().value("redis_connected_clients", &[("job", "cache")]),
        Some(1.0),
        "no connection is left behind"
    );
}
