//! The engine's machine: `machine_*` and `cadvisor_version_info`, and what else is known of it.
//!
//! What the engine says of it, and what the machine's files say where they are known to be the same machine's.

use crate::collect::host::memory;
use crate::model::{Family, Millis, Suffix};

use super::Look;
use super::filesystem::Filesystem;
use super::identity::{Brand, CgroupDriver};
use super::labels::ContainerLabels;
use super::root;
use super::topology::Topology;
use super::usage::Usage;
use super::wire::Info;

static CPU_CORES: Family = Family::gauge("machine_cpu_cores", "CPUs of the machine, hyper-threads counted.");
static MEMORY: Family = Family::gauge("machine_memory_bytes", "Memory of the machine, in bytes.");
static SWAP: Family = Family::gauge("machine_swap_bytes", "Swap space of the machine, in bytes.");
static VERSION: Family = Family::gauge(
    "cadvisor_version_info",
    "1, with the versions of kernel, operating system, Docker and (as cadvisorVersion) Sidewatch.",
);
static SCRAPE_ERROR: Family =
    Family::gauge("container_scrape_error", "1 if something about the containers could not be obtained, else 0.");
static MACHINE_ERROR: Family =
    Family::gauge("machine_scrape_error", "1 if the engine did not say what machine it runs on, else 0.");

/// What the engine says of its machine; nothing where it does not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Machine {
    /// How it names control groups; where it does not say, as engines usually do on such a machine.
    pub(super) cgroup_driver: CgroupDriver,
    /// Whose names it gives them.
    pub(super) brand: Brand,
    /// Whether the driver is the engine's own word.
    driver_is_known: bool,
    info: Option<Info>,
}

impl Machine {
    /// From the engine's own words.
    pub(super) fn known(info: Info, brand: Brand) -> Self {
        let cgroup_driver = match info.cgroup_driver.as_deref() {
            Some("systemd") => CgroupDriver::Systemd,
            _ => CgroupDriver::Cgroupfs,
        };
        Self { cgroup_driver, brand, driver_is_known: true, info: Some(info) }
    }

    /// When the engine, or a proxy before it, does not say.
    pub(super) fn unknown(brand: Brand) -> Self {
        Self { cgroup_driver: CgroupDriver::Cgroupfs, brand, driver_is_known: false, info: None }
    }

    /// With what the machine's files let expect where the engine does not say.
    pub(super) fn supposing(&self, usual: Option<CgroupDriver>) -> Self {
        let cgroup_driver = usual.filter(|_| !self.driver_is_known).unwrap_or(self.cgroup_driver);
        Self { cgroup_driver, ..self.clone() }
    }

    /// The machine's folder for all that the engine keeps.
    pub(super) fn data_root(&self) -> Option<&str> {
        self.info.as_ref()?.docker_root_dir.as_deref()
    }
}

/// What the files of the engine's machine say; nothing where they are not known to be its.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct LocalFiles {
    /// `/proc/diskstats`
    pub(super) diskstats: String,
    /// `/proc/stat`
    pub(super) stat: String,
    /// `/proc/meminfo`
    pub(super) meminfo: String,
    /// The root control group.
    pub(super) root: Option<Usage>,
    /// Its ids, cores and sockets.
    pub(super) topology: Topology,
    /// Its file systems on block devices.
    pub(super) filesystems: Vec<Filesystem>,
}

/// Adds the machine's figures; last, because they tell whether anything went wrong before.
pub(super) fn fill(machine: &Machine, local: &LocalFiles, now: Millis, root: &mut ContainerLabels, look: &mut Look) {
    look.value(&SCRAPE_ERROR, f64::from(!look.failures.is_empty()));
    look.value(&MACHINE_ERROR, f64::from(machine.info.is_none()));
    let meminfo = memory::parse(&local.meminfo);
    let of = |name: &str| meminfo.iter().find(|field| field.name == name).map(|field| field.value);
    let said = machine.info.as_ref();
    let memory = said.and_then(|info| info.mem_total).map(|bytes| bytes as f64).or_else(|| of("MemTotal"));
    let cores = said.and_then(|info| info.cpus).map(|count| count as f64);
    for (family, value) in [(&CPU_CORES, cores), (&MEMORY, memory), (&SWAP, of("SwapTotal"))] {
        if let Some(value) = value {
            look.point(family, Suffix::None, local.topology.ids.clone(), value);
        }
    }
    if *local != LocalFiles::default() {
        local.topology.fill(look);
    }
    if let Some(info) = said {
        look.labeled(&VERSION, versions(info), 1.0);
    }
    root::fill(local, memory, &meminfo, now, root, look);
}

fn versions(info: &Info) -> [(&'static str, &str); 5] {
    [
        ("cadvisorRevision", "sidewatch"),
        ("cadvisorVersion", concat!("sidewatch-", env!("CARGO_PKG_VERSION"))),
        ("dockerVersion", info.server_version.as_deref().unwrap_or_default()),
        ("kernelVersion", info.kernel_version.as_deref().unwrap_or_default()),
        ("osVersion", info.operating_system.as_deref().unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::labels::KnownLabels;
    use super::*;

    #[test]
    fn what_was_missed_is_said_and_what_is_unknown_is_absent() {
        let mut look = Look::new();
        look.missed(super::super::CollectError::new(super::super::Reason::Timeout, "no answer"));
        fill(
            &Machine::unknown(Brand::Docker),
            &LocalFiles::default(),
            Millis(1_500),
            KnownLabels::default().root(),
            &mut look,
        );
        assert_eq!(look.get("container_scrape_error", &[]), Some(1.0));
        assert_eq!(look.get("machine_cpu_cores", &[]), None);
        assert_eq!(look.get("container_memory_usage_bytes", &[("id", "/")]), None);
    }

    #[test]
    fn where_the_engine_does_not_say_groups_are_named_as_usual() {
        let silent = Machine::unknown(Brand::Docker);
        assert_eq!(silent.supposing(Some(CgroupDriver::Systemd)).cgroup_driver, CgroupDriver::Systemd);
        let said = Machine::known(Info::default(), Brand::Docker);
        assert_eq!(said.supposing(Some(CgroupDriver::Systemd)).cgroup_driver, CgroupDriver::Cgroupfs);
    }
}
