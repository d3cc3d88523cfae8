//! Alerts that somebody has taken on: they bring no reminders until they end or change.
//!
//! In: an acknowledgement, by API, by the page or by a signed link in a message. Out: whether an alert's reminders are wanted.
//!
//! An alert is meant as it fires now: when it has ended and fires again, somebody has to take it on again. A signature says
//! that the link came from the agent, so that whoever got the message may acknowledge, from anywhere.
//!
//! Invariant: what was answered is on disk; at most [`MAX`] are kept, each for at most [`KEEP`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::model::{Alert, Millis, hex};

use super::group::ActiveAlert;
use super::identity::{digest, fingerprint};

/// So many are kept; the oldest make room.
const MAX: usize = 10_000;
/// An alert that has fired for so long deserves to be spoken of again.
const KEEP: Duration = Duration::from_hours(30 * 24);
/// The key of the links, in bytes.
const KEY_LENGTH: usize = 32;

/// One alert while it fires: what it is and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Episode {
    /// [`fingerprint`] of its labels.
    pub fingerprint: u64,
    /// Since when it fires.
    pub starts_at: Millis,
}

impl Episode {
    /// This alert's present one.
    pub fn of(alert: &Alert) -> Self {
        Self { fingerprint: fingerprint(&alert.labels), starts_at: alert.starts_at }
    }
}

/// What a link lets its bearer acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// One alert.
    Alert(Episode),
    /// What fires in a group and began by then.
    Group {
        /// Names the receiver and the group.
        group: u64,
        /// The message's time.
        until: Millis,
    },
}

impl Meant {
    /// What a message to a receiver about a group says to fire.
    pub fn group(receiver: &str, group_key: &str, until: Millis) -> Self {
        let group = u64::from_str_radix(&digest(&[receiver, group_key], 16), 16).unwrap_or_default();
        Self::Group { group, until }
    }

    /// Whether an alert is meant.
    pub fn is(self, active: &ActiveAlert) -> bool {
        match self {
            Self::Alert(episode) => Episode::of(&active.alert) == episode,
            Self::Group { until, .. } => {
                active.alert.starts_at <= until && Self::group(&active.receiver, &active.group_key, until) == self
            }
        }
    }

    /// The parameters of a link, but for its signature.
    fn parameters(self) -> String {
        match self {
            Self::Alert(Episode { fingerprint, starts_at }) => {
                format!("alert={fingerprint:016x}&since={}", starts_at.0)
            }
            Self::Group { group, until } => format!("group={group:016x}&until={}", until.0),
        }
    }
}

/// Who took an alert on, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// As they call themselves; may be empty.
    pub by: String,
    /// In milliseconds since the epoch.
    pub at: i64,
}

impl Note {
    /// Who it was, for people.
    pub fn name(&self) -> &str {
        if self.by.is_empty() { "somebody" } else { &self.by }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    fingerprint: u64,
    starts_at: i64,
    #[serde(flatten)]
    note: Note,
}

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Acknowledged(Arc<Inner>);

struct Inner {
    notes: Mutex<BTreeMap<Episode, Note>>,
    path: Option<PathBuf>,
    key: hmac::Key,
    /// Where links lead, where somebody said how the agent is found from outside.
    page: OnceLock<String>,
}

impl Acknowledged {
    /// In memory alone: a restart forgets them, and makes old links useless.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn in_memory() -> io::Result<Self> {
        Ok(Self::new(BTreeMap::new(), None, &random()?))
    }

    /// Keeps them and the key of the links in a folder.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, now: Millis) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let key = key(&folder.join("link.key"))?;
        let path = folder.join("acknowledged");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let read =
            |line: Line| (Episode { fingerprint: line.fingerprint, starts_at: Millis(line.starts_at) }, line.note);
        let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(read);
        let mut notes: BTreeMap<_, _> = lines.collect();
        forget(&mut notes, now);
        Ok(Self::new(notes, Some(path), &key))
    }

    fn new(notes: BTreeMap<Episode, Note>, path: Option<PathBuf>, key: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self(Arc::new(Inner { notes: Mutex::new(notes), path, key, page: OnceLock::new() }))
    }

    /// From now on links lead to the agent's pages under this address. Only the first word about it counts.
    pub fn lead_to(&self, external_url: &str) {
        let _ = self.0.page.set(format!("{}/acknowledge", external_url.trim_end_matches('/')));
    }

    /// Who took this one on.
    pub fn note(&self, episode: Episode) -> Option<Note> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).get(&episode).cloned()
    }

    /// Notes that somebody takes an alert on; the first one stays. Waits for the disk.
    ///
    /// # Errors
    /// It could not be stored; then nothing has changed.
    pub fn acknowledge(&self, episode: Episode, by: &str, now: Millis) -> io::Result<Note> {
        let mut notes = self.0.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = notes.get(&episode) {
            return Ok(known.clone());
        }
        let note = Note { by: by.chars().take(100).collect(), at: now.0 };
        let mut changed = notes.clone();
        changed.insert(episode, note.clone());
        forget(&mut changed, now);
        if let Some(path) = &self.0.path {
            write(path, &changed)?;
        }
        *notes = changed;
        Ok(note)
    }

    /// A link that lets whoever has it acknowledge; nothing if nobody said where the agent is found from outside.
    pub fn url(&self, meant: Meant) -> Option<String> {
        self.0.page.get().map(|page| format!("{page}{}", self.link(meant)))
    }

    /// The end of a link, from `?` on, that lets whoever has it acknowledge.
    pub fn link(&self, meant: Meant) -> String {
        let signature = hmac::sign(&self.0.key, signed(meant).as_bytes());
        format!("?{}&signature={}", meant.parameters(), hex(signature))
    }

    /// Whether a link's signature is ours.
    pub fn is_ours(&self, meant: Meant, signature: &str) -> bool {
        let byte = |at: usize| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok();
        let bytes: Option<Vec<u8>> = (0..signature.len()).step_by(2).map(byte).collect();
        bytes.is_some_and(|bytes| hmac::verify(&self.0.key, signed(meant).as_bytes(), &bytes).is_ok())
    }
}

fn signed(meant: Meant) -> String {
    match meant {
        Meant::Alert(Episode { fingerprint, starts_at }) => format!("acknowledge {fingerprint:016x} {}", starts_at.0),
        Meant::Group { group, until } => format!("acknowledge group {group:016x} {}", until.0),
    }
}

fn forget(notes: &mut BTreeMap<Episode, Note>, now: Millis) {
    notes.retain(|_, note| now.since(Millis(note.at)) < KEEP);
    while notes.len() > MAX {
        let oldest = notes.iter().min_by_key(|(_, note)| note.at).map(|(episode, _)| *episode);
        oldest.and_then(|episode| notes.remove(&episode));
    }
}

fn write(path: &Path, notes: &BTreeMap<Episode, Note>) -> io::Result<()> {
    let mut text = String::new();
    for (episode, note) in notes {
        let line = Line { fingerprint: episode.fingerprint, starts_at: episode.starts_at.0, note: note.clone() };
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    replace(path, text.as_bytes())
}

/// The key that is there, or a new one. Whoever has it can acknowledge alerts, so nobody else may read it.
fn key(path: &Path) -> io::Result<Vec<u8>> {
    let mut key = Vec::new();
    match File::open(path) {
        Ok(file) => {
            file.take(KEY_LENGTH as u64).read_to_end(&mut key)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    if key.len() != KEY_LENGTH {
        key = random()?;
        replace(path, &key)?;
    }
    Ok(key)
}

fn random() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; KEY_LENGTH];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gives no random numbers"))?;
    Ok(bytes)
}

/// Writes a file such that a kill leaves the old or the new one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_800_000_000_000);

    fn episode(starts_at: i64) -> Episode {
        Episode { fingerprint: 7, starts_at: Millis(starts_at) }
    }

    fn meant(starts_at: i64) -> Meant {
        Meant::Alert(episode(starts_at))
    }

    #[test]
    fn an_acknowledgement_holds_over_a_restart_for_this_time_the_alert_fires() {
        let folder = tempfile::tempdir().unwrap();
        let all = Acknowledged::open(folder.path(), NOW).unwrap();
        let link = all.link(meant(1));
        all.acknowledge(episode(1), "ann", NOW).unwrap();
        assert_eq!(all.acknowledge(episode(1), "bob", NOW).unwrap().by, "ann", "the first one stays");
        let again = Acknowledged::open(folder.path(), NOW + KEEP / 2).unwrap();
        assert_eq!(again.note(episode(1)), Some(Note { by: "ann".into(), at: NOW.0 }));
        assert_eq!(again.note(episode(2)), None, "the same alert, the next time");
        assert_eq!(again.link(meant(1)), link, "links stay good");
        assert_eq!(Acknowledged::open(folder.path(), NOW + KEEP).unwrap().note(episode(1)), None);
    }

    #[test]
    fn only_links_of_the_agent_itself_are_good() {
        let all = Acknowledged::in_memory().unwrap();
        let signature = |link: &str| link.rsplit('=').next().unwrap().to_owned();
        let good = signature(&all.link(meant(1)));
        assert!(all.is_ours(meant(1), &good));
        assert!(!all.is_ours(meant(2), &good), "for another alert");
        assert!(!Acknowledged::in_memory().unwrap().is_ours(meant(1), &good), "of another agent");
        for bad in ["", "0", "zz", &good[2..], "ä1", &format!("{good}00")] {
            assert!(!all.is_ours(meant(1), bad), "{bad}");
        }
        let group = Meant::group("on-call", "{}:{}", NOW);
        let good = signature(&all.link(group));
        assert!(all.is_ours(group, &good));
        for other in [Meant::group("on-call", "{}:{}", NOW + KEEP), Meant::group("other", "{}:{}", NOW)] {
            assert!(!all.is_ours(other, &good), "{other:?}");
        }
    }

    #[test]
    fn links_lead_to_where_the_agent_is_found() {
        let all = Acknowledged::in_memory().unwrap();
        assert_eq!(all.url(meant(1)), None, "nobody said where");
        all.lead_to("https://watch.example.org/a/");
        assert!(
            all.url(meant(1))
                .unwrap()
                .starts_with("https://watch.example.org/a/acknowledge?alert=0000000000000007&since=1&")
        );
    }
}
