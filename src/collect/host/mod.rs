//! Looks at the machine, as `node_exporter` does with its default collectors.
//!
//! In: where the host's `/proc`, `/sys` and `/` are. Out: `node_*`.
//!
//! Invariants: nothing here blocks an async thread; a hung file system or device driver costs one thread each,
//! never a second one; a file that is missing costs its own families only. Where nothing of the host can be read,
//! it is down.

use crate::runtime::supervise::Supervisor;
use std::sync::Arc;
mod aside;
mod disk;
mod files;
mod filesystem;
mod load;
pub(in crate::collect) mod memory;
mod mounts;
mod netstat;
mod network;
mod pressure;
mod sockstat;
pub(in crate::collect) mod stat;
mod system;
mod vmstat;

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::{Family, Millis};
use crate::yaml::Fields;

use super::{Collect, CollectError, Look, Reason, TargetSettings};
pub(super) use aside::Aside;
pub use files::Files;
pub(super) use files::host_name;
use filesystem::Filesystems;

static SUCCESS: Family =
    Family::gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded.");
static DURATION: Family =
    Family::gauge("node_scrape_collector_duration_seconds", "node_exporter: Duration of a collector scrape.");

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

type Collector = fn(&Files, &mut Look) -> Result<(), CollectError>;

/// `node_exporter`'s names of its collectors. `filesystem` is apart, because each mount may hang.
const COLLECTORS: [(&str, Collector); 16] = [
    ("conntrack", network::conntrack),
    ("cpu", stat::cpu),
    ("diskstats", disk::collect),
    ("entropy", system::entropy),
    ("filefd", system::file_descriptors),
    ("loadavg", load::collect),
    ("meminfo", memory::collect),
    ("netclass", network::class),
    ("netdev", network::traffic),
    ("netstat", netstat::collect),
    ("os", system::os),
    ("pressure", pressure::collect),
    ("sockstat", sockstat::collect),
    ("stat", stat::counts),
    ("uname", system::uname),
    ("vmstat", vmstat::collect),
];

/// The collectors that read outside `procfs`: they see our own container where the host's `/proc` is not mounted.
const BESIDE_PROCFS: [&str; 2] = ["netclass", "os"];

/// The machine we run on.
pub struct Host {
    files: Files,
    filesystems: Filesystems,
    reader: Aside,
}

impl Host {
    /// A target that has not been looked at yet.
    pub fn new(settings: Settings) -> Self {
        Self { files: settings.files, filesystems: Filesystems::default(), reader: Aside::default() }
    }
}

/// Runs all collectors. The host is up when one of those that read its `procfs` saw something.
fn run_collectors(files: &Files) -> Look {
    let mut look = Look::new();
    system::time(Millis::now(), &mut look);
    system::build_info(&mut look);
    let mut host_seen = false;
    for (name, collector) in COLLECTORS {
        let start = Instant::now();
        let before = look.len();
        let outcome = collector(files, &mut look);
        // As `node_exporter` has it, a collector without data has not succeeded either.
        let succeeded = outcome.is_ok() && look.len() > before;
        host_seen |= succeeded && !BESIDE_PROCFS.contains(&name);
        note_run(name, start.elapsed(), succeeded, &mut look);
        if let Err(error) = outcome {
            look.missed(error);
        }
    }
    if !host_seen {
        look.up = false;
        let reason = look.failures.first().map_or(Reason::Unreachable, CollectError::reason);
        look.unhealthy(CollectError::new(reason, format!("nothing can be read below {}", files.procfs.display())));
    }
    look
}

fn note_run(collector: &str, took: Duration, succeeded: bool, look: &mut Look) {
    look.labeled(&DURATION, [("collector", collector)], took.as_secs_f64());
    look.labeled(&SUCCESS, [("collector", collector)], f64::from(succeeded));
}

#[async_trait]
impl Collect for Host {
    async fn look(&self, deadline: Instant) -> Look {
        let left = deadline.saturating_duration_since(Instant::now());
        let end = deadline.checked_sub((left / 10).min(Duration::from_millis(200))).unwrap_or(deadline);
        let start = Instant::now();
        let files = self.files.clone();
        let read = self.reader.run("host", end, move || run_collectors(&files));
        let (read, mounts) = tokio::join!(read, self.filesystems.look(&self.files, end));
        let mut look = read.unwrap_or_else(|error| self.unanswered(error));
        let succeeded = mounts.is_ok();
        match mounts {
            Ok(mounts) => mounts.iter().for_each(|mount| mount.fill(&mut look)),
            Err(error) => look.missed(error),
        }
        note_run("filesystem", start.elapsed(), succeeded, &mut look);
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
        assert!(host.reader.run("test", soon, move || hung.recv().is_err()).await.is_err());
        let look = host.look(Instant::now() + Duration::from_secs(5)).await;
        assert!(!look.up && !look.healthy);
        assert_eq!(look.failures[0].reason(), Reason::Timeout);
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
