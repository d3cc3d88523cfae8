//! The engine's machine: `machine_*`, `cadvisor_version_info` and the root series `id="/"`.
//!
//! For an engine behind a socket the machine is ours, and its own `/proc` tells CPU and memory in use
//! (containers see the machine's). Of an engine elsewhere only what it says itself is known.

use bollard::models::{SystemInfo, SystemInfoCgroupDriverEnum};

use crate::collect::host::{memory, stat};
use crate::model::{Family, Labels, Millis, Suffix};

use super::state::LAST_SEEN;
use super::{Address, CollectError, Look, usage};

static CPU_CORES: Family = Family::gauge("machine_cpu_cores", "Number of logical CPU cores.");
static MEMORY: Family = Family::gauge("machine_memory_bytes", "Amount of memory installed on the machine.");
static VERSION: Family = Family::gauge(
    "cadvisor_version_info",
    "1, with the versions of kernel, operating system, Docker and (as cadvisorVersion) Sidewatch.",
);
static SCRAPE_ERROR: Family =
    Family::gauge("container_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise.");
static SPEC_MEMORY: Family =
    Family::gauge("container_spec_memory_limit_bytes", "Memory limit for the container; 0 without a limit.");

/// How the engine names control groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CgroupDriver {
    /// `/docker/<id>`
    Cgroupfs,
    /// `/system.slice/docker-<id>.scope`
    Systemd,
}

/// What the engine says of its machine.
pub(super) struct Machine {
    /// How it names control groups; cgroupfs where it does not say.
    pub(super) cgroup_driver: CgroupDriver,
    info: Result<SystemInfo, CollectError>,
}

impl Machine {
    /// From the engine's own words.
    pub(super) fn known(info: SystemInfo) -> Self {
        let cgroup_driver = match info.cgroup_driver {
            Some(SystemInfoCgroupDriverEnum::SYSTEMD) => CgroupDriver::Systemd,
            _ => CgroupDriver::Cgroupfs,
        };
        Self { cgroup_driver, info: Ok(info) }
    }

    /// When the engine, or a proxy before it, does not say. Each look then says so.
    pub(super) fn unknown(why: CollectError) -> Self {
        Self { cgroup_driver: CgroupDriver::Cgroupfs, info: Err(why) }
    }
}

/// Adds the machine's figures.
pub(super) fn fill(machine: &Machine, address: &Address, now: Millis, look: &mut Look) {
    let root = Labels::new([("id", "/")]);
    look.point(&LAST_SEEN, Suffix::None, root.clone(), now.as_seconds().floor());
    look.value(&SCRAPE_ERROR, f64::from(!look.failures.is_empty()));
    match &machine.info {
        Ok(info) => fill_info(info, &root, look),
        Err(why) => look.missed(why.clone()),
    }
    if matches!(address, Address::Unix(_)) {
        if let Ok(text) = std::fs::read_to_string("/proc/stat") {
            fill_cpu(&stat::parse(&text), &root, look);
        }
        if let Ok(text) = std::fs::read_to_string("/proc/meminfo") {
            fill_memory(&memory::parse(&text), &root, look);
        }
    }
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
        look.point(&usage::CPU_USAGE, Suffix::None, root.with("cpu", name), core.busy_seconds());
    }
}

/// As the kernel's documentation for the root group of version 2, which has no figures of its own: from `meminfo`.
fn fill_memory(meminfo: &[memory::Field], root: &Labels, look: &mut Look) {
    let of = |name: &str| meminfo.iter().find(|field| field.name == name).map(|field| field.value);
    let used = of("MemTotal").zip(of("MemFree")).map(|(total, free)| total - free);
    let values = [
        (&usage::MEMORY_USAGE, used),
        (&usage::MEMORY_WORKING_SET, used.zip(of("Inactive_file")).map(|(used, inactive)| (used - inactive).max(0.0))),
        (&usage::MEMORY_CACHE, of("Cached").zip(of("Buffers")).map(|(cached, buffers)| cached + buffers)),
        (&usage::MEMORY_RSS, of("AnonPages")),
    ];
    for (family, value) in values {
        if let Some(value) = value {
            look.point(family, Suffix::None, root.clone(), value);
        }
    }
}
