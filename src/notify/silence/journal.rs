//! The silences' file: a line for each change, with its check sum; the last word on a silence holds.
//!
//! Invariant: when [`Journal::append`] returns, the change outlasts a kill and a power cut. A change of two silences is one
//! line, so that a kill in between leaves both as they were.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Silence;
use super::index::Index;
use super::record::{of_json, to_json};

/// A file shorter than this is not worth rewriting.
const SHORT: u64 = 1 << 20;

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// So much of it is good; what a failed write left behind that is cut off before the next.
    length: u64,
    /// How long it was when it was last rewritten.
    rewritten: u64,
}

impl Journal {
    /// Opens the file, with its folder if that is not there. Gives back what it holds, in order, and how many lines could
    /// not be read.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Vec<Silence>>, usize)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut records = Vec::new();
        let mut unreadable = usize::from(whole < bytes.len());
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match read_line(line) {
                Some(record) => records.push(record),
                None => unreadable += 1,
            }
        }
        let journal = Self { path: path.to_owned(), file, length: whole as u64, rewritten: 0 };
        sync_folder(path)?;
        Ok((journal, records, unreadable))
    }

    /// Writes one change and waits until it is on disk.
    pub(super) fn append(&mut self, changed: &[Silence]) -> io::Result<()> {
        // What an earlier write that failed left behind would make this line unreadable.
        self.file.set_len(self.length)?;
        let line = line(changed.iter());
        self.file.write_all(line.as_bytes())?;
        self.file.sync_data()?;
        self.length += line.len() as u64;
        Ok(())
    }

    /// Writes the file anew when most of it is out of date.
    pub(super) fn rewrite_if_long(&mut self, index: &Index, damaged: bool) -> io::Result<()> {
        if !damaged && self.length < SHORT.max(self.rewritten * 2) {
            return Ok(());
        }
        let part = self.path.with_extension("part");
        let mut file = File::create(&part)?;
        let mut length = 0;
        for silence in index.all() {
            let line = line([&**silence].into_iter());
            file.write_all(line.as_bytes())?;
            length += line.len() as u64;
        }
        file.sync_all()?;
        fs::rename(&part, &self.path)?;
        sync_folder(&self.path)?;
        self.file = File::options().append(true).open(&self.path)?;
        (self.length, self.rewritten) = (length, length);
        Ok(())
    }
}

/// Makes a new name outlast a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn line<'s>(silences: impl Iterator<Item = &'s Silence>) -> String {
    let text = Value::Array(silences.map(to_json).collect()).to_string();
    format!("{:08x} {text}\n", crc32fast::hash(text.as_bytes()))
}

fn read_line(line: &[u8]) -> Option<Vec<Silence>> {
    let (sum, text) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    if u32::from_str_radix(sum, 16).ok()? != crc32fast::hash(text.as_bytes()) {
        return None;
    }
    let silences: Value = serde_json::from_str(text).ok()?;
    silences.as_array()?.iter().map(of_json).collect()
}
