//! What outlasts the process: what people have asked for, silences and acknowledgements, and what is to be told and was.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use crate::model::Millis;

use super::acknowledge::Acknowledged;
use super::outbox::Held;
use super::silence::{Limits, Silences};

/// The handles. Cheap to clone.
#[derive(Clone)]
pub struct Kept {
    /// What is not to be heard of.
    pub silences: Silences,
    /// What brings no reminders.
    pub acknowledged: Acknowledged,
    /// The dispatcher takes it when it starts.
    held: Arc<Mutex<Option<Held>>>,
}

impl Kept {
    /// In memory alone.
    ///
    /// # Errors
    /// [`Acknowledged::in_memory`].
    pub fn in_memory() -> io::Result<Self> {
        let (silences, acknowledged) = (Silences::in_memory(Limits::default()), Acknowledged::in_memory()?);
        Ok(Self { silences, acknowledged, held: Arc::default() })
    }

    /// In a folder, which is made if it is not there. Waits for the disk.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, now: Millis) -> io::Result<Self> {
        let (silences, unreadable) = Silences::open(&folder.join("silences"), Limits::default())?;
        if unreadable > 0 {
            warn!(places = unreadable, folder = %folder.display(), "parts of the silences' file could not be read");
        }
        let held = Arc::new(Mutex::new(Some(Held::open(folder)?)));
        Ok(Self { silences, acknowledged: Acknowledged::open(folder, now)?, held })
    }

    /// Messages say where to take an alert on: under this address, by which people reach the agent.
    #[must_use]
    pub fn reached_at(self, external_url: &str) -> Self {
        self.acknowledged.lead_to(external_url);
        self
    }

    /// What is to be told and what was, for the one that tells; nothing from the second time on, and where it is in memory.
    pub(super) fn take_held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(Held::nothing)
    }

    /// With this to be told.
    #[cfg(test)]
    pub(super) fn holding(held: Held) -> Self {
        Self { held: Arc::new(Mutex::new(Some(held))), ..Self::in_memory().unwrap() }
    }
}
