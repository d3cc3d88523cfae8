//! Control groups version 2: one tree with all controllers.

use std::path::{Path, PathBuf};

use super::super::usage::{Cpu, Memory, Pressure, Tasks, Transfer, Usage, transfer};
use super::reader::Reader;
use super::text::{device, keyed, number, pressure};

const NANOS_PER_MICRO: u64 = 1000;

/// The tree.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::collect::docker) struct Tree(PathBuf);

impl Tree {
    /// The tree at `root`, if version 2 is mounted there.
    pub(super) fn at(root: &Path) -> Option<Self> {
        root.join("cgroup.controllers").is_file().then(|| Self(root.to_owned()))
    }

    /// Whether a group is there; `path` as cAdvisor writes it: `/system.slice/docker-0123….scope`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.folder(path).is_dir()
    }

    /// A group's folder.
    pub(super) fn folder(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The figures of a group; `None` when it is gone.
    pub(super) fn read(&self, path: &str, reader: &mut Reader) -> Option<Usage> {
        let folder = self.folder(path);
        let cpu = cpu(reader.read_again(&folder, "cpu.stat")?);
        let memory = read_memory(&folder, reader);
        let threads = reader.read_again(&folder, "pids.current").and_then(number);
        let threads_max = reader.read_again(&folder, "pids.max").map(|text| number(text).unwrap_or(0));
        let disk = reader.read_again(&folder, "io.stat").map(disk).unwrap_or_default();
        let mut waits = |file: &'static str| reader.read_again(&folder, file).map(pressure).unwrap_or_default();
        let pressure =
            Pressure { cpu: waits("cpu.pressure"), memory: waits("memory.pressure"), io: waits("io.pressure") };
        let tasks = Tasks { threads, threads_max, ..Tasks::default() };
        Some(Usage { cpu, memory, tasks, disk, networks: None, pressure })
    }
}

fn cpu(text: &str) -> Cpu {
    let nanos = |key| keyed(text, key).map(|micros| micros * NANOS_PER_MICRO);
    Cpu {
        cores: Vec::new(),
        total: nanos("usage_usec"),
        user: nanos("user_usec"),
        system: nanos("system_usec"),
        periods: keyed(text, "nr_periods"),
        throttled_periods: keyed(text, "nr_throttled"),
        throttled: nanos("throttled_usec"),
        burst_periods: keyed(text, "nr_bursts"),
        burst: nanos("burst_usec"),
    }
}

fn read_memory(folder: &Path, reader: &mut Reader) -> Memory {
    let mut memory = reader.read_again(folder, "memory.stat").map(stat).unwrap_or_default();
    let mut one = |file: &'static str| reader.read_again(folder, file).and_then(number);
    memory.usage = one("memory.current");
    memory.max_usage = one("memory.peak");
    memory.swap = one("memory.swap.current");
    if let Some(events) = reader.read_again(folder, "memory.events") {
        memory.events_high = keyed(events, "high");
        memory.events_max = keyed(events, "max");
        memory.failcnt = memory.events_max;
    }
    memory
}

/// `memory.stat`. Every figure takes in the groups below.
fn stat(text: &str) -> Memory {
    let mut memory = Memory::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let field = match key {
            "file" => &mut memory.cache,
            "anon" => &mut memory.rss,
            "file_mapped" => &mut memory.mapped_file,
            "kernel" => &mut memory.kernel,
            "active_file" => &mut memory.active_file,
            "inactive_file" => &mut memory.inactive_file,
            "file_dirty" => &mut memory.file_dirty,
            "file_writeback" => &mut memory.file_writeback,
            "pgscan" => &mut memory.pgscan,
            "pgsteal" => &mut memory.pgsteal,
            "workingset_refault_file" => &mut memory.refault_file,
            "workingset_refault_anon" => &mut memory.refault_anon,
            "pgfault" => &mut memory.faults[1],
            "pgmajfault" => &mut memory.major_faults[1],
            _ => continue,
        };
        *field = number(value);
    }
    // cAdvisor shows the same under both scopes.
    memory.faults[0] = memory.faults[1];
    memory.major_faults[0] = memory.major_faults[1];
    memory
}

/// Lines of `253:0 rbytes=1 wbytes=2 rios=3 wios=4 …`.
fn disk(text: &str) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(device) = words.next().and_then(device) else {
            continue;
        };
        let found = transfer(&mut transfers, device);
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let field = match key {
                "rbytes" => &mut found.read_bytes,
                "wbytes" => &mut found.write_bytes,
                "rios" => &mut found.reads,
                "wios" => &mut found.writes,
                "cost.usage" => &mut found.cost[0],
                "cost.wait" => &mut found.cost[1],
                "cost.indebt" => &mut found.cost[2],
                "cost.indelay" => &mut found.cost[3],
                _ => continue,
            };
            *field = number(value);
        }
    }
    transfers
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "system.slice/docker-ab.scope";

    /// As a kernel 6.1 with systemd writes them.
    fn tree() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(GROUP)).unwrap();
        std::fs::write(folder.path().join("cgroup.controllers"), "cpuset cpu io memory hugetlb pids rdma misc\n")
            .unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(GROUP).join(name), text).unwrap();
        write(
            "cpu.stat",
            "usage_usec 3250000\nuser_usec 2000000\nsystem_usec 1250000\nnr_periods 40\nnr_throttled 7\n\
             throttled_usec 1500000\nnr_bursts 0\nburst_usec 0\n",
        );
        write(
            "memory.stat",
            "anon 1056768\nfile 8192000\nkernel 425984\nkernel_stack 16384\npagetables 57344\nsock 0\nshmem 0\n\
             file_mapped 2461696\nfile_dirty 4096\nfile_writeback 0\nswapcached 0\ninactive_anon 1036288\n\
             active_anon 20480\ninactive_file 4919296\nactive_file 3272704\nslab_reclaimable 191056\n\
             workingset_refault_anon 3\nworkingset_refault_file 12\npgfault 1803\npgmajfault 25\npgrefill 0\n\
             pgscan 640\npgsteal 512\n",
        );
        write("memory.current", "9674752\n");
        write("memory.peak", "10051584\n");
        write("memory.swap.current", "0\n");
        write("memory.events", "low 0\nhigh 0\nmax 17\noom 1\noom_kill 1\noom_group_kill 0\n");
        write("pids.current", "3\n");
        write("pids.max", "4915\n");
        write("io.stat", "254:0 rbytes=7364608 wbytes=4096 rios=189 wios=1 dbytes=0 dios=0 cost.usage=120\n7:0 \n");
        write(
            "cpu.pressure",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=26412\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=25117\n",
        );
        write(
            "io.pressure",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=90\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=80\n",
        );
        folder
    }

    #[test]
    fn a_group_has_all_its_figures_in_one_folder() {
        let folder = tree();
        let tree = Tree::at(folder.path()).unwrap();
        let mut reader = Reader::default();
        assert!(tree.has(GROUP) && !tree.has("/docker/ab"));
        assert!(tree.read("/docker/ab", &mut reader).is_none());
        let usage = tree.read(GROUP, &mut reader).unwrap();
        assert_eq!((usage.cpu.total, usage.cpu.throttled), (Some(3_250_000_000), Some(1_500_000_000)));
        assert!(usage.cpu.cores.is_empty(), "version 2 does not count per core");
        let memory = &usage.memory;
        assert_eq!((memory.usage, memory.max_usage), (Some(9_674_752), Some(10_051_584)));
        assert_eq!((memory.cache, memory.rss, memory.kernel), (Some(8_192_000), Some(1_056_768), Some(425_984)));
        assert_eq!((memory.failcnt, memory.events_max, memory.pgsteal), (Some(17), Some(17), Some(512)));
        assert_eq!(memory.major_faults, [Some(25), Some(25)]);
        assert_eq!((usage.tasks.threads, usage.tasks.threads_max), (Some(3), Some(4915)));
        let disk = &usage.disk[0];
        assert_eq!((disk.device, disk.read_bytes, disk.reads), ((254, 0), Some(7_364_608), Some(189)));
        assert_eq!((disk.cost[0], disk.cost[1]), (Some(120), None));
        assert_eq!((usage.disk[1].device, usage.disk[1].reads), ((7, 0), None));
        assert_eq!(usage.pressure.cpu, [Some(26_412), Some(25_117)]);
        assert_eq!(usage.pressure.memory, [None, None], "the kernel has no such file");
    }
}
