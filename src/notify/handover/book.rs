//! What Alertmanagers are to know: the newest state of each alert that fires or has ended lately.
//!
//! In: transitions. Out: which alerts are to be sent now, and what is said of each. The times are Prometheus': an alert that
//! fires is said to end after four times the longer of the resend delay and its group's interval, unless it is sent again;
//! one that has ended is sent again for a quarter of an hour.
//!
//! Invariant: pure, time is an argument: `now` for timers, `wall` for what is said. At most [`MOST`] alerts.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Alert, Labels, Millis, Transition};

/// Those that fire and those that have ended lately.
pub(super) const MOST: usize = 20_000;
/// Prometheus' `resolvedRetention`.
const ENDED_KEPT: Duration = Duration::from_mins(15);
/// So many times may an alert not arrive before an Alertmanager takes it for ended; Prometheus' figure.
const PATIENCE: u32 = 4;

/// There is no room for another alert.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

/// All that is to be known.
#[derive(Debug, Default)]
pub(super) struct Book {
    alerts: HashMap<Labels, Entry>,
    resend_delay: Duration,
}

#[derive(Debug)]
struct Entry {
    alert: Alert,
    /// How often its group is evaluated.
    every: Duration,
    /// When it was last given to the queues.
    given: Instant,
}

impl Entry {
    /// For how long what was said of it counts.
    fn valid(&self, resend_delay: Duration) -> Duration {
        PATIENCE * resend_delay.max(self.every)
    }

    /// Nobody needs to hear any more that it has ended: either it was said, or what was said before is over.
    fn is_over(&self, resend_delay: Duration, wall: Millis) -> bool {
        self.alert.ends_at.is_some_and(|end| wall.since(end) > ENDED_KEPT.max(self.valid(resend_delay)))
    }
}

impl Book {
    /// Takes a change. Says whether it is to be sent at once.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn note(&mut self, transition: &Transition, every: Duration, now: Instant) -> Result<bool, Full> {
        let alert = transition.alert();
        if let Some(known) = self.alerts.get_mut(&alert.labels) {
            let news = known.alert.ends_at.is_some() || !matches!(transition, Transition::Still(_));
            known.alert.clone_from(alert);
            if news {
                known.given = now;
            }
            // Of one that has ended it is not known any more when a reload took its group away.
            if alert.ends_at.is_none() {
                known.every = every;
            }
            return Ok(news);
        }
        // Who never heard of it does not need to hear that it has ended.
        if alert.ends_at.is_some() {
            return Ok(false);
        }
        if self.alerts.len() >= MOST && !self.forget_an_ended_one() {
            return Err(Full);
        }
        self.alerts.insert(alert.labels.clone(), Entry { alert: alert.clone(), every, given: now });
        Ok(true)
    }

    /// The alerts that are to be sent again. Those that ended long ago are forgotten.
    pub(super) fn turn(&mut self, now: Instant, wall: Millis) -> Vec<Labels> {
        let resend_delay = self.resend_delay;
        self.alerts.retain(|_, entry| !entry.is_over(resend_delay, wall));
        let mut again = Vec::new();
        for (labels, entry) in &mut self.alerts {
            if now.saturating_duration_since(entry.given) >= resend_delay {
                entry.given = now;
                again.push(labels.clone());
            }
        }
        again
    }

    /// What is to be said of an alert now, with its end, which is ahead while it fires. Nothing of one that is forgotten.
    pub(super) fn said(&self, labels: &Labels, wall: Millis) -> Option<(&Alert, Millis)> {
        let entry = self.alerts.get(labels)?;
        let end = match entry.alert.ends_at {
            // A clock may have been set back in between; Alertmanager refuses what ends before it begins.
            Some(end) => end.max(entry.alert.starts_at),
            None => wall + entry.valid(self.resend_delay),
        };
        Some((&entry.alert, end))
    }

    /// The names of all.
    pub(super) fn names(&self) -> Vec<Labels> {
        self.alerts.keys().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.alerts.clear();
    }

    pub(super) fn resend_delay(&self) -> Duration {
        self.resend_delay
    }

    pub(super) fn resend_each(&mut self, resend_delay: Duration) {
        self.resend_delay = resend_delay;
    }

    /// Makes room by the one that ended first, if any has.
    fn forget_an_ended_one(&mut self) -> bool {
        let ended = self.alerts.iter().filter_map(|(labels, entry)| Some((entry.alert.ends_at?, labels)));
        let Some(first) = ended.min_by_key(|(end, _)| *end).map(|(_, labels)| labels.clone()) else { return false };
        self.alerts.remove(&first);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Millis = Millis(1_800_000_000_000);
    const MINUTE: Duration = Duration::from_mins(1);

    /// A book, and a clock that both times are read from.
    struct Rig {
        book: Book,
        begun: Instant,
        passed: Duration,
    }

    impl Rig {
        fn new() -> Self {
            let mut book = Book::default();
            book.resend_each(MINUTE);
            Self { book, begun: Instant::now(), passed: Duration::ZERO }
        }

        fn wall(&self) -> Millis {
            START + self.passed
        }

        fn note(&mut self, transition: &Transition, every: Duration) -> Result<bool, Full> {
            self.book.note(transition, every, self.begun + self.passed)
        }

        fn turn(&mut self) -> usize {
            self.book.turn(self.begun + self.passed, START + self.passed).len()
        }

        /// When the alert is said to end, counted from now; nothing when nothing is said.
        fn end(&self) -> Option<Duration> {
            self.book.said(&labels("a"), self.wall()).map(|(_, end)| end.since(self.wall()))
        }
    }

    fn labels(name: &str) -> Labels {
        Labels::new([("alertname", name)])
    }

    fn alert(name: &str, starts_at: Millis, ends_at: Option<Millis>) -> Alert {
        let (annotations, generator_url) = (Labels::empty(), String::new());
        Alert { labels: labels(name), annotations, starts_at, ends_at, value: 1.0, generator_url }
    }

    fn firing() -> Transition {
        Transition::Firing(alert("a", START, None))
    }

    #[test]
    fn what_fires_ends_after_four_times_the_longer_of_resend_delay_and_interval() {
        for (every, end) in [(5, 240), (60, 240), (61, 244), (3600, 14_400)] {
            let mut rig = Rig::new();
            assert_eq!(rig.note(&firing(), Duration::from_secs(every)), Ok(true));
            assert_eq!(rig.end(), Some(Duration::from_secs(end)), "each {every} s");
            rig.passed = MINUTE;
            assert_eq!(rig.end(), Some(Duration::from_secs(end)), "it is counted from when it is said");
        }
    }

    #[test]
    fn what_fires_is_sent_again_each_minute_whatever_the_rules_say_of_it() {
        let mut rig = Rig::new();
        assert_eq!(rig.note(&firing(), MINUTE), Ok(true));
        let mut sent = Vec::new();
        for second in 1..=180 {
            rig.passed = Duration::from_secs(second);
            // Evaluated each five seconds for the first minute, not at all from then on: the rule fails.
            if second % 5 == 0 && second < 60 {
                assert_eq!(rig.note(&Transition::Still(alert("a", START, None)), MINUTE), Ok(false));
            }
            if rig.turn() == 1 {
                sent.push(second);
            }
        }
        assert_eq!(sent, [60, 120, 180]);
    }

    #[test]
    fn what_has_ended_is_said_for_a_quarter_of_an_hour_with_its_true_end() {
        let mut rig = Rig::new();
        assert_eq!(rig.note(&firing(), MINUTE), Ok(true));
        rig.passed = MINUTE / 2;
        let end = rig.wall();
        assert_eq!(rig.note(&Transition::Resolved(alert("a", START, Some(end))), MINUTE), Ok(true));
        let mut sent = 0;
        for minute in 1..=20 {
            rig.passed = MINUTE * minute + MINUTE / 2;
            let said = rig.book.said(&labels("a"), rig.wall()).map(|(_, end)| end);
            assert_eq!(said, (minute <= 16).then_some(end), "{minute}");
            sent += rig.turn();
        }
        assert_eq!(sent, 15);
    }

    #[test]
    fn an_end_that_was_said_to_be_far_is_taken_back_for_as_long() {
        let (mut rig, hour) = (Rig::new(), Duration::from_hours(1));
        assert_eq!(rig.note(&firing(), hour), Ok(true));
        assert_eq!(rig.note(&Transition::Resolved(alert("a", START, Some(START))), hour), Ok(true));
        rig.passed = hour * 4;
        assert_eq!(rig.turn(), 1);
        rig.passed += MINUTE;
        assert_eq!((rig.turn(), rig.end()), (0, None));
    }

    #[test]
    fn it_is_news_again_when_it_fires_again_and_no_news_when_nobody_knew() {
        let mut rig = Rig::new();
        assert_eq!(rig.note(&Transition::Resolved(alert("a", START, Some(START))), MINUTE), Ok(false));
        assert!(rig.book.names().is_empty());
        assert_eq!(rig.note(&Transition::Still(alert("a", START, None)), MINUTE), Ok(true), "since a reload");
        assert_eq!(rig.note(&Transition::Resolved(alert("a", START, Some(START))), MINUTE), Ok(true));
        assert_eq!(rig.note(&Transition::Still(alert("a", START, None)), MINUTE), Ok(true));
        let end = rig.end().unwrap();
        assert_eq!(end, MINUTE * 4);
    }

    #[test]
    fn there_is_room_for_so_many_and_what_ended_first_makes_it() {
        let mut rig = Rig::new();
        for at in 0..MOST {
            let name = at.to_string();
            assert_eq!(rig.note(&Transition::Firing(alert(&name, START, None)), MINUTE), Ok(true));
        }
        assert_eq!(rig.note(&firing(), MINUTE), Err(Full));
        assert_eq!(rig.note(&Transition::Resolved(alert("7", START, Some(START))), MINUTE), Ok(true));
        assert_eq!(rig.note(&firing(), MINUTE), Ok(true));
        assert_eq!(rig.book.names().len(), MOST);
        assert!(rig.book.said(&labels("7"), START).is_none());
    }

    #[test]
    fn nothing_ends_before_it_begins() {
        let mut rig = Rig::new();
        assert_eq!(rig.note(&firing(), MINUTE), Ok(true));
        let early = START - MINUTE;
        assert_eq!(rig.note(&Transition::Resolved(alert("a", START, Some(early))), MINUTE), Ok(true));
        assert_eq!(rig.end(), Some(Duration::ZERO));
    }
}
