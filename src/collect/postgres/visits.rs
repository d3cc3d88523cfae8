//! The other databases under `databases`: the short login of a look visits one of them, in turn.
//!
//! A session sees the tables of its own database only. Sessions kept in each would cost the server a process each, so what
//! belongs to another database is asked by the login that is tried at each look anyway, about once a minute for each
//! database. Between, the answers are shown.
//!
//! Invariant: no look opens more than one session that works. Whether the server is up is not decided by a visit alone: when
//! it fails, a login at the URL's own database decides.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::answers::Answers;
use super::lock;
use super::settings::Settings;

/// A little less than a minute: looks a minute apart then each visit.
const EVERY: Duration = Duration::from_secs(55);

/// All further databases.
pub struct Visits {
    all: Vec<Visit>,
    last_look: Mutex<Option<Instant>>,
}

/// One database.
pub struct Visit {
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub answers: Mutex<Answers>,
    last: Mutex<Option<Instant>>,
}

impl Visits {
    /// Those that are wanted by name; the URL's database is looked at by the kept session.
    pub fn of(settings: &Settings) -> Self {
        let mut names: Vec<&String> = Vec::new();
        for name in &settings.databases {
            if *name != settings.database && !names.contains(&name) {
                names.push(name);
            }
        }
        let visit = |name: &String| Visit {
            name: name.clone(),
            answers: Mutex::new(Answers::of_visits()),
            last: Mutex::default(),
        };
        Self { all: names.into_iter().map(visit).collect(), last_look: Mutex::default() }
    }

    /// The one that waits longest, if it is due.
    pub fn due(&self, now: Instant) -> Option<&Visit> {
        let longest = self.all.iter().min_by_key(|visit| *lock(&visit.last))?;
        longest.is_due(now).then_some(longest)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Visit> {
        self.all.iter()
    }

    /// A look begins: how far apart they are decides how long a round of visits takes, and for how long answers are shown.
    pub fn looked(&self, now: Instant) {
        let Some(last) = lock(&self.last_look).replace(now) else { return };
        let round = now.saturating_duration_since(last).saturating_mul(self.all.len() as u32);
        self.all.iter().for_each(|visit| lock(&visit.answers).come_round(round));
    }
}

impl Visit {
    fn is_due(&self, now: Instant) -> bool {
        lock(&self.last).is_none_or(|last| now.saturating_duration_since(last) >= EVERY)
    }

    /// It was visited, whatever came of it.
    pub fn visited(&self, now: Instant) {
        *lock(&self.last) = Some(now);
    }

    /// Nobody can log in there: nothing is known of it.
    pub fn failed(&self, now: Instant) {
        self.visited(now);
        lock(&self.answers).forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_databases_are_visited_in_turn_about_once_a_minute() {
        let databases = ["orders", "vectors", "events", "vectors"].map(String::from).into();
        let visits = Visits::of(&Settings { databases, ..crate::collect::postgres::settings::example() });
        let start = Instant::now();
        let mut order = Vec::new();
        for look in 0..8 {
            let now = start + Duration::from_secs(10 * look);
            if let Some(visit) = visits.due(now) {
                order.push((look, visit.name.as_str()));
                visit.visited(now);
            }
        }
        assert_eq!(order, [(0, "vectors"), (1, "events"), (6, "vectors"), (7, "events")], "orders is the URL's own");
    }

    #[test]
    fn answers_are_shown_until_the_round_comes_back_to_their_database() {
        let databases = (0..40).map(|number| format!("tenant{number}")).collect();
        let visits = Visits::of(&Settings { databases, ..crate::collect::postgres::settings::example() });
        let start = Instant::now();
        let at = |look: u64| start + Duration::from_secs(10 * look);
        visits.looked(at(0));
        visits.looked(at(1));
        let first = visits.due(at(1)).unwrap();
        lock(&first.answers).keep(0, std::sync::Arc::from([]), at(1));
        let shown = |look| lock(&first.answers).known(0, at(look)).answer.is_some();
        assert!(shown(41), "the next visit is then");
        assert!(!shown(60));
    }
}
