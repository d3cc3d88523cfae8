//! Keys by name and by pattern: how many, how large, how long they live.
//!
//! In: the keys, streams and groups that the target names, and a connection. Out: `redis_key_*`, and the names that
//! patterns stand for.
//!
//! Invariant: the server is never asked for more than [`stride::MOST`] keys at once, nor longer than a budget in one
//! look; a pass over a large key space takes many looks, and its figures are shown when it is whole.

mod checked;
mod figures;
mod glob;
mod group;
mod keyspace;
mod pass;
mod sample;
mod scan;
pub mod settings;
mod stride;

use std::fmt;

use crate::model::{Labels, readable};

pub use checked::ask as ask_checked;
pub use keyspace::Keyspace;
pub use settings::database_of;

/// A key, or a pattern of keys, in a database.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The database's number.
    pub database: u16,
    /// The name: any bytes.
    pub name: Vec<u8>,
}

impl Key {
    /// Reads `name` or, as the exporter's options have it, `db3=name`. Without it the database is `database`.
    pub fn parse(text: &str, database: u16) -> Self {
        let named = text.strip_prefix("db").and_then(|rest| rest.split_once('='));
        match named.and_then(|(number, name)| Some((number.parse().ok()?, name))) {
            Some((database, name)) => Self { database, name: name.into() },
            None => Self { database, name: text.into() },
        }
    }

    /// Whether it stands for many keys.
    pub fn is_pattern(&self) -> bool {
        glob::is_pattern(&self.name)
    }

    /// Its labels: `db`, and its name under `label`.
    pub fn labels(&self, label: &str) -> Labels {
        let (database, name) = (format!("db{}", self.database), readable(&self.name));
        Labels::new([("db", &*database), (label, &*name)])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in db{}", readable(&self.name), self.database)
    }
}

/// Keys that belong together by their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What their names are like.
    pub pattern: Key,
    /// Where the values count requests: how many are allowed.
    pub limit: Option<f64>,
}

/// What a target wants to know of keys.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Keys, and patterns of keys, whose size and value are shown one by one.
    pub keys: Vec<Key>,
    /// Streams, and patterns of streams.
    pub streams: Vec<Key>,
    /// Groups, shown as wholes.
    pub groups: Vec<Group>,
}

impl Wanted {
    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.streams.is_empty() && self.groups.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_may_be_named_before_the_key() {
        let key = |database, name: &str| Key { database, name: name.into() };
        assert_eq!(Key::parse("session:*", 0), key(0, "session:*"));
        assert_eq!(Key::parse("db3=queue", 0), key(3, "queue"));
        assert_eq!(Key::parse("dbx=queue", 2), key(2, "dbx=queue"));
    }
}
