//! The collectors by `node_exporter`'s names, and how they are run.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Family;

use super::aside::Aside;
use super::files::Files;
use super::shared::Shared;
use super::steady::Steady;
use super::visit::{Found, Outcome, Visit};
use super::{CollectError, Look};
use super::{
    arp, bonding, clock, conntrack, cpu, disk, edac, hwmon, load, md, memory, netclass, netdev, netstat, nvme, power,
    pressure, rapl, schedstat, sockstat, softnet, stat, system, textfile, thermal, udp, vmstat, watchdog,
};

static SUCCESS: Family =
    Family::gauge("node_scrape_collector_success", "Whether the collector got what it looks for (1) or not (0).");
static DURATION: Family = Family::gauge("node_scrape_collector_duration_seconds", "How long the collector took.");

type Collector = fn(&mut Visit<'_>) -> Outcome;

/// What a collector reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The host's `procfs`. When none of these sees anything, the host is down.
    Procfs,
    /// The kernel itself or the host's root: our own container's where they are not mounted.
    Kernel,
    /// `sysfs`, where a driver may hang.
    Devices,
}

/// Where, `node_exporter`'s name, and what does it. `filesystem` is apart, because each mount may hang.
const COLLECTORS: [(Source, &str, Collector); 36] = [
    (Source::Procfs, "arp", arp::collect),
    (Source::Devices, "bonding", bonding::collect),
    (Source::Procfs, "conntrack", conntrack::collect),
    (Source::Procfs, "cpu", stat::cpu),
    (Source::Devices, "cpufreq", cpu::frequencies),
    (Source::Procfs, "diskstats", disk::collect),
    (Source::Devices, "dmi", system::dmi),
    (Source::Devices, "edac", edac::collect),
    (Source::Procfs, "entropy", system::entropy),
    (Source::Procfs, "filefd", system::file_descriptors),
    (Source::Devices, "hwmon", hwmon::collect),
    (Source::Procfs, "kernel_hung", system::hung_tasks),
    (Source::Procfs, "loadavg", load::collect),
    (Source::Procfs, "mdadm", md::collect),
    (Source::Procfs, "meminfo", memory::collect),
    (Source::Devices, "netclass", netclass::collect),
    (Source::Procfs, "netdev", netdev::collect),
    (Source::Procfs, "netstat", netstat::collect),
    (Source::Devices, "nvme", nvme::collect),
    (Source::Kernel, "os", system::os),
    (Source::Devices, "powersupplyclass", power::collect),
    (Source::Procfs, "pressure", pressure::collect),
    (Source::Devices, "rapl", rapl::collect),
    (Source::Procfs, "schedstat", schedstat::collect),
    (Source::Kernel, "selinux", system::selinux),
    (Source::Procfs, "sockstat", sockstat::collect),
    (Source::Procfs, "softnet", softnet::collect),
    (Source::Procfs, "stat", stat::counts),
    (Source::Kernel, "textfile", textfile::collect),
    (Source::Devices, "thermal_zone", thermal::collect),
    (Source::Kernel, "time", clock::time),
    (Source::Kernel, "timex", clock::timex),
    (Source::Procfs, "udp_queues", udp::collect),
    (Source::Kernel, "uname", system::uname),
    (Source::Procfs, "vmstat", vmstat::collect),
    (Source::Devices, "watchdog", watchdog::collect),
];

/// The collectors that run one after the other on one thread, with what they keep between looks.
pub(super) struct Group {
    is_member: fn(Source) -> bool,
    /// The thread. A test may hold it up.
    pub(super) reader: Aside,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    shared: Shared,
    steady: Steady,
}

/// What a group saw.
pub(super) struct Seen {
    /// Its points and failures.
    pub(super) look: Look,
    /// Whether anything of the host's `procfs` could be read.
    pub(super) host: bool,
}

impl Group {
    /// Those that read what the kernel tells at once.
    pub(super) fn of_kernel() -> Self {
        Self { is_member: |source| source != Source::Devices, reader: Aside::default(), kept: Arc::default() }
    }

    /// Those that read `sysfs`, where a driver may hang.
    pub(super) fn of_devices() -> Self {
        Self { is_member: |source| source == Source::Devices, reader: Aside::default(), kept: Arc::default() }
    }

    /// Runs the group, and `besides` on the same thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        files: &Files,
        deadline: Instant,
        besides: impl FnOnce(&Files) -> T + Send + 'static,
    ) -> Result<(Seen, T), CollectError> {
        let (is_member, kept, files) = (self.is_member, Arc::clone(&self.kept), files.clone());
        let work =
            move || (run(is_member, &files, &mut kept.lock().unwrap_or_else(PoisonError::into_inner)), besides(&files));
        self.reader.run("host", deadline, work).await
    }

    /// Says of all in the group that they have not succeeded.
    pub(super) fn note_failure(&self, look: &mut Look) {
        for (_, name, _) in COLLECTORS.iter().filter(|(source, _, _)| (self.is_member)(*source)) {
            look.labeled(&SUCCESS, [("collector", *name)], 0.0);
        }
    }
}

fn run(is_member: fn(Source) -> bool, files: &Files, kept: &mut Kept) -> Seen {
    let (mut look, mut host) = (Look::new(), false);
    let mut visit = Visit::new(files, &mut look, &mut kept.shared, &mut kept.steady);
    if is_member(Source::Kernel) {
        system::build_info(&mut visit);
    }
    for (source, name, collector) in COLLECTORS.iter().filter(|(source, _, _)| is_member(*source)) {
        let (start, before) = (Instant::now(), visit.len());
        let outcome = visit.run(*collector);
        let succeeded = outcome == Ok(Found::Seen);
        host |= succeeded && *source == Source::Procfs && visit.len() > before;
        if let Err(error) = outcome {
            visit.missed(error);
        }
        visit.labeled(&DURATION, &[("collector", name)], start.elapsed().as_secs_f64());
        visit.labeled(&SUCCESS, &[("collector", name)], f64::from(succeeded));
    }
    Seen { look, host }
}

/// Notes a collector that is run by itself.
pub(super) fn note_run(collector: &str, took: Duration, succeeded: bool, look: &mut Look) {
    look.labeled(&DURATION, [("collector", collector)], took.as_secs_f64());
    look.labeled(&SUCCESS, [("collector", collector)], f64::from(succeeded));
}
