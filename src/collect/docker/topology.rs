//! What machine it is: its ids, sockets, cores and memory. Read once, because it does not change while it runs.

use std::collections::BTreeSet;
use std::path::Path;

use crate::collect::host::Files;
use crate::model::{Family, Labels, Suffix};

use super::Look;

static CORES: Family = Family::gauge("machine_cpu_physical_cores", "Cores of the machine, hyper-threads not counted.");
static SOCKETS: Family = Family::gauge("machine_cpu_sockets", "CPU packages of the machine.");
static NVM: Family = Family::gauge("machine_nvm_capacity", "Persistent memory of the machine per mode, in bytes.");
static NVM_POWER: Family = Family::gauge(
    "machine_nvm_avg_power_budget_watts",
    "Power that the machine's persistent memory may draw, in watts.",
);

/// The modes of persistent memory, as cAdvisor names them.
const NVM_MODES: [&str; 2] = ["app_direct_mode", "memory_mode"];

/// What the machine's files say of it.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Topology {
    /// `boot_id`, `machine_id`, `system_uuid`; those that can be read.
    pub(super) ids: Labels,
    cores: Option<u64>,
    sockets: Option<u64>,
    /// Whether it has persistent memory, whose size only a vendor's library tells.
    has_nvm: bool,
}

impl Topology {
    /// Reads it; what cannot be read is absent.
    pub(super) fn read(files: &Files) -> Self {
        let line = |path: &Path| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let ids = [
            ("boot_id", line(&files.procfs.join("sys/kernel/random/boot_id"))),
            ("machine_id", line(&files.rootfs.join("etc/machine-id"))),
            ("system_uuid", line(&files.sysfs.join("class/dmi/id/product_uuid"))),
        ];
        let (sockets, cores) = packages(&line(&files.procfs.join("cpuinfo"))).unzip();
        let nvm = std::fs::read_dir(files.sysfs.join("bus/nd/devices"));
        Self { ids: Labels::new(ids), cores, sockets, has_nvm: nvm.is_ok_and(|mut devices| devices.next().is_some()) }
    }

    /// Adds `machine_*`.
    pub(super) fn fill(&self, look: &mut Look) {
        for (family, value) in [(&CORES, self.cores), (&SOCKETS, self.sockets)] {
            if let Some(value) = value {
                look.point(family, Suffix::None, self.ids.clone(), value as f64);
            }
        }
        if !self.has_nvm {
            look.point(&NVM_POWER, Suffix::None, self.ids.clone(), 0.0);
            for mode in NVM_MODES {
                look.point(&NVM, Suffix::None, self.ids.with("mode", mode), 0.0);
            }
        }
    }
}

/// CPU packages and cores in `/proc/cpuinfo`; `None` where the architecture does not list them.
fn packages(cpuinfo: &str) -> Option<(u64, u64)> {
    let (mut sockets, mut cores) = (BTreeSet::new(), BTreeSet::new());
    let mut socket = None;
    for (key, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
        match key.trim() {
            "physical id" => {
                socket = Some(value.trim());
                sockets.insert(value.trim());
            }
            "core id" => {
                cores.insert((socket?, value.trim()));
            }
            _ => {}
        }
    }
    (!cores.is_empty()).then_some((sockets.len() as u64, cores.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyper_threads_share_a_core() {
        let cpu =
            |socket, core| format!("processor\t: 0\nphysical id\t: {socket}\nsiblings\t: 4\ncore id\t\t: {core}\n\n");
        let text: String = [(0, 0), (0, 1), (0, 0), (0, 1), (1, 0), (1, 0)].map(|(s, c)| cpu(s, c)).concat();
        assert_eq!(packages(&text), Some((2, 3)));
        assert_eq!(packages("processor\t: 0\nBogoMIPS\t: 50.00\n"), None);
    }
}
