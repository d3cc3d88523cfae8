//! The mount table: which file systems to look at, and under which names.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// `node_exporter`'s default of `--collector.filesystem.mount-points-exclude`.
static EXCLUDED_POINTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)")
        .expect("the pattern is a constant, and a test uses it")
});

/// `node_exporter`'s default of `--collector.filesystem.fs-types-exclude`.
const EXCLUDED_TYPES: [&str; 25] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "procfs",
    "pstore",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "erofs",
    "sysfs",
    "tracefs",
];

/// Mounts beyond this are not looked at: a table this long is full of bind mounts.
const MAX_MOUNTS: usize = 512;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// `/dev/vda1`, `tmpfs`, `server:/export`.
    pub(super) device: String,
    /// Where the host sees it.
    pub(super) point: String,
    /// `ext4`, `nfs`.
    pub(super) kind: String,
    /// Whether it is mounted read-only.
    pub(super) read_only: bool,
}

impl Mount {
    /// Where we see it, with the host's root at `rootfs`.
    pub(super) fn path(&self, rootfs: &Path) -> PathBuf {
        rootfs.join(self.point.trim_start_matches('/'))
    }
}

/// Reads `/proc/1/mounts`: what `node_exporter` looks at by default, each device, point and type once.
///
/// `rootfs` is cut off the mount points: a table read inside our container shows the host's mounts below it.
pub(super) fn parse(text: &str, rootfs: &Path) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in text.lines().filter_map(|line| mount(line, rootfs)) {
        if mounts.len() >= MAX_MOUNTS {
            break;
        }
        let same =
            |other: &Mount| (&other.device, &other.point, &other.kind) == (&mount.device, &mount.point, &mount.kind);
        if !mounts.iter().any(same) {
            mounts.push(mount);
        }
    }
    mounts
}

fn mount(line: &str, rootfs: &Path) -> Option<Mount> {
    let mut words = line.split_ascii_whitespace();
    let (device, point, kind, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let point = host_point(unescape(point), rootfs);
    let excluded = EXCLUDED_TYPES.contains(&kind) || EXCLUDED_POINTS.is_match(&point);
    let read_only = options.split(',').any(|option| option == "ro");
    (!excluded).then(|| Mount { device: unescape(device), point, kind: kind.to_owned(), read_only })
}

fn host_point(point: String, rootfs: &Path) -> String {
    match Path::new(&point).strip_prefix(rootfs) {
        Ok(rest) if rootfs != Path::new("/") => format!("/{}", rest.display()),
        _ => point,
    }
}

/// The kernel writes blanks and backslashes in octal: `\040`.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\ntmpfs /run tmpfs ro,nosuid 0 0\n\
        overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n/dev/vda1 / ext4 rw,relatime 0 0\n\
        /dev/sdb1 /media/my\\040disk vfat rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n";

    #[test]
    fn the_defaults_are_node_exporters() {
        let mounts = parse(TEXT, Path::new("/"));
        let points: Vec<_> = mounts.iter().map(|mount| (mount.point.as_str(), mount.read_only)).collect();
        assert_eq!(points, [("/", false), ("/run", true), ("/media/my disk", false)]);
    }

    #[test]
    fn the_root_of_the_host_is_cut_off_and_put_before() {
        let mounts = parse("/dev/vda1 /host ext4 rw 0 0\n/dev/vdb /host/data xfs rw 0 0\n", Path::new("/host"));
        assert_eq!(mounts.iter().map(|mount| mount.point.as_str()).collect::<Vec<_>>(), ["/", "/data"]);
        assert_eq!(mounts[1].path(Path::new("/host")), Path::new("/host/data"));
    }
}
