//! A running container's figures: CPU, memory, network, disk, tasks, under cAdvisor's names.
//!
//! The engine hands on what the control groups hold. Version 1 has CPU per core and several memory statistics under
//! `total_…` names; version 2 has neither, and no maximum. What a version lacks is absent.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerBlkioStatEntry, ContainerBlkioStats, ContainerCpuStats, ContainerMemoryStats, ContainerNetworkStats,
    ContainerPidsStats, ContainerStatsResponse,
};

use crate::model::{Family, Labels, Suffix};

use super::Look;
use super::families::{CPU_USAGE, MEMORY_CACHE, MEMORY_RSS, MEMORY_USAGE, MEMORY_WORKING_SET};
use super::identity::ContainerLabels;

static CPU_USER: Family =
    Family::counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed, in seconds.");
static CPU_SYSTEM: Family =
    Family::counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed, in seconds.");
static CFS_PERIODS: Family =
    Family::counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.");
static CFS_THROTTLED: Family =
    Family::counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.");
static CFS_THROTTLED_SECONDS: Family = Family::counter(
    "container_cpu_cfs_throttled_seconds_total",
    "Total time duration the container has been throttled, in seconds.",
);

static MEMORY_SWAP: Family = Family::gauge("container_memory_swap", "Container swap usage in bytes.");
static MEMORY_MAPPED: Family = Family::gauge("container_memory_mapped_file", "Size of memory mapped files in bytes.");
static MEMORY_MAX: Family =
    Family::gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes.");
static MEMORY_FAILCNT: Family = Family::counter("container_memory_failcnt", "Number of memory usage hits limits.");
static MEMORY_FAILURES: Family =
    Family::counter("container_memory_failures_total", "Cumulative count of memory allocation failures.");
static MEMORY_ACTIVE_FILE: Family =
    Family::gauge("container_memory_total_active_file_bytes", "Current active file memory in bytes.");
static MEMORY_INACTIVE_FILE: Family =
    Family::gauge("container_memory_total_inactive_file_bytes", "Current inactive file memory in bytes.");

static THREADS: Family = Family::gauge("container_threads", "Number of threads running inside the container.");
static THREADS_MAX: Family = Family::gauge(
    "container_threads_max",
    "Maximum number of threads allowed inside the container; 0 without a limit.",
);

type NetworkValue = fn(&ContainerNetworkStats) -> Option<u64>;
static NETWORK: [(Family, NetworkValue); 8] = [
    (Family::counter("container_network_receive_bytes_total", "Cumulative count of bytes received."), |n| n.rx_bytes),
    (Family::counter("container_network_receive_packets_total", "Cumulative count of packets received."), |n| {
        n.rx_packets
    }),
    (
        Family::counter(
            "container_network_receive_packets_dropped_total",
            "Cumulative count of packets dropped while receiving.",
        ),
        |n| n.rx_dropped,
    ),
    (
        Family::counter(
            "container_network_receive_errors_total",
            "Cumulative count of errors encountered while receiving.",
        ),
        |n| n.rx_errors,
    ),
    (Family::counter("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted."), |n| {
        n.tx_bytes
    }),
    (Family::counter("container_network_transmit_packets_total", "Cumulative count of packets transmitted."), |n| {
        n.tx_packets
    }),
    (
        Family::counter(
            "container_network_transmit_packets_dropped_total",
            "Cumulative count of packets dropped while transmitting.",
        ),
        |n| n.tx_dropped,
    ),
    (
        Family::counter(
            "container_network_transmit_errors_total",
            "Cumulative count of errors encountered while transmitting.",
        ),
        |n| n.tx_errors,
    ),
];

type BlkioEntries = fn(&ContainerBlkioStats) -> Option<&Vec<ContainerBlkioStatEntry>>;
static DISK: [(Family, &str, BlkioEntries); 4] = [
    (Family::counter("container_fs_reads_bytes_total", "Cumulative count of bytes read."), "read", |io| {
        io.io_service_bytes_recursive.as_ref()
    }),
    (Family::counter("container_fs_writes_bytes_total", "Cumulative count of bytes written."), "write", |io| {
        io.io_service_bytes_recursive.as_ref()
    }),
    (Family::counter("container_fs_reads_total", "Cumulative count of reads completed."), "read", |io| {
        io.io_serviced_recursive.as_ref()
    }),
    (Family::counter("container_fs_writes_total", "Cumulative count of writes completed."), "write", |io| {
        io.io_serviced_recursive.as_ref()
    }),
];

/// Adds a container's figures. The scheduler's periods count only for a container whose CPU is `limited`.
pub(super) fn fill(
    stats: &ContainerStatsResponse,
    limited: bool,
    labels: &ContainerLabels,
    devices: &Devices,
    look: &mut Look,
) {
    let mut add = Adder { labels, look };
    if let Some(cpu) = &stats.cpu_stats {
        fill_cpu(cpu, limited, &mut add);
    }
    if let Some(memory) = &stats.memory_stats {
        fill_memory(memory, &mut add);
    }
    if let Some(pids) = &stats.pids_stats {
        fill_pids(pids, &mut add);
    }
    let interfaces: BTreeMap<_, _> = stats.networks.iter().flatten().collect();
    for (interface, network) in interfaces {
        for (family, value) in &NETWORK {
            add.labeled(family, [("interface", interface)], value(network).map(|value| value as f64));
        }
    }
    if let Some(io) = &stats.blkio_stats {
        fill_disk(io, devices, &mut add);
    }
}

struct Adder<'a> {
    labels: &'a ContainerLabels,
    look: &'a mut Look,
}

impl Adder<'_> {
    fn value(&mut self, family: &Family, value: Option<f64>) {
        self.point(family, self.labels.base.clone(), value);
    }

    fn labeled<const N: usize>(&mut self, family: &Family, more: [(&str, &str); N], value: Option<f64>) {
        self.point(family, self.labels.and(more), value);
    }

    fn point(&mut self, family: &Family, labels: Labels, value: Option<f64>) {
        if let Some(value) = value {
            self.look.point(family, Suffix::None, labels, value);
        }
    }
}

fn fill_cpu(cpu: &ContainerCpuStats, limited: bool, add: &mut Adder<'_>) {
    if let Some(usage) = &cpu.cpu_usage {
        match usage.percpu_usage.as_deref() {
            None | Some([]) => add.labeled(&CPU_USAGE, [("cpu", "total")], seconds(usage.total_usage)),
            // The kernel lists every core the machine could have; as cAdvisor, those that never ran it are left out.
            Some(cores) => {
                for (core, used) in cores.iter().enumerate().filter(|(_, used)| **used > 0) {
                    add.labeled(&CPU_USAGE, [("cpu", &format!("cpu{core:02}"))], seconds(Some(*used)));
                }
            }
        }
        add.value(&CPU_USER, seconds(usage.usage_in_usermode));
        add.value(&CPU_SYSTEM, seconds(usage.usage_in_kernelmode));
    }
    if let Some(throttling) = cpu.throttling_data.as_ref().filter(|_| limited) {
        add.value(&CFS_PERIODS, throttling.periods.map(|count| count as f64));
        add.value(&CFS_THROTTLED, throttling.throttled_periods.map(|count| count as f64));
        add.value(&CFS_THROTTLED_SECONDS, seconds(throttling.throttled_time));
    }
}

fn seconds(nanos: Option<u64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64 / 1e9)
}

fn fill_memory(memory: &ContainerMemoryStats, add: &mut Adder<'_>) {
    let empty = HashMap::new();
    let stats = memory.stats.as_ref().unwrap_or(&empty);
    // Version 1's name first: there the plain names leave out child groups.
    let stat = |names: [&str; 2]| names.iter().find_map(|name| stats.get(*name)).map(|bytes| *bytes as f64);
    let inactive_file = stat(["total_inactive_file", "inactive_file"]);
    let usage = memory.usage.map(|bytes| bytes as f64);
    add.value(&MEMORY_USAGE, usage);
    add.value(&MEMORY_WORKING_SET, usage.map(|usage| (usage - inactive_file.unwrap_or(0.0)).max(0.0)));
    add.value(&MEMORY_CACHE, stat(["total_cache", "file"]));
    add.value(&MEMORY_RSS, stat(["total_rss", "anon"]));
    add.value(&MEMORY_SWAP, stat(["total_swap", "swap"]));
    add.value(&MEMORY_MAPPED, stat(["total_mapped_file", "file_mapped"]));
    add.value(&MEMORY_ACTIVE_FILE, stat(["total_active_file", "active_file"]));
    add.value(&MEMORY_INACTIVE_FILE, inactive_file);
    add.value(&MEMORY_MAX, memory.max_usage.map(|bytes| bytes as f64));
    // The engine leaves out a failcnt of 0; only version 1 has one, and with it a maximum.
    let failcnt = memory.failcnt.or_else(|| memory.max_usage.map(|_| 0));
    add.value(&MEMORY_FAILCNT, failcnt.map(|count| count as f64));
    for (kind, total) in [("pgfault", "total_pgfault"), ("pgmajfault", "total_pgmajfault")] {
        let own = stats.get(kind).map(|count| *count as f64);
        let all = stats.get(total).map(|count| *count as f64).or(own);
        add.labeled(&MEMORY_FAILURES, [("failure_type", kind), ("scope", "container")], own);
        add.labeled(&MEMORY_FAILURES, [("failure_type", kind), ("scope", "hierarchy")], all);
    }
}

/// The engine writes no limit as nothing, as 0 or as the largest number; cAdvisor as 0.
fn fill_pids(pids: &ContainerPidsStats, add: &mut Adder<'_>) {
    add.value(&THREADS, pids.current.map(|count| count as f64));
    let limit = pids.limit.filter(|limit| *limit < u64::MAX).unwrap_or(0);
    add.value(&THREADS_MAX, pids.current.map(|_| limit as f64));
}

fn fill_disk(io: &ContainerBlkioStats, devices: &Devices, add: &mut Adder<'_>) {
    for (family, operation, entries) in &DISK {
        let mut sums: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for entry in entries(io).into_iter().flatten() {
            let matches = entry.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(operation));
            if let (true, Some(major), Some(minor), Some(value)) = (matches, entry.major, entry.minor, entry.value) {
                *sums.entry((major, minor)).or_default() += value;
            }
        }
        for (device, value) in sums {
            add.labeled(family, [("device", &devices.name(device))], Some(value as f64));
        }
    }
}

/// The names of block devices: `/dev/vda` where the engine's machine is ours, else `major:minor`.
#[derive(Debug, Default)]
pub(super) struct Devices(HashMap<(u64, u64), String>);

impl Devices {
    /// From our machine's `/proc/diskstats`: `253 0 vda …`. It writes `!` for the `/` of `cciss/c0d0`.
    pub(super) fn of(diskstats: &str) -> Self {
        let device = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let (major, minor, name) = (words.next()?, words.next()?, words.next()?);
            Some(((major.parse().ok()?, minor.parse().ok()?), format!("/dev/{}", name.replace('!', "/"))))
        };
        Self(diskstats.lines().filter_map(device).collect())
    }

    fn name(&self, device: (u64, u64)) -> String {
        self.0.get(&device).cloned().unwrap_or_else(|| format!("{}:{}", device.0, device.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_at(json: &str, limited: bool) -> Look {
        let stats: ContainerStatsResponse = serde_json::from_str(json).unwrap();
        let labels = ContainerLabels { base: Labels::new([("name", "web")]) };
        let mut look = Look::new();
        fill(&stats, limited, &labels, &Devices::default(), &mut look);
        look
    }

    #[test]
    fn control_groups_version_1_count_per_core_and_in_totals() {
        let look = look_at(
            r#"{"cpu_stats": {"cpu_usage": {"total_usage": 3000000000, "percpu_usage": [1000000000, 2000000000, 0],
                "usage_in_kernelmode": 500000000, "usage_in_usermode": 2500000000},
                "throttling_data": {"periods": 9, "throttled_periods": 4, "throttled_time": 250000000}},
              "memory_stats": {"usage": 1000, "max_usage": 2000, "failcnt": 3, "stats": {"inactive_file": 1, "pgfault": 7,
                "total_inactive_file": 300, "total_cache": 400, "total_rss": 500, "total_pgfault": 8}},
              "blkio_stats": {"io_service_bytes_recursive": [{"major": 8, "minor": 0, "op": "Read", "value": 4096},
                {"major": 8, "minor": 0, "op": "Total", "value": 4096}]}}"#,
            true,
        );
        let get = |family: &str, more: &[(&str, &str)]| look.get(family, &[&[("name", "web")], more].concat());
        assert_eq!(get("container_cpu_usage_seconds_total", &[("cpu", "cpu01")]), Some(2.0));
        assert_eq!(get("container_cpu_usage_seconds_total", &[("cpu", "cpu02")]), None);
        assert_eq!(get("container_cpu_cfs_throttled_seconds_total", &[]), Some(0.25));
        assert_eq!(get("container_memory_working_set_bytes", &[]), Some(700.0));
        assert_eq!(get("container_memory_rss", &[]), Some(500.0));
        let failures = |scope| get("container_memory_failures_total", &[("failure_type", "pgfault"), ("scope", scope)]);
        assert_eq!((failures("container"), failures("hierarchy")), (Some(7.0), Some(8.0)));
        assert_eq!(get("container_fs_reads_bytes_total", &[("device", "8:0")]), Some(4096.0));
        assert_eq!(get("container_fs_writes_bytes_total", &[("device", "8:0")]), None);
    }

    #[test]
    fn our_own_devices_have_names() {
        let devices = Devices::of("   8       0 sda 1 2 3\n 104 0 cciss!c0d0 1\nnonsense\n");
        assert_eq!(devices.name((8, 0)), "/dev/sda");
        assert_eq!(devices.name((104, 0)), "/dev/cciss/c0d0");
        assert_eq!(devices.name((8, 16)), "8:16");
    }

    #[test]
    fn control_groups_version_2_have_a_total_and_no_maximum() {
        let look = look_at(
            r#"{"cpu_stats": {"cpu_usage": {"total_usage": 3000000000}, "throttling_data": {"periods": 9}},
              "memory_stats": {"usage": 1000, "stats": {"inactive_file": 1200, "file": 400, "anon": 500}},
              "pids_stats": {"current": 5, "limit": 18446744073709551615}}"#,
            false,
        );
        let get = |family: &str, more: &[(&str, &str)]| look.get(family, &[&[("name", "web")], more].concat());
        assert_eq!(get("container_cpu_usage_seconds_total", &[("cpu", "total")]), Some(3.0));
        assert_eq!(get("container_cpu_user_seconds_total", &[]), None);
        assert_eq!(get("container_cpu_cfs_periods_total", &[]), None, "no limit, no periods");
        assert_eq!(get("container_memory_working_set_bytes", &[]), Some(0.0));
        assert_eq!(get("container_memory_max_usage_bytes", &[]), None);
        assert_eq!((get("container_threads", &[]), get("container_threads_max", &[])), (Some(5.0), Some(0.0)));
    }
}
