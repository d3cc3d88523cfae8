//! What the files of the engine's machine say of its containers, where we can read them.
//!
//! In: where `/proc`, `/sys` and `/` are, and which containers run. Out: their figures, without a request to the engine.
//!
//! Invariants: it blocks, so it runs aside. Only a group that bears a container's id is taken for its group, so that the
//! files of another machine say nothing. Costly sources (descriptors, states, file systems) are read every
//! [`COSTLY`].

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::collect::host::Files;

use super::cgroup::{Groups, Reader};
use super::details::{COSTLY, Details};
use super::filesystem::{Filesystem, Filesystems};
use super::machine::LocalFiles;
use super::process;
use super::topology::Topology;
use super::usage::Usage;

/// Where our container has the machine's files, by the convention of `node_exporter` and of the shipped Compose file.
const USUAL_ROOT: &str = "/host";

/// Where the files are: under `/host` what is mounted there, else our own.
pub(super) fn usual_files() -> Files {
    let under = |mark: &str, mounted: &str, own: &str| {
        let there = Path::new(USUAL_ROOT).join(mark).exists();
        PathBuf::from(if there { mounted } else { own })
    };
    Files {
        procfs: under("proc/stat", "/host/proc", "/proc"),
        sysfs: under("sys/fs/cgroup", "/host/sys", "/sys"),
        rootfs: under("etc", USUAL_ROOT, "/"),
    }
}

/// A running container, as far as its files are to be found by it.
pub(super) struct Wanted {
    /// 64 hexadecimal digits.
    pub(super) id: String,
    /// The parent control group, if not the engine's default.
    pub(super) cgroup_parent: Option<String>,
    /// Its first process, by the machine's numbers.
    pub(super) pid: Option<i64>,
    /// Whether it has a network, of its own or the machine's, and not another container's.
    pub(super) has_network: bool,
    /// A folder of its own layer.
    pub(super) layer: Option<String>,
}

/// A container as its files show it.
#[derive(Debug)]
pub(super) struct Found {
    /// Its control group, which is its `id`.
    pub(super) group: String,
    /// Its figures.
    pub(super) usage: Usage,
    /// What it writes to.
    pub(super) filesystem: Option<Filesystem>,
}

/// What all files said at one time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By container id.
    pub(super) containers: HashMap<String, Found>,
    /// Of the machine; empty where it is not known to be the engine's.
    pub(super) machine: LocalFiles,
    /// How groups are named here unless the engine says otherwise.
    pub(super) usual_driver: Option<super::identity::CgroupDriver>,
}

/// What is remembered between looks.
#[derive(Debug)]
pub(super) struct Local {
    files: Files,
    groups: Option<Groups>,
    topology: Topology,
    known: HashMap<String, Known>,
    filesystems: Option<(Instant, Filesystems)>,
    reader: Reader,
}

/// What is remembered of one container.
#[derive(Debug, Default)]
struct Known {
    group: Option<String>,
    details: Option<Details>,
}

impl Local {
    /// Over these files. Reads what does not change.
    pub(super) fn new(files: Files) -> Self {
        Self {
            groups: Groups::at(&files.sysfs),
            topology: Topology::read(&files),
            files,
            known: HashMap::new(),
            filesystems: None,
            reader: Reader::default(),
        }
    }

    /// Reads all. `same_machine`: whether the engine's socket is here; else the groups must show it.
    pub(super) fn read(&mut self, wanted: &[Wanted], same_machine: bool, now: Instant) -> Seen {
        let ids: HashSet<&str> = wanted.iter().map(|wanted| wanted.id.as_str()).collect();
        self.known.retain(|id, _| ids.contains(id.as_str()));
        let mut containers = HashMap::with_capacity(wanted.len());
        for wanted in wanted {
            if let Some(found) = self.container(wanted, now) {
                containers.insert(wanted.id.clone(), found);
            }
        }
        if !same_machine && containers.is_empty() {
            self.reader.end_look();
            return Seen::default();
        }
        let machine = self.machine(now);
        self.reader.end_look();
        for wanted in wanted {
            if let Some(found) = containers.get_mut(&wanted.id) {
                let layer = wanted.layer.as_deref();
                found.filesystem = self.filesystems.as_ref().zip(layer).and_then(|((_, all), at)| all.of(at)).cloned();
            }
        }
        Seen { containers, machine, usual_driver: self.groups.as_ref().map(Groups::usual_driver) }
    }

    fn container(&mut self, wanted: &Wanted, now: Instant) -> Option<Found> {
        let groups = self.groups.as_ref()?;
        let mut known = self.known.remove(&wanted.id).unwrap_or_default();
        let pid = wanted.pid.filter(|pid| *pid > 0);
        let group = known.group.take().or_else(|| groups.find(&wanted.id, wanted.cgroup_parent.as_deref(), None));
        let group = group.or_else(|| {
            let membership = self.reader.read(&self.files.procfs, &format!("{}/cgroup", pid?))?;
            groups.find(&wanted.id, None, Some(membership))
        })?;
        let mut usage = groups.read(&group, &mut self.reader)?;
        let processes = pid.and_then(|_| groups.members(&group, false, &mut self.reader)).unwrap_or_default();
        let pid = pid.filter(|pid| self.is_of(*pid, &wanted.id, &processes));
        usage.networks = if wanted.has_network { pid.and_then(|pid| self.networks(pid)) } else { Some(Vec::new()) };
        if let Some(pid) = pid {
            known.details = self.details(&group, pid, &processes, known.details.as_ref(), now);
            known.details.inspect(|details| details.fill(processes.len() as u64, &mut usage));
        }
        known.group = Some(group.clone());
        self.known.insert(wanted.id.clone(), known);
        Some(Found { group, usage, filesystem: None })
    }

    fn networks(&mut self, pid: i64) -> Option<Vec<super::usage::Interface>> {
        self.reader.read(&self.files.procfs, &format!("{pid}/net/dev")).map(process::interfaces)
    }

    /// Whether a process is of a container, by the processes of its group or else by its own group: `/proc` may be another machine's,
    /// or the number another process' by now.
    fn is_of(&mut self, pid: i64, id: &str, processes: &[u32]) -> bool {
        if lists(processes, pid) {
            return true;
        }
        let membership = self.reader.read(&self.files.procfs, &format!("{pid}/cgroup"));
        membership.is_some_and(|text| text.contains(id))
    }

    /// What is costly to know of a container's processes. `None` when the kernel lists them by other numbers than `/proc` does, as it does
    /// to a container that has process numbers of its own.
    fn details(
        &mut self,
        group: &str,
        pid: i64,
        processes: &[u32],
        last: Option<&Details>,
        now: Instant,
    ) -> Option<Details> {
        if !lists(processes, pid) {
            return None;
        }
        if let Some(last) = last.filter(|last| last.is_fresh(now)) {
            return Some(*last);
        }
        let threads = self.groups.as_ref()?.members(group, true, &mut self.reader);
        Some(Details::read(&self.files.procfs, pid, processes, threads, last, now, &mut self.reader))
    }

    fn machine(&mut self, now: Instant) -> LocalFiles {
        let due = self.filesystems.as_ref().is_none_or(|(at, _)| now.duration_since(*at) >= COSTLY);
        let mounts = due.then(|| self.of_the_first_process("mounts")).flatten();
        if let Some(mounts) = mounts {
            self.filesystems = Some((now, Filesystems::read(&mounts, &self.files.rootfs)));
        }
        let networks = self.of_the_first_process("net/dev").map(|text| process::interfaces(&text));
        let mut root = self.groups.as_ref().and_then(|groups| groups.read("/", &mut self.reader));
        if let Some(root) = &mut root {
            root.networks = networks;
        }
        let mut read = |path| self.reader.read(&self.files.procfs, path).unwrap_or_default().to_owned();
        LocalFiles {
            diskstats: read("diskstats"),
            stat: read("stat"),
            meminfo: read("meminfo"),
            root,
            topology: self.topology.clone(),
            filesystems: self.filesystems.as_ref().map(|(_, all)| all.all()).unwrap_or_default(),
        }
    }

    /// A file of the machine's first process. Inside a container our own `/proc` may have another first process.
    fn of_the_first_process(&mut self, file: &str) -> Option<String> {
        if self.files.procfs == Path::new("/proc") && !sees_all_processes() {
            return None;
        }
        self.reader.read(&self.files.procfs, &format!("1/{file}")).map(str::to_owned)
    }
}

fn lists(processes: &[u32], pid: i64) -> bool {
    processes.iter().any(|process| i64::from(*process) == pid)
}

/// Whether our processes have the machine's numbers: the kernel gives its first namespace of them a fixed name.
fn sees_all_processes() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name == Path::new("pid:[4026531836]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(id: &str) -> Wanted {
        Wanted { id: id.into(), cgroup_parent: None, pid: Some(1), has_network: true, layer: None }
    }

    #[test]
    fn files_of_another_machine_say_nothing_of_a_distant_engine() {
        let files = Files { procfs: "/proc".into(), sysfs: "/sys".into(), rootfs: "/".into() };
        let mut local = Local::new(files);
        let seen = local.read(&[wanted(&"0123456789abcdef".repeat(4))], false, Instant::now());
        assert!(seen.containers.is_empty());
        assert_eq!(seen.machine, LocalFiles::default());
    }

    #[test]
    fn another_process_of_the_same_number_has_no_network_for_us() {
        let folder = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef".repeat(4);
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("sys/fs/cgroup/cgroup.controllers", "cpu\n");
        write(&format!("sys/fs/cgroup/system.slice/docker-{id}.scope/cpu.stat"), "usage_usec 5\n");
        write("proc/1/net/dev", "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
        write("proc/1/cgroup", "0::/init.scope\n");
        let files = Files {
            procfs: folder.path().join("proc"),
            sysfs: folder.path().join("sys"),
            rootfs: folder.path().to_owned(),
        };
        let mut local = Local::new(files);
        let mut look = || local.read(&[wanted(&id)], false, Instant::now()).containers.remove(&id).unwrap();
        let other = look();
        assert_eq!(other.group, format!("/system.slice/docker-{id}.scope"));
        assert_eq!((other.usage.cpu.total, other.usage.networks), (Some(5000), None));
        write("proc/1/cgroup", &format!("0::/system.slice/docker-{id}.scope\n"));
        assert_eq!(look().usage.networks.unwrap()[0].name, "eth0");
    }
}
