//! What can be said of one container alone: limits, health check, restarts, published ports, and Redis without a bound.

use std::collections::{BTreeMap, HashMap};

use super::super::wire::{Inspect, PortBinding};
use super::environment::Environment;
use super::{Advice, Server, words};

/// Ports on which databases listen, and whose they are.
const DATABASE_PORTS: [(&str, &str); 12] = [
    ("5432", "PostgreSQL"),
    ("6432", "PgBouncer"),
    ("6379", "Redis"),
    ("26379", "Redis Sentinel"),
    ("3306", "MySQL"),
    ("27017", "MongoDB"),
    ("9200", "Elasticsearch"),
    ("8123", "ClickHouse"),
    ("6333", "Qdrant"),
    ("19530", "Milvus"),
    ("11211", "Memcached"),
    ("2375", "Docker"),
];

const REDIS: Server = Server {
    programs: &["redis-server", "valkey-server", "keydb-server"],
    images: &["redis", "valkey", "redis-stack", "redis-stack-server", "keydb"],
    clients: &[
        "redis-cli",
        "valkey-cli",
        "keydb-cli",
        "redis-benchmark",
        "valkey-benchmark",
        "redis-sentinel",
        "valkey-sentinel",
    ],
};

/// The container's own settings.
pub(super) fn advise(inspect: &Inspect, labels: &HashMap<String, String>) -> Vec<Advice> {
    let is_job = labels.get("com.docker.compose.oneoff").is_some_and(|oneoff| oneoff.eq_ignore_ascii_case("true"))
        || inspect.host_config.as_ref().and_then(|host| host.auto_remove).unwrap_or(false);
    let mut all = Vec::from_iter(memory(inspect));
    if !is_job {
        all.extend(health_check(inspect));
        all.extend(restart(inspect));
    }
    all.extend(ports(inspect));
    all.extend(url_with_password(labels));
    all
}

fn memory(inspect: &Inspect) -> Option<Advice> {
    let limit = inspect.host_config.as_ref()?.memory.unwrap_or(0);
    (limit <= 0).then(|| {
        let advice = "one leak here takes the memory of everything on the machine: set deploy.resources.limits.memory (or mem_limit)";
        Advice::new("memory limit", "", advice)
    })
}

fn health_check(inspect: &Inspect) -> Option<Advice> {
    let config = inspect.config.as_ref()?;
    let test = config.healthcheck.as_ref().and_then(|check| check.test.as_deref()).unwrap_or_default();
    if !matches!(test.first().map(String::as_str), None | Some("NONE")) {
        return None;
    }
    let advice = "nothing sees when it hangs, and depends_on cannot wait for it: add a healthcheck";
    Some(Advice::new("healthcheck", "", advice))
}

fn restart(inspect: &Inspect) -> Option<Advice> {
    let policy = inspect.host_config.as_ref()?.restart_policy.as_ref().and_then(|policy| policy.name.as_deref());
    matches!(policy, None | Some("" | "no")).then(|| {
        Advice::new("restart", "no", "it stays down after a crash and after a reboot: set restart: unless-stopped")
    })
}

/// A database whose port is open on every address of the machine. Docker's own rules let it in past the usual firewalls.
fn ports(inspect: &Inspect) -> Vec<Advice> {
    let network = inspect.network_settings.as_ref().and_then(|network| network.ports.as_ref());
    let bindings = network.or_else(|| inspect.host_config.as_ref()?.port_bindings.as_ref());
    let bindings: BTreeMap<_, _> = bindings.into_iter().flatten().collect();
    let open = |(port, bound): (&String, &Option<Vec<PortBinding>>)| {
        let number = port.strip_suffix("/tcp")?;
        let (_, whose) = DATABASE_PORTS.iter().find(|(known, _)| *known == number)?;
        let everywhere = |ip: &str| matches!(ip, "" | "0.0.0.0" | "::");
        let bound = bound.iter().flatten().find(|bound| everywhere(bound.host_ip.as_deref().unwrap_or_default()))?;
        let host_port = bound.host_port.as_deref().unwrap_or_default();
        let advice = format!(
            "{whose} can be reached from outside the machine, past its firewall: drop the port (the network is enough for other \
             services) or write 127.0.0.1:{host_port}:{number}"
        );
        Some(Advice::new("ports", &format!("{host_port}:{number}"), advice))
    };
    bindings.into_iter().filter_map(open).collect()
}

/// Labels are shown to whoever may list containers.
fn url_with_password(labels: &HashMap<String, String>) -> Option<Advice> {
    let url = url::Url::parse(labels.get("sidewatch.url")?).ok()?;
    url.password().filter(|password| !password.is_empty())?;
    let advice = "the password in this label is shown to whoever may list containers: name the target in the configuration instead";
    Some(Advice::new("label sidewatch.url", "", advice))
}

/// A cache without a bound grows until the kernel kills it. What a file may say is not known.
pub(super) fn advise_on_redis(inspect: &Inspect, environment: &Environment<'_>) -> Option<Advice> {
    if !REDIS.is_run_by(inspect) {
        return None;
    }
    let given = words(inspect).chain(environment.pairs().flat_map(|(_, value)| value.split_whitespace()));
    let given: Vec<&str> = given.collect();
    // A Sentinel keeps no data.
    if given.iter().any(|word| *word == "--sentinel" || base_name_is_configuration(word)) {
        return None;
    }
    let limit = given.iter().position(|word| *word == "--maxmemory").and_then(|at| given.get(at + 1));
    if limit.is_some_and(|limit| !limit.trim_matches('0').is_empty()) {
        return None;
    }
    let advice =
        "it grows until the kernel kills it: add --maxmemory below the container's limit, with a --maxmemory-policy";
    Some(Advice::new("maxmemory", "0", advice))
}

fn base_name_is_configuration(word: &str) -> bool {
    std::path::Path::new(word).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("conf"))
}
