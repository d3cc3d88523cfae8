//! Looks at the machine, as `node_exporter` does with its default collectors: one file for each, run by [`collectors`].
//!
//! In: where the host's `/proc`, `/sys` and `/` are. Out: `node_*`.
//!
//! Invariants: nothing here blocks an async thread; a hung file system or device driver costs one thread each,
//! never a second one; a file that is missing costs its own families only. Where nothing of the host can be read,
//! it is down.

#![expect(clippy::unnecessary_wraps, reason = "all collectors have one shape, and some cannot fail")]

mod arp;
mod aside;
mod bonding;
mod clock;
mod collectors;
mod conntrack;
mod cpu;
mod disk;
mod edac;
mod files;
mod filesystem;
mod folder;
mod hwmon;
mod load;
mod md;
pub(in crate::collect) mod memory;
mod mounts;
mod netclass;
mod netdev;
mod netstat;
mod nvme;
mod power;
mod pressure;
mod rapl;
mod schedstat;
mod shared;
mod sockstat;
mod softnet;
pub(in crate::collect) mod stat;
mod steady;
mod system;
mod textfile;
mod thermal;
mod udev;
mod udp;
mod visit;
mod vmstat;
mod watchdog;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::runtime::supervise::Supervisor;
use crate::yaml::Fields;

use super::{Collect, CollectError, Look, Reason, TargetSettings};
pub(super) use aside::Aside;
use collectors::{Group, Seen, note_run};
pub use files::Files;
pub(super) use files::host_name;
use filesystem::Filesystems;

/// What a target of this kind needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the host's files are.
    pub files: Files,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "host";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = "node";
    const NEEDS_URL: bool = false;

    /// Reads the kind's own keys: `procfs`, `sysfs`, `rootfs`. A host has no `url`.
    fn read(_url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let path = |fields: &mut Fields<'_>, key, default: &str| {
            let path = PathBuf::from(fields.text(key).unwrap_or_else(|| default.to_owned()));
            if !path.is_absolute() {
                fields.wrong(key, format!("`{key}` is not an absolute path"), format!("write `{key}: /host{default}`"));
            }
            path.is_absolute().then_some(path)
        };
        let procfs = path(fields, "procfs", "/proc");
        let sysfs = path(fields, "sysfs", "/sys");
        let rootfs = path(fields, "rootfs", "/");
        Some(Self { files: Files { procfs: procfs?, sysfs: sysfs?, rootfs: rootfs? } })
    }

    /// The machine's host name; `localhost` where our container does not see it.
    fn instance(&self) -> String {
        self.files.host_name().unwrap_or_else(|| "localhost".to_owned())
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(Host::new(self)))
    }
}

/// The machine we run on.
pub struct Host {
    files: Files,
    kernel: Group,
    devices: Group,
    filesystems: Filesystems,
}

impl Host {
    /// A target that has not been looked at yet.
    pub fn new(settings: Settings) -> Self {
        let (kernel, devices) = (Group::of_kernel(), Group::of_devices());
        Self { files: settings.files, kernel, devices, filesystems: Filesystems::default() }
    }

    /// What the kernel's files say, and the mount table. The host is up when one of its own files was read.
    async fn look_at_kernel(&self, end: Instant) -> (Look, Result<String, CollectError>) {
        let read = self.kernel.run(&self.files, end, |files| files.init_proc("mountinfo")).await;
        let (Seen { mut look, host }, mounts) = match read {
            Ok(read) => read,
            Err(error) => return (self.unanswered(error.clone()), Err(error)),
        };
        if !host {
            look.up = false;
            let reason = look.failures.first().map_or(Reason::Unreachable, CollectError::reason);
            let place = self.files.procfs.display();
            look.unhealthy(CollectError::new(reason, format!("nothing can be read below {place}")));
        }
        (look, mounts)
    }

    /// Adds how full the file systems are.
    async fn fill_filesystems(&self, mounts: Result<String, CollectError>, end: Instant, look: &mut Look) {
        let start = Instant::now();
        let asked = match mounts {
            Ok(text) => self.filesystems.look(&text, &self.files.rootfs, end, look).await,
            Err(error) => Err(error),
        };
        note_run("filesystem", start.elapsed(), asked.is_ok(), look);
        if let Err(error) = asked {
            look.missed(error);
        }
    }
}

/// Adds what another thread saw.
fn absorb(look: &mut Look, other: Look) {
    look.failures.extend_from_slice(&other.failures);
    for block in other.into_blocks() {
        for point in block.points {
            look.point(&block.family, point.suffix, point.labels, point.value);
        }
    }
}

#[async_trait]
impl Collect for Host {
    async fn look(&self, deadline: Instant) -> Look {
        let left = deadline.saturating_duration_since(Instant::now());
        let end = deadline.checked_sub((left / 10).min(Duration::from_millis(200))).unwrap_or(deadline);
        let devices = self.devices.run(&self.files, end, |_| ());
        let kernel = async {
            let (mut look, mounts) = self.look_at_kernel(end).await;
            self.fill_filesystems(mounts, end, &mut look).await;
            look
        };
        let (mut look, devices) = tokio::join!(kernel, devices);
        match devices {
            Ok((seen, ())) => absorb(&mut look, seen.look),
            Err(error) => {
                self.devices.note_failure(&mut look);
                look.missed(error);
            }
        }
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.up = false;
        look.unhealthy(error);
        look
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::yaml::parse;

    #[tokio::test]
    async fn this_machine_has_cores_memory_and_a_root_file_system() {
        let files = Files { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() };
        let look = Host::new(Settings { files }).look(Instant::now() + Duration::from_secs(5)).await;
        assert!(look.up && look.healthy, "{:?}", look.failures);
        assert!(look.get("node_memory_MemTotal_bytes", &[]).unwrap() > 0.0);
        assert!(look.get("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "idle")]).is_some());
        assert_eq!(look.get("node_scrape_collector_success", &[("collector", "stat")]), Some(1.0));
    }

    #[tokio::test]
    async fn a_missing_file_costs_its_own_families_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("loadavg"), "0.50 0.25 0.10 1/100 4242\n").unwrap();
        let files = Files { procfs: folder.path().into(), sysfs: folder.path().into(), rootfs: "/".into() };
        let look = Host::new(Settings { files }).look(Instant::now() + Duration::from_secs(5)).await;
        assert_eq!(look.get("node_load1", &[]), Some(0.5));
        assert_eq!(look.get("node_memory_MemTotal_bytes", &[]), None);
        assert_eq!(look.get("node_scrape_collector_success", &[("collector", "meminfo")]), Some(0.0));
        assert!(look.failures.iter().any(|failure| failure.to_string().contains("meminfo")));
    }

    #[tokio::test]
    async fn a_host_whose_proc_is_not_mounted_is_down() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files { procfs: folder.path().into(), sysfs: "/sys".into(), rootfs: "/".into() };
        let look = Host::new(Settings { files }).look(Instant::now() + Duration::from_secs(5)).await;
        assert!(!look.up && !look.healthy);
        assert!(look.failures[0].to_string().contains("nothing can be read below"), "{}", look.failures[0]);
        for collector in ["stat", "entropy", "pressure", "conntrack", "filesystem"] {
            let success = look.get("node_scrape_collector_success", &[("collector", collector)]);
            assert_eq!(success, Some(0.0), "{collector}");
        }
    }

    #[tokio::test]
    async fn a_host_whose_kernel_does_not_answer_is_down() {
        let files = Files { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() };
        let host = Host::new(Settings { files });
        let (_release, hung) = std::sync::mpsc::channel::<()>();
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(host.kernel.reader.run("test", soon, move || hung.recv().is_err()).await.is_err());
        let look = host.look(Instant::now() + Duration::from_secs(5)).await;
        assert!(!look.up && !look.healthy);
        assert_eq!(look.failures[0].reason(), Reason::Timeout);
    }

    #[tokio::test]
    async fn a_driver_that_hangs_costs_its_own_families_only() {
        let files = Files { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() };
        let host = Host::new(Settings { files });
        let (_release, hung) = std::sync::mpsc::channel::<()>();
        let soon = Instant::now() + Duration::from_millis(20);
        assert!(host.devices.reader.run("test", soon, move || hung.recv().is_err()).await.is_err());
        let look = host.look(Instant::now() + Duration::from_secs(5)).await;
        assert!(look.up && look.healthy && look.get("node_load1", &[]).is_some());
        assert_eq!(look.failures[0].reason(), Reason::Timeout);
        assert_eq!(look.get("node_scrape_collector_success", &[("collector", "netclass")]), Some(0.0));
        assert_eq!(look.get("node_scrape_collector_success", &[("collector", "netdev")]), Some(1.0));
    }

    #[test]
    fn paths_have_defaults_and_must_be_absolute() {
        let node = parse("procfs: /host/proc\nrootfs: host\n", "f.yml").unwrap();
        let problems = Problems::new();
        let mut fields = Fields::of(&node, "a target", &problems).unwrap();
        assert_eq!(Settings::read("", &mut fields), None);
        fields.finish();
        assert_eq!(problems.into_sorted().len(), 1);
    }
}
