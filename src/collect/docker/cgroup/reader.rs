//! Reads small files of the kernel into one buffer.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Longer files are cut here: they are not what we take them for.
const MAX_FILE: u64 = 256 << 10;

/// Keeps its buffer from file to file.
#[derive(Debug, Default)]
pub(in crate::collect::docker) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// A file's text; `None` when it cannot be read (not every kernel has every file) or is no text.
    pub(in crate::collect::docker) fn read(&mut self, folder: &Path, file: &str) -> Option<&str> {
        self.buffer.clear();
        let file = File::open(folder.join(file)).ok()?;
        file.take(MAX_FILE).read_to_end(&mut self.buffer).ok()?;
        std::str::from_utf8(&self.buffer).ok()
    }
}
