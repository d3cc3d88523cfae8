//! The machine as if it were a container: the series `id="/"`.
//!
//! In: the machine's files. Out: the families that cAdvisor has for the root control group, from the group's own files
//! where it has them, else from `/proc`, whose figures are the same by the kernel's documentation.

use crate::collect::host::{memory, stat};
use crate::model::{Family, Labels, Millis, Suffix};

use super::Look;
use super::families::{
    CPU_USAGE, FS_READS, FS_WRITES, LAST_SEEN, MEMORY_CACHE, MEMORY_RSS, MEMORY_USAGE, MEMORY_WORKING_SET,
    SPEC_CPU_PERIOD, SPEC_CPU_SHARES, SPEC_MEMORY, SPEC_RESERVATION, SPEC_SWAP, START_TIME,
};
use super::labels::ContainerLabels;
use super::machine::LocalFiles;
use super::usage::{Devices, Memory, Usage};

/// Bytes in a sector of `/proc/diskstats`, whatever the disk's own are.
const SECTOR: f64 = 512.0;
const MILLIS: f64 = 1e-3;
/// The root group's CPU settings, which cannot be changed.
const PERIOD: f64 = 100_000.0;
const SHARES: f64 = 1024.0;

/// The columns of `/proc/diskstats` from the fourth on, and the factor to the family's unit.
static DISK: [(Family, usize, f64); 13] = [
    (FS_READS, 0, 1.0),
    (
        Family::counter("container_fs_reads_merged_total", "Read requests that the device took as one with others."),
        1,
        1.0,
    ),
    (Family::counter("container_fs_sector_reads_total", "Sectors of 512 bytes read from the device."), 2, 1.0),
    (Family::counter("container_fs_reads_bytes_total", "Bytes that the container read from the device."), 2, SECTOR),
    (
        Family::counter("container_fs_read_seconds_total", "Time that read requests took, summed, in seconds."),
        3,
        MILLIS,
    ),
    (FS_WRITES, 4, 1.0),
    (
        Family::counter("container_fs_writes_merged_total", "Write requests that the device took as one with others."),
        5,
        1.0,
    ),
    (Family::counter("container_fs_sector_writes_total", "Sectors of 512 bytes written to the device."), 6, 1.0),
    (Family::counter("container_fs_writes_bytes_total", "Bytes that the container wrote to the device."), 6, SECTOR),
    (
        Family::counter("container_fs_write_seconds_total", "Time that write requests took, summed, in seconds."),
        7,
        MILLIS,
    ),
    (Family::gauge("container_fs_io_current", "Requests that the device is working on."), 8, 1.0),
    (
        Family::counter("container_fs_io_time_seconds_total", "Time in which the device had work, in seconds."),
        9,
        MILLIS,
    ),
    (
        Family::counter(
            "container_fs_io_time_weighted_seconds_total",
            "Time in which the device had work, times the requests waiting then, in seconds.",
        ),
        10,
        MILLIS,
    ),
];

/// Adds the machine's series. `memory_total` is its memory in bytes.
pub(super) fn fill(
    local: &LocalFiles,
    memory_total: Option<f64>,
    meminfo: &[memory::Field],
    now: Millis,
    labels: &mut ContainerLabels,
    look: &mut Look,
) {
    let root = &labels.base.clone();
    look.point(&LAST_SEEN, Suffix::None, root.clone(), now.as_seconds().floor());
    fill_spec(memory_total, meminfo, root, look);
    if let Some(boot) = boot_time(&local.stat) {
        look.point(&START_TIME, Suffix::None, root.clone(), boot);
    }
    let usage = local.root.clone().unwrap_or_default();
    if usage.cpu.total.is_none() {
        fill_cpu(&local.stat, labels, look);
    }
    if usage.memory.usage.is_none() {
        fill_memory(meminfo, &usage.memory, root, look);
    }
    // The devices' own figures have more than the root group's.
    let usage = Usage { disk: Vec::new(), memory: without_shown(usage.memory), ..usage };
    usage.fill(false, labels, &Devices::default(), look);
    for filesystem in &local.filesystems {
        filesystem.fill_root(labels, look);
        fill_disk(&local.diskstats, &filesystem.device, labels, look);
    }
}

fn fill_spec(memory_total: Option<f64>, meminfo: &[memory::Field], root: &Labels, look: &mut Look) {
    let swap = meminfo.iter().find(|field| field.name == "SwapTotal").map(|field| field.value);
    let here = (!meminfo.is_empty()).then_some(());
    let values = [
        (&SPEC_MEMORY, memory_total),
        (&SPEC_SWAP, swap),
        (&SPEC_RESERVATION, here.map(|()| 0.0)),
        (&SPEC_CPU_PERIOD, here.map(|()| PERIOD)),
        (&SPEC_CPU_SHARES, here.map(|()| SHARES)),
    ];
    for (family, value) in values {
        if let Some(value) = value {
            look.point(family, Suffix::None, root.clone(), value);
        }
    }
}

/// Seconds since the epoch, from `/proc/stat`.
fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Everything but idle, per core: what the root control group accounts.
fn fill_cpu(stat: &str, root: &mut ContainerLabels, look: &mut Look) {
    for core in &stat::parse(stat).cores {
        let name = format!("cpu{:0>2}", core.number);
        look.point(&CPU_USAGE, Suffix::None, root.and([("cpu", &name)]), core.busy_seconds());
    }
}

/// As the kernel's documentation for the root group of version 2, which counts no usage of its own: from `meminfo`.
fn fill_memory(meminfo: &[memory::Field], group: &Memory, root: &Labels, look: &mut Look) {
    let of = |name: &str| meminfo.iter().find(|field| field.name == name).map(|field| field.value);
    let group_has = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let used = of("MemTotal").zip(of("MemFree")).map(|(total, free)| total - free);
    let inactive = group_has(group.inactive_file).or_else(|| of("Inactive_file"));
    let cached = of("Cached").zip(of("Buffers")).map(|(cached, buffers)| cached + buffers);
    let values = [
        (&MEMORY_USAGE, used),
        (&MEMORY_WORKING_SET, used.zip(inactive).map(|(used, inactive)| (used - inactive).max(0.0))),
        (&MEMORY_CACHE, group_has(group.cache).or(cached)),
        (&MEMORY_RSS, group_has(group.rss).or_else(|| of("AnonPages"))),
    ];
    for (family, value) in values {
        if let Some(value) = value {
            look.point(family, Suffix::None, root.clone(), value);
        }
    }
}

/// The group's memory without what [`fill_memory`] has shown.
fn without_shown(memory: Memory) -> Memory {
    if memory.usage.is_some() { memory } else { Memory { cache: None, rss: None, ..memory } }
}

/// The line of a device: `253 0 vda 1 2 3 …`.
fn fill_disk(diskstats: &str, device: &str, root: &mut ContainerLabels, look: &mut Look) {
    let name = device.trim_start_matches("/dev/").replace('/', "!");
    let mut lines = diskstats.lines().map(str::split_ascii_whitespace);
    let Some(words) = lines.find_map(|mut words| (words.nth(2)? == name).then_some(words)) else {
        return;
    };
    let columns: Vec<f64> = words.map_while(|word| word.parse().ok()).collect();
    let labels = root.and([("device", device)]);
    for (family, column, factor) in &DISK {
        if let Some(value) = columns.get(*column) {
            look.point(family, Suffix::None, labels.clone(), value * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::labels::KnownLabels;
    use super::*;

    const MEMINFO: &str = "MemTotal: 1000 kB\nMemFree: 400 kB\nBuffers: 10 kB\nCached: 90 kB\nAnonPages: 50 kB\n\
        Inactive(file): 100 kB\nSwapTotal: 200 kB\n";

    fn look_at(local: &LocalFiles) -> Look {
        let mut look = Look::new();
        fill(
            local,
            Some(1_024_000.0),
            &memory::parse(&local.meminfo),
            Millis(5_000),
            KnownLabels::default().root(),
            &mut look,
        );
        look
    }

    #[test]
    fn without_groups_the_machine_is_what_proc_says() {
        let stat = "cpu  9 0 0 0\ncpu0 200 0 100 999 5 0 0 0 0 0\nbtime 1700000000\n";
        let local = LocalFiles { stat: stat.into(), meminfo: MEMINFO.into(), ..LocalFiles::default() };
        let look = look_at(&local);
        let root = |family| look.get(family, &[("id", "/")]);
        assert_eq!(look.get("container_cpu_usage_seconds_total", &[("id", "/"), ("cpu", "cpu00")]), Some(3.0));
        assert_eq!(root("container_memory_usage_bytes"), Some(614_400.0));
        assert_eq!(root("container_memory_working_set_bytes"), Some(512_000.0));
        assert_eq!(root("container_spec_memory_swap_limit_bytes"), Some(204_800.0));
        assert_eq!(root("container_start_time_seconds"), Some(1_700_000_000.0));
    }

    #[test]
    fn the_root_group_of_version_2_counts_no_usage_but_reclaim() {
        let memory =
            Memory { cache: Some(7), rss: Some(8), inactive_file: Some(14_400), pgscan: Some(9), ..Memory::default() };
        let root = Some(Usage { memory, ..Usage::default() });
        let look = look_at(&LocalFiles { meminfo: MEMINFO.into(), root, ..LocalFiles::default() });
        let root = |family| look.get(family, &[("id", "/")]);
        assert_eq!(root("container_memory_working_set_bytes"), Some(600_000.0));
        assert_eq!((root("container_memory_cache"), root("container_memory_pgscan_total")), (Some(7.0), Some(9.0)));
        let cache = look.blocks().iter().find(|block| block.family.name == "container_memory_cache").unwrap();
        assert_eq!(cache.points.len(), 1);
    }

    #[test]
    fn a_disk_is_found_by_its_device() {
        let mut look = Look::new();
        let text = " 8 0 sda 9 9 9 9 9 9 9 9 9 9 9\n 104 0 cciss!c0d0 1 2 3 4000 5 6 7 8 9 10 11\n";
        fill_disk(text, "/dev/cciss/c0d0", &mut ContainerLabels::new(Labels::empty()), &mut look);
        let get = |family| look.get(family, &[("device", "/dev/cciss/c0d0")]);
        assert_eq!(get("container_fs_reads_total"), Some(1.0));
        assert_eq!(get("container_fs_read_seconds_total"), Some(4.0));
        assert_eq!(get("container_fs_writes_bytes_total"), Some(7.0 * 512.0));
        assert_eq!(get("container_fs_io_time_weighted_seconds_total"), Some(0.011));
    }
}
