//! How full the file systems are that containers write to.
//!
//! In: the machine's mount table, and the folders of the containers' layers. Out: cAdvisor's `container_fs_*` about space.

use std::collections::HashMap;
use std::path::Path;

use rustix::fs::statvfs;

use crate::model::{Family, Suffix};

use super::Look;
use super::labels::ContainerLabels;

/// File systems on block devices. Others are memory, or other machines' whose answer may never come.
const KINDS: [&str; 8] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs"];
/// File systems beyond this are not looked at.
const MAX_FILESYSTEMS: usize = 64;

static USAGE: Family = Family::gauge(
    "container_fs_usage_bytes",
    "Bytes that the container wrote to its own layer of the file system (of the machine: that are in use).",
);
static LIMIT: Family =
    Family::gauge("container_fs_limit_bytes", "Size of the file system the container writes to, in bytes.");
static INODES: Family =
    Family::gauge("container_fs_inodes_total", "Inodes of the file system the container writes to.");
static INODES_FREE: Family =
    Family::gauge("container_fs_inodes_free", "Unused inodes of the file system the container writes to.");

/// A file system and how full it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Filesystem {
    /// `/dev/vda1`
    pub(super) device: String,
    bytes: u64,
    bytes_used: u64,
    inodes: u64,
    inodes_free: u64,
}

impl Filesystem {
    fn at(device: &str, path: &Path) -> Option<Self> {
        let figures = statvfs(path).ok()?;
        Some(Self {
            device: device.to_owned(),
            bytes: figures.f_blocks * figures.f_frsize,
            bytes_used: figures.f_blocks.saturating_sub(figures.f_bfree) * figures.f_frsize,
            inodes: figures.f_files,
            inodes_free: figures.f_ffree,
        })
    }

    /// Adds the file system as the machine's.
    pub(super) fn fill_root(&self, root: &mut ContainerLabels, look: &mut Look) {
        fill(Some(self.bytes_used), Some(self), root, look);
    }
}

/// Adds what a container uses of its file system; of either, what is known.
pub(super) fn fill(used: Option<u64>, filesystem: Option<&Filesystem>, labels: &mut ContainerLabels, look: &mut Look) {
    let labels = match filesystem {
        Some(known) => labels.and([("device", &known.device)]),
        None => labels.base.clone(),
    };
    let values = [
        (&USAGE, used),
        (&LIMIT, filesystem.map(|known| known.bytes)),
        (&INODES, filesystem.map(|known| known.inodes)),
        (&INODES_FREE, filesystem.map(|known| known.inodes_free)),
    ];
    for (family, value) in values {
        if let Some(value) = value {
            look.point(family, Suffix::None, labels.clone(), value as f64);
        }
    }
}

/// The machine's file systems on block devices, each device once.
#[derive(Debug, Default)]
pub(super) struct Filesystems {
    mounts: Vec<(String, String)>,
    known: HashMap<String, Filesystem>,
}

impl Filesystems {
    /// From the text of `/proc/1/mounts`; each is asked below `rootfs`.
    pub(super) fn read(mounts: &str, rootfs: &Path) -> Self {
        let mounts = mounts_of(mounts, rootfs);
        let mut known = HashMap::new();
        for (device, point) in &mounts {
            if known.len() < MAX_FILESYSTEMS && !known.contains_key(device) {
                let found = Filesystem::at(device, &rootfs.join(point.trim_start_matches('/')));
                known.extend(found.map(|found| (device.clone(), found)));
            }
        }
        Self { mounts, known }
    }

    /// The file system on which a folder of the machine lies.
    pub(super) fn of(&self, folder: &str) -> Option<&Filesystem> {
        let folder = Path::new(folder);
        let holds = |(_, point): &&(String, String)| folder.starts_with(point);
        let (device, _) = self.mounts.iter().filter(holds).max_by_key(|(_, point)| point.len())?;
        self.known.get(device)
    }

    /// All of them, in the order of their devices.
    pub(super) fn all(&self) -> Vec<Filesystem> {
        let mut all: Vec<_> = self.known.values().cloned().collect();
        all.sort_by(|a, b| a.device.cmp(&b.device));
        all
    }
}

/// Devices and mount points as the machine sees them: a table read inside our container has `rootfs` before each.
fn mounts_of(text: &str, rootfs: &Path) -> Vec<(String, String)> {
    let mount = |line: &str| {
        let mut words = line.split(' ');
        let (device, point, kind) = (words.next()?, words.next()?, words.next()?);
        let point = match Path::new(point).strip_prefix(rootfs) {
            Ok(rest) => format!("/{}", rest.display()),
            Err(_) => point.to_owned(),
        };
        KINDS.contains(&kind).then(|| (device.to_owned(), point))
    };
    text.lines().filter_map(mount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/vda / ext4 rw 0 0\nproc /proc proc rw 0 0\n/dev/vdb /var/lib/docker xfs rw 0 0\n\
        overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\n";

    #[test]
    fn a_folder_lies_on_the_nearest_mount_above_it() {
        let filesystems = Filesystems {
            mounts: mounts_of(MOUNTS, Path::new("/")),
            known: ["/dev/vda", "/dev/vdb"]
                .map(|device| {
                    let known =
                        Filesystem { device: device.into(), bytes: 1, bytes_used: 0, inodes: 1, inodes_free: 1 };
                    (device.to_owned(), known)
                })
                .into(),
        };
        let device = |folder| filesystems.of(folder).map(|found| found.device.as_str());
        assert_eq!(device("/var/lib/docker/overlay2/x/diff"), Some("/dev/vdb"));
        assert_eq!(device("/var/lib/dockerish"), Some("/dev/vda"));
    }

    #[test]
    fn mounts_seen_in_our_container_are_the_machines() {
        let mounts = mounts_of("/dev/vda /host ext4 rw 0 0\n/dev/vdb /host/data xfs rw 0 0\n", Path::new("/host"));
        assert_eq!(mounts.iter().map(|(_, point)| point.as_str()).collect::<Vec<_>>(), ["/", "/data"]);
    }

    #[test]
    fn without_a_known_file_system_there_is_the_use_alone() {
        let mut look = Look::new();
        let mut labels = ContainerLabels::new(crate::model::Labels::new([("name", "web")]));
        fill(Some(7), None, &mut labels, &mut look);
        assert_eq!(look.get("container_fs_usage_bytes", &[("name", "web")]), Some(7.0));
        assert_eq!(look.len(), 1);
    }
}
