//! All that the events told, put together. No I/O and no clock.
//!
//! Invariant: each event counts once, however often the engine repeats it after a break.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerSummary;

use crate::model::{Family, Millis, fnv1a};

use super::super::deploys::Deploys;
use super::super::discovery::name;
use super::super::{CollectError, Look};
use super::event::{Action, Event, Subject};
use super::tally::Tally;

/// Events remembered to know them again. Docker itself remembers 256 and can repeat no more.
const MAX_RECENT: usize = 512;
/// So far back an engine is asked again: events that happen at once may be stamped and sent in different orders.
const OVERLAP: i64 = 1_000_000_000;
/// An end and the event of it are stamped apart by at most so much.
const SAME_END: Duration = Duration::from_secs(1);
/// So long an event may be under way before an end counts as untold.
const TELLING: Duration = Duration::from_secs(3);
/// Containers whose kills are counted; of more, those that were quiet longest are forgotten.
const MAX_LIVES: usize = 2000;

static OPENED: Family = Family::counter(
    "container_event_streams_total",
    "How often the engine's events were subscribed to. After a break it is asked for what came between; a restarted engine no longer \
     knows (Sidewatch).",
);

/// What is known from events.
#[derive(Debug, Default)]
pub(super) struct Record {
    tally: Tally,
    deploys: Deploys,
    lives: HashMap<Arc<str>, Life>,
    /// Containers that an inspect may tell something new of.
    changed: HashSet<Arc<str>>,
    recent: VecDeque<u64>,
    /// From when to ask again, in nanoseconds since the epoch by the engine's clock.
    since: Option<i64>,
    opened: u64,
    /// When the stream was first open, by the engine's clock.
    first: Option<Millis>,
    failure: Option<CollectError>,
}

#[derive(Debug, Default)]
struct Life {
    ooms: u64,
    /// When it last died.
    died: Option<Millis>,
    last: i64,
}

impl Record {
    /// From when the engine must tell events: `None` for from now on.
    pub(super) fn since(&self) -> Option<i64> {
        self.since
    }

    /// The stream is open since then, by the engine's clock.
    pub(super) fn opened(&mut self, at: Millis) {
        self.opened += 1;
        self.first.get_or_insert(at);
        self.since.get_or_insert(at.0.saturating_mul(1_000_000));
    }

    /// The stream is gone, or would not open.
    pub(super) fn failed(&mut self, error: CollectError) {
        self.failure = Some(error);
    }

    /// Takes an event in; whether it is a new one.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        let bytes = event.nanos.to_le_bytes().into_iter().chain(event.id.bytes()).chain(event.action.as_str().bytes());
        let key = fnv1a(bytes);
        if self.recent.contains(&key) {
            return false;
        }
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(key);
        self.since = self.since.max(Some(event.nanos - OVERLAP));
        self.tally.count(event);
        self.live(event);
        true
    }

    fn live(&mut self, event: &Event) {
        if self.lives.len() >= MAX_LIVES && !self.lives.contains_key(&event.id) {
            let quiet = self.lives.iter().min_by_key(|(_, life)| life.last).map(|(id, _)| Arc::clone(id));
            if let Some(id) = quiet {
                self.lives.remove(&id);
            }
        }
        if self.changed.len() < MAX_LIVES {
            self.changed.insert(Arc::clone(&event.id));
        }
        let life = self.lives.entry(Arc::clone(&event.id)).or_default();
        life.last = event.nanos;
        life.ooms += u64::from(event.action == Action::Oom);
        if event.action == Action::Die {
            life.died = life.died.max(Some(event.at));
        }
    }

    /// Takes in what an inspect says of a container's last end; the death, if no event told it. That is so for what ends while the engine
    /// itself is dead.
    pub(super) fn ended(
        &mut self,
        id: &str,
        subject: &Subject,
        at: Millis,
        exit_code: Option<i64>,
        now: Millis,
    ) -> Option<Event> {
        let seen_alive = self.first.is_some_and(|first| at > first);
        let told = self.lives.get(id).and_then(|life| life.died).is_some_and(|died| died + SAME_END >= at);
        if !seen_alive || told || now.since(at) < TELLING {
            return None;
        }
        let death = Event::untold_death(at, subject.clone(), id, exit_code);
        self.take(&death).then_some(death)
    }

    /// Takes in a whole list: who is there, and which services were deployed anew.
    pub(super) fn listed(&mut self, listed: &[ContainerSummary], now: Millis) -> Vec<Event> {
        let none = HashMap::new();
        let subject = |summary: &ContainerSummary| {
            let labels = summary.labels.as_ref().unwrap_or(&none);
            Subject::of(name(summary), summary.image.as_deref().unwrap_or_default(), labels)
        };
        let present = |summary: &ContainerSummary| (self.tally.known(subject(summary)), has_health_check(summary));
        let present: HashMap<Subject, bool> = listed.iter().map(present).collect();
        self.tally.keep(&present, now);
        let ids: HashSet<&str> = listed.iter().filter_map(|summary| summary.id.as_deref()).collect();
        self.lives.retain(|id, _| ids.contains(&**id));
        self.changed.retain(|id| ids.contains(&**id));
        self.deploys.observe(listed, now)
    }

    /// Which containers changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> HashSet<Arc<str>> {
        std::mem::take(&mut self.changed)
    }

    /// Kills for lack of memory since the stream was first open; `None` before. An engine that tells no such event (Podman) still knows
    /// whether a container's last end was one.
    pub(super) fn ooms(&self, id: &str, last_end_was_one: bool) -> Option<u64> {
        if self.opened == 0 {
            return None;
        }
        let life = self.lives.get(id);
        let told = life.map_or(0, |life| life.ooms);
        let died = life.is_some_and(|life| life.died.is_some());
        Some(told.max(u64::from(died && last_end_was_one)))
    }

    /// Adds all counts to a look, and the stream's failure since the last one.
    pub(super) fn fill(&mut self, look: &mut Look) {
        if let Some(failure) = self.failure.take() {
            look.missed(failure);
        }
        self.deploys.fill(look);
        if self.opened > 0 {
            look.value(&OPENED, self.opened as f64);
            self.tally.fill(look);
        }
    }
}

/// Of one that runs the list says it: `Up 5 minutes (healthy)`, `(unhealthy)`, `(health: starting)`.
fn has_health_check(summary: &ContainerSummary) -> bool {
    let status = summary.status.as_deref().unwrap_or_default();
    ["(healthy)", "(unhealthy)", "(health: "].iter().any(|words| status.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, action: &str, nanos: i64) -> Event {
        let line =
            serde_json::json!({"Action": action, "timeNano": nanos, "Actor": {"ID": id, "Attributes": {"name": id}}});
        Event::read(line.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_the_engine_repeats_after_a_break_counts_once() {
        let mut record = Record::default();
        assert_eq!(record.since(), None, "from now on");
        record.opened(Millis(10_000));
        assert_eq!(record.since(), Some(10_000_000_000));
        for nanos in [20_000_000_000, 20_000_000_001] {
            assert!(record.take(&event("a", "oom", nanos)));
        }
        record.opened(Millis(30_000));
        assert_eq!(record.since(), Some(19_000_000_001));
        assert!(!record.take(&event("a", "oom", 20_000_000_001)));
        assert!(record.take(&event("a", "die", 20_000_000_001)), "another thing at the same moment");
        assert_eq!(record.ooms("a", false), Some(2));
    }

    #[test]
    fn kills_are_unknown_before_the_stream_and_zero_after() {
        let mut record = Record::default();
        assert_eq!(record.ooms("a", true), None);
        record.opened(Millis(1));
        assert_eq!(record.ooms("a", false), Some(0));
        assert_eq!(record.ooms("a", true), Some(0), "it ended before we came");
        record.take(&event("a", "die", 5));
        assert_eq!(record.ooms("a", true), Some(1), "and now again");
    }

    #[test]
    fn a_death_that_no_event_told_is_counted_once() {
        let mut record = Record::default();
        record.opened(Millis(10_000));
        let web = Subject { name: "web".into(), ..Subject::default() };
        let mut ended = |at: i64, now: i64| record.ended("a", &web, Millis(at), Some(4), Millis(now)).is_some();
        assert!(!ended(9_000, 60_000), "before we came");
        assert!(!ended(20_000, 22_000), "its event may be under way");
        assert!(ended(20_000, 23_000));
        assert!(!ended(20_000, 24_000), "and once");
        record.take(&event("a", "die", 30_100_000_000));
        assert!(record.ended("a", &web, Millis(30_050), None, Millis(60_000)).is_none(), "this one was told");
    }

    #[test]
    fn containers_that_are_gone_are_forgotten() {
        let mut record = Record::default();
        record.opened(Millis(1));
        for nanos in 0..5000 {
            record.take(&event(&nanos.to_string(), "oom", nanos));
        }
        assert_eq!(record.lives.len(), MAX_LIVES);
        assert_eq!(record.ooms("4999", false), Some(1));
        record.listed(&[], Millis(2));
        assert!(record.lives.is_empty() && record.take_changed().is_empty());
    }

    #[test]
    fn a_failed_stream_is_missed_once() {
        let mut record = Record::default();
        record.failed(CollectError::new(super::super::super::Reason::Permission, "denied"));
        let mut look = Look::new();
        record.fill(&mut look);
        record.fill(&mut look);
        assert_eq!(look.failures.len(), 1);
        assert!(look.is_empty(), "nothing was seen, so nothing is counted");
    }
}
