//! Control groups: where a container's is, and what it says.
//!
//! In: where the machine's `/sys/fs/cgroup` is. Out: [`Usage`].
//!
//! Invariant: a group is taken for a container's only if its path holds the container's whole id. So figures are never
//! those of another machine or container, wherever the files come from.

mod reader;
mod text;
mod v1;
mod v2;

use std::path::Path;

pub(super) use reader::Reader;

use super::identity::{self, CgroupDriver};
use super::usage::Usage;

/// The mounted control groups.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Groups {
    /// Version 1, also beside a version 2 that only names groups.
    V1(v1::Trees),
    /// Version 2.
    V2(v2::Tree),
}

impl Groups {
    /// What is mounted below `sysfs`, the machine's `/sys`.
    pub(super) fn at(sysfs: &Path) -> Option<Self> {
        let root = sysfs.join("fs/cgroup");
        v2::Tree::at(&root).map(Self::V2).or_else(|| v1::Trees::at(&root).map(Self::V1))
    }

    /// How engines name groups here unless told otherwise.
    pub(super) fn usual_driver(&self) -> CgroupDriver {
        match self {
            Self::V1(_) => CgroupDriver::Cgroupfs,
            Self::V2(_) => CgroupDriver::Systemd,
        }
    }

    /// A container's group, as cAdvisor writes it: `/docker/0123…`. `membership` is what `/proc/<pid>/cgroup` says of
    /// its first process.
    pub(super) fn find(&self, id: &str, parent: Option<&str>, membership: Option<&str>) -> Option<String> {
        let named = identity::possible_paths(id, parent).into_iter();
        let joined = membership.into_iter().flat_map(str::lines).filter_map(|line| line.splitn(3, ':').nth(2));
        let joined = joined.filter(|path| path.contains(id)).filter_map(|path| through(path, id));
        named.chain(joined).find(|path| self.has(path))
    }

    fn has(&self, path: &str) -> bool {
        match self {
            Self::V1(trees) => trees.has(path),
            Self::V2(tree) => tree.has(path),
        }
    }

    /// The figures of a group; `None` when it is gone. The root group is `/`.
    pub(super) fn read(&self, path: &str, reader: &mut Reader) -> Option<Usage> {
        match self {
            Self::V1(trees) => trees.read(path, reader),
            Self::V2(tree) => tree.read(path, reader),
        }
    }

    /// The ids of a group's processes or threads, with those of the groups below it.
    pub(super) fn members(&self, path: &str, threads: bool, reader: &mut Reader) -> Option<Vec<u32>> {
        let (folder, file) = match self {
            Self::V1(trees) => (trees.processes(path), if threads { "tasks" } else { "cgroup.procs" }),
            Self::V2(tree) => (tree.folder(path), if threads { "cgroup.threads" } else { "cgroup.procs" }),
        };
        let mut members = Vec::new();
        gather(&folder, file, MAX_DEPTH, reader, &mut members)?;
        Some(members)
    }
}

/// How deep groups below a container's are looked into: a service manager inside makes a few levels.
const MAX_DEPTH: usize = 4;
/// Members of one group beyond this are not listed.
const MAX_MEMBERS: usize = 16_384;

fn gather(folder: &Path, file: &'static str, depth: usize, reader: &mut Reader, members: &mut Vec<u32>) -> Option<()> {
    // A group of threads refuses to list processes: its parent lists them.
    if let Some(text) = reader.read_again(folder, file) {
        members.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    }
    if depth == 0 || members.len() > MAX_MEMBERS {
        return None;
    }
    // A folder has a link from its parent, one from itself, and one from each folder below; some file systems do not count them.
    if rustix::fs::stat(folder).is_ok_and(|stat| stat.st_nlink == 2) {
        return Some(());
    }
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            gather(&entry.path(), file, depth - 1, reader, members)?;
        }
    }
    Some(())
}

/// A path up to the group that bears the id: engines may keep processes in groups below it.
fn through(path: &str, id: &str) -> Option<String> {
    let end = path.find(id)? + id.len();
    let end = path[end..].find('/').map_or(path.len(), |more| end + more);
    // A path that leaves our own tree (`/../…`) says nothing about the mounted one.
    (!path.contains("/../")).then(|| path[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(groups: &[&str]) -> (tempfile::TempDir, Groups) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("fs/cgroup");
        for group in groups {
            std::fs::create_dir_all(root.join(group)).unwrap();
        }
        std::fs::write(root.join("cgroup.controllers"), "memory\n").unwrap();
        let groups = Groups::at(folder.path()).unwrap();
        (folder, groups)
    }

    #[test]
    fn groups_are_found_by_the_names_that_engines_give() {
        let (_folder, groups) = tree(&["system.slice/docker-ab.scope", "machine.slice/libpod-cd.scope", "mine/ef"]);
        let find = |id, parent| groups.find(id, parent, None);
        assert_eq!(find("ab", None).as_deref(), Some("/system.slice/docker-ab.scope"));
        assert_eq!(find("cd", None).as_deref(), Some("/machine.slice/libpod-cd.scope"));
        assert_eq!(find("ef", Some("/mine")).as_deref(), Some("/mine/ef"));
        assert_eq!(find("ef", None), None);
    }

    #[test]
    fn groups_are_found_by_their_first_process() {
        let (_folder, groups) = tree(&["user.slice/app/libpod-ab.scope/container"]);
        let found = groups.find("ab", None, Some("0::/user.slice/app/libpod-ab.scope/container\n"));
        assert_eq!(found.as_deref(), Some("/user.slice/app/libpod-ab.scope"));
        assert_eq!(groups.find("ab", None, Some("0::/../../libpod-ab.scope\n")), None);
        assert_eq!(groups.find("cd", None, Some("0::/user.slice/app/libpod-ab.scope\n")), None);
    }
}
