//! All that the events told, put together. No I/O and no clock.
//!
//! Invariants: each event counts once, however often the engine repeats it after a break; a list never undoes what one that was asked
//! for later has told.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Family, Millis, fnv1a};

use super::super::deploys::Deploys;
use super::super::wire::{State, Summary};
use super::super::{CollectError, Look, MAX_AT_REST, MAX_RUNNING};
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
/// After so many lists in a row without a container it is forgotten.
const FORGET: u8 = 2;
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
    /// When the list was asked for that was taken in last.
    asked: Option<Instant>,
}

#[derive(Debug, Default)]
struct Life {
    ooms: u64,
    /// When it last died.
    died: Option<Millis>,
    /// When it died, as an inspect said: the event of it may come yet.
    untold: Option<Millis>,
    /// The last verdict of its health check since it started.
    verdict: Option<Action>,
    last: i64,
    /// Lists in a row without it: the first may have been asked for before it was there.
    absent: u8,
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
        self.since = self.since.max(Some(event.nanos.saturating_sub(OVERLAP)));
        let new = self.live(event);
        if new {
            self.tally.count(event);
        }
        new
    }

    /// Whether it tells something new of the container: Podman repeats the verdict of a health check with each check.
    fn live(&mut self, event: &Event) -> bool {
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
        match event.action {
            Action::Start => life.verdict = None,
            Action::Healthy | Action::Unhealthy => return life.verdict.replace(event.action) != Some(event.action),
            Action::Die => {
                life.died = life.died.max(Some(event.at));
                let told = |untold: Millis| untold.since(event.at).max(event.at.since(untold)) <= SAME_END;
                return !life.untold.take().is_some_and(told);
            }
            _ => {}
        }
        true
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
        let new = self.take(&death);
        if let Some(life) = self.lives.get_mut(id) {
            life.untold = Some(at);
        }
        new.then_some(death)
    }

    /// Takes in a whole list, with the time at which it was asked for: who is there, and which services were deployed anew.
    pub(super) fn listed(&mut self, asked: Instant, listed: &[Summary], now: Millis) -> Vec<Event> {
        if self.asked.is_some_and(|last| last > asked) {
            return Vec::new();
        }
        self.asked = Some(asked);
        let none = HashMap::new();
        let subject = |summary: &Summary| {
            let labels = summary.labels.as_ref().unwrap_or(&none);
            Subject::of(summary.name(), summary.image.as_deref().unwrap_or_default(), labels)
        };
        let present = |summary: &Summary| (self.tally.known(subject(summary)), has_health_check(summary));
        let present: HashMap<Subject, bool> = shown(listed).map(present).collect();
        self.tally.keep(&present, now);
        let ids: HashSet<&str> = listed.iter().filter_map(|summary| summary.id.as_deref()).collect();
        self.lives.retain(|id, life| {
            life.absent = if ids.contains(&**id) { 0 } else { life.absent + 1 };
            life.absent < FORGET
        });
        self.changed.retain(|id| self.lives.contains_key(id));
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

/// Those whose counts are shown before anything happened to them: those that a look looks at.
fn shown(listed: &[Summary]) -> impl Iterator<Item = &Summary> {
    let (up, mut at_rest): (Vec<_>, Vec<_>) =
        listed.iter().partition(|summary| summary.state.is_some_and(State::has_figures));
    at_rest.sort_by_key(|summary| std::cmp::Reverse(summary.created));
    up.into_iter().take(MAX_RUNNING).chain(at_rest.into_iter().take(MAX_AT_REST))
}

/// Of one that runs the list says it: `Up 5 minutes (healthy)`, `(unhealthy)`, `(health: starting)`.
fn has_health_check(summary: &Summary) -> bool {
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
        assert!(!record.take(&event("a", "die", 20_100_000_000)), "nor when its event does come: clocks may differ");
        assert!(record.take(&event("a", "die", 30_100_000_000)));
        assert!(record.ended("a", &web, Millis(30_050), None, Millis(60_000)).is_none(), "this one was told");
    }

    #[test]
    fn a_verdict_that_is_repeated_with_each_check_counts_once_until_a_new_start() {
        let mut record = Record::default();
        let mut new = |action, nanos| record.take(&event("a", action, nanos));
        assert!(new("health_status: unhealthy", 1));
        assert!(!new("health_status: unhealthy", 2));
        assert!(new("health_status: healthy", 3));
        assert!(!new("health_status: healthy", 4));
        assert!(new("start", 5) && new("health_status: healthy", 6));
    }

    #[test]
    fn an_event_of_no_time_at_all_is_no_panic() {
        let mut record = Record::default();
        record.opened(Millis(10_000));
        record.take(&event("a", "die", i64::MIN));
        assert_eq!(record.since(), Some(10_000_000_000), "and does not change what is asked for again");
    }

    fn summary(id: &str, image: &str, state: State) -> Summary {
        let labels =
            ["com.docker.compose.project", "com.docker.compose.service"].map(|name| (name.to_owned(), "x".into()));
        Summary {
            id: Some(id.into()),
            names: Some(vec![format!("/{id}")]),
            image_id: Some(image.into()),
            labels: Some(labels.into()),
            state: Some(state),
            ..Summary::default()
        }
    }

    #[test]
    fn a_list_that_was_asked_for_earlier_brings_no_old_version_back() {
        let mut record = Record::default();
        let (first, later) = (Instant::now(), Instant::now() + Duration::from_millis(9));
        record.listed(first, &[summary("a", "1", State::Running)], Millis(1));
        assert_eq!(record.listed(later, &[summary("b", "2", State::Running)], Millis(2)).len(), 1);
        assert_eq!(record.listed(first, &[summary("a", "1", State::Running)], Millis(3)), []);
        assert_eq!(record.listed(later, &[summary("b", "2", State::Running)], Millis(4)), []);
    }

    #[test]
    fn thousands_of_containers_at_rest_bring_no_thousands_of_series() {
        let mut record = Record::default();
        record.opened(Millis(1));
        let mut all: Vec<_> = (0..3000).map(|n| summary(&n.to_string(), "1", State::Exited)).collect();
        all.push(summary("runs", "1", State::Running));
        record.listed(Instant::now(), &all, Millis(2));
        let mut look = Look::new();
        record.fill(&mut look);
        assert!(look.len() < 6 * (MAX_AT_REST + 1), "{}", look.len());
        assert!(
            look.get(
                "container_events_total",
                &[
                    ("name", "runs"),
                    ("action", "die"),
                    ("container_label_com_docker_compose_project", "x"),
                    ("container_label_com_docker_compose_service", "x")
                ]
            )
            .is_some()
        );
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
        record.listed(Instant::now(), &[], Millis(2));
        assert_eq!(record.ooms("4999", false), Some(1), "the list may be older than the container");
        record.listed(Instant::now(), &[], Millis(3));
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
