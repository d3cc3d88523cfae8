//! The folder of the history: who may use it, and what its files are called.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::OpenStoreError;
use crate::model::Millis;

/// So many segments that could not be read to their end are kept aside, for who wants to look at them.
const ASIDE: usize = 16;
/// What their names end with.
const DAMAGED: &str = "damaged";

/// `lock`, `log/00000042`, `blocks/00000042.block`, and `blocks/00000041-until-1700000000000.block` for a block of which
/// nothing behind that time is shown since the clock was set back. `log/00000040.damaged` is a segment that was kept aside.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Held until the end of the process, however it ends.
    _lock: File,
}

/// A block's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockFile {
    pub(super) number: u64,
    pub(super) visible: Millis,
    pub(super) path: PathBuf,
}

impl Folder {
    /// Makes the folders, takes the lock and removes what a kill left unfinished.
    pub(super) fn open(root: &Path) -> Result<Self, OpenStoreError> {
        for folder in ["log", "blocks"].map(|name| root.join(name)) {
            fs::create_dir_all(&folder).map_err(|source| OpenStoreError::Io { path: folder, source })?;
        }
        let path = root.join("lock");
        let lock = File::create(&path).map_err(|source| OpenStoreError::Io { path: path.clone(), source })?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenStoreError::InUse(root.to_owned())),
            // A file system without locks: nothing keeps a second agent out, but nothing keeps this one from working.
            Err(error) => tracing::warn!(%error, path = %path.display(), "the history's folder cannot be locked"),
        }
        let folder = Self { root: root.to_owned(), _lock: lock };
        for path in folder.list("blocks")?.filter(|path| path.extension().is_some_and(|end| end == "part")) {
            let _ = fs::remove_file(path);
        }
        Ok(folder)
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        self.root.join("log").join(format!("{number:08}"))
    }

    pub(super) fn block(&self, number: u64) -> PathBuf {
        self.blocks().join(format!("{number:08}.block"))
    }

    pub(super) fn block_until(&self, number: u64, visible: Millis) -> PathBuf {
        self.blocks().join(format!("{number:08}-until-{}.block", visible.0))
    }

    pub(super) fn unfinished_block(&self, number: u64) -> PathBuf {
        self.blocks().join(format!("{number:08}.part"))
    }

    /// Keeps a segment aside that could not be read to its end, instead of others that are kept so already and are too many.
    pub(super) fn set_aside(&self, number: u64) -> io::Result<()> {
        let path = self.segment(number);
        let aside = path.with_extension(DAMAGED);
        fs::rename(&path, &aside)?;
        tracing::warn!(file = %aside.display(), "what could be read of the damaged segment is in a block now; the segment is kept aside");
        let is_aside = |path: &PathBuf| path.extension().is_some_and(|end| end == DAMAGED);
        let mut all: Vec<_> = self.list("log").map_err(io::Error::other)?.filter(is_aside).collect();
        all.sort();
        for path in all.iter().take(all.len().saturating_sub(ASIDE)) {
            fs::remove_file(path)?;
        }
        Ok(())
    }

    fn blocks(&self) -> PathBuf {
        self.root.join("blocks")
    }

    /// The log's segments in order. Files of other names are not ours and are left alone.
    pub(super) fn segments(&self) -> Result<Vec<(u64, PathBuf)>, OpenStoreError> {
        let named = |path: PathBuf| Some((number(path.file_name()?.to_str()?)?, path));
        let mut all: Vec<_> = self.list("log")?.filter_map(named).collect();
        all.sort();
        Ok(all)
    }

    /// The blocks in order.
    pub(super) fn block_files(&self) -> Result<Vec<BlockFile>, OpenStoreError> {
        let mut all: Vec<_> = self.list("blocks")?.filter_map(block_file).collect();
        all.sort_by_key(|file| file.number);
        Ok(all)
    }

    fn list(&self, name: &str) -> Result<impl Iterator<Item = PathBuf> + use<>, OpenStoreError> {
        let path = self.root.join(name);
        let entries = fs::read_dir(&path).map_err(|source| OpenStoreError::Io { path, source })?;
        Ok(entries.filter_map(Result::ok).map(|entry| entry.path()))
    }

    /// Makes new names and removals outlast a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        for name in ["log", "blocks"] {
            File::open(self.root.join(name))?.sync_all()?;
        }
        Ok(())
    }
}

fn number(name: &str) -> Option<u64> {
    let is_ours = name.len() >= 8 && name.bytes().all(|byte| byte.is_ascii_digit());
    if is_ours { name.parse().ok() } else { None }
}

fn block_file(path: PathBuf) -> Option<BlockFile> {
    let name = path.file_name()?.to_str()?.strip_suffix(".block")?;
    let (number_part, visible) = match name.split_once("-until-") {
        Some((number, until)) => (number, Millis(until.parse().ok()?)),
        None => (name, Millis(i64::MAX)),
    };
    Some(BlockFile { number: number(number_part)?, visible, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_damaged_segments_are_kept_than_some() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        for number in 1..30 {
            fs::write(folder.segment(number), b"damaged").unwrap();
            folder.set_aside(number).unwrap();
        }
        let kept: Vec<_> =
            (1..30).filter(|number| root.path().join(format!("log/{number:08}.damaged")).exists()).collect();
        assert_eq!(kept, (14..30).collect::<Vec<_>>());
        assert_eq!(folder.segments().unwrap(), []);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::open(root.path()).unwrap();
        let until = Millis(-5);
        for path in [folder.block(3), folder.block_until(2, until), folder.unfinished_block(4), folder.segment(7)] {
            fs::write(path, b"").unwrap();
        }
        fs::write(folder.root.join("log/notes.txt"), b"").unwrap();
        let blocks: Vec<_> =
            folder.block_files().unwrap().into_iter().map(|file| (file.number, file.visible)).collect();
        assert_eq!(blocks, [(2, until), (3, Millis(i64::MAX))]);
        assert_eq!(folder.segments().unwrap(), [(7, folder.segment(7))]);
        assert!(matches!(Folder::open(root.path()), Err(OpenStoreError::InUse(_))), "one agent at a time");
        drop(folder);
        let again = Folder::open(root.path()).unwrap();
        assert!(!again.unfinished_block(4).exists());
    }
}
