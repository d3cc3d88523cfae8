//! What is still to be told, and what was: kept such that neither a stop nor a kill forgets it.
//!
//! In: what `dispatch` hands to a channel and what came of it. Out: after a restart, the alerts that groups held, what
//! receivers were told, and which notifications nobody has confirmed.
//!
//! A notification is on disk before it is sent, and goes when the channel has said yes: in the same write, the sent log says
//! that it was told. So after a kill at any moment it is there, or it was told, or it was told and is sent once more, as the
//! very same: with the time, and so the key, that it had. `record` is the form on disk, `writer` what brings it there.
//!
//! Invariants: nothing here waits. What is on disk of a notification is only ever too old by changes that are on their way.
//! Memory holds fingerprints, not alerts.

mod record;
mod restored;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::model::Millis;
use crate::runtime::journal::Journal;
use crate::runtime::supervise::Supervisor;

use super::channels::{IntegrationId, Receipt};
use super::group::Batch;
use super::metrics::Metrics;
use super::sent::{Entry, SentLog, States, Told};

use record::{Names, ToldRecord, UntoldRecord, alerts_name, pack, receipt_text};
use writer::{Value, Writer};

pub(super) use restored::Restored;
pub(super) use writer::Stored;

/// A notification that was not confirmed is forgotten after this, whatever comes of its group.
const KEEP: std::time::Duration = std::time::Duration::from_hours(24);

/// What was stored before the agent started, and where it goes on.
pub(super) struct Held {
    writer: Writer,
    journal: Option<Journal>,
    restored: Restored,
}

impl Held {
    /// Keeps everything in memory: a restart forgets.
    pub(super) fn nothing() -> Self {
        Self { writer: Writer::none(), journal: None, restored: Restored::default() }
    }

    /// Reads what `folder` holds, and goes on there. Touches the disk.
    ///
    /// # Errors
    /// The folder cannot be made or written to. Whatever stands in its file is no error.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let (writer, journal, found) = Writer::open(&folder.join("outbox"))?;
        if found.damaged > 0 {
            tracing::warn!(places = found.damaged, "parts of the outbox are damaged and were skipped");
        }
        if let Some(aside) = &found.later {
            tracing::warn!(path = %aside.display(), "a later Sidewatch wrote the outbox; it is set aside");
        }
        Ok(Self { writer, journal: Some(journal), restored: Restored::read(found.records) })
    }
}

/// A notification that no channel has confirmed.
#[derive(Debug, Clone)]
pub(super) struct Untold {
    /// Its time, by the wall clock: what makes it the same when it is sent again.
    pub(super) at: Millis,
    /// What it says.
    pub(super) states: States,
    /// An attempt may have arrived.
    pub(super) maybe_arrived: bool,
    /// An earlier message, of which this took the place, may have arrived and said that something fires.
    thought_to_fire: bool,
    /// When it was last taken up to be sent.
    taken_up: Millis,
    flush: u64,
}

/// The books of the dispatcher.
pub(super) struct Outbox {
    pub(super) log: SentLog,
    /// By the group's id, since groups of twin routes share a key.
    untold: HashMap<Told, Untold>,
    /// The flush that each entry of the log speaks of.
    told: HashMap<Told, u64>,
    /// By how many records the alerts of a flush are meant.
    meant: HashMap<u64, usize>,
    writer: Writer,
}

impl Outbox {
    /// Takes up what was kept. The rest is for the dispatcher to take up.
    pub(super) fn start(held: Held, metrics: &Metrics, supervisor: &Supervisor) -> (Self, Restored) {
        let Held { writer, journal, restored } = held;
        if let Some(journal) = journal {
            writer.start(journal, metrics.clone(), supervisor);
        }
        let (log, untold) = (SentLog::default(), HashMap::new());
        (Self { log, untold, told: HashMap::new(), meant: HashMap::new(), writer }, restored)
    }

    /// What an integration was sent of a group, when that says the same as what it shall be sent now and it has not
    /// confirmed it.
    pub(super) fn same(&self, batch: &Batch, to: &IntegrationId, states: &States) -> Option<&Untold> {
        self.untold.get(&(Arc::clone(&batch.id), to.clone())).filter(|untold| untold.states == *states)
    }

    /// Stores a notification that is about to be sent; an earlier one about the same group goes. `at` is its time by the wall
    /// clock, which may be an earlier one's; between `now` and `until` it is tried.
    pub(super) fn put(
        &mut self,
        (batch, flush): (&Batch, u64),
        to: &IntegrationId,
        states: &States,
        (at, now, until): (Millis, Millis, Millis),
    ) -> (Stored, Mark) {
        let names = Names::new(&batch.id, to);
        let about = (Arc::clone(&batch.id), to.clone());
        self.mean(flush, batch);
        let maybe_arrived = self.same(batch, to, states).is_some_and(|same| same.maybe_arrived);
        let record = UntoldRecord { group: batch.id.to_string(), to: to.into(), flush, at: at.0, until: until.0 };
        let stored = self.writer.change(Arc::clone(&names.untold), Some(Value::Packed(pack(&record))));
        let thought_to_fire = self.may_think_it_fires(&batch.id, to);
        let untold = Untold { at, states: states.clone(), maybe_arrived, thought_to_fire, taken_up: now, flush };
        if let Some(earlier) = self.untold.insert(about, untold) {
            self.mean_no_more(earlier.flush);
            if !maybe_arrived && earlier.maybe_arrived {
                self.writer.change(Arc::clone(&names.handed), None);
            }
        }
        (stored, Mark { writer: self.writer.clone(), name: names.handed })
    }

    /// The channel has said yes, or the integration need not hear of it: the log says so, and nothing is left to be sent.
    pub(super) fn told(
        &mut self,
        (batch, flush): (&Batch, u64),
        states: States,
        to: &IntegrationId,
        receipt: (Receipt, Millis),
    ) {
        for expired in self.log.expire(batch.at) {
            self.forget_told(&expired);
        }
        let told = (Arc::clone(&batch.key), to.clone());
        let entry = self.log.told(batch, states, to, receipt);
        self.mean(flush, batch);
        self.write_told(&told, flush, &entry);
        if let Some(earlier) = self.told.insert(told.clone(), flush) {
            self.mean_no_more(earlier);
        }
        self.settle(&(Arc::clone(&batch.id), told.1));
    }

    /// The integration will not hear that these alerts ended.
    pub(super) fn forget(&mut self, batch: &Batch, to: &IntegrationId, alerts: &[u64]) {
        let told = (Arc::clone(&batch.key), to.clone());
        if let Some((entry, flush)) = self.log.forget(batch, to, alerts).zip(self.told.get(&told)) {
            self.write_told(&told, *flush, &entry);
        }
    }

    /// What the integration was told goes on to count, though it is not told again.
    pub(super) fn keep(&mut self, batch: &Batch, to: &IntegrationId) {
        let told = (Arc::clone(&batch.key), to.clone());
        if let Some((entry, flush)) = self.log.keep(batch, to).zip(self.told.get(&told)) {
            self.write_told(&told, *flush, &entry);
        }
    }

    fn write_told(&self, told: &Told, flush: u64, entry: &Entry) {
        let record = ToldRecord {
            group: told.0.to_string(),
            to: (&told.1).into(),
            flush,
            firing: entry.states.firing.clone(),
            resolved: entry.states.resolved.clone(),
            at: entry.at.0,
            ends: entry.ends.0,
            receipt: receipt_text(&entry.receipt),
        };
        self.writer.change(Names::new(&told.0, &told.1).told, Some(Value::Packed(pack(&record))));
    }

    /// It was given up for now. It stays to be sent, as the same, for as long as it is what there is to say.
    pub(super) fn gave_up(&mut self, group: &Arc<str>, to: &IntegrationId, maybe_arrived: bool) {
        if let Some(untold) = self.untold.get_mut(&(Arc::clone(group), to.clone())) {
            untold.maybe_arrived |= maybe_arrived;
        }
    }

    /// Whether a message that alerts of the group fire may have arrived, though nobody confirmed it.
    pub(super) fn may_think_it_fires(&self, group: &Arc<str>, to: &IntegrationId) -> bool {
        let untold = self.untold.get(&(Arc::clone(group), to.clone()));
        untold.is_some_and(|untold| untold.thought_to_fire || untold.maybe_arrived && !untold.states.firing.is_empty())
    }

    /// The groups of which somebody is to be told.
    pub(super) fn groups_untold(&self) -> impl Iterator<Item = &Arc<str>> {
        self.untold.keys().map(|(group, _)| group)
    }

    /// The integration need not hear of the group now, so what it was to be sent is superfluous.
    pub(super) fn superfluous(&mut self, group: &Arc<str>, to: &IntegrationId) {
        if !self.untold.is_empty() {
            self.settle(&(Arc::clone(group), to.clone()));
        }
    }

    /// Forgets what was to be sent to integrations that there are no more, and what has waited for a day. Says how many.
    pub(super) fn forget_untold(&mut self, is_there: impl Fn(&IntegrationId) -> bool, now_wall: Millis) -> usize {
        let gone = |(told, untold): (&Told, &Untold)| {
            (!is_there(&told.1) || now_wall.since(untold.taken_up) >= KEEP).then(|| told.clone())
        };
        let gone: Vec<_> = self.untold.iter().filter_map(gone).collect();
        for told in &gone {
            self.settle(told);
        }
        gone.len()
    }

    /// What is on disk is all there will be.
    pub(super) fn close(&self) {
        self.writer.close();
    }

    fn settle(&mut self, told: &Told) {
        if let Some(untold) = self.untold.remove(told) {
            let names = Names::new(&told.0, &told.1);
            self.writer.change(names.untold, None);
            self.writer.change(names.handed, None);
            self.mean_no_more(untold.flush);
        }
    }

    fn forget_told(&mut self, told: &Told) {
        if let Some(flush) = self.told.remove(told) {
            self.writer.change(Names::new(&told.0, &told.1).told, None);
            self.mean_no_more(flush);
        }
    }

    /// A record means the alerts of a flush, so these are stored.
    fn mean(&mut self, flush: u64, batch: &Batch) {
        let meant = self.meant.entry(flush).or_default();
        *meant += 1;
        if *meant == 1 {
            let end = |id: &u64| batch.stated_ends.get(id).copied();
            let alerts: Vec<_> = batch.alerts.iter().map(|(id, alert)| (Arc::clone(alert), end(id))).collect();
            self.writer.change(alerts_name(flush), Some(Value::Alerts(alerts)));
        }
    }

    fn mean_no_more(&mut self, flush: u64) {
        let Some(meant) = self.meant.get_mut(&flush) else { return };
        *meant -= 1;
        if *meant == 0 {
            self.meant.remove(&flush);
            self.writer.change(alerts_name(flush), None);
        }
    }
}

/// Notes that a channel has a notification and may have passed it on: for channels that would tell twice.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    writer: Writer,
    name: Arc<str>,
}

impl Mark {
    /// It is about to be handed over.
    pub(super) fn handed(&self) -> Stored {
        self.writer.change(Arc::clone(&self.name), Some(Value::Packed(Vec::new())))
    }

    /// It has not arrived for sure.
    pub(super) fn returned(&self) {
        self.writer.change(Arc::clone(&self.name), None);
    }
}

#[cfg(test)]
mod tests;
