//! CPU time, and what the limit cost.

use crate::model::Family;

use super::super::families::CPU_USAGE;
use super::{Adder, seconds};

static USER: Family = Family::counter(
    "container_cpu_user_seconds_total",
    "CPU time in user mode since the container started, in seconds.",
);
static SYSTEM: Family = Family::counter(
    "container_cpu_system_seconds_total",
    "CPU time in the kernel since the container started, in seconds.",
);
static PERIODS: Family =
    Family::counter("container_cpu_cfs_periods_total", "Scheduling periods in which the container wanted to run.");
static THROTTLED: Family = Family::counter(
    "container_cpu_cfs_throttled_periods_total",
    "Scheduling periods in which the container had used up its quota and had to wait.",
);
static THROTTLED_SECONDS: Family = Family::counter(
    "container_cpu_cfs_throttled_seconds_total",
    "How long the container had to wait for its next quota, summed over the cores, in seconds.",
);
static BURSTS: Family = Family::counter(
    "container_cpu_cfs_burst_periods_total",
    "Scheduling periods in which the container ran on quota saved from earlier ones.",
);
static BURST_SECONDS: Family = Family::counter(
    "container_cpu_cfs_burst_seconds_total",
    "CPU time beyond the quota that saved quota allowed, in seconds.",
);

/// CPU times in nanoseconds, periods in counts.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in crate::collect::docker) struct Cpu {
    /// Per core; empty where only the total is known.
    pub(in crate::collect::docker) cores: Vec<u64>,
    /// Of all cores.
    pub(in crate::collect::docker) total: Option<u64>,
    pub(in crate::collect::docker) user: Option<u64>,
    pub(in crate::collect::docker) system: Option<u64>,
    pub(in crate::collect::docker) periods: Option<u64>,
    pub(in crate::collect::docker) throttled_periods: Option<u64>,
    pub(in crate::collect::docker) throttled: Option<u64>,
    pub(in crate::collect::docker) burst_periods: Option<u64>,
    pub(in crate::collect::docker) burst: Option<u64>,
}

impl Cpu {
    pub(super) fn fill(&self, limited: bool, add: &mut Adder<'_>) {
        if self.cores.is_empty() {
            add.labeled(&CPU_USAGE, [("cpu", "total")], seconds(self.total));
        }
        // The kernel lists every core the machine could have; as cAdvisor, those that never ran it are left out.
        for (core, used) in self.cores.iter().enumerate().filter(|(_, used)| **used > 0) {
            add.labeled(&CPU_USAGE, [("cpu", &format!("cpu{core:02}"))], seconds(Some(*used)));
        }
        add.value(&USER, seconds(self.user));
        add.value(&SYSTEM, seconds(self.system));
        if limited {
            add.count(&PERIODS, self.periods);
            add.count(&THROTTLED, self.throttled_periods);
            add.value(&THROTTLED_SECONDS, seconds(self.throttled));
            add.count(&BURSTS, self.burst_periods);
            add.value(&BURST_SECONDS, seconds(self.burst));
        }
    }
}
