//! Reading the kernel's files with few system calls.
//!
//! A look opens some two hundred of them. Files of `/sys` come whole with the first read, so each costs open, read and
//! close, and their names are looked up from their folder on.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::buffer::spare_capacity;
use rustix::fs::{Dir, Mode, OFlags, open, openat};
use rustix::io::read;

/// More than any file that we read has; one that is longer is not what we take it for.
const LONGEST: usize = 4 << 20;

/// Nearly all of the kernel's files end within this.
const USUAL: usize = 8 << 10;

/// A number in `/sys` is shorter than this.
const NUMBER: usize = 64;

/// A file's whole text. Bytes that are no UTF-8 are replaced.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    read_whole(&open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn read_whole(file: &OwnedFd) -> io::Result<String> {
    let mut bytes = Vec::with_capacity(USUAL);
    while read(file, spare_capacity(&mut bytes))? > 0 {
        if bytes.len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("longer than {LONGEST} bytes")));
        }
        // Reading goes on until the kernel says that it was all.
        bytes.reserve(USUAL / 2);
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A folder of `/sys`, kept open while its files are read. What cannot be read there (a link that is down has no speed,
/// a name that is another user's secret) is absent.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder; `None` when it is not there.
    pub(super) fn open(path: &Path) -> Option<Self> {
        open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok().map(Self)
    }

    /// A folder within.
    pub(super) fn folder(&self, path: &str) -> Option<Self> {
        openat(&self.0, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok().map(Self)
    }

    fn file(&self, path: &str) -> Option<OwnedFd> {
        openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
    }

    /// A file's text without the blanks around it.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = read_whole(&self.file(path)?).ok()?;
        let trimmed = text.trim();
        Some(if trimmed.len() == text.len() { text } else { trimmed.to_owned() })
    }

    /// A file's number, written in decimal or as `0x1003`.
    pub(super) fn number(&self, path: &str) -> Option<f64> {
        let mut bytes = [0; NUMBER];
        let length = read(self.file(path)?, &mut bytes).ok()?;
        number(std::str::from_utf8(&bytes[..length]).ok()?.trim())
    }

    /// The names within, sorted as `node_exporter` lists them.
    pub(super) fn names(&self) -> Vec<String> {
        // What is open is a place in the tree, which cannot be read itself.
        let opened = openat(&self.0, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let entries = opened.and_then(Dir::new).into_iter().flatten().flatten();
        let name = |entry: rustix::fs::DirEntry| entry.file_name().to_str().ok().map(str::to_owned);
        let mut names: Vec<_> = entries.filter_map(name).filter(|name| name != "." && name != "..").collect();
        names.sort_unstable();
        names
    }
}

/// A number, written in decimal or as `0x1003`.
pub(super) fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|value| value as f64),
        None => text.parse().ok(),
    }
}

/// The number that a name ends with: `12` of `cpu12`. Other names (`cpufreq`) have none.
pub(super) fn numbered<'n>(name: &'n str, start: &str) -> Option<&'n str> {
    name.strip_prefix(start).filter(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_texts_numbers_and_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("mtu", "1500\n"), ("flags", "0x1003\n"), ("operstate", "up\n"), ("long", &"x".repeat(20_000))]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let open = Folder::open(folder.path()).unwrap();
        assert_eq!(
            (open.number("mtu"), open.number("flags"), open.number("operstate")),
            (Some(1500.0), Some(4099.0), None)
        );
        assert_eq!(open.text("operstate").as_deref(), Some("up"));
        assert_eq!(open.text("long").map(|text| text.len()), Some(20_000));
        assert_eq!((open.text("gone"), open.folder("gone").is_none()), (None, true));
        assert_eq!(open.names(), ["flags", "long", "mtu", "operstate"]);
    }

    #[test]
    fn only_whole_numbers_end_a_name() {
        assert_eq!(
            (numbered("cpu12", "cpu"), numbered("cpufreq", "cpu"), numbered("cpu", "cpu")),
            (Some("12"), None, None)
        );
    }
}
