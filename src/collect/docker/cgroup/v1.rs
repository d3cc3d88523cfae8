//! Control groups version 1: a tree per controller.

use std::path::{Path, PathBuf};

use super::super::usage::{Cpu, Memory, Tasks, Transfer, Usage, transfer};
use super::reader::Reader;
use super::text::{device, keyed, number};

/// Nanoseconds per tick of `cpuacct.stat`: the kernel counts a hundred a second towards user space.
const TICK: u64 = 10_000_000;

/// The controllers' mount points; several may share one under a common name.
const CONTROLLERS: [(&str, &str); 5] =
    [("cpu", "cpu,cpuacct"), ("cpuacct", "cpu,cpuacct"), ("memory", "memory"), ("pids", "pids"), ("blkio", "blkio")];

/// The trees that matter.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::collect::docker) struct Trees {
    cpu: PathBuf,
    cpuacct: PathBuf,
    memory: PathBuf,
    pids: PathBuf,
    blkio: PathBuf,
}

impl Trees {
    /// The trees below `root`, if it is where version 1 is mounted.
    pub(super) fn at(root: &Path) -> Option<Self> {
        let [cpu, cpuacct, memory, pids, blkio] = CONTROLLERS.map(|(name, shared)| {
            let own = root.join(name);
            if own.is_dir() { own } else { root.join(shared) }
        });
        (memory.is_dir() && cpuacct.is_dir()).then_some(Self { cpu, cpuacct, memory, pids, blkio })
    }

    /// Whether a group is there; `path` as cAdvisor writes it: `/docker/0123…`.
    pub(super) fn has(&self, path: &str) -> bool {
        under(&self.memory, path).is_dir() && under(&self.cpuacct, path).is_dir()
    }

    /// The folder that lists a group's processes.
    pub(super) fn processes(&self, path: &str) -> PathBuf {
        under(&self.cpuacct, path)
    }

    /// The figures of a group; `None` when it is gone.
    pub(super) fn read(&self, path: &str, reader: &mut Reader) -> Option<Usage> {
        let memory = read_memory(&under(&self.memory, path), reader)?;
        let cpu = read_cpu(&under(&self.cpuacct, path), &under(&self.cpu, path), reader);
        let tasks = read_tasks(&under(&self.pids, path), reader);
        let disk = read_disk(&under(&self.blkio, path), reader);
        Some(Usage { cpu, memory, tasks, disk, ..Usage::default() })
    }
}

fn under(tree: &Path, path: &str) -> PathBuf {
    tree.join(path.trim_start_matches('/'))
}

fn read_cpu(cpuacct: &Path, cpu: &Path, reader: &mut Reader) -> Cpu {
    let mut figures = Cpu::default();
    if let Some(text) = reader.read_again(cpuacct, "cpuacct.usage_percpu") {
        figures.cores = text.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        figures.total = (!figures.cores.is_empty()).then(|| figures.cores.iter().sum());
    }
    if let Some(text) = reader.read_again(cpuacct, "cpuacct.stat") {
        figures.user = keyed(text, "user").map(|ticks| ticks * TICK);
        figures.system = keyed(text, "system").map(|ticks| ticks * TICK);
    }
    if let Some(text) = reader.read_again(cpu, "cpu.stat") {
        figures.periods = keyed(text, "nr_periods");
        figures.throttled_periods = keyed(text, "nr_throttled");
        figures.throttled = keyed(text, "throttled_time");
        figures.burst_periods = keyed(text, "nr_bursts");
        figures.burst = keyed(text, "burst_time");
    }
    figures
}

fn read_memory(folder: &Path, reader: &mut Reader) -> Option<Memory> {
    let mut memory = stat(reader.read_again(folder, "memory.stat")?);
    let mut one = |file: &'static str| reader.read_again(folder, file).and_then(number);
    memory.usage = one("memory.usage_in_bytes");
    memory.max_usage = one("memory.max_usage_in_bytes");
    memory.failcnt = one("memory.failcnt");
    memory.kernel = one("memory.kmem.usage_in_bytes");
    Some(memory)
}

/// `memory.stat`, with the groups below: `total_…`.
fn stat(text: &str) -> Memory {
    let mut memory = Memory::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let field = match key {
            "total_cache" => &mut memory.cache,
            "total_rss" => &mut memory.rss,
            "total_swap" => &mut memory.swap,
            "total_mapped_file" => &mut memory.mapped_file,
            "total_active_file" => &mut memory.active_file,
            "total_inactive_file" => &mut memory.inactive_file,
            "pgfault" => &mut memory.faults[0],
            "total_pgfault" => &mut memory.faults[1],
            "pgmajfault" => &mut memory.major_faults[0],
            "total_pgmajfault" => &mut memory.major_faults[1],
            _ => continue,
        };
        *field = number(value);
    }
    memory
}

fn read_tasks(folder: &Path, reader: &mut Reader) -> Tasks {
    let threads = reader.read_again(folder, "pids.current").and_then(number);
    let limit = reader.read_again(folder, "pids.max").map(|text| number(text).unwrap_or(0));
    Tasks { threads, threads_max: limit, ..Tasks::default() }
}

fn read_disk(folder: &Path, reader: &mut Reader) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    if let Some(text) = reader.read_again(folder, "blkio.throttle.io_service_bytes_recursive") {
        add(text, &mut transfers, |transfer| (&mut transfer.read_bytes, &mut transfer.write_bytes));
    }
    if let Some(text) = reader.read_again(folder, "blkio.throttle.io_serviced_recursive") {
        add(text, &mut transfers, |transfer| (&mut transfer.reads, &mut transfer.writes));
    }
    transfers
}

/// The two counts of a transfer that one file has: of reads, and of writes.
type Counts = fn(&mut Transfer) -> (&mut Option<u64>, &mut Option<u64>);

/// Lines of `253:0 Read 4096`.
fn add(text: &str, transfers: &mut Vec<Transfer>, counts: Counts) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(device), Some(operation), Some(value)) =
            (words.next().and_then(device), words.next(), words.next().and_then(number))
        else {
            continue;
        };
        if matches!(operation, "Read" | "Write") {
            let (reads, writes) = counts(transfer(transfers, device));
            *(if operation == "Read" { reads } else { writes }) = Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a kernel 6.18 writes them.
    fn group() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let memory = "cache 1\nrss 2\npgfault 5442\npgmajfault 3\ntotal_cache 5242880\ntotal_rss 110592\n\
            total_rss_huge 9\ntotal_swap 4096\ntotal_mapped_file 0\ntotal_pgfault 5443\ntotal_pgmajfault 4\n\
            total_inactive_file 5242880\ntotal_active_file 8\n";
        write("memory/docker/ab/memory.stat", memory);
        write("memory/docker/ab/memory.usage_in_bytes", "6000640\n");
        write("memory/docker/ab/memory.max_usage_in_bytes", "7413760\n");
        write("memory/docker/ab/memory.failcnt", "2\n");
        write("memory/docker/ab/memory.kmem.usage_in_bytes", "499712\n");
        write("cpu,cpuacct/docker/ab/cpuacct.usage_percpu", "17968817 40119219 \n");
        write("cpu,cpuacct/docker/ab/cpuacct.stat", "user 2\nsystem 3\n");
        let cpu = "nr_periods 26\nnr_throttled 4\nthrottled_time 5000\nnr_bursts 1\nburst_time 7\n";
        write("cpu,cpuacct/docker/ab/cpu.stat", cpu);
        write("pids/docker/ab/pids.current", "2\n");
        write("pids/docker/ab/pids.max", "max\n");
        let bytes = "253:0 Read 4096\n253:0 Write 8192\n253:0 Sync 0\n253:0 Total 12288\nTotal 12288\n";
        write("blkio/docker/ab/blkio.throttle.io_service_bytes_recursive", bytes);
        write("blkio/docker/ab/blkio.throttle.io_serviced_recursive", "253:0 Read 1\n253:0 Write 2\nTotal 3\n");
        folder
    }

    #[test]
    fn a_group_is_read_from_the_trees_of_its_controllers() {
        let folder = group();
        let trees = Trees::at(folder.path()).unwrap();
        assert!(trees.has("/docker/ab") && !trees.has("/docker/cd"));
        let mut reader = Reader::default();
        assert!(trees.read("/docker/cd", &mut reader).is_none());
        let usage = trees.read("/docker/ab", &mut reader).unwrap();
        assert_eq!(usage.cpu.cores, [17_968_817, 40_119_219]);
        assert_eq!((usage.cpu.user, usage.cpu.system), (Some(20_000_000), Some(30_000_000)));
        assert_eq!((usage.cpu.throttled_periods, usage.cpu.burst), (Some(4), Some(7)));
        let memory = &usage.memory;
        assert_eq!((memory.usage, memory.max_usage, memory.failcnt), (Some(6_000_640), Some(7_413_760), Some(2)));
        assert_eq!((memory.rss, memory.swap, memory.kernel), (Some(110_592), Some(4096), Some(499_712)));
        assert_eq!((memory.faults, memory.major_faults), ([Some(5442), Some(5443)], [Some(3), Some(4)]));
        assert_eq!((memory.pgscan, memory.events_max), (None, None), "version 1 has none");
        assert_eq!((usage.tasks.threads, usage.tasks.threads_max), (Some(2), Some(0)));
        let disk = &usage.disk[0];
        assert_eq!((disk.device, disk.read_bytes, disk.writes), ((253, 0), Some(4096), Some(2)));
    }
}
