//! The rules that come with the agent, compiled in: they hold when no `rule_files` are named.

use crate::model::Problems;
use crate::rules::{GroupSpec, read_file};

/// Name and text of each file under `alerts/`.
pub const FILES: [(&str, &str); 15] = [
    ("app.yml", include_str!("../../alerts/app.yml")),
    ("caches.yml", include_str!("../../alerts/caches.yml")),
    ("certificates.yml", include_str!("../../alerts/certificates.yml")),
    ("containers.yml", include_str!("../../alerts/containers.yml")),
    ("damage.yml", include_str!("../../alerts/damage.yml")),
    ("growth.yml", include_str!("../../alerts/growth.yml")),
    ("host.yml", include_str!("../../alerts/host.yml")),
    ("llm.yml", include_str!("../../alerts/llm.yml")),
    ("pgbouncer.yml", include_str!("../../alerts/pgbouncer.yml")),
    ("postgres.yml", include_str!("../../alerts/postgres.yml")),
    ("postgres_replication.yml", include_str!("../../alerts/postgres_replication.yml")),
    ("postgres_sessions.yml", include_str!("../../alerts/postgres_sessions.yml")),
    ("redis.yml", include_str!("../../alerts/redis.yml")),
    ("redis_topology.yml", include_str!("../../alerts/redis_topology.yml")),
    ("sidewatch.yml", include_str!("../../alerts/sidewatch.yml")),
];

/// The shipped rules, read.
pub fn rules() -> Vec<GroupSpec> {
    let problems = Problems::new();
    let groups = FILES.iter().flat_map(|(name, text)| read_file(&format!("shipped/{name}"), text, &problems)).collect();
    debug_assert!(problems.is_empty(), "a shipped rule file is broken: {problems:?}");
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_rule_reads_without_a_problem() {
        let problems = Problems::new();
        for (name, text) in FILES {
            assert!(!read_file(name, text, &problems).is_empty(), "{name} holds no group");
        }
        assert_eq!(problems.into_sorted(), []);
    }
}
