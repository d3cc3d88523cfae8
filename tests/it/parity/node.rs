//! `node_exporter` and the agent on this machine.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Difference, What, compare};
use crate::support::{Agent, Answer, Page, Running, free_port, get, peers, request, wait_until};

/// Collectors that are not built: file systems, networks and devices of kinds that no sidecar's host has.
const NOT_BUILT: &str =
    "bcache, bcachefs, btrfs, fibrechannel, infiniband, ipvs, nfs, nfsd, tapestats, xfs and zfs are not built";
const MOVES: &str = "it goes up and down between the looks; the_moving_ones_are_near compares it";

const DIFFERENCES: [Difference; 27] = [
    Difference { family: "node_exporter_build_info", what: What::Labels, why: "it names the program that stands in" },
    Difference { family: "node_scrape_collector_success", what: What::Series, why: NOT_BUILT },
    Difference { family: "node_scrape_collector_duration_seconds", what: What::Series, why: NOT_BUILT },
    Difference {
        family: "node_scrape_collector_duration_seconds",
        what: What::Value,
        why: "how long a collector took is each program's own",
    },
    Difference {
        family: "node_disk_info",
        what: What::Series,
        why: "it says rotational=\"0\" of every disk when the kernel lacks any file of the queue; we say what the file says",
    },
    Difference {
        family: "node_filesystem_readonly",
        what: What::Value,
        why: "1.11 overlooks `ro` beside another option (its issue 3484, mended in 1.12)",
    },
    Difference {
        family: "node_md_degraded",
        what: What::Series,
        why: "an array without redundancy has no such file; it says 0 then",
    },
    Difference {
        family: "node_uname_info",
        what: What::Series,
        why: "under another root it gives its own container's name; we give the host's",
    },
    Difference { family: "node_disk_io_now", what: What::Value, why: MOVES },
    Difference { family: "node_entropy_available_bits", what: What::Value, why: MOVES },
    Difference { family: "node_filefd_allocated", what: What::Value, why: MOVES },
    Difference { family: "node_filesystem_avail_bytes", what: What::Value, why: MOVES },
    Difference { family: "node_filesystem_files_free", what: What::Value, why: MOVES },
    Difference { family: "node_filesystem_free_bytes", what: What::Value, why: MOVES },
    Difference { family: "node_load*", what: What::Value, why: MOVES },
    Difference { family: "node_memory_*", what: What::Value, why: MOVES },
    Difference { family: "node_netstat_Tcp_CurrEstab", what: What::Value, why: MOVES },
    Difference { family: "node_nf_conntrack_entries", what: What::Value, why: MOVES },
    Difference { family: "node_procs_blocked", what: What::Value, why: MOVES },
    Difference { family: "node_procs_running", what: What::Value, why: MOVES },
    Difference { family: "node_sockstat_*", what: What::Value, why: MOVES },
    Difference { family: "node_softnet_backlog_len", what: What::Value, why: MOVES },
    Difference { family: "node_timex_estimated_error_seconds", what: What::Value, why: MOVES },
    Difference { family: "node_timex_frequency_adjustment_ratio", what: What::Value, why: MOVES },
    Difference { family: "node_timex_maxerror_seconds", what: What::Value, why: MOVES },
    Difference { family: "node_timex_offset_seconds", what: What::Value, why: MOVES },
    Difference { family: "node_udp_queues", what: What::Value, why: MOVES },
];

/// The newest `node_exporter` with the defaults that its project ships: Debian's build adds a collector, and leaves out
/// mounts below `/run`, `/mnt` and `/media`.
struct NodeExporter {
    port: u16,
    _process: Running,
    _folder: TempDir,
}

impl NodeExporter {
    fn start(flags: &[String]) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut command = std::process::Command::new(peers::newest("node_exporter"));
        let points = "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--web.disable-exporter-metrics")
            .arg("--no-collector.systemd")
            .arg(format!("--collector.filesystem.mount-points-exclude={points}"))
            .args(flags);
        let process = Running::start(&mut command, &folder.path().join("log"));
        wait_until("node_exporter answers", Duration::from_secs(20), || {
            request(port, "GET", "/metrics", &[], "").filter(|answer| answer.status == 200)
        });
        Self { port, _process: process, _folder: folder }
    }

    fn page(&self) -> String {
        let Answer { body, .. } = get(self.port, "/metrics");
        body
    }
}

/// The exporter's pages from before and after the agent's look, and the agent's.
fn pages(flags: &[String], target: &str) -> [String; 3] {
    let exporter = NodeExporter::start(flags);
    let before = exporter.page();
    let agent = Agent::start(&format!("targets: [{{name: host, kind: host{target}}}]\nrule_files: []\n"));
    let ours = agent.get("/metrics?job=node").body;
    [before, ours, exporter.page()]
}

#[test]
fn the_host_is_as_node_exporter_sees_it() {
    let [before, ours, after] = pages(&[], "");
    compare(&before, &ours, &after, &DIFFERENCES);
    the_moving_ones_are_near(&before, &ours);
}

/// What this machine has not, of files as kernels write them; as in a container that has the host's under another path.
#[test]
fn a_machine_with_everything_is_as_node_exporter_sees_it() {
    let root = tempfile::tempdir().expect("a folder");
    unpack(include_str!("../../captured/machine.txt"), root.path());
    let place = root.path().display();
    let mut flags: Vec<_> = ["procfs=/proc", "sysfs=/sys", "rootfs=", "udev.data=/run/udev/data"]
        .iter()
        .filter_map(|flag| flag.split_once('='))
        .map(|(flag, path)| format!("--path.{flag}={place}{path}"))
        .collect();
    // By default it asks the kernel for these two, whatever files it is given.
    flags.extend(["arp", "netdev"].map(|name| format!("--no-collector.{name}.netlink")));
    let target = format!(", procfs: {place}/proc, sysfs: {place}/sys, rootfs: {place}");
    let [before, ours, after] = pages(&flags, &target);
    compare(&before, &ours, &after, &DIFFERENCES);
    let page = Page::parse(&ours);
    for family in [
        "hwmon_temp_celsius",
        "md_disks",
        "edac_correctable_errors_total",
        "power_supply_online",
        "schedstat_timeslices_total",
    ] {
        assert!(
            Page::parse(&before).0.iter().any(|line| line.name == format!("node_{family}")),
            "nothing to compare for {family}"
        );
    }
    for line in page.0.iter().filter(|line| line.name == "node_scrape_collector_success") {
        assert!(line.value > 0.0, "{line:?} did not succeed");
    }
}

/// Writes the files of a captured tree: `path: text` or `path -> target` a line.
fn unpack(tree: &str, root: &Path) {
    for line in tree.lines().filter(|line| !line.starts_with('#')) {
        let (path, text) = line.split_once(": ").or_else(|| line.split_once(" -> ")).expect("a path and what is there");
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        if line.contains(": ") {
            std::fs::write(path, text.replace("\\n", "\n")).expect("a file");
        } else {
            std::os::unix::fs::symlink(text, path).expect("a link");
        }
    }
}

/// A gauge that moves is within a third of what it was, and what so small a figure may move by; one without such
/// a slack does not move.
fn the_moving_ones_are_near(before: &str, ours: &str) {
    let (before, ours) = (Page::parse(before), Page::parse(ours));
    let mut compared = 0;
    for (family, slack) in [
        ("node_load1", 2.0),
        ("node_filefd_allocated", 500.0),
        ("node_procs_running", 20.0),
        ("node_sockstat_sockets_used", 100.0),
        ("node_sockstat_TCP_mem_bytes", 1e8),
        ("node_memory_MemTotal_bytes", 0.0),
        ("node_memory_MemFree_bytes", 1e9),
        ("node_memory_MemAvailable_bytes", 1e9),
        ("node_memory_Cached_bytes", 1e9),
        ("node_memory_HugePages_Total", 0.0),
        ("node_memory_DirectMap4k_bytes", 1e8),
        ("node_filesystem_free_bytes", 1e9),
        ("node_filesystem_avail_bytes", 1e9),
        ("node_filesystem_files_free", 1e5),
        ("node_entropy_available_bits", 0.0),
    ] {
        for line in before.0.iter().filter(|line| line.name == family) {
            let labels = line.labels.iter().filter(|(_, value)| !value.is_empty());
            let labels: Vec<_> = labels.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let own = ours.value(family, &labels).unwrap_or_else(|| panic!("we do not have {family} {labels:?}"));
            let allowed = if slack > 0.0 { slack + line.value / 3.0 } else { 0.0 };
            assert!((own - line.value).abs() <= allowed, "{family} was {} and is {own} here", line.value);
            compared += 1;
        }
    }
    assert!(compared >= 15, "only {compared} were compared");
}
