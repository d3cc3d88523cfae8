//! A pass over the keys that is under way: where it is, and what it has found so far.

use std::collections::BTreeSet;

use redis::Pipeline;
use tokio::time::Instant;

use crate::collect::Look;
use crate::collect::redis::connection::{Connection, Missed};
use crate::collect::redis::reply::text;

use super::figures::Figures;
use super::group::{Former, Gone, SAMPLED, SAMPLED_WITH_LIMIT};
use super::sample::Sample;
use super::scan::START;
use super::stride::Stride;
use super::{Key, Wanted};

/// A pass under way.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) began: Instant,
    /// Which database is scanned, and where.
    pub(super) database: usize,
    pub(super) cursor: String,
    pub(super) stride: Stride,
    /// Until then the server is left alone.
    pub(super) resumes: Instant,
    pub(super) samples: Vec<Sample>,
    pub(super) keys: Found,
    pub(super) streams: Found,
    /// Groups of databases that are not to be had have no figures.
    pub(super) measured: Vec<Option<(Figures, Former, Gone)>>,
    /// Databases that the server did not select.
    pub(super) closed: BTreeSet<u16>,
    pub(super) checked_streams: bool,
}

impl Pass {
    /// One that begins.
    pub(super) fn new(wanted: &Wanted, began: Instant) -> Self {
        let size = |limit: Option<f64>| if limit.is_some() { SAMPLED_WITH_LIMIT } else { SAMPLED };
        Self {
            began,
            database: 0,
            cursor: START.to_owned(),
            stride: Stride::new(),
            resumes: began,
            samples: wanted.groups.iter().map(|group| Sample::new(size(group.limit))).collect(),
            keys: Found::default(),
            streams: Found::default(),
            measured: Vec::new(),
            closed: BTreeSet::new(),
            checked_streams: false,
        }
    }

    /// Goes past a database that is not to be had. What was scanned of it before, if anything, counts no more.
    pub(super) fn close(&mut self, database: u16, missed: Option<Missed>, look: &mut Look) {
        if let Some(missed) = missed {
            look.missed(missed.error);
        }
        self.closed.insert(database);
        self.database += 1;
        START.clone_into(&mut self.cursor);
    }

    /// Of the keys that are like a stream's pattern, keeps those that are streams.
    pub(super) async fn keep_streams(&mut self, connection: &mut Connection, deadline: Instant) -> Result<(), Missed> {
        let found = std::mem::take(&mut self.streams.keys);
        for key in found {
            if connection.select(key.database, deadline).await.transpose()?.is_none() {
                continue;
            }
            let mut commands = Pipeline::new();
            commands.cmd("TYPE").arg(&key.name);
            let answers = connection.ask_each("TYPE", &mut commands, deadline).await?;
            if answers.first().and_then(text).as_deref() == Some("stream") {
                self.streams.keys.insert(key);
            }
        }
        self.checked_streams = true;
        Ok(())
    }
}

/// Keys that a pattern stands for, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) keys: BTreeSet<Key>,
    pub(super) dropped: usize,
}

impl Found {
    /// Takes a key in, if there is room.
    pub(super) fn offer(&mut self, database: u16, name: &[u8], most: usize) {
        if self.keys.len() < most {
            self.keys.insert(Key { database, name: name.to_vec() });
        } else {
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bound_drops_is_counted() {
        let mut found = Found::default();
        (0..5).for_each(|number| found.offer(0, &[number], 3));
        assert_eq!((found.keys.len(), found.dropped), (3, 2));
    }
}
