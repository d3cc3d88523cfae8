//! What an inspect tells, and how long it is believed.
//!
//! An inspect is believed while the list's words about the container stay the same, at most for [`BELIEVED`]
//! (`docker update` changes limits silently), and never for a container that started within the last minute:
//! one that crashes and restarts again and again looks alike at each look. Nor for one whose health check fails: its streak
//! grows with each check.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Family, Millis, Suffix};

use super::Look;
use super::families::{SPEC_CPU_PERIOD, SPEC_CPU_SHARES, SPEC_MEMORY, SPEC_RESERVATION, SPEC_SWAP};
use super::labels::ContainerLabels;
use super::lint::Findings;
use super::sight::Sight;
use super::wire::{HealthStatus, Inspect};

/// How long an inspect is believed at most.
const BELIEVED: Duration = Duration::from_mins(1);
/// The scheduler's period where none is set, in microseconds: the kernel's and Docker's default.
const DEFAULT_CPU_PERIOD: i64 = 100_000;
/// The CPU weight where none is set: the kernel's default.
const DEFAULT_CPU_SHARES: i64 = 1024;

static SPEC_CPU_QUOTA: Family = Family::gauge(
    "container_spec_cpu_quota",
    "CPU quota of the container, in microseconds per period; absent without a limit.",
);
/// The part of an inspect that is used.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// The image as whoever started the container named it.
    pub(super) image: Option<String>,
    /// The parent control group, if not the engine's default.
    pub(super) cgroup_parent: Option<String>,
    /// Its first process, by the machine's numbers, while it runs.
    pub(super) pid: Option<i64>,
    /// Whether it uses another container's network, whose traffic is that container's.
    pub(super) borrows_network: bool,
    /// A folder of its own layer.
    pub(super) layer: Option<String>,
    /// Seconds since the epoch.
    pub(super) created: Option<f64>,
    /// When it last started, seconds since the epoch.
    pub(super) started: Option<f64>,
    /// When it last ended, seconds since the epoch.
    pub(super) finished: Option<f64>,
    /// What the last exit said.
    pub(super) exit_code: Option<i64>,
    /// Whether it ended for lack of memory. A killed child that it survives does not count; events tell that.
    pub(super) oom_killed: Option<bool>,
    /// How often the restart policy started it again.
    pub(super) restart_count: Option<i64>,
    /// The health check's verdict; `None` without a health check.
    pub(super) health: Option<HealthStatus>,
    /// How often in a row the health check failed; `None` without a health check.
    pub(super) failing_streak: Option<i64>,
    /// What is to be said of its settings.
    pub(super) findings: Findings,
    cpu_shares: i64,
    cpu_period: i64,
    cpu_quota: i64,
    nano_cpus: i64,
    memory: i64,
    memory_reservation: i64,
    memory_swap: i64,
}

impl Facts {
    /// Picks what is used.
    pub(super) fn of(inspect: Inspect) -> Arc<Self> {
        let findings = Findings::of(&inspect);
        let state = inspect.state.unwrap_or_default();
        let host = inspect.host_config.unwrap_or_default();
        let (health, failing_streak) =
            state.health.map_or((None, None), |health| (health.status, health.failing_streak));
        let health = health.filter(|status| *status != HealthStatus::None);
        Arc::new(Self {
            image: inspect.config.and_then(|config| config.image),
            cgroup_parent: host.cgroup_parent.filter(|parent| !parent.is_empty()),
            pid: state.pid.filter(|pid| *pid > 0),
            borrows_network: host.network_mode.is_some_and(|mode| mode.starts_with("container:")),
            layer: inspect.graph_driver.and_then(|driver| layer(&driver.data?)),
            created: inspect.created.as_deref().and_then(seconds),
            started: state.started_at.as_deref().and_then(seconds),
            finished: state.finished_at.as_deref().and_then(seconds),
            exit_code: state.exit_code,
            oom_killed: state.oom_killed,
            restart_count: inspect.restart_count,
            health,
            failing_streak: failing_streak.filter(|_| health.is_some()),
            findings,
            cpu_shares: host.cpu_shares.unwrap_or_default(),
            cpu_period: host.cpu_period.unwrap_or_default(),
            cpu_quota: host.cpu_quota.unwrap_or_default(),
            nano_cpus: host.nano_cpus.unwrap_or_default(),
            memory: host.memory.unwrap_or_default(),
            memory_reservation: host.memory_reservation.unwrap_or_default(),
            memory_swap: host.memory_swap.unwrap_or_default(),
        })
    }

    /// Whether its health check fails at present: how often changes with each check.
    fn is_ailing(&self) -> bool {
        self.failing_streak.is_some_and(|streak| streak > 0)
    }

    fn cpu_period(&self) -> i64 {
        if self.cpu_period > 0 { self.cpu_period } else { DEFAULT_CPU_PERIOD }
    }

    /// Microseconds of CPU per period; 0 without a limit. `--cpus` is another way to write it.
    pub(super) fn cpu_quota(&self) -> i64 {
        if self.nano_cpus > 0 {
            return self.nano_cpus.saturating_mul(self.cpu_period()) / 1_000_000_000;
        }
        self.cpu_quota.max(0)
    }

    /// The limits, as cAdvisor names them. A limit of -1 is none, which cAdvisor writes as 0.
    pub(super) fn fill_spec(&self, labels: &ContainerLabels, look: &mut Look) {
        let shares = if self.cpu_shares > 0 { self.cpu_shares } else { DEFAULT_CPU_SHARES };
        let limits = [
            (&SPEC_CPU_PERIOD, self.cpu_period()),
            (&SPEC_CPU_SHARES, shares),
            (&SPEC_MEMORY, self.memory),
            (&SPEC_RESERVATION, self.memory_reservation),
            (&SPEC_SWAP, self.memory_swap),
        ];
        for (family, limit) in limits {
            look.point(family, Suffix::None, labels.base.clone(), limit.max(0) as f64);
        }
        if self.cpu_quota() != 0 {
            look.point(&SPEC_CPU_QUOTA, Suffix::None, labels.base.clone(), self.cpu_quota() as f64);
        }
    }
}

/// Where a driver of layers keeps what the container itself wrote.
fn layer(data: &HashMap<String, serde_json::Value>) -> Option<String> {
    ["UpperDir", "MergedDir"].iter().find_map(|name| data.get(*name)?.as_str().map(str::to_owned))
}

/// RFC 3339 as seconds since the epoch. The engine writes year 1 for "never".
fn seconds(text: &str) -> Option<f64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    (at.as_second() > 0).then(|| at.as_millisecond() as f64 / 1000.0)
}

/// Inspects of earlier looks.
#[derive(Debug, Default)]
pub(super) struct FactsCache(HashMap<String, Kept>);

#[derive(Debug)]
struct Kept {
    fingerprint: String,
    at: Millis,
    facts: Arc<Facts>,
    /// Whether an inspect since has failed: what made us ask then is not answered yet.
    doubtful: bool,
}

impl FactsCache {
    /// What is known of a container, and whether it must be asked again.
    pub(super) fn get(&self, sight: &Sight, now: Millis) -> (Option<Arc<Facts>>, bool) {
        let Some(kept) = self.0.get(&sight.id) else {
            return (None, true);
        };
        let calm = !is_young(sight) && !kept.facts.is_ailing() && !kept.doubtful;
        let believed = now.since(kept.at) < BELIEVED && kept.fingerprint == fingerprint(sight) && calm;
        (Some(Arc::clone(&kept.facts)), !believed)
    }

    /// Keeps what was inspected in this look; forgets containers that are no longer there.
    pub(super) fn keep(&mut self, seen: &[Sight], ids: &HashSet<String>, now: Millis) {
        self.0.retain(|id, _| ids.contains(id));
        for sight in seen.iter().filter(|sight| sight.must_inspect && !sight.inspected) {
            if let Some(kept) = self.0.get_mut(&sight.id) {
                kept.doubtful = true;
            }
        }
        for sight in seen.iter().filter(|sight| sight.inspected) {
            if let Some(facts) = &sight.facts {
                let kept = Kept { fingerprint: fingerprint(sight), at: now, facts: Arc::clone(facts), doubtful: false };
                self.0.insert(sight.id.clone(), kept);
            }
        }
    }
}

/// Changes when an inspect would say something else. At rest only the state does: `Exited (1) 5 minutes ago` merely ages.
fn fingerprint(sight: &Sight) -> String {
    if sight.has_figures() { format!("{} {}", sight.state, sight.status) } else { sight.state.to_string() }
}

/// Whether it changed within the last minute: `Up 4 seconds`, `Up Less than a second`, `Exited (1) 2 seconds ago`.
fn is_young(sight: &Sight) -> bool {
    sight.status.contains("second")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::docker::wire::{HostConfig, State, Summary};

    fn sight(status: &str) -> Sight {
        let summary = Summary { id: Some("a".into()), status: Some(status.into()), ..Default::default() };
        let mut sight = Sight::of(summary).unwrap();
        sight.state = State::Running;
        sight
    }

    #[test]
    fn an_inspect_is_believed_until_the_words_change_or_a_minute_has_passed() {
        let mut cache = FactsCache::default();
        let ids = HashSet::from(["a".to_owned()]);
        let mut first = sight("Up 5 minutes (healthy)");
        assert!(cache.get(&first, Millis(0)).1);
        (first.facts, first.inspected) = (Some(Arc::default()), true);
        cache.keep(&[first], &ids, Millis(0));
        assert!(!cache.get(&sight("Up 5 minutes (healthy)"), Millis(59_000)).1);
        assert!(cache.get(&sight("Up 5 minutes (healthy)"), Millis(60_000)).1);
        assert!(cache.get(&sight("Up 5 minutes (unhealthy)"), Millis(1_000)).1);
        let mut unanswered = sight("Up 5 minutes (healthy)");
        unanswered.must_inspect = true;
        cache.keep(&[unanswered], &ids, Millis(500));
        assert!(
            cache.get(&sight("Up 5 minutes (healthy)"), Millis(1_000)).1,
            "an event asked for it, and nobody answered"
        );
        cache.keep(&[], &HashSet::new(), Millis(1_000));
        assert!(cache.get(&sight("Up 5 minutes (healthy)"), Millis(1_000)).0.is_none());
    }

    #[test]
    fn cpus_and_quota_are_two_ways_to_write_a_limit() {
        let quota = |host| Facts::of(Inspect { host_config: Some(host), ..Default::default() }).cpu_quota();
        assert_eq!(quota(HostConfig { nano_cpus: Some(500_000_000), ..Default::default() }), 50_000);
        assert_eq!(quota(HostConfig { cpu_quota: Some(20_000), ..Default::default() }), 20_000);
        assert_eq!(quota(HostConfig { cpu_quota: Some(-1), ..Default::default() }), 0);
    }

    #[test]
    fn never_is_not_a_time() {
        assert_eq!(seconds("0001-01-01T00:00:00Z"), None);
        assert_eq!(seconds("2026-01-02T03:04:05.678901234Z"), Some(1_767_323_045.678));
    }
}
