//! Memory in use, and how hard it is to get.

use crate::model::Family;

use super::super::families::{MEMORY_CACHE, MEMORY_RSS, MEMORY_USAGE, MEMORY_WORKING_SET};
use super::Adder;

static FAILURES: Family = Family::counter(
    "container_memory_failures_total",
    "Page faults (failure_type pgfault), and those that had to wait for the disk (pgmajfault).",
);

type Value = fn(&Memory) -> Option<u64>;
static VALUES: [(Family, Value); 15] = [
    (Family::gauge("container_memory_swap", "Memory of the container that is swapped out, in bytes."), |m| m.swap),
    (Family::gauge("container_memory_mapped_file", "Page cache that the container has mapped, in bytes."), |m| {
        m.mapped_file
    }),
    (Family::gauge("container_memory_max_usage_bytes", "The most memory the container ever used, in bytes."), |m| {
        m.max_usage
    }),
    (Family::counter("container_memory_failcnt", "How often the container's memory hit its limit."), |m| m.failcnt),
    (Family::gauge("container_memory_kernel_usage", "Kernel memory charged to the container, in bytes."), |m| m.kernel),
    (Family::gauge("container_memory_total_active_file_bytes", "Page cache used of late, in bytes."), |m| {
        m.active_file
    }),
    (
        Family::gauge(
            "container_memory_total_inactive_file_bytes",
            "Page cache not used of late, which can be reclaimed at once, in bytes.",
        ),
        |m| m.inactive_file,
    ),
    (Family::gauge("container_memory_file_dirty_bytes", "Page cache that still has to be written, in bytes."), |m| {
        m.file_dirty
    }),
    (Family::gauge("container_memory_file_writeback_bytes", "Page cache that is being written, in bytes."), |m| {
        m.file_writeback
    }),
    (Family::counter("container_memory_pgscan_total", "Pages looked at in search of memory to reclaim."), |m| m.pgscan),
    (Family::counter("container_memory_pgsteal_total", "Pages reclaimed."), |m| m.pgsteal),
    (
        Family::counter(
            "container_memory_workingset_refault_file_total",
            "File pages that were needed again after they had been reclaimed.",
        ),
        |m| m.refault_file,
    ),
    (
        Family::counter(
            "container_memory_workingset_refault_anon_total",
            "Anonymous pages that were needed again after they had been swapped out.",
        ),
        |m| m.refault_anon,
    ),
    (
        Family::counter(
            "container_memory_events_high_total",
            "How often the container was slowed down for using more than memory.high.",
        ),
        |m| m.events_high,
    ),
    (
        Family::counter(
            "container_memory_events_max_total",
            "How often the container's memory was about to exceed memory.max.",
        ),
        |m| m.events_max,
    ),
];

/// Bytes and counts, of the group with the groups below it unless said otherwise.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in crate::collect::docker) struct Memory {
    /// All of it, page cache included.
    pub(in crate::collect::docker) usage: Option<u64>,
    pub(in crate::collect::docker) max_usage: Option<u64>,
    pub(in crate::collect::docker) failcnt: Option<u64>,
    pub(in crate::collect::docker) cache: Option<u64>,
    /// Anonymous memory.
    pub(in crate::collect::docker) rss: Option<u64>,
    pub(in crate::collect::docker) swap: Option<u64>,
    pub(in crate::collect::docker) mapped_file: Option<u64>,
    pub(in crate::collect::docker) kernel: Option<u64>,
    pub(in crate::collect::docker) active_file: Option<u64>,
    pub(in crate::collect::docker) inactive_file: Option<u64>,
    pub(in crate::collect::docker) file_dirty: Option<u64>,
    pub(in crate::collect::docker) file_writeback: Option<u64>,
    pub(in crate::collect::docker) pgscan: Option<u64>,
    pub(in crate::collect::docker) pgsteal: Option<u64>,
    pub(in crate::collect::docker) refault_file: Option<u64>,
    pub(in crate::collect::docker) refault_anon: Option<u64>,
    pub(in crate::collect::docker) events_high: Option<u64>,
    pub(in crate::collect::docker) events_max: Option<u64>,
    /// Page faults of the group alone, and with the groups below it.
    pub(in crate::collect::docker) faults: [Option<u64>; 2],
    /// Those that read from a disk, likewise.
    pub(in crate::collect::docker) major_faults: [Option<u64>; 2],
}

impl Memory {
    /// What cannot be reclaimed at once, in bytes. Podman's API does not say what can.
    fn working_set(&self) -> Option<u64> {
        Some(self.usage?.saturating_sub(self.inactive_file?))
    }

    pub(super) fn fill(&self, add: &mut Adder<'_>) {
        add.count(&MEMORY_USAGE, self.usage);
        add.count(&MEMORY_WORKING_SET, self.working_set());
        add.count(&MEMORY_CACHE, self.cache);
        add.count(&MEMORY_RSS, self.rss);
        for (family, value) in &VALUES {
            add.count(family, value(self));
        }
        for (kind, counts) in [("pgfault", self.faults), ("pgmajfault", self.major_faults)] {
            for (scope, count) in ["container", "hierarchy"].into_iter().zip(counts) {
                let more = [("failure_type", kind), ("scope", scope)];
                add.labeled(&FAILURES, more, count.map(|count| count as f64));
            }
        }
    }
}
