//! What happened to containers, and what is wrong with the targets they ask for: for the page and `/v1/events`.
//!
//! In: the engines that are looked at, from whoever starts them. Out: one list over all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::docker::events::{Event, EventLog};

/// Why a container's labels bring no target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Whose labels.
    pub container: Arc<str>,
    /// What is wrong, and the way out. Never holds a secret.
    pub what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container {}: {}", self.container, self.what)
    }
}

/// What is told of containers beside the metrics. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Happenings(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    logs: BTreeMap<Arc<str>, EventLog>,
    complaints: Vec<Complaint>,
    discovered: usize,
}

impl Happenings {
    /// Replaces what is known of the engines, by target name.
    pub fn watch(&self, logs: BTreeMap<Arc<str>, EventLog>) {
        self.lock().logs = logs;
    }

    /// Replaces what containers asked for: how many targets they brought, and what was wrong. Gives the complaints that are new.
    pub fn discovered(&self, targets: usize, complaints: Vec<Complaint>) -> Vec<Complaint> {
        let mut told = self.lock();
        told.discovered = targets;
        let before = std::mem::replace(&mut told.complaints, complaints);
        told.complaints.iter().filter(|complaint| !before.contains(complaint)).cloned().collect()
    }

    /// How many targets containers brought.
    pub fn targets(&self) -> usize {
        self.lock().discovered
    }

    /// What is wrong with containers' labels.
    pub fn complaints(&self) -> Vec<Complaint> {
        self.lock().complaints.clone()
    }

    /// The last events of all engines with their targets' names, newest first.
    pub fn events(&self) -> Vec<(Arc<str>, Arc<Event>)> {
        let logs = self.lock().logs.clone();
        let of = |(target, log): (Arc<str>, EventLog)| {
            log.events().into_iter().rev().map(move |event| (Arc::clone(&target), event))
        };
        let mut all: Vec<_> = logs.into_iter().flat_map(of).collect();
        all.sort_by_key(|(_, event)| std::cmp::Reverse(event.at));
        all
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
