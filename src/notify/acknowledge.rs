//! Alerts that somebody has taken on: they bring no reminders until they end or change.
//!
//! In: an acknowledgement, by API, by the page or by a signed link in a message. Out: whether an alert's reminders are wanted.
//!
//! An alert is meant as it fires now: when it has ended and fires again, somebody has to take it on again. A signature says
//! that the link came from the agent, so that whoever got the message may acknowledge, from anywhere.
//!
//! Invariant: what was answered is on disk. Asking never waits for the disk; at most [`MAX`] are kept, each for at most
//! [`KEEP`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::model::{Alert, Millis, hex};
use crate::runtime::journal::{Change, Journal};

use super::group::{ActiveAlert, MAX_ALERTS};
use super::identity::{digest, fingerprint};

/// So many are kept, as many as there may be alerts; the oldest make room.
const MAX: usize = MAX_ALERTS;
/// No note takes more of the file, in bytes.
const LONGEST: usize = 1024;
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

    /// What its note is stored under.
    fn name(&self) -> Arc<str> {
        format!("{:016x}/{}", self.fingerprint, self.starts_at.0).into()
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
            Self::Group { until, .. } => active.alert.starts_at <= until && self.is_of_group(active),
        }
    }

    /// Whether an alert is in the group that is meant, whenever it began.
    pub fn is_of_group(self, active: &ActiveAlert) -> bool {
        match self {
            Self::Alert(_) => false,
            Self::Group { until, .. } => Self::group(&active.receiver, &active.group_key, until) == self,
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

    fn is_kept(&self, now: Millis) -> bool {
        now.since(Millis(self.at)) < KEEP
    }
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    fingerprint: u64,
    starts_at: i64,
    #[serde(flatten)]
    note: Note,
}

type Notes = BTreeMap<Episode, Note>;

/// The handle. Cheap to clone.
#[derive(Clone)]
pub struct Acknowledged(Arc<Inner>);

struct Inner {
    /// Held while a change is decided and written, so that changes are one after the other.
    journal: Mutex<Option<Journal>>,
    notes: ArcSwap<Notes>,
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
        Ok(Self::new(Notes::new(), None, &random()?))
    }

    /// Keeps them and the key of the links in a folder.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn open(folder: &Path, now: Millis) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let key = key(&folder.join("link.key"))?;
        let (journal, found) = Journal::open(&folder.join("acknowledged"), (2 * MAX * LONGEST) as u64)?;
        let lines: Vec<Line> =
            found.records.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect();
        let unreadable = found.damaged + found.records.len() - lines.len();
        if unreadable > 0 {
            warn!(places = unreadable, folder = %folder.display(), "parts of the acknowledgements' file could not be read");
        }
        let read =
            |line: Line| (Episode { fingerprint: line.fingerprint, starts_at: Millis(line.starts_at) }, line.note);
        // What is to be forgotten goes with the next change, out of the file, too.
        Ok(Self::new(lines.into_iter().map(read).filter(|(_, note)| note.is_kept(now)).collect(), Some(journal), &key))
    }

    fn new(notes: Notes, journal: Option<Journal>, key: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let (journal, notes) = (Mutex::new(journal), ArcSwap::from_pointee(notes));
        Self(Arc::new(Inner { journal, notes, key, page: OnceLock::new() }))
    }

    /// From now on links lead to the agent's pages under this address. Only the first word about it counts.
    pub fn lead_to(&self, external_url: &str) {
        let _ = self.0.page.set(format!("{}/acknowledge", external_url.trim_end_matches('/')));
    }

    /// Who took this one on.
    pub fn note(&self, episode: Episode) -> Option<Note> {
        self.0.notes.load().get(&episode).cloned()
    }

    /// Notes that somebody takes alerts on, all of them or none; of each the first note stays. Waits for the disk.
    ///
    /// # Errors
    /// It could not be stored; then nothing has changed.
    pub fn acknowledge(&self, episodes: &[Episode], by: &str, now: Millis) -> io::Result<()> {
        let mut journal = self.0.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.0.notes.load_full();
        let note = Note { by: by.chars().take(100).collect(), at: now.0 };
        let mut notes = (*known).clone();
        for episode in episodes {
            notes.entry(*episode).or_insert_with(|| note.clone());
        }
        if notes.len() == known.len() {
            return Ok(());
        }
        forget(&mut notes, now);
        if let Some(journal) = journal.as_mut() {
            let gone = known.keys().filter(|episode| !notes.contains_key(episode));
            let new = notes.iter().filter(|(episode, _)| !known.contains_key(episode));
            let changes: io::Result<Vec<_>> =
                gone.map(|episode| Ok(Change::Remove(episode.name()))).chain(new.map(put)).collect();
            if journal.write(changes?)? > 0 {
                return Err(io::Error::other("the file has no room"));
            }
            // What was asked for is stored already; a file that stays long is no reason to refuse it.
            if let Err(error) = journal.tidy() {
                warn!(%error, "the file of the acknowledgements could not be shortened");
            }
        }
        self.0.notes.store(Arc::new(notes));
        Ok(())
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

fn forget(notes: &mut Notes, now: Millis) {
    notes.retain(|_, note| note.is_kept(now));
    let many = notes.len().saturating_sub(MAX);
    if many > 0 {
        let mut oldest: Vec<_> = notes.iter().map(|(episode, note)| (note.at, *episode)).collect();
        oldest.sort_unstable();
        for (_, episode) in &oldest[..many] {
            notes.remove(episode);
        }
    }
}

fn put((episode, note): (&Episode, &Note)) -> io::Result<Change> {
    let line = Line { fingerprint: episode.fingerprint, starts_at: episode.starts_at.0, note: note.clone() };
    Ok(Change::Put(episode.name(), serde_json::to_vec(&line)?))
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
        all.acknowledge(&[episode(1)], "ann", NOW).unwrap();
        all.acknowledge(&[episode(1)], "bob", NOW).unwrap();
        assert_eq!(all.note(episode(1)).unwrap().by, "ann", "the first one stays");
        let again = Acknowledged::open(folder.path(), NOW + KEEP / 2).unwrap();
        assert_eq!(again.note(episode(1)), Some(Note { by: "ann".into(), at: NOW.0 }));
        assert_eq!(again.note(episode(2)), None, "the same alert, the next time");
        assert_eq!(again.link(meant(1)), link, "links stay good");
        assert_eq!(Acknowledged::open(folder.path(), NOW + KEEP).unwrap().note(episode(1)), None);
    }

    #[test]
    fn nobody_waits_for_the_disk_to_know_what_is_acknowledged() {
        let folder = tempfile::tempdir().unwrap();
        let all = Acknowledged::open(folder.path(), NOW).unwrap();
        all.acknowledge(&[episode(1)], "ann", NOW).unwrap();
        let _writing = all.0.journal.lock().unwrap();
        let (sender, answer) = std::sync::mpsc::channel();
        let asking = all.clone();
        std::thread::spawn(move || sender.send(asking.note(episode(1))));
        assert!(answer.recv_timeout(Duration::from_secs(10)).expect("no waiting").is_some());
    }

    #[test]
    fn many_are_taken_on_at_once_or_none_and_the_file_is_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let file = || fs::read(folder.path().join("acknowledged")).unwrap();
        let all = Acknowledged::open(folder.path(), NOW).unwrap();
        let many: Vec<_> = (0..6_000).map(episode).collect();
        all.acknowledge(&many[..3_000], "ann", NOW).unwrap();
        let before = file();
        all.0.journal.lock().unwrap().as_mut().unwrap().break_disk();
        assert!(all.acknowledge(&many, "bob", NOW).is_err());
        assert_eq!(many.iter().filter(|one| all.note(**one).is_some()).count(), 3_000);
        all.0.journal.lock().unwrap().as_mut().unwrap().mend_disk();
        all.acknowledge(&many, "bob", NOW).unwrap();
        assert!(file().starts_with(&before));
        let again = Acknowledged::open(folder.path(), NOW).unwrap();
        let by = |name| many.iter().filter(|one| again.note(**one).is_some_and(|note| note.by == name)).count();
        assert_eq!((by("ann"), by("bob")), (3_000, 3_000));
    }

    #[test]
    fn the_oldest_make_room_and_the_longest_fit() {
        let folder = tempfile::tempdir().unwrap();
        let all = Acknowledged::open(folder.path(), NOW).unwrap();
        let name = "\u{1}".repeat(200);
        let one = |at: usize| Episode { fingerprint: at as u64, starts_at: NOW };
        let of = |from: usize| (from..from + MAX).map(one).collect::<Vec<_>>();
        all.acknowledge(&of(0), &name, NOW).unwrap();
        all.acknowledge(&of(MAX / 2), &name, NOW + Duration::from_secs(1)).unwrap();
        let again = Acknowledged::open(folder.path(), NOW).unwrap();
        let is_known = |at: usize| again.note(one(at)).is_some();
        assert!(!is_known(0) && !is_known(MAX / 2 - 1) && is_known(MAX / 2) && is_known(MAX + MAX / 2 - 1));
        all.acknowledge(&of(2 * MAX), &name, NOW + KEEP).unwrap();
        assert_eq!(all.0.journal.lock().unwrap().as_ref().unwrap().records(), MAX);
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
