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
pub struct Visits(Vec<Visit>);

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
        Self(names.into_iter().map(visit).collect())
    }

    /// The one that waits longest, if it is due.
    pub fn due(&self, now: Instant) -> Option<&Visit> {
        let longest = self.0.iter().min_by_key(|visit| *lock(&visit.last))?;
        longest.is_due(now).then_some(longest)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Visit> {
        self.0.iter()
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
}
