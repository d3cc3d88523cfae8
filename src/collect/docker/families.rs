//! The families that both the machine and its containers have: the machine's under `id="/"`.

use crate::model::Family;

/// cAdvisor's, for containers that run.
pub(super) static LAST_SEEN: Family =
    Family::gauge("container_last_seen", "Last time the container was seen running, in seconds since the epoch.");
/// cAdvisor's; per core (`cpu00`) with control groups version 1, `total` with version 2.
pub(super) static CPU_USAGE: Family =
    Family::counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed, in seconds.");
/// cAdvisor's: all memory of the control group, page cache included.
pub(super) static MEMORY_USAGE: Family = Family::gauge(
    "container_memory_usage_bytes",
    "Current memory usage in bytes, including all memory regardless of when it was accessed.",
);
/// cAdvisor's: what cannot be reclaimed at once.
pub(super) static MEMORY_WORKING_SET: Family =
    Family::gauge("container_memory_working_set_bytes", "Current working set in bytes: usage without inactive files.");
/// cAdvisor's: anonymous memory.
pub(super) static MEMORY_RSS: Family = Family::gauge("container_memory_rss", "Size of RSS in bytes.");
/// cAdvisor's: page cache.
pub(super) static MEMORY_CACHE: Family =
    Family::gauge("container_memory_cache", "Number of bytes of page cache memory.");
/// cAdvisor's; the machine's is its memory.
pub(super) static SPEC_MEMORY: Family =
    Family::gauge("container_spec_memory_limit_bytes", "Memory limit for the container; 0 without a limit.");

/// cAdvisor's; with the label `device`.
pub(super) const FS_READS: Family =
    Family::counter("container_fs_reads_total", "Read requests that the device completed for the container.");
/// cAdvisor's; with the label `device`.
pub(super) const FS_WRITES: Family =
    Family::counter("container_fs_writes_total", "Write requests that the device completed for the container.");

/// cAdvisor's.
pub(super) static START_TIME: Family = Family::gauge(
    "container_start_time_seconds",
    "Start of the container (of the machine), in seconds since the epoch.",
);
/// cAdvisor's.
pub(super) static SPEC_CPU_PERIOD: Family =
    Family::gauge("container_spec_cpu_period", "Scheduling period that the CPU quota is for, in microseconds.");
/// cAdvisor's.
pub(super) static SPEC_CPU_SHARES: Family =
    Family::gauge("container_spec_cpu_shares", "Weight of the container when CPUs are contended; 1024 is the usual.");
/// cAdvisor's; the machine has none.
pub(super) static SPEC_RESERVATION: Family = Family::gauge(
    "container_spec_memory_reservation_limit_bytes",
    "Memory that the container is shrunk to first when memory is short; 0 without one.",
);
/// cAdvisor's; the machine's is its swap space.
pub(super) static SPEC_SWAP: Family = Family::gauge(
    "container_spec_memory_swap_limit_bytes",
    "Limit of memory and swap together for the container; 0 without a limit.",
);
