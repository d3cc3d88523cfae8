//! What a server refused, so that it is not asked the same at each look: rights are seldom given, and each refusal is an
//! error that the server counts.
//!
//! Invariant: nothing is remembered for longer than [`REFUSAL`], and only what the target's own bounds let be asked.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::keys::Key;

/// How long a refusal is taken for an answer.
const REFUSAL: Duration = Duration::from_mins(5);

/// Refusals of one connection, with their times.
#[derive(Debug, Default)]
pub struct Refusals {
    questions: HashMap<&'static str, Instant>,
    databases: HashMap<u16, Instant>,
    keys: HashMap<&'static str, HashMap<Key, Instant>>,
}

impl Refusals {
    /// Whether a question was refused to this account.
    pub fn has_question(&self, what: &str, now: Instant) -> bool {
        lasts(self.questions.get(what), now)
    }

    /// Whether a database cannot be selected.
    pub fn has_database(&self, database: u16, now: Instant) -> bool {
        lasts(self.databases.get(&database), now)
    }

    /// Whether a question was refused for this key.
    pub fn has_key(&self, what: &str, key: &Key, now: Instant) -> bool {
        lasts(self.keys.get(what).and_then(|keys| keys.get(key)), now)
    }

    /// Remembers a question.
    pub fn add_question(&mut self, what: &'static str, now: Instant) {
        self.questions.insert(what, now);
    }

    /// Remembers a database.
    pub fn add_database(&mut self, database: u16, now: Instant) {
        self.databases.insert(database, now);
    }

    /// Remembers a question for a key. Patterns stand for other keys later: what is old goes.
    pub fn add_key(&mut self, what: &'static str, key: &Key, now: Instant) {
        let keys = self.keys.entry(what).or_default();
        keys.retain(|_, refused| lasts(Some(refused), now));
        keys.insert(key.clone(), now);
    }
}

fn lasts(refused: Option<&Instant>, now: Instant) -> bool {
    refused.is_some_and(|refused| now.saturating_duration_since(*refused) < REFUSAL)
}

/// Whether an error reply will be the same at the next look, by its first word. Others are of a server's moment: it loads,
/// lost its master, or runs a script.
pub fn is_lasting(code: &str) -> bool {
    matches!(code, "NOPERM" | "WRONGTYPE" | "MOVED" | "ERR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_for_its_question_and_its_key_and_for_a_while() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        let [queue, other] = ["queue", "other"].map(|name| Key::parse(name, 0));
        refusals.add_key("TYPE", &queue, now);
        refusals.add_database(9, now);
        assert!(refusals.has_key("TYPE", &queue, now) && refusals.has_database(9, now));
        assert!(!refusals.has_key("TYPE", &other, now) && !refusals.has_key("XINFO", &queue, now));
        assert!(!refusals.has_database(0, now) && !refusals.has_question("SCAN", now));
        assert!(!refusals.has_key("TYPE", &queue, now + REFUSAL) && !refusals.has_database(9, now + REFUSAL));
        refusals.add_key("TYPE", &other, now + REFUSAL);
        assert_eq!(refusals.keys["TYPE"].len(), 1, "what is old goes");
    }
}
