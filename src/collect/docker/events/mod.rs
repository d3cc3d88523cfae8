//! Docker's events, followed as they come: what happened to containers, and which of them ask to be watched.
//!
//! In: the engine's `/events`, kept open. Out: counters and the exit code for each look, a bounded list for people, and the containers that
//! ask by label, within moments of their start and end.
//!
//! Invariant: a look waits for none of this. The stream has a task of its own that starts with the first look, is supervised, and ends
//! when the target does. After a break it asks for what happened since the last event, and [`record`] knows repeats again.

mod event;
mod follower;
mod log;
mod record;
mod stream;
mod tally;

pub use event::{Action, Event, Subject};
pub use log::{EventLog, MAX_EVENTS};

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::collect::dial::Address;
use crate::model::Millis;
use crate::runtime::supervise::Supervisor;

use super::discovery::Finds;
use super::wire::Summary;
use super::{Containers, Look};
use record::Record;

/// An engine's events. Dropping it ends the stream.
pub(super) struct Events {
    shared: Arc<Shared>,
    started: AtomicBool,
    stop: CancellationToken,
    _end: DropGuard,
}

/// What the stream's task and the looks share.
struct Shared {
    address: Address,
    /// Whether containers may add targets.
    discover: bool,
    supervisor: Supervisor,
    record: Mutex<Record>,
    log: EventLog,
    finds: Finds,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        // Counts and bounded tables; each change leaves them whole.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a whole list, with the time at which it was asked for.
    fn listed(&self, asked: Instant, listed: &[Summary], now: Millis) {
        if self.discover {
            self.finds.offer(asked, listed);
        }
        let deploys = self.record().listed(asked, listed, now);
        for deploy in deploys {
            self.log.push(deploy);
        }
    }
}

impl Events {
    /// Of the engine at an address; nothing is asked yet.
    pub(super) fn new(address: Address, discover: bool, supervisor: &Supervisor) -> Self {
        let stop = supervisor.stop_token().child_token();
        let (supervisor, record) = (supervisor.clone(), Mutex::default());
        let shared = Shared { address, discover, supervisor, record, log: EventLog::default(), finds: Finds::new() };
        Self { shared: Arc::new(shared), started: AtomicBool::new(false), _end: stop.clone().drop_guard(), stop }
    }

    /// Opens the stream, the first time this is called.
    pub(super) fn start(&self) {
        if self.started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (shared, stop) = (Arc::clone(&self.shared), self.stop.clone());
        let name = format!("events of {}", shared.address);
        self.shared.supervisor.spawn(name, self.stop.clone(), move || {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            async move {
                let _: Option<()> = stop.run_until_cancelled(follower::follow(&shared)).await;
            }
        });
    }

    /// What others may follow.
    pub(super) fn containers(&self) -> Containers {
        Containers { finds: self.shared.finds.clone(), log: self.shared.log.clone() }
    }

    /// Takes in the list of a look.
    pub(super) fn listed(&self, asked: Instant, listed: &[Summary], now: Millis) {
        self.shared.listed(asked, listed, now);
    }

    /// The ids of containers to which something happened since this was last asked.
    pub(super) fn take_changed(&self) -> HashSet<Arc<str>> {
        self.shared.record().take_changed()
    }

    /// A container's kills for lack of memory; `None` while the stream was never open.
    pub(super) fn ooms(&self, id: &str, last_end_was_one: bool) -> Option<u64> {
        self.shared.record().ooms(id, last_end_was_one)
    }

    /// Takes in what an inspect says of a container's last end: an engine that died itself tells no event of it.
    pub(super) fn ended(&self, id: &str, subject: &Subject, at: Millis, exit_code: Option<i64>, now: Millis) {
        let untold = self.shared.record().ended(id, subject, at, exit_code, now);
        if let Some(death) = untold {
            self.shared.log.push(death);
        }
    }

    /// Adds all counts to a look.
    pub(super) fn fill(&self, look: &mut Look) {
        self.shared.record().fill(look);
    }
}
