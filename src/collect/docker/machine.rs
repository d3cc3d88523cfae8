//! The engine's machine: `machine_*`, `cadvisor_version_info` and the root series `id="/"`.
//!
//! For an engine behind a socket the machine is ours, and its own `/proc` tells CPU and memory in use
//! (containers see the machine's). Of an engine elsewhere only what it says itself is known.

use bollard::models::{SystemInfo, SystemInfoCgroupDriverEnum};

use crate::collect::host::{memory, stat};
use crate::model::{Family, Labels, Millis, Suffix};

use super::Look;
use super::families::{CPU_USAGE, LAST_SEEN, MEMORY_CACHE, MEMORY_RSS, MEMORY_USAGE, MEMORY_WORKING_SET, SPEC_MEMORY};

static CPU_CORES: Family = Family::gauge("machine_cpu_cores", "Number of logical CPU cores.");
static MEMORY: Family = Family::gauge("machine_memory_bytes", "Amount of memory installed on the machine.");
static VERSION: Family = Family::gauge(
    "cadvisor_version_info",
    "1, with the versions of kernel, operating system, Docker and (as cadvisorVersion) Sidewatch.",
);
static SCRAPE_ERROR: Family =
    Family::gauge("container_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise.");

/// How the engine names control groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CgroupDriver {
    /// `/docker/<id>`
    Cgroupfs,
    /// `/system.slice/docker-<id>.scope`
    Systemd,
}

/// What the engine says of its machine; nothing where it does not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Machine {
    /// How it names control groups; cgroupfs where it does not say.
    pub(super) cgroup_driver: CgroupDriver,
    info: Option<SystemInfo>,
}

impl Machine {
    /// From the engine's own words.
    pub(super) fn known(info: SystemInfo) -> Self {
        let cgroup_driver = match info.cgroup_driver {
            Some(SystemInfoCgroupDriverEnum::SYSTEMD) => CgroupDriver::Systemd,
            _ => CgroupDriver::Cgroupfs,
        };
        Self { cgroup_driver, info: Some(info) }
    }

    /// When the engine, or a proxy before it, does not say.
    pub(super) fn unknown() -> Self {
        Self { cgroup_driver: CgroupDriver::Cgroupfs, info: None }
    }
}

/// The files of our own machine that say more of the engine's; none where it is another.
#[derive(Debug, Default)]
pub(super) struct LocalFiles {
    /// `/proc/diskstats`
    pub(super) diskstats: String,
    stat: String,
    meminfo: String,
}

impl LocalFiles {
    /// Reads them, which may block. What cannot be read is empty.
    pub(super) fn read() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self { diskstats: read("/proc/diskstats"), stat: read("/proc/stat"), meminfo: read("/proc/meminfo") }
    }
}

/// Adds the machine's figures; last, because they tell whether anything went wrong before.
pub(super) fn fill(machine: &Machine, local: &LocalFiles, now: Millis, look: &mut Look) {
    let root = Labels::new([("id", "/")]);
    look.point(&LAST_SEEN, Suffix::None, root.clone(), now.as_seconds().floor());
    look.value(&SCRAPE_ERROR, f64::from(!look.failures.is_empty()));
    if let Some(info) = &machine.info {
        fill_info(info, &root, look);
    }
    if !local.stat.is_empty() {
        fill_cpu(&stat::parse(&local.stat), &root, look);
    }
    fill_memory(&memory::parse(&local.meminfo), &root, look);
}

fn fill_info(info: &SystemInfo, root: &Labels, look: &mut Look) {
    if let Some(cores) = info.ncpu {
        look.value(&CPU_CORES, cores as f64);
    }
    if let Some(bytes) = info.mem_total {
        look.value(&MEMORY, bytes as f64);
        look.point(&SPEC_MEMORY, Suffix::None, root.clone(), bytes as f64);
    }
    let version = [
        ("cadvisorVersion", concat!("sidewatch-", env!("CARGO_PKG_VERSION"))),
        ("dockerVersion", info.server_version.as_deref().unwrap_or_default()),
        ("kernelVersion", info.kernel_version.as_deref().unwrap_or_default()),
        ("osVersion", info.operating_system.as_deref().unwrap_or_default()),
    ];
    look.labeled(&VERSION, version, 1.0);
}

/// Everything but idle, per core: what the root control group accounts.
fn fill_cpu(stat: &stat::Stat, root: &Labels, look: &mut Look) {
    for core in &stat.cores {
        let name = format!("cpu{:0>2}", core.number);
        look.point(&CPU_USAGE, Suffix::None, root.with("cpu", name), core.busy_seconds());
    }
}

/// As the kernel's documentation for the root group of version 2, which has no figures of its own: from `meminfo`.
fn fill_memory(meminfo: &[memory::Field], root: &Labels, look: &mut Look) {
    let of = |name: &str| meminfo.iter().find(|field| field.name == name).map(|field| field.value);
    let used = of("MemTotal").zip(of("MemFree")).map(|(total, free)| total - free);
    let values = [
        (&MEMORY_USAGE, used),
        (&MEMORY_WORKING_SET, used.zip(of("Inactive_file")).map(|(used, inactive)| (used - inactive).max(0.0))),
        (&MEMORY_CACHE, of("Cached").zip(of("Buffers")).map(|(cached, buffers)| cached + buffers)),
        (&MEMORY_RSS, of("AnonPages")),
    ];
    for (family, value) in values {
        if let Some(value) = value {
            look.point(family, Suffix::None, root.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_said_and_what_is_unknown_is_absent() {
        let mut look = Look::new();
        look.missed(super::super::CollectError::new(super::super::Reason::Timeout, "no answer"));
        fill(&Machine::unknown(), &LocalFiles::default(), Millis(1_500), &mut look);
        assert_eq!(look.get("container_scrape_error", &[]), Some(1.0));
        assert_eq!(look.get("machine_cpu_cores", &[]), None);
        assert_eq!(look.get("container_memory_usage_bytes", &[("id", "/")]), None);
    }
}
