//! A container's figures as the engine's API has them.
//!
//! The engine hands on what the control groups hold, under version 1's names where there are two.

use std::collections::{BTreeMap, HashMap};

use super::super::wire::{BlockIo, BlockIoEntry, CpuStats, InterfaceStats, MemoryStats, PidsStats, Stats};
use super::disk::transfer;
use super::{Cpu, Interface, Memory, Tasks, Transfer, Usage};

/// Picks what is used.
pub(in crate::collect::docker) fn usage(stats: &Stats) -> Usage {
    Usage {
        cpu: stats.cpu.as_ref().map(cpu).unwrap_or_default(),
        memory: stats.memory.as_ref().map(memory).unwrap_or_default(),
        tasks: stats.pids.as_ref().map(tasks).unwrap_or_default(),
        disk: stats.block_io.as_ref().map(disk).unwrap_or_default(),
        networks: stats.networks.as_ref().map(networks),
        ..Usage::default()
    }
}

/// The traffic alone.
pub(in crate::collect::docker) fn networks(networks: &HashMap<String, InterfaceStats>) -> Vec<Interface> {
    let sorted: BTreeMap<_, _> = networks.iter().collect();
    let interface = |(name, n): (&String, &InterfaceStats)| Interface {
        name: name.clone(),
        counts: [
            n.rx_bytes,
            n.rx_packets,
            n.rx_errors,
            n.rx_dropped,
            n.tx_bytes,
            n.tx_packets,
            n.tx_errors,
            n.tx_dropped,
        ],
    };
    sorted.into_iter().map(interface).collect()
}

fn cpu(cpu: &CpuStats) -> Cpu {
    let usage = cpu.cpu_usage.as_ref();
    // Podman hands on zeros for what it does not know; a container with a quota that ran has periods.
    let throttling = cpu.throttling_data.as_ref().filter(|data| data.periods.is_some_and(|count| count > 0));
    Cpu {
        cores: usage.and_then(|usage| usage.percpu_usage.clone()).unwrap_or_default(),
        total: usage.and_then(|usage| usage.total_usage),
        user: usage.and_then(|usage| usage.usage_in_usermode),
        system: usage.and_then(|usage| usage.usage_in_kernelmode),
        periods: throttling.and_then(|data| data.periods),
        throttled_periods: throttling.and_then(|data| data.throttled_periods),
        throttled: throttling.and_then(|data| data.throttled_time),
        ..Cpu::default()
    }
}

fn memory(memory: &MemoryStats) -> Memory {
    let empty = HashMap::new();
    let stats = memory.stats.as_ref().unwrap_or(&empty);
    // Version 1's name first: there the plain names leave out child groups.
    let stat = |names: &[&str]| names.iter().find_map(|name| stats.get(*name)).copied();
    Memory {
        usage: memory.usage,
        max_usage: memory.max_usage,
        // The engine leaves out a 0. Of version 2, which has no maximum here, it hands on something else.
        failcnt: memory.max_usage.map(|_| memory.failcnt.unwrap_or(0)),
        cache: stat(&["total_cache", "file"]),
        rss: stat(&["total_rss", "anon"]),
        swap: stat(&["total_swap", "swap"]),
        mapped_file: stat(&["total_mapped_file", "file_mapped"]),
        kernel: stat(&["kernel"]),
        active_file: stat(&["total_active_file", "active_file"]),
        inactive_file: stat(&["total_inactive_file", "inactive_file"]),
        file_dirty: stat(&["file_dirty"]),
        file_writeback: stat(&["file_writeback"]),
        pgscan: stat(&["pgscan"]),
        pgsteal: stat(&["pgsteal"]),
        refault_file: stat(&["workingset_refault_file"]),
        refault_anon: stat(&["workingset_refault_anon"]),
        faults: [stat(&["pgfault"]), stat(&["total_pgfault", "pgfault"])],
        major_faults: [stat(&["pgmajfault"]), stat(&["total_pgmajfault", "pgmajfault"])],
        ..Memory::default()
    }
}

/// The engine writes no limit as nothing, as 0 or as the largest number; cAdvisor as 0.
fn tasks(pids: &PidsStats) -> Tasks {
    let limit = pids.limit.filter(|limit| *limit < u64::MAX).unwrap_or(0);
    Tasks { threads: pids.current, threads_max: pids.current.map(|_| limit), ..Tasks::default() }
}

fn disk(io: &BlockIo) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    let bytes: Field = |transfer, reads| if reads { &mut transfer.read_bytes } else { &mut transfer.write_bytes };
    let requests: Field = |transfer, reads| if reads { &mut transfer.reads } else { &mut transfer.writes };
    for (entries, field) in [(&io.io_service_bytes_recursive, bytes), (&io.io_serviced_recursive, requests)] {
        for entry in entries.iter().flatten() {
            add_entry(entry, field, &mut transfers);
        }
    }
    transfers
}

/// Which count of a transfer is meant: that of reads, or that of writes.
type Field = fn(&mut Transfer, bool) -> &mut Option<u64>;

fn add_entry(entry: &BlockIoEntry, field: Field, transfers: &mut Vec<Transfer>) {
    let operation = entry.op.as_deref().unwrap_or_default();
    let reads = operation.eq_ignore_ascii_case("read");
    let (Some(major), Some(minor), Some(value)) = (entry.major, entry.minor, entry.value) else {
        return;
    };
    if reads || operation.eq_ignore_ascii_case("write") {
        let sum = field(transfer(transfers, (major, minor)), reads).get_or_insert_default();
        *sum = sum.saturating_add(value);
    }
}

#[cfg(test)]
mod tests {
    use crate::collect::Look;
    use crate::collect::docker::labels::ContainerLabels;
    use crate::model::Labels;

    use super::super::Devices;
    use super::*;

    fn look_at(json: &str, limited: bool) -> Look {
        let stats: Stats = serde_json::from_str(json).unwrap();
        let mut labels = ContainerLabels::new(Labels::new([("name", "web")]));
        let mut look = Look::new();
        usage(&stats).fill(limited, &mut labels, &Devices::default(), &mut look);
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
