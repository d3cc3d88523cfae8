//! The mount table: which file systems to look at, and under which names.

use std::path::{Path, PathBuf};

/// `node_exporter`'s default of `--collector.filesystem.mount-points-exclude`: these and what is below them.
const EXCLUDED_POINTS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// The same, where only what is below is left out.
const EXCLUDED_BELOW: [&str; 3] = ["/run/credentials/", "/var/lib/docker/", "/var/lib/containers/storage/"];

fn is_excluded(point: &str) -> bool {
    let at_or_below =
        |start: &&str| point.strip_prefix(*start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let below = |start: &&str| point.strip_prefix(*start).is_some_and(|rest| !rest.is_empty());
    EXCLUDED_POINTS.iter().any(at_or_below) || EXCLUDED_BELOW.iter().any(below)
}

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
    /// The device's number, `254:0`. A file system without a device has one of its own.
    pub(super) number: (String, String),
}

impl Mount {
    /// Where we see it, with the host's root at `rootfs`.
    pub(super) fn path(&self, rootfs: &Path) -> PathBuf {
        rootfs.join(self.point.trim_start_matches('/'))
    }
}

/// The mounts to look at, and how many more there are than we look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Each device, point and type once.
    pub(super) mounts: Vec<Mount>,
    /// Mounts beyond [`MAX_MOUNTS`].
    pub(super) left_out: usize,
}

/// Reads `/proc/1/mountinfo`: what `node_exporter` looks at by default.
///
/// `rootfs` is cut off the mount points: a table read inside our container shows the host's mounts below it.
pub(super) fn parse(text: &str, rootfs: &Path) -> Table {
    let mut table = Table::default();
    for mount in text.lines().filter_map(|line| mount(line, rootfs)) {
        let same =
            |other: &Mount| (&other.device, &other.point, &other.kind) == (&mount.device, &mount.point, &mount.kind);
        if table.mounts.iter().any(same) {
            continue;
        }
        if table.mounts.len() < MAX_MOUNTS {
            table.mounts.push(mount);
        } else {
            table.left_out += 1;
        }
    }
    table
}

/// `27 1 254:0 / /data rw,relatime shared:1 - ext4 /dev/vda rw,discard`: the mount's options, then the file system's.
fn mount(line: &str, rootfs: &Path) -> Option<Mount> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut words = mount.split(' ').skip(2);
    let (number, _root, point, options) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut words = file_system.split(' ');
    let (kind, device, super_options) = (words.next()?, words.next()?, words.next().unwrap_or_default());
    if EXCLUDED_TYPES.contains(&kind) {
        return None;
    }
    let point = host_point(unescape(point), rootfs);
    let (major, minor) = number.split_once(':')?;
    let read_only = options.split(',').chain(super_options.split(',')).any(|option| option == "ro");
    let number = (major.to_owned(), minor.to_owned());
    (!is_excluded(&point)).then(|| Mount { device: unescape(device), point, kind: kind.to_owned(), read_only, number })
}

fn host_point(point: String, rootfs: &Path) -> String {
    match Path::new(&point).strip_prefix(rootfs) {
        Ok(rest) if rootfs != Path::new("/") => format!("/{}", rest.display()),
        _ => point,
    }
}

/// The kernel writes blanks and backslashes in octal: `\040`.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n22 27 0:21 / /proc rw - proc proc rw\n\
        28 27 0:25 / /run ro,nosuid - tmpfs tmpfs rw\n\
        99 27 0:95 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n27 1 254:0 / / rw - ext4 /dev/vda1 rw\n\
        31 27 8:17 / /media/my\\040disk rw - vfat /dev/sdb1 ro\n32 24 0:26 / /dev/shm rw - tmpfs tmpfs rw\n";

    #[test]
    fn the_defaults_are_node_exporters() {
        let mounts = parse(TEXT, Path::new("/")).mounts;
        let points: Vec<_> = mounts.iter().map(|mount| (mount.point.as_str(), mount.read_only)).collect();
        assert_eq!(points, [("/", false), ("/run", true), ("/media/my disk", true)]);
        assert_eq!(mounts[2].number, ("8".into(), "17".into()));
        for (point, excluded) in [
            ("/devices", false),
            ("/dev/shm", true),
            ("/var/lib/docker", false),
            ("/var/lib/docker/x", true),
            ("/run/credentials/systemd", true),
            ("/sys", true),
        ] {
            assert_eq!(is_excluded(point), excluded, "{point}");
        }
    }

    #[test]
    fn a_table_too_long_says_what_is_left_out() {
        let text: String = (0..MAX_MOUNTS + 3)
            .map(|at| ["1 0 8:1 / /", &at.to_string(), " rw - ext4 /dev/sda1 rw\n"].concat())
            .collect();
        let table = parse(&text, Path::new("/"));
        assert_eq!((table.mounts.len(), table.left_out), (MAX_MOUNTS, 3));
    }

    #[test]
    fn the_root_of_the_host_is_cut_off_and_put_before() {
        let text = "1 0 254:0 / /host rw - ext4 /dev/vda1 rw\n2 1 254:16 / /host/data rw - xfs /dev/vdb rw\n";
        let mounts = parse(text, Path::new("/host")).mounts;
        assert_eq!(mounts.iter().map(|mount| mount.point.as_str()).collect::<Vec<_>>(), ["/", "/data"]);
        assert_eq!(mounts[1].path(Path::new("/host")), Path::new("/host/data"));
    }
}
