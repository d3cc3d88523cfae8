//! Containers beside their control groups and Docker's API, which cAdvisor reads too. (No distribution packages cAdvisor.)
//!
//! Each figure is read from its source before and after the agent looked. What did not move must be equal; what moved must
//! lie between. The families are cAdvisor's of its default groups.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Agent, BASE, DockerEngine, Page, try_run, wait_until};

/// What cAdvisor shows of a container on control groups version 1 by default, and we do not, with the reason.
const DIFFERENCES: [(&str, &str); 9] = [
    (
        "container_fs_io_current",
        "cAdvisor writes 0 for each container: the kernel counts it per disk only; `id=\"/\"` has it",
    ),
    ("container_fs_io_time_seconds_total", "as above"),
    ("container_fs_io_time_weighted_seconds_total", "as above"),
    ("container_fs_read_seconds_total", "as above"),
    ("container_fs_reads_merged_total", "as above"),
    ("container_fs_sector_reads_total", "as above"),
    ("container_fs_sector_writes_total", "as above"),
    ("container_fs_write_seconds_total", "as above"),
    ("container_fs_writes_merged_total", "as above"),
];

/// Families of cAdvisor's default groups for a container with a CPU limit.
const FAMILIES: &str = "container_cpu_cfs_periods_total container_cpu_cfs_throttled_periods_total \
    container_cpu_cfs_throttled_seconds_total container_cpu_load_average_10s container_cpu_system_seconds_total \
    container_cpu_usage_seconds_total container_cpu_user_seconds_total container_fs_inodes_free container_fs_inodes_total \
    container_fs_io_current container_fs_io_time_seconds_total container_fs_io_time_weighted_seconds_total \
    container_fs_limit_bytes container_fs_read_seconds_total container_fs_reads_merged_total \
    container_fs_sector_reads_total container_fs_sector_writes_total container_fs_usage_bytes \
    container_fs_write_seconds_total container_fs_writes_merged_total container_last_seen \
    container_memory_cache container_memory_failcnt container_memory_failures_total container_memory_mapped_file \
    container_memory_max_usage_bytes container_memory_rss container_memory_swap container_memory_usage_bytes \
    container_memory_working_set_bytes container_network_receive_bytes_total container_network_receive_errors_total \
    container_network_receive_packets_dropped_total container_network_receive_packets_total \
    container_network_transmit_bytes_total container_network_transmit_errors_total \
    container_network_transmit_packets_dropped_total container_network_transmit_packets_total \
    container_oom_events_total container_spec_cpu_period container_spec_cpu_quota container_spec_cpu_shares \
    container_spec_memory_limit_bytes container_spec_memory_reservation_limit_bytes \
    container_spec_memory_swap_limit_bytes container_start_time_seconds container_tasks_state";

/// Families of the machine.
const MACHINE: [&str; 8] = [
    "cadvisor_version_info",
    "container_scrape_error",
    "machine_cpu_cores",
    "machine_memory_bytes",
    "machine_nvm_avg_power_budget_watts",
    "machine_nvm_capacity",
    "machine_scrape_error",
    "container_fs_io_time_weighted_seconds_total",
];

/// Where a figure stands, on either version of control groups.
struct Source {
    family: &'static str,
    more: &'static [(&'static str, &'static str)],
    /// Folder below `/sys/fs/cgroup` (version 1), file, and the key of its line; "" for a file of one number.
    v1: [&'static str; 3],
    /// File and key.
    v2: [&'static str; 2],
    /// What the file's unit is in the family's.
    unit: [f64; 2],
}

const fn plain(family: &'static str, v1: [&'static str; 3], v2: [&'static str; 2]) -> Source {
    Source { family, more: &[], v1, v2, unit: [1.0, 1.0] }
}

const SOURCES: [Source; 14] = [
    plain("container_memory_usage_bytes", ["memory", "memory.usage_in_bytes", ""], ["memory.current", ""]),
    plain("container_memory_max_usage_bytes", ["memory", "memory.max_usage_in_bytes", ""], ["memory.peak", ""]),
    plain("container_memory_cache", ["memory", "memory.stat", "total_cache"], ["memory.stat", "file"]),
    plain("container_memory_rss", ["memory", "memory.stat", "total_rss"], ["memory.stat", "anon"]),
    plain(
        "container_memory_mapped_file",
        ["memory", "memory.stat", "total_mapped_file"],
        ["memory.stat", "file_mapped"],
    ),
    plain("container_memory_failcnt", ["memory", "memory.failcnt", ""], ["memory.events", "max"]),
    plain(
        "container_memory_total_inactive_file_bytes",
        ["memory", "memory.stat", "total_inactive_file"],
        ["memory.stat", "inactive_file"],
    ),
    Source {
        family: "container_memory_failures_total",
        more: &[("failure_type", "pgfault"), ("scope", "hierarchy")],
        v1: ["memory", "memory.stat", "total_pgfault"],
        v2: ["memory.stat", "pgfault"],
        unit: [1.0, 1.0],
    },
    Source {
        family: "container_cpu_usage_seconds_total",
        more: &[],
        v1: ["cpuacct", "cpuacct.usage", ""],
        v2: ["cpu.stat", "usage_usec"],
        unit: [1e-9, 1e-6],
    },
    Source {
        family: "container_cpu_user_seconds_total",
        more: &[],
        v1: ["cpuacct", "cpuacct.stat", "user"],
        v2: ["cpu.stat", "user_usec"],
        unit: [1e-2, 1e-6],
    },
    Source {
        family: "container_cpu_cfs_throttled_seconds_total",
        more: &[],
        v1: ["cpu", "cpu.stat", "throttled_time"],
        v2: ["cpu.stat", "throttled_usec"],
        unit: [1e-9, 1e-6],
    },
    plain("container_cpu_cfs_periods_total", ["cpu", "cpu.stat", "nr_periods"], ["cpu.stat", "nr_periods"]),
    plain("container_threads", ["pids", "pids.current", ""], ["pids.current", ""]),
    plain("container_threads_max", ["pids", "pids.max", ""], ["pids.max", ""]),
];

/// The control group of a container.
struct Group {
    id: String,
    v2: bool,
}

impl Group {
    fn of(id: &str) -> Self {
        let v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let names = [format!("/docker/{id}"), format!("/system.slice/docker-{id}.scope")];
        let here = |name: &String| Self { id: name.clone(), v2 }.folder("memory").is_dir();
        let found = names.iter().find(|name| here(name)).expect("the container has a group");
        Self { id: found.clone(), v2 }
    }

    fn folder(&self, tree: &str) -> PathBuf {
        let root = if self.v2 { PathBuf::from("/sys/fs/cgroup") } else { Path::new("/sys/fs/cgroup").join(tree) };
        root.join(self.id.trim_start_matches('/'))
    }

    fn value(&self, source: &Source) -> f64 {
        let [tree, file, key] = if self.v2 { ["", source.v2[0], source.v2[1]] } else { source.v1 };
        let path = self.folder(tree).join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let number = text
            .lines()
            .find_map(|line| if key.is_empty() { Some(line) } else { line.strip_prefix(&format!("{key} ")) });
        let number: f64 =
            number.and_then(|number| number.trim().parse().ok()).unwrap_or_else(|| panic!("{file} {key}:\n{text}"));
        number * source.unit[usize::from(self.v2)]
    }
}

/// A container under some load, with limits and a network of the engine's.
const ARGUMENTS: [&str; 12] = [
    "--memory",
    "64m",
    "--memory-reservation",
    "32m",
    "--cpus",
    "0.5",
    "--cpu-shares",
    "512",
    "--pids-limit",
    "77",
    "--label",
    "com.docker.compose.service=web",
];
const LOAD: &str = "while :; do dd if=/dev/zero of=/x bs=64k count=20 2>/dev/null; sleep 0.3; done";

#[test]
fn figures_are_those_of_the_control_groups() {
    let engine = DockerEngine::start();
    let container = engine.run("figures", &[ARGUMENTS.as_slice(), &[BASE, "sh", "-c", LOAD]].concat());
    let group = Group::of(&container.inspect("{{.Id}}"));
    let agent = Agent::start(&config(&engine.url()));
    let labels = [
        ("id", group.id.as_str()),
        ("name", container.name()),
        ("image", BASE),
        ("container_label_com_docker_compose_service", "web"),
    ];
    let last_seen = |page: &Page| page.value("container_last_seen", &labels).expect("it is seen");

    // From one look to the next but one, the one between them lies in time between the sources' two readings.
    let before: Vec<f64> = SOURCES.iter().map(|source| group.value(source)).collect();
    let start = last_seen(&agent.metrics());
    let page = wait_until("another look", Duration::from_secs(10), || {
        Some(agent.metrics()).filter(|page| last_seen(page) > start + 1.0)
    });
    let after: Vec<f64> = SOURCES.iter().map(|source| group.value(source)).collect();

    let mut wrong = String::new();
    for (source, (before, after)) in SOURCES.iter().zip(before.into_iter().zip(after)) {
        let ours = page.sum(source.family, &[&labels, source.more].concat());
        let (low, high) = (before.min(after), before.max(after));
        // A gauge may have been elsewhere between: as far as it moved, and by what the load writes at a time.
        let counter =
            ["_total", "failcnt", "max_usage_bytes", "threads_max"].iter().any(|end| source.family.ends_with(end));
        let slack = if counter { 1e-9 * high } else { 2.0 * (high - low) + 3e6 };
        if !ours.is_some_and(|ours| (low - slack..=high + slack).contains(&ours)) {
            let _ = writeln!(wrong, "{}: {ours:?}, and its file had {before}, then {after}", source.family);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn limits_and_traffic_are_those_of_the_engines_api() {
    let engine = DockerEngine::start();
    let container = engine.run("limits", &[ARGUMENTS.as_slice(), &[BASE, "sleep", "1000"]].concat());
    let agent = Agent::start(&config(&engine.url()));
    let name = [("name", container.name())];
    let page = agent.metrics();
    let value = |family: &str| page.value(family, &name);
    let inspect: Value = serde_json::from_str(&container.inspect("{{json .}}")).expect("JSON");
    let host = |key: &str| inspect["HostConfig"][key].as_f64();
    assert_eq!(value("container_spec_memory_limit_bytes"), host("Memory"));
    assert_eq!(value("container_spec_memory_reservation_limit_bytes"), host("MemoryReservation"));
    assert_eq!(value("container_spec_memory_swap_limit_bytes"), host("MemorySwap"));
    assert_eq!(value("container_spec_cpu_shares"), host("CpuShares"));
    assert_eq!(value("container_spec_cpu_quota"), host("NanoCpus").map(|nanos| nanos / 1e9 * 100_000.0));
    assert_eq!(value("container_threads_max"), host("PidsLimit"));
    let interfaces = try_run(&mut engine.command(&["exec", container.name(), "cat", "/proc/net/dev"])).1;
    let eth0 = interfaces.lines().find_map(|line| line.trim().strip_prefix("eth0:"));
    if let Some(eth0) = eth0 {
        let received: f64 = eth0.split_ascii_whitespace().next().and_then(|bytes| bytes.parse().ok()).expect("bytes");
        let ours = page.value("container_network_receive_bytes_total", &[name[0], ("interface", "eth0")]);
        assert!(ours.is_some_and(|ours| ours <= received && ours > received - 10_000.0), "{ours:?} of {received}");
    }
    let machine = |family: &str| page.find(family, &[]).next().map(|line| line.value);
    assert_eq!(machine("machine_cpu_cores"), engine.docker(&["info", "--format", "{{.NCPU}}"]).parse().ok());
    assert_eq!(machine("machine_memory_bytes"), engine.docker(&["info", "--format", "{{.MemTotal}}"]).parse().ok());
}

#[test]
fn every_family_of_cadvisors_default_is_there() {
    let engine = DockerEngine::start();
    let container = engine.run("families", &[ARGUMENTS.as_slice(), &[BASE, "sleep", "1000"]].concat());
    let agent = Agent::start(&config(&engine.url()));
    let page = agent.metrics();
    let has = |family: &str, labels: &[(&str, &str)]| page.find(family, labels).next().is_some();
    let meant: BTreeSet<&str> = DIFFERENCES.iter().map(|(family, _)| *family).collect();
    let name = [("name", container.name())];
    let missing: Vec<_> =
        FAMILIES.split_whitespace().filter(|family| !has(family, &name) && !meant.contains(family)).collect();
    assert!(missing.is_empty(), "a container lacks {missing:?}");
    let root = [("id", "/")];
    let missing: Vec<_> = meant.iter().filter(|family| !has(family, &root)).collect();
    assert!(missing.is_empty(), "the machine lacks {missing:?}");
    let missing: Vec<_> = MACHINE.iter().filter(|family| !has(family, &[])).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_api_alone_shows_the_same_series_as_the_files_but_what_only_they_have() {
    let engine = DockerEngine::start();
    let container = engine.run("alone", &[ARGUMENTS.as_slice(), &[BASE, "sleep", "1000"]].concat());
    let with_files = Agent::start(&config(&engine.url()));
    let without =
        Agent::start(&config(&engine.url()).replace("instance", "procfs: /nonexistent, sysfs: /nonexistent, instance"));
    let series = |agent: &Agent| -> BTreeSet<String> {
        let page = agent.metrics();
        let of_it = page.0.iter().filter(|line| line.labels.get("name").is_some_and(|name| name == container.name()));
        of_it.map(|line| format!("{}{:?}", line.name, line.labels)).collect()
    };
    wait_until("its figures are seen without files", Duration::from_secs(10), || {
        without.metrics().find("container_threads", &[("name", container.name())]).next().map(drop)
    });
    let (more, less) = (series(&with_files), series(&without));
    let only_api: Vec<_> = less.difference(&more).filter(|series| !series.contains("container_fs_")).collect();
    assert!(only_api.is_empty(), "{only_api:#?}");
    let families: BTreeSet<_> =
        more.difference(&less).map(|series| series.split('{').next().unwrap_or_default()).collect();
    let finer = [
        "container_blkio",
        "container_cpu_cfs_burst",
        "container_cpu_load",
        "container_file_descriptors",
        "container_fs_",
        "container_memory_events",
        "container_memory_failcnt",
        "container_memory_kernel_usage",
        "container_memory_max_usage",
        "container_memory_swap",
        "container_pressure",
        "container_processes",
        "container_sockets",
        "container_tasks_state",
        "container_ulimits",
        "container_cpu_usage",
        "container_memory_workingset",
    ];
    let unexpected: Vec<_> =
        families.iter().filter(|family| !finer.iter().any(|known| family.starts_with(known))).collect();
    assert!(unexpected.is_empty(), "only the files show {unexpected:?}");
}

fn config(url: &str) -> String {
    format!("targets: [{{name: docker, kind: docker, url: \"{url}\", interval: 2s, timeout: 2s, instance: engine}}]\n")
}
