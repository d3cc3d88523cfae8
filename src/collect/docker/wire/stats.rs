//! `/containers/<id>/stats`: what one container uses at this moment.

use std::collections::HashMap;

use serde::Deserialize;

/// Figures; those that the engine does not have are absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct Stats {
    #[serde(rename = "cpu_stats")]
    pub(in crate::collect::docker) cpu: Option<CpuStats>,
    #[serde(rename = "memory_stats")]
    pub(in crate::collect::docker) memory: Option<MemoryStats>,
    #[serde(rename = "pids_stats")]
    pub(in crate::collect::docker) pids: Option<PidsStats>,
    #[serde(rename = "blkio_stats")]
    pub(in crate::collect::docker) block_io: Option<BlockIo>,
    pub(in crate::collect::docker) networks: Option<HashMap<String, InterfaceStats>>,
}

/// CPU time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct CpuStats {
    pub(in crate::collect::docker) cpu_usage: Option<CpuUsage>,
    pub(in crate::collect::docker) throttling_data: Option<Throttling>,
}

/// Nanoseconds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct CpuUsage {
    pub(in crate::collect::docker) total_usage: Option<u64>,
    pub(in crate::collect::docker) percpu_usage: Option<Vec<u64>>,
    pub(in crate::collect::docker) usage_in_kernelmode: Option<u64>,
    pub(in crate::collect::docker) usage_in_usermode: Option<u64>,
}

/// Periods in counts, time in nanoseconds.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct Throttling {
    pub(in crate::collect::docker) periods: Option<u64>,
    pub(in crate::collect::docker) throttled_periods: Option<u64>,
    pub(in crate::collect::docker) throttled_time: Option<u64>,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct MemoryStats {
    pub(in crate::collect::docker) usage: Option<u64>,
    pub(in crate::collect::docker) max_usage: Option<u64>,
    pub(in crate::collect::docker) failcnt: Option<u64>,
    /// As in the control group's `memory.stat`.
    pub(in crate::collect::docker) stats: Option<HashMap<String, u64>>,
}

/// Threads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct PidsStats {
    pub(in crate::collect::docker) current: Option<u64>,
    pub(in crate::collect::docker) limit: Option<u64>,
}

/// What went to and from block devices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct BlockIo {
    pub(in crate::collect::docker) io_service_bytes_recursive: Option<Vec<BlockIoEntry>>,
    pub(in crate::collect::docker) io_serviced_recursive: Option<Vec<BlockIoEntry>>,
}

/// Of one device, one operation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct BlockIoEntry {
    pub(in crate::collect::docker) major: Option<u64>,
    pub(in crate::collect::docker) minor: Option<u64>,
    /// `Read`, `write`
    pub(in crate::collect::docker) op: Option<String>,
    pub(in crate::collect::docker) value: Option<u64>,
}

/// Traffic of an interface.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::collect::docker) struct InterfaceStats {
    pub(in crate::collect::docker) rx_bytes: Option<u64>,
    pub(in crate::collect::docker) rx_packets: Option<u64>,
    pub(in crate::collect::docker) rx_errors: Option<u64>,
    pub(in crate::collect::docker) rx_dropped: Option<u64>,
    pub(in crate::collect::docker) tx_bytes: Option<u64>,
    pub(in crate::collect::docker) tx_packets: Option<u64>,
    pub(in crate::collect::docker) tx_errors: Option<u64>,
    pub(in crate::collect::docker) tx_dropped: Option<u64>,
}
