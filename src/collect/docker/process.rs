//! What `/proc` says of a container's processes: traffic in their network, what they hold open, what they do.
//!
//! In: the text of the files, and folders of `/proc`. Out: parts of [`super::usage`].

use std::path::Path;

use super::cgroup::Reader;
use super::usage::{Interface, States};

/// Interfaces that cAdvisor leaves out: the loopback, and the host's ends of other containers' networks.
const IGNORED: [&str; 3] = ["lo", "veth", "docker"];
/// Descriptors counted per container; with more it has no count.
const MAX_DESCRIPTORS: usize = 20_000;

/// `/proc/<pid>/net/dev`: the interfaces of the process' network.
pub(super) fn interfaces(text: &str) -> Vec<Interface> {
    let known = |name: &str| !IGNORED.iter().any(|ignored| name.starts_with(ignored));
    let interface = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let name = name.trim();
        let all: Vec<u64> = counts.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        // Received and sent have eight columns each: bytes, packets, errors, dropped and four more.
        let counts = [0, 1, 2, 3, 8, 9, 10, 11].map(|column| all.get(column).copied());
        known(name).then(|| Interface { name: name.to_owned(), counts })
    };
    text.lines().filter_map(interface).collect()
}

/// The soft limit of open files in `/proc/<pid>/limits`; -1 without a limit.
pub(super) fn max_open_files(text: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => Some(-1.0),
        number => number.parse().ok(),
    }
}

/// The state in `/proc/<pid>/stat`. The name before it, in brackets, may hold anything.
fn state(text: &str) -> Option<char> {
    text.rsplit_once(')')?.1.trim_start().chars().next()
}

/// What the threads do at this moment. `None` when none could be read.
pub(super) fn states(procfs: &Path, threads: &[u32], reader: &mut Reader) -> Option<States> {
    let mut states = States::default();
    let mut seen = false;
    for thread in threads {
        let Some(state) = reader.read(procfs, &format!("{thread}/stat")).and_then(state) else {
            continue;
        };
        seen = true;
        match state {
            'R' => states.running += 1,
            'D' => states.uninterruptible += 1,
            'T' | 't' => states.stopped += 1,
            'S' | 'I' => states.sleeping += 1,
            _ => {}
        }
    }
    seen.then_some(states)
}

/// How many descriptors the processes have open, and how many of them are sockets. `None` when any could not be read
/// (only root may look into others' processes), or they are too many to count.
pub(super) fn descriptors(procfs: &Path, processes: &[u32]) -> Option<(u64, u64)> {
    let (mut open, mut sockets) = (0, 0);
    for process in processes {
        let folder = match std::fs::read_dir(procfs.join(format!("{process}/fd"))) {
            Ok(folder) => folder,
            // It ended since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return None,
        };
        for descriptor in folder.flatten() {
            open += 1;
            let target = std::fs::read_link(descriptor.path()).unwrap_or_default();
            sockets += u64::from(target.to_str().is_some_and(|target| target.starts_with("socket")));
        }
        if open > MAX_DESCRIPTORS {
            return None;
        }
    }
    Some((open as u64, sockets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_and_the_hosts_ends_are_left_out() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo:    1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
            eth0: 1296      16    3    4    0     0          0         0      90       1    5    6    0     0       0          0\n\
            veth1: 7 7 0 0 0 0 0 0 7 7 0 0 0 0 0 0\n";
        let counts = [1296, 16, 3, 4, 90, 1, 5, 6].map(Some);
        assert_eq!(interfaces(text), [Interface { name: "eth0".into(), counts }]);
    }

    #[test]
    fn a_process_may_be_named_anything() {
        assert_eq!(state("17 (a) R (b)) D 1 17 17 0"), Some('D'));
        assert_eq!(state("17"), None);
    }

    #[test]
    fn the_soft_limit_is_the_first_column() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             unlimited            unlimited            processes \n\
            Max open files            1024                 1048576              files     \n";
        assert_eq!(max_open_files(text), Some(1024.0));
        assert_eq!(
            max_open_files("Max open files            unlimited            unlimited            files"),
            Some(-1.0)
        );
    }

    #[test]
    fn our_own_process_has_open_files_and_sockets() {
        let _socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let me = std::process::id();
        let (open, sockets) = descriptors(Path::new("/proc"), &[me]).unwrap();
        assert!(open >= 3 && sockets >= 1, "{open} {sockets}");
        assert!(states(Path::new("/proc"), &[me], &mut Reader::default()).is_some());
    }
}
