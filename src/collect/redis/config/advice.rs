//! Settings that do not suit a Redis that serves an AI application, each with the advice in words.
//!
//! In: settings, what INFO says, and whether streams are watched here. Out: `redis_setting_advice_info`.
//! Nothing is said where the facts do not bear it: a cache is told from a queue by the keys that expire.

use crate::collect::Look;
use crate::collect::redis::info::Facts;
use crate::model::Family;

use super::Config;

static ADVICE: Family = Family::gauge(
    "redis_setting_advice_info",
    "A setting that does not suit what the server is used for, with the advice in words; always 1.",
);

/// Adds what should be changed. `streams` says that streams are kept there.
pub fn advise(config: &Config, facts: &Facts, streams: bool, look: &mut Look) {
    let all = [
        limit(config, facts),
        policy(config, facts, streams),
        persistence(config, streams),
        fsync(config),
        keepalive(config),
        slow_log(config),
        lazy_eviction(config),
    ];
    for (setting, advice) in all.into_iter().flatten() {
        let value = config.get(setting).unwrap_or_default();
        look.labeled(&ADVICE, [("setting", setting), ("value", value), ("advice", advice)], 1.0);
    }
}

type Advice = Option<(&'static str, &'static str)>;

fn limit(config: &Config, facts: &Facts) -> Advice {
    let limit = config.number("maxmemory")?;
    if limit == 0.0 {
        let advice = "no limit: the server grows until the kernel kills it; set maxmemory below the container's limit";
        return Some(("maxmemory", advice));
    }
    // A save forks: in the worst case each page is copied once.
    (limit > 0.8 * facts.system_memory?).then_some((
        "maxmemory",
        "above 80 % of the machine's memory: a save or a replica's sync needs the rest; lower it",
    ))
}

fn policy(config: &Config, facts: &Facts, streams: bool) -> Advice {
    let (policy, limit) = (config.get("maxmemory-policy")?, config.number("maxmemory")?);
    let (keys, expiring) = facts.keys;
    let advice = match policy {
        "noeviction" if limit > 0.0 && expiring > keys / 2.0 => {
            "most keys expire, so this is a cache, but at maxmemory writes fail; use allkeys-lru or allkeys-lfu"
        }
        volatile if volatile.starts_with("volatile-") && keys > 0.0 && expiring == 0.0 => {
            "no key expires, so nothing can be evicted and at maxmemory writes fail; use allkeys-lru or give keys a TTL"
        }
        any if any.starts_with("allkeys-") && streams => {
            "streams are kept here and may be evicted whole; use volatile-lru, or another server for the cache"
        }
        _ => return None,
    };
    Some(("maxmemory-policy", advice))
}

fn persistence(config: &Config, streams: bool) -> Advice {
    let nothing = config.get("appendonly")? == "no" && config.get("save")?.is_empty();
    (nothing && streams).then_some((
        "appendonly",
        "streams are kept here, but nothing is written to disk: a restart loses them; turn the append-only file on",
    ))
}

fn fsync(config: &Config) -> Advice {
    (config.get("appendonly")? == "yes" && config.get("appendfsync")? == "always")
        .then_some(("appendfsync", "each write waits for the disk; everysec loses at most a second"))
}

fn keepalive(config: &Config) -> Advice {
    (config.number("tcp-keepalive")? == 0.0 && config.number("timeout")? == 0.0)
        .then_some(("tcp-keepalive", "connections of vanished clients stay for ever and fill maxclients; set 300"))
}

fn slow_log(config: &Config) -> Advice {
    (config.number("slowlog-log-slower-than")? < 0.0)
        .then_some(("slowlog-log-slower-than", "the slow log is off; 10000 microseconds cost nothing"))
}

fn lazy_eviction(config: &Config) -> Advice {
    let evicts = config.number("maxmemory")? > 0.0 && config.get("maxmemory-policy")? != "noeviction";
    (evicts && config.get("lazyfree-lazy-eviction")? == "no").then_some((
        "lazyfree-lazy-eviction",
        "evicting a large value, such as a cached answer with its embedding, stops all clients meanwhile; set yes",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is advised for these settings, by setting.
    fn advised(settings: &[(&str, &str)], facts: &Facts, streams: bool) -> Vec<String> {
        let config = Config::new(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        let mut look = Look::new();
        advise(&config, facts, streams, &mut look);
        let points = look.blocks().iter().flat_map(|block| &block.points);
        points.map(|point| point.labels.get("setting").unwrap().to_owned()).collect()
    }

    #[test]
    fn a_server_without_a_limit_is_advised_to_have_one() {
        assert_eq!(advised(&[("maxmemory", "0")], &Facts::default(), false), ["maxmemory"]);
        let facts = Facts { system_memory: Some(1000.0), ..Facts::default() };
        assert_eq!(advised(&[("maxmemory", "900")], &facts, false), ["maxmemory"]);
        assert!(advised(&[("maxmemory", "500")], &facts, false).is_empty());
    }

    #[test]
    fn a_cache_is_told_from_a_queue_by_the_keys_that_expire() {
        let settings = |policy| [("maxmemory", "500"), ("maxmemory-policy", policy)];
        let keys = |all, expiring| Facts { keys: (all, expiring), ..Facts::default() };
        assert_eq!(advised(&settings("noeviction"), &keys(10.0, 9.0), false), ["maxmemory-policy"]);
        assert!(advised(&settings("noeviction"), &keys(10.0, 1.0), false).is_empty());
        assert_eq!(advised(&settings("volatile-lru"), &keys(10.0, 0.0), false), ["maxmemory-policy"]);
        assert_eq!(advised(&settings("allkeys-lru"), &keys(10.0, 9.0), true), ["maxmemory-policy"]);
        assert!(advised(&settings("allkeys-lru"), &keys(10.0, 9.0), false).is_empty());
    }

    #[test]
    fn streams_that_a_restart_loses_are_told_of() {
        let settings = [("appendonly", "no"), ("save", "")];
        assert_eq!(advised(&settings, &Facts::default(), true), ["appendonly"]);
        assert!(advised(&settings, &Facts::default(), false).is_empty());
    }

    #[test]
    fn what_is_not_known_is_not_advised_on() {
        assert!(advised(&[], &Facts::default(), true).is_empty());
    }
}
