//! Containers that ask by their labels to be watched: `sidewatch.url`, `sidewatch.name`, `sidewatch.kind`, `sidewatch.interval`.
//!
//! In: the engine's list of containers. Out: those that ask and run, with their labels as they are; whoever owns the configuration
//! decides what they may ask for.
//!
//! Invariant: a list never undoes what a list that was asked for later has told.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::wire::{State, Summary};

/// What our labels' names start with.
pub const PREFIX: &str = "sidewatch.";
/// Containers beyond this are not asked after; those made first come first.
const MAX_FOUND: usize = 500;
/// Of each container so many labels of ours are read; there are four.
const MAX_LABELS: usize = 16;
/// Longer labels are cut here, in bytes: what is left will hardly be right, and the complaint says so.
const MAX_VALUE: usize = 4096;

/// A container that asks to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: Arc<str>,
    /// Its name.
    pub container: Arc<str>,
    /// Its labels that start with [`PREFIX`], without that, in order.
    pub labels: Vec<(String, String)>,
    /// Its address in the first of its networks that gave it one.
    pub address: Option<String>,
    created: i64,
}

impl Found {
    /// `None`: it does not ask, or does not run. One that is being restarted stays: it is expected back.
    fn of(summary: &Summary) -> Option<Self> {
        if !matches!(summary.state, Some(State::Running | State::Paused | State::Restarting)) {
            return None;
        }
        let ours = |(name, value): (&String, &String)| {
            let name = name.strip_prefix(PREFIX)?;
            Some((name.to_owned(), value[..value.floor_char_boundary(MAX_VALUE)].to_owned()))
        };
        let mut labels: Vec<_> = summary.labels.iter().flatten().filter_map(ours).collect();
        if labels.is_empty() {
            return None;
        }
        labels.sort_unstable();
        labels.truncate(MAX_LABELS);
        Some(Self {
            id: summary.id.as_deref()?.into(),
            container: summary.name().into(),
            labels,
            address: summary.address().map(str::to_owned),
            created: summary.created.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
impl Found {
    /// A container with these labels, for the tests of other files.
    pub fn example(container: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self {
            id: container.into(),
            container: container.into(),
            labels,
            address: Some("172.18.0.2".into()),
            created: 0,
        }
    }
}

/// Who asks, as the last list told. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Finds {
    found: watch::Sender<Option<Arc<[Found]>>>,
    /// When the list was asked for that was taken in last.
    asked: Arc<Mutex<Option<Instant>>>,
}

impl Finds {
    pub(super) fn new() -> Self {
        Self { found: watch::Sender::new(None), asked: Arc::default() }
    }

    /// Takes in a whole list, with the time at which it was asked for.
    pub(super) fn offer(&self, asked: Instant, listed: &[Summary]) {
        let mut last = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|last| last > asked) {
            return;
        }
        *last = Some(asked);
        let mut found: Vec<_> = listed.iter().filter_map(Found::of).collect();
        found.sort_unstable_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        found.truncate(MAX_FOUND);
        self.found.send_if_modified(|now| {
            let changed = now.as_deref() != Some(&*found);
            if changed {
                *now = Some(found.into());
            }
            changed
        });
    }

    /// Who asks now; `None` before the first list.
    pub fn current(&self) -> Option<Arc<[Found]>> {
        self.found.borrow().clone()
    }

    /// Tells each change from here on.
    pub fn changes(&self) -> watch::Receiver<Option<Arc<[Found]>>> {
        self.found.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn listed(json: &str) -> Vec<Summary> {
        serde_json::from_str(json).unwrap()
    }

    const TWO: &str = r#"[
        {"Id": "b", "Names": ["/shop-app-2"], "Created": 20, "State": "running", "Labels": {"sidewatch.url": "http://{ip}:3000", "x": "y"},
         "NetworkSettings": {"Networks": {"none": {"IPAddress": ""}, "shop": {"IPAddress": "172.18.0.3"}}}},
        {"Id": "a", "Names": ["/shop-app-1", "/proxy/app"], "Created": 10, "State": "restarting", "Labels": {"sidewatch.url": "http://app"}},
        {"Id": "c", "Names": ["/gone"], "Created": 5, "State": "exited", "Labels": {"sidewatch.url": "http://gone"}},
        {"Id": "d", "Names": ["/silent"], "Created": 5, "State": "running", "Labels": {"x": "y"}}]"#;

    #[test]
    fn who_asks_and_runs_is_found_in_the_order_of_age() {
        let finds = Finds::new();
        assert_eq!(finds.current(), None);
        finds.offer(Instant::now(), &listed(TWO));
        let found = finds.current().unwrap();
        assert_eq!(found.iter().map(|found| &*found.container).collect::<Vec<_>>(), ["shop-app-1", "shop-app-2"]);
        assert_eq!(found[1].labels, [("url".to_owned(), "http://{ip}:3000".to_owned())]);
        assert_eq!((found[0].address.as_deref(), found[1].address.as_deref()), (None, Some("172.18.0.3")));
    }

    #[test]
    fn a_late_answer_undoes_nothing_and_no_change_is_told_to_nobody() {
        let finds = Finds::new();
        let mut changes = finds.changes();
        let now = Instant::now();
        finds.offer(now, &listed(TWO));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        finds.offer(now + Duration::from_secs(1), &listed(TWO));
        finds.offer(now - Duration::from_secs(1), &[]);
        assert!(!changes.has_changed().unwrap());
        assert_eq!(finds.current().unwrap().len(), 2);
    }
}
