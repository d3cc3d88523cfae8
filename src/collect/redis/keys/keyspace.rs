//! Passes over the key space: what patterns stand for, and the figures of groups.
//!
//! A pass scans each database that has a pattern, then measures each group's sample. It does so for a budget at each look
//! and goes on where it was at the next. What is shown is the last whole pass, with its time.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::collect::redis::connection::{Connection, Missed};
use crate::collect::redis::info::Facts;
use crate::collect::redis::streams::MOST_STREAMS;
use crate::collect::{CollectError, Look, Reason};
use crate::model::{Family, Labels, Suffix};

use super::figures::{Figures, Lost, show};
use super::group::{Former, Gone, measure, recall};
use super::pass::{Found, Pass};
use super::sample::Sample;
use super::scan::{START, scan};
use super::{Group, Key, Wanted, glob};

static TOOK: Family = Family::gauge(
    "redis_last_key_groups_scrape_duration_milliseconds",
    "How long the last whole pass over the keys took, over all its looks, in milliseconds.",
);
static ENDED: Family = Family::gauge(
    "redis_key_groups_last_pass_timestamp_seconds",
    "When the last whole pass over the keys ended by the server's clock: what is told of groups is of then.",
);
static DISTINCT: Family =
    Family::gauge("redis_number_of_distinct_key_groups", "Groups of keys that are counted in this database.");

/// How long one look may spend on a pass, rests included. A near server with a million keys is passed over in some forty looks.
const BUDGET: Duration = Duration::from_millis(200);
/// From the beginning of a pass to that of the next, at least.
const EVERY: Duration = Duration::from_mins(1);
/// Keys shown of all patterns under `keys`.
const MOST_KEYS: usize = 100;

/// What is known of the key space.
#[derive(Debug)]
pub struct Keyspace {
    wanted: Wanted,
    databases: Vec<u16>,
    pass: Option<Pass>,
    next: Option<Instant>,
    whole: Option<Whole>,
    former: Vec<Former>,
    lost: Vec<Lost>,
    /// Expired and evicted keys by the server's count when the former samples were taken.
    counted: Option<(f64, f64)>,
}

/// The outcome of a whole pass.
#[derive(Debug)]
struct Whole {
    took: Duration,
    ended: Option<f64>,
    figures: Vec<Option<Figures>>,
    closed: BTreeSet<u16>,
    keys: Found,
    streams: Found,
}

impl Keyspace {
    /// Nothing is known yet.
    pub fn new(wanted: Wanted) -> Self {
        let groups = wanted.groups.iter().map(|group| &group.pattern);
        let patterns = wanted.keys.iter().chain(&wanted.streams).filter(|key| key.is_pattern()).chain(groups);
        let databases: BTreeSet<u16> = patterns.map(|pattern| pattern.database).collect();
        let lost = vec![Lost::default(); wanted.groups.len()];
        let former = wanted.groups.iter().map(|_| Former::default()).collect();
        let databases = databases.into_iter().collect();
        Self { wanted, databases, pass: None, next: None, whole: None, former, lost, counted: None }
    }

    /// Whether anything is wanted of keys at all.
    pub fn is_idle(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether streams are kept on this server, as far as the target says.
    pub fn has_streams(&self) -> bool {
        !self.wanted.streams.is_empty()
    }

    /// Another server, or the same begun anew: what was seen is of no use. What was counted goes on.
    pub fn forget(&mut self) {
        (self.pass, self.next, self.whole, self.counted) = (None, None, None, None);
        self.former.iter_mut().for_each(|former| *former = Former::default());
    }

    /// Goes on with a pass, or begins the next when it is time.
    pub async fn work(
        &mut self,
        connection: &mut Connection,
        facts: &Facts,
        deadline: Instant,
        look: &mut Look,
    ) -> Result<(), Missed> {
        let now = Instant::now();
        if self.databases.is_empty() || (self.pass.is_none() && self.next.is_some_and(|next| now < next)) {
            return Ok(());
        }
        let until = deadline.min(now + BUDGET);
        let mut pass = self.pass.take().unwrap_or_else(|| Pass::new(&self.wanted, now));
        loop {
            match self.step(&mut pass, connection, deadline, look).await {
                Ok(true) => break,
                Ok(false) if pass.resumes < until => sleep_until(pass.resumes).await,
                Ok(false) => {
                    self.pass = Some(pass);
                    return Ok(());
                }
                Err(missed) => return self.interrupted(pass, missed, look),
            }
        }
        self.finish(pass, facts);
        Ok(())
    }

    /// A connection that ends is replaced, and the pass goes on; a refusal ends it, and what was known is old.
    fn interrupted(&mut self, pass: Pass, missed: Missed, look: &mut Look) -> Result<(), Missed> {
        if missed.broken {
            self.pass = Some(pass);
            return Err(missed);
        }
        self.whole = None;
        self.next = Some(pass.began + EVERY);
        look.missed(missed.error);
        Ok(())
    }

    /// One question, or one group. Whether the pass is whole.
    async fn step(
        &self,
        pass: &mut Pass,
        connection: &mut Connection,
        deadline: Instant,
        look: &mut Look,
    ) -> Result<bool, Missed> {
        if let Some(database) = self.databases.get(pass.database) {
            match connection.select(*database, deadline).await {
                Some(Ok(())) => self.scan(pass, connection, deadline).await?,
                Some(Err(missed)) if missed.broken => return Err(missed),
                refused => pass.close(*database, refused.and_then(Result::err), look),
            }
        } else if let Some(group) = self.wanted.groups.get(pass.measured.len()) {
            let measured = self.measure(pass, group, connection, deadline, look).await?;
            pass.measured.push(measured);
        } else if !pass.checked_streams {
            pass.keep_streams(connection, deadline).await?;
        } else {
            return Ok(true);
        }
        Ok(false)
    }

    /// The next group's figures; none where its database is not to be had.
    async fn measure(
        &self,
        pass: &mut Pass,
        group: &Group,
        connection: &mut Connection,
        deadline: Instant,
        look: &mut Look,
    ) -> Result<Option<(Figures, Former, Gone)>, Missed> {
        let (at, database) = (pass.measured.len(), group.pattern.database);
        if pass.closed.contains(&database) || connection.select(database, deadline).await.transpose()?.is_none() {
            return Ok(None);
        }
        let gone = recall(connection, &self.former[at], deadline).await?;
        let sample = std::mem::replace(&mut pass.samples[at], Sample::new(0));
        let count = sample.seen() as f64;
        let (figures, former) = measure(connection, group, count, sample.into_keys(), deadline, look).await?;
        Ok(Some((figures, former, gone)))
    }

    async fn scan(&self, pass: &mut Pass, connection: &mut Connection, deadline: Instant) -> Result<(), Missed> {
        let database = self.databases[pass.database];
        let only = self.only_pattern(database);
        let (count, asked) = (pass.stride.count(), Instant::now());
        let Some(answer) = scan(connection, &pass.cursor, only, count, deadline).await else {
            let error = CollectError::new(Reason::Permission, "SCAN is not allowed to this account");
            return Err(Missed { error, broken: false });
        };
        let (cursor, keys) = answer?;
        let answered = Instant::now();
        pass.resumes = answered + pass.stride.answered(answered - asked).unwrap_or_default();
        for key in &keys {
            self.sift(pass, database, key);
        }
        if cursor == START {
            pass.database += 1;
        }
        pass.cursor = cursor;
        Ok(())
    }

    /// The pattern, if there is but one: the server then sends only what is like it.
    fn only_pattern(&self, database: u16) -> Option<&[u8]> {
        let keys = self.wanted.keys.iter().chain(&self.wanted.streams).filter(|key| key.is_pattern());
        let mut patterns = keys.chain(self.wanted.groups.iter().map(|group| &group.pattern));
        let first = patterns.by_ref().find(|key| key.database == database)?;
        patterns.all(|key| key.database != database).then_some(&first.name)
    }

    fn sift(&self, pass: &mut Pass, database: u16, name: &[u8]) {
        let like = |pattern: &Key| pattern.database == database && glob::matches(&pattern.name, name);
        for (group, sample) in self.wanted.groups.iter().zip(&mut pass.samples) {
            if like(&group.pattern) {
                sample.offer(name);
            }
        }
        for (patterns, found, most) in
            [(&self.wanted.keys, &mut pass.keys, MOST_KEYS), (&self.wanted.streams, &mut pass.streams, MOST_STREAMS)]
        {
            if patterns.iter().any(|pattern| pattern.is_pattern() && like(pattern)) {
                found.offer(database, name, most);
            }
        }
    }

    fn finish(&mut self, pass: Pass, facts: &Facts) {
        let gone: Vec<Gone> = pass
            .measured
            .iter()
            .map(|of_group| of_group.as_ref().map_or_else(Gone::default, |(_, _, gone)| *gone))
            .collect();
        if let (Some(before), Some(now)) = (self.counted, facts.lost_keys) {
            add_lost(&mut self.lost, &gone, (now.0 - before.0, now.1 - before.1));
        }
        self.counted = facts.lost_keys;
        let (mut figures, mut former) = (Vec::new(), Vec::new());
        for of_group in pass.measured {
            let (of_group, sample) = of_group.map(|(figures, sample, _)| (figures, sample)).unzip();
            figures.push(of_group);
            former.push(sample.unwrap_or_default());
        }
        self.former = former;
        self.next = Some(pass.began + EVERY);
        let (took, ended) = (pass.began.elapsed(), facts.server_time);
        self.whole = Some(Whole { took, ended, figures, closed: pass.closed, keys: pass.keys, streams: pass.streams });
    }

    /// Puts the last whole pass into the look.
    pub fn show(&self, look: &mut Look) {
        if self.databases.is_empty() {
            // As the exporter without groups.
            look.value(&TOOK, 0.0);
        }
        let Some(whole) = &self.whole else { return };
        look.value(&TOOK, whole.took.as_secs_f64() * 1e3);
        if let Some(ended) = whole.ended {
            look.value(&ENDED, ended);
        }
        for database in self.databases.iter().filter(|database| !whole.closed.contains(database)) {
            let groups = self.wanted.groups.iter().filter(|group| group.pattern.database == *database).count();
            let labels = Labels::new([("db", format!("db{database}"))]);
            look.point(&DISTINCT, Suffix::None, labels, groups as f64);
        }
        for ((group, figures), lost) in self.wanted.groups.iter().zip(&whole.figures).zip(&self.lost) {
            if let Some(figures) = figures {
                show(group, figures, *lost, look);
            }
        }
        for (found, what) in [(&whole.keys, "keys"), (&whole.streams, "streams")] {
            if found.dropped > 0 {
                let words = format!("{} {what} beyond the first {} are not shown", found.dropped, found.keys.len());
                look.missed(CollectError::new(Reason::TooLarge, words));
            }
        }
    }

    /// The keys to be shown one by one, each once, in order of their databases.
    pub fn keys(&self) -> Vec<Key> {
        named(&self.wanted.keys, self.whole.as_ref().map(|whole| &whole.keys))
    }

    /// The streams to be looked at, each once, in order of their databases.
    pub fn streams(&self) -> Vec<Key> {
        named(&self.wanted.streams, self.whole.as_ref().map(|whole| &whole.streams))
    }
}

fn named(wanted: &[Key], found: Option<&Found>) -> Vec<Key> {
    let plain = wanted.iter().filter(|key| !key.is_pattern());
    let all: BTreeSet<&Key> = plain.chain(found.into_iter().flat_map(|found| &found.keys)).collect();
    all.into_iter().cloned().collect()
}

/// Adds what groups lost by estimate, scaled down to what the server counted: expired, then evicted keys.
fn add_lost(lost: &mut [Lost], gone: &[Gone], counted: (f64, f64)) {
    let scale = |sum: f64, counted: f64| if sum > counted { (counted / sum).max(0.0) } else { 1.0 };
    let expired = scale(gone.iter().map(|gone| gone.expired).sum(), counted.0);
    let evicted = scale(gone.iter().map(|gone| gone.early).sum(), counted.1);
    for (lost, gone) in lost.iter_mut().zip(gone) {
        lost.expired += gone.expired * expired;
        lost.evicted += gone.early * evicted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::parse(name, 0)
    }

    #[test]
    fn one_pattern_is_matched_by_the_server_and_several_by_us() {
        let groups = vec![Group { pattern: key("session:*"), limit: None }];
        let one = Keyspace::new(Wanted { groups: groups.clone(), ..Wanted::default() });
        assert_eq!(one.only_pattern(0), Some(&b"session:*"[..]));
        let two = Keyspace::new(Wanted { groups, keys: vec![key("q:*"), key("plain")], ..Wanted::default() });
        assert_eq!((two.only_pattern(0), two.databases.as_slice()), (None, &[0][..]));
        assert_eq!(two.keys(), [key("plain")]);
        assert!(Keyspace::new(Wanted { keys: vec![key("plain")], ..Wanted::default() }).databases.is_empty());
    }

    #[test]
    fn keys_are_sorted_into_their_groups() {
        let group = |name| Group { pattern: key(name), limit: None };
        let wanted =
            Wanted { groups: vec![group("s:*"), group("db1=s:*")], keys: vec![key("s:1")], ..Wanted::default() };
        let space = Keyspace::new(wanted.clone());
        let mut pass = Pass::new(&wanted, Instant::now());
        for (database, name) in [(0, "s:1"), (0, "other"), (1, "s:1"), (1, "s:2")] {
            space.sift(&mut pass, database, name.as_bytes());
        }
        assert_eq!(pass.samples.iter().map(Sample::seen).collect::<Vec<_>>(), [1, 2]);
        assert!(pass.keys.keys.is_empty(), "a plain key needs no pass");
    }

    #[test]
    fn no_more_is_lost_than_the_server_counted() {
        let gone = [Gone { expired: 60.0, early: 5.0 }, Gone { expired: 40.0, early: 0.0 }];
        let mut lost = vec![Lost::default(); 2];
        add_lost(&mut lost, &gone, (50.0, 0.0));
        assert_eq!(lost, [Lost { expired: 30.0, evicted: 0.0 }, Lost { expired: 20.0, evicted: 0.0 }]);
        add_lost(&mut lost, &gone, (1000.0, 1000.0));
        assert_eq!(lost[0], Lost { expired: 90.0, evicted: 5.0 });
        add_lost(&mut lost, &gone, (-3.0, -3.0));
        assert_eq!(lost[0], Lost { expired: 90.0, evicted: 5.0 }, "a server begun anew");
    }
}
