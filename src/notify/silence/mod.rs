//! Silences: what somebody does not want to hear of for a while, as Alertmanager 0.33 has them.
//!
//! In: silences as people set, change and end them. Out: which of them take an alert's labels now.
//!
//! ```text
//! set, expire ──▶ change (pure) ──▶ journal: written and synced ──▶ index ──▶ silencing
//! ```
//!
//! Invariant: what was answered is on disk. Asking never waits for the disk; at most [`Limits::count`] silences, each at most
//! [`Limits::bytes`] long, and one that has ended is forgotten after [`RETENTION`].

mod change;
mod index;
mod record;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::model::{Labels, Millis};
use crate::runtime::journal::{Change, Journal};

use super::matcher::Matcher;

use index::Index;
use record::of_json;

pub use record::to_json;

/// An ended silence can still be looked at for so long; Alertmanager's `--data.retention`.
pub const RETENTION: Duration = Duration::from_hours(120);

/// A silence's name: a UUID, as Alertmanager makes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SilenceId(Arc<str>);

impl SilenceId {
    /// The text as it is; whether a silence has this name is another question.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }

    /// A new one by chance (version 4).
    fn random() -> Result<Self, SilenceError> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SilenceError::Disk(io::Error::other("no random numbers")))?;
        let number = u128::from_be_bytes(bytes);
        let number = number & !(0xf << 76) | 4 << 76;
        let number = number & !(0b11 << 62) | 0b10 << 62;
        let hex = format!("{number:032x}");
        Ok(Self(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]).into()))
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Of these an alert's labels must fulfil all.
    pub matchers: Vec<Matcher>,
    /// From when on; a time that is over means now.
    pub starts_at: Millis,
    /// Until when.
    pub ends_at: Millis,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Notes of other programs.
    pub annotations: Vec<(String, String)>,
}

/// A silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// Its name.
    pub id: SilenceId,
    /// What was asked for, with the times as they hold.
    pub wish: Wish,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// Where a silence is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It holds.
    Active,
    /// It has not begun.
    Pending,
    /// It is over.
    Expired,
}

impl State {
    /// As the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// Its state at a time.
    pub fn state(&self, now: Millis) -> State {
        if now < self.wish.starts_at {
            State::Pending
        } else if now < self.wish.ends_at {
            State::Active
        } else {
            State::Expired
        }
    }

    /// Whether nobody needs to look at it any more.
    fn is_forgotten(&self, now: Millis) -> bool {
        now > self.wish.ends_at + RETENTION
    }
}

/// How many silences there may be, and how long each.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// With those that have ended lately.
    pub count: usize,
    /// Of one, as JSON.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { count: 10_000, bytes: 64 << 10 }
    }
}

/// Why a silence was not set or ended. The texts are Alertmanager's, which `amtool` shows.
#[derive(Debug, thiserror::Error)]
pub enum SilenceError {
    /// It would silence everything, or its times cannot be.
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// There is none of this name.
    #[error("silence not found")]
    NotFound,
    /// There are too many.
    #[error("exceeded maximum number of silences: {have} (limit: {limit})")]
    TooMany {
        /// So many there are.
        have: usize,
        /// So many there may be.
        limit: usize,
    },
    /// It is too long.
    #[error("silence exceeded maximum size: {bytes} bytes (limit: {limit} bytes)")]
    TooLong {
        /// So long it is.
        bytes: usize,
        /// So long it may be.
        limit: usize,
    },
    /// It could not be stored; nothing has changed.
    #[error("the silence could not be stored: {0}")]
    Disk(#[from] io::Error),
}

/// The handle. Cheap to clone; clones hold the same silences.
#[derive(Clone)]
pub struct Silences(Arc<Inner>);

struct Inner {
    /// Held while a change is decided and written, so that changes are one after the other.
    journal: Mutex<Option<Journal>>,
    /// Never held while something waits for the disk.
    index: RwLock<Index>,
    limits: Limits,
}

impl Silences {
    /// In memory alone: a restart forgets them.
    pub fn in_memory(limits: Limits) -> Self {
        Self(Arc::new(Inner { journal: Mutex::new(None), index: RwLock::default(), limits }))
    }

    /// Reads the silences of a file, which need not be there yet, and keeps them in it from now on. Says how many places of
    /// it could not be read, and silences in it that are none.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(path: &Path, limits: Limits) -> io::Result<(Self, usize)> {
        let (journal, found) = Journal::open(path, (limits.count * limits.bytes) as u64)?;
        let (mut index, mut unreadable) = (Index::default(), found.damaged);
        for (_, bytes) in &found.records {
            match serde_json::from_slice(bytes).ok().as_ref().and_then(of_json) {
                // What is to be forgotten goes with the next change, out of the file, too.
                Some(silence) => index.put(Arc::new(silence)),
                None => unreadable += 1,
            }
        }
        let inner = Inner { journal: Mutex::new(Some(journal)), index: RwLock::new(index), limits };
        Ok((Self(Arc::new(inner)), unreadable))
    }

    /// The silences that hold now and take these labels; in the order of their names.
    pub fn silencing(&self, labels: &Labels, now: Millis) -> Vec<SilenceId> {
        self.read(|index| index.silencing(labels, now))
    }

    /// One by its name.
    pub fn get(&self, id: &SilenceId, now: Millis) -> Option<Arc<Silence>> {
        self.read(|index| index.get(id)).filter(|silence| !silence.is_forgotten(now))
    }

    /// All that can be looked at: active ones first, the next to end in front; then pending ones, the next to begin in front;
    /// then those that have ended, the last in front.
    pub fn all(&self, now: Millis) -> Vec<Arc<Silence>> {
        let mut all: Vec<_> = self.read(|index| index.all().cloned().collect());
        all.retain(|silence| !silence.is_forgotten(now));
        all.sort_by_cached_key(|silence| {
            let state = silence.state(now);
            let by = match state {
                State::Active => silence.wish.ends_at.0,
                State::Pending => silence.wish.starts_at.0,
                State::Expired => silence.wish.ends_at.0.saturating_neg(),
            };
            (state, by, silence.id.clone())
        });
        all
    }

    /// Sets a silence: a new one, or with an id the change of one that is there. A change that would alter what has been
    /// silenced so far ends the old one and makes a new one. Waits for the disk.
    ///
    /// # Errors
    /// It cannot be, there are too many, or it could not be stored; then nothing has changed.
    pub fn set(&self, id: Option<&SilenceId>, wish: Wish, now: Millis) -> Result<SilenceId, SilenceError> {
        let mut journal = self.0.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let known = id.map(|id| self.get(id, now).ok_or(SilenceError::NotFound)).transpose();
        change::check(&wish)?;
        let changed = match change::of(known?.as_deref(), wish, now) {
            change::Change::Update(silence) => vec![silence],
            change::Change::Create { ended, wish } => {
                self.check_room(now)?;
                let made = Silence { id: SilenceId::random()?, wish, updated_at: now };
                ended.into_iter().chain([made]).collect()
            }
        };
        let Some(set) = changed.last() else { return Err(SilenceError::NotFound) };
        let bytes = to_json(set).to_string().len();
        if bytes > self.0.limits.bytes {
            return Err(SilenceError::TooLong { bytes, limit: self.0.limits.bytes });
        }
        let id = set.id.clone();
        self.store(journal.as_mut(), changed, now)?;
        Ok(id)
    }

    /// Ends a silence now; one that has ended already stays as it is. Waits for the disk.
    ///
    /// # Errors
    /// There is none of this name, or its end could not be stored.
    pub fn expire(&self, id: &SilenceId, now: Millis) -> Result<(), SilenceError> {
        let mut journal = self.0.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.get(id, now).ok_or(SilenceError::NotFound)?;
        match change::ended(&known, now) {
            Some(ended) => self.store(journal.as_mut(), vec![ended], now),
            None => Ok(()),
        }
    }

    fn check_room(&self, now: Millis) -> Result<(), SilenceError> {
        let limit = self.0.limits.count;
        let have = self.read(|index| if index.len() < limit { 0 } else { index.len() - index.forgotten(now).count() });
        if have < limit { Ok(()) } else { Err(SilenceError::TooMany { have, limit }) }
    }

    /// All of the silences or none: they are one change of the file.
    fn store(&self, journal: Option<&mut Journal>, changed: Vec<Silence>, now: Millis) -> Result<(), SilenceError> {
        let changed: Vec<_> = changed.into_iter().map(Arc::new).collect();
        if let Some(journal) = journal {
            let gone = self.read(|index| {
                index.forgotten(now).map(|silence| Change::Remove(silence.id.shared())).collect::<Vec<_>>()
            });
            let put =
                |silence: &Arc<Silence>| Change::Put(silence.id.shared(), to_json(silence).to_string().into_bytes());
            if journal.write(gone.into_iter().chain(changed.iter().map(put)).collect())? > 0 {
                return Err(SilenceError::Disk(io::Error::other("the file has no room")));
            }
            // What was asked for is stored already; a file that stays long is no reason to refuse it.
            if let Err(error) = journal.tidy() {
                tracing::warn!(%error, "the file of the silences could not be shortened");
            }
        }
        let mut index = self.0.index.write().unwrap_or_else(PoisonError::into_inner);
        index.forget(now);
        for silence in changed {
            index.put(silence);
        }
        Ok(())
    }

    fn read<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.0.index.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
