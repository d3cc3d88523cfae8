//! Reads small files of the kernel into one buffer.
//!
//! A control group's files are read at each look, so they are kept open: opening costs more than reading. A file of a group that is gone
//! cannot be read any more, whoever has it open; it is opened anew then, as its container may have started again under the same name.
//!
//! Invariant: at most [`MAX_KEPT`] are open between looks, and none that the last look did not read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::pread;

/// Longer files are cut here: they are not what we take them for.
const MAX_FILE: u64 = 256 << 10;
/// Nearly all files end within this.
const USUAL: usize = 8 << 10;
/// Files kept open: those of some forty containers, and half of what a process may open where nobody set more.
const MAX_KEPT: usize = 512;

/// Keeps its buffer from file to file, and some files from look to look.
#[derive(Debug, Default)]
pub(in crate::collect::docker) struct Reader {
    buffer: Vec<u8>,
    kept: HashMap<PathBuf, Kept>,
    open: usize,
}

/// The open files of one folder.
#[derive(Debug, Default)]
struct Kept {
    files: Vec<(&'static str, OwnedFd)>,
    used: bool,
}

impl Reader {
    /// A file's text; `None` when it cannot be read (not every kernel has every file) or is no text.
    pub(in crate::collect::docker) fn read(&mut self, folder: &Path, file: &str) -> Option<&str> {
        self.buffer.clear();
        let file = File::open(folder.join(file)).ok()?;
        file.take(MAX_FILE).read_to_end(&mut self.buffer).ok()?;
        std::str::from_utf8(&self.buffer).ok()
    }

    /// The same of a control group's file, which the next look will read again.
    pub(super) fn read_again(&mut self, folder: &Path, file: &'static str) -> Option<&str> {
        if let Some(kept) = self.kept.get_mut(folder) {
            kept.used = true;
            if let Some(at) = kept.files.iter().position(|(name, _)| *name == file) {
                if whole(&kept.files[at].1, &mut self.buffer).is_ok() {
                    return std::str::from_utf8(&self.buffer).ok();
                }
                kept.files.swap_remove(at);
                self.open -= 1;
            }
        }
        let opened = open(folder.join(file), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        whole(&opened, &mut self.buffer).ok()?;
        if self.open < MAX_KEPT {
            if !self.kept.contains_key(folder) {
                self.kept.insert(folder.to_owned(), Kept { files: Vec::new(), used: true });
            }
            if let Some(kept) = self.kept.get_mut(folder) {
                kept.files.push((file, opened));
                self.open += 1;
            }
        }
        std::str::from_utf8(&self.buffer).ok()
    }

    /// Closes what this look did not read.
    pub(in crate::collect::docker) fn end_look(&mut self) {
        self.kept.retain(|_, kept| std::mem::take(&mut kept.used));
        self.open = self.kept.values().map(|kept| kept.files.len()).sum();
    }
}

/// All of a file, from its beginning.
fn whole(file: &OwnedFd, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    buffer.reserve(USUAL);
    loop {
        let at = buffer.len() as u64;
        if pread(file, spare_capacity(buffer), at)? == 0 || at > MAX_FILE {
            return Ok(());
        }
        buffer.reserve(USUAL / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_anew_each_time_and_closed_when_nobody_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("memory.stat"), text).unwrap();
        let mut reader = Reader::default();
        let read = |reader: &mut Reader| reader.read_again(folder.path(), "memory.stat").map(str::to_owned);
        assert_eq!(read(&mut reader), None);
        for text in ["anon 5\n", "", &"x".repeat(3 * USUAL)] {
            write(text);
            assert_eq!(read(&mut reader).as_deref(), Some(text));
        }
        assert_eq!(reader.open, 1);
        reader.end_look();
        assert_eq!(reader.open, 1, "it was read in this look");
        reader.end_look();
        assert_eq!((reader.open, reader.kept.len()), (0, 0));
    }

    #[test]
    fn no_more_files_are_kept_than_so_many() {
        let root = tempfile::tempdir().unwrap();
        let mut reader = Reader::default();
        for number in 0..MAX_KEPT + 10 {
            let folder = root.path().join(number.to_string());
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("cpu.stat"), "1").unwrap();
            assert_eq!(reader.read_again(&folder, "cpu.stat"), Some("1"));
        }
        assert_eq!(reader.open, MAX_KEPT);
    }

    /// A group that is gone cannot be read by whoever has its files open: what this reader relies on.
    #[test]
    fn the_files_of_a_process_that_ended_are_opened_anew() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let folder = PathBuf::from(format!("/proc/{}", child.id()));
        let mut reader = Reader::default();
        assert!(reader.read_again(&folder, "cgroup").is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(reader.read_again(&folder, "cgroup"), None);
        assert_eq!(reader.open, 0);
    }
}
