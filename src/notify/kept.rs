//! What people have asked for, which outlasts the process: silences and acknowledgements.

use std::io;
use std::path::Path;

use tracing::warn;

use crate::model::Millis;

use super::acknowledge::Acknowledged;
use super::silence::{Limits, Silences};

/// The handles. Cheap to clone.
#[derive(Clone)]
pub struct Kept {
    /// What is not to be heard of.
    pub silences: Silences,
    /// What brings no reminders.
    pub acknowledged: Acknowledged,
}

impl Kept {
    /// In memory alone.
    ///
    /// # Errors
    /// [`Acknowledged::in_memory`].
    pub fn in_memory() -> io::Result<Self> {
        Ok(Self { silences: Silences::in_memory(Limits::default()), acknowledged: Acknowledged::in_memory()? })
    }

    /// In a folder, which is made if it is not there. Waits for the disk.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, now: Millis) -> io::Result<Self> {
        let (silences, unreadable) = Silences::open(&folder.join("silences"), Limits::default(), now)?;
        if unreadable > 0 {
            warn!(lines = unreadable, folder = %folder.display(), "parts of the silences' file could not be read");
        }
        Ok(Self { silences, acknowledged: Acknowledged::open(folder, now)? })
    }
}
