//! How the server is, judged by what INFO and its settings say: loading, cut off from its master, refusing writes.
//!
//! In: facts and settings. Out: `redis_refuses_writes` and reasons in the look. Pure.
//!
//! A server that refuses every command is down (`redis_up` 0). One that refuses writes alone answers reads, so it is up,
//! as for the exporter; that writes fail is counted as a failure and shown by its cause.

use crate::collect::{CollectError, Look, Reason};
use crate::model::Family;

use super::config::Config;
use super::info::{Facts, Mode};

static REFUSES: Family = Family::gauge(
    "redis_refuses_writes",
    "Whether the server refuses writes, by reason: oom (at maxmemory with nothing to evict), misconf (a failed save), \
     masterdown (a replica without its master that may not serve stale data).",
);

/// Adds what is wrong. Gives the reason when no command is served.
pub fn judge(facts: &Facts, config: Option<&Config>, look: &mut Look) -> Option<CollectError> {
    if facts.mode == Mode::Sentinel {
        return None;
    }
    let setting = |name| config.and_then(|config| config.get(name));
    let down = facts.loading.then(|| loading(facts)).or_else(|| {
        let master = facts.lost_master.as_ref().filter(|_| setting("replica-serve-stale-data") == Some("no"))?;
        let words = format!("MASTERDOWN: the link to the master {master} is down and replica-serve-stale-data is no");
        Some(CollectError::new(Reason::Status, words))
    });
    let refusals = [("oom", out_of_memory(facts)), ("misconf", failed_save(facts, config))];
    for (reason, refusal) in &refusals {
        look.labeled(&REFUSES, [("reason", *reason)], f64::from(u8::from(refusal.is_some())));
    }
    let cut_off = down.is_some() && !facts.loading;
    look.labeled(&REFUSES, [("reason", "masterdown")], f64::from(u8::from(cut_off)));
    for error in refusals.into_iter().filter_map(|(_, refusal)| refusal) {
        look.missed(error);
    }
    if let (Some(master), None) = (&facts.lost_master, &down) {
        let words = format!("the link to the master {master} is down: what is read here may be stale");
        look.missed(CollectError::new(Reason::Status, words));
    }
    down
}

fn loading(facts: &Facts) -> CollectError {
    let how_far = facts.loaded_percent.map(|percent| format!(", {percent:.0} % are loaded")).unwrap_or_default();
    CollectError::new(Reason::Status, format!("LOADING: the data set is being read from disk{how_far}"))
}

/// At the limit a server evicts; where it may not or finds nothing, it refuses what needs memory.
fn out_of_memory(facts: &Facts) -> Option<CollectError> {
    let (used, limit) = facts.memory.filter(|(used, limit)| used >= limit)?;
    let helpless = facts.policy == "noeviction" || (facts.policy.starts_with("volatile-") && facts.keys.1 == 0.0);
    let words = format!(
        "OOM: {used} bytes are used, maxmemory is {limit}, and the policy {} evicts nothing: writes are refused",
        facts.policy
    );
    helpless.then(|| CollectError::new(Reason::Limit, words))
}

/// What cannot be written to disk is not taken: MISCONF.
fn failed_save(facts: &Facts, config: Option<&Config>) -> Option<CollectError> {
    let field = facts.failed_writes?;
    let config = config?;
    let saves = config.get("save").is_some_and(|points| !points.is_empty());
    let stops = config.get("stop-writes-on-bgsave-error") == Some("yes");
    let refuses = field == "aof_last_write_status" || (saves && stops);
    let words = format!("MISCONF: {field} is err: writes are refused until the disk is well again");
    refuses.then(|| CollectError::new(Reason::Status, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(settings: &[(&str, &str)]) -> Config {
        Config::new(settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    fn refuses(look: &Look, reason: &str) -> Option<f64> {
        look.get("redis_refuses_writes", &[("reason", reason)])
    }

    #[test]
    fn a_loading_server_is_down_and_says_how_far_it_is() {
        let facts = Facts { loading: true, loaded_percent: Some(37.2), ..Facts::default() };
        let down = judge(&facts, None, &mut Look::new()).unwrap();
        assert!(down.to_string().contains("LOADING") && down.to_string().contains("37 %"), "{down}");
    }

    #[test]
    fn at_its_limit_a_server_that_can_evict_nothing_refuses_writes() {
        let full = |policy: &str, expiring| Facts {
            memory: Some((110.0, 100.0)),
            policy: policy.into(),
            keys: (10.0, expiring),
            ..Facts::default()
        };
        for (policy, expiring, wanted) in [
            ("noeviction", 5.0, 1.0),
            ("volatile-lru", 0.0, 1.0),
            ("volatile-lru", 5.0, 0.0),
            ("allkeys-lru", 0.0, 0.0),
        ] {
            let mut look = Look::new();
            assert_eq!(judge(&full(policy, expiring), None, &mut look), None, "it still answers reads");
            assert_eq!(refuses(&look, "oom"), Some(wanted), "{policy}");
            let reasons: Vec<_> = look.failures.iter().map(CollectError::reason).collect();
            assert_eq!(reasons, if wanted > 0.0 { vec![Reason::Limit] } else { vec![] }, "{policy}");
        }
    }

    #[test]
    fn a_replica_without_its_master_is_down_only_if_it_may_not_serve() {
        let facts = Facts { lost_master: Some("m:1".into()), ..Facts::default() };
        let mut look = Look::new();
        assert_eq!(judge(&facts, Some(&config(&[("replica-serve-stale-data", "yes")])), &mut look), None);
        assert!(look.failures[0].to_string().contains("m:1"));
        let mut look = Look::new();
        let down = judge(&facts, Some(&config(&[("replica-serve-stale-data", "no")])), &mut look).unwrap();
        assert!(down.to_string().contains("MASTERDOWN"));
        assert_eq!(refuses(&look, "masterdown"), Some(1.0));
    }

    #[test]
    fn a_failed_save_stops_writes_where_it_is_set_so() {
        let facts = Facts { failed_writes: Some("rdb_last_bgsave_status"), ..Facts::default() };
        let settings = |save, stop| config(&[("save", save), ("stop-writes-on-bgsave-error", stop)]);
        for (settings, wanted) in
            [(settings("900 1", "yes"), 1.0), (settings("", "yes"), 0.0), (settings("900 1", "no"), 0.0)]
        {
            let mut look = Look::new();
            judge(&facts, Some(&settings), &mut look);
            assert_eq!(refuses(&look, "misconf"), Some(wanted));
        }
    }
}
