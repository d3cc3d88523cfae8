//! Where the notifier's handle and its loop meet: what came in, and what fires.
//!
//! Invariant: nobody waits here for longer than a map's insertion; at most as many transitions as alerts are kept.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};

use crate::model::{Alert, Labels, Transition};

use super::canary::is_canary;
use super::group::{ActiveAlert, MAX_ALERTS};
use super::kept::Kept;
use super::outside::Outside;
use super::plan::{Facts, Plan};

/// What the notifier's handle and the loop share.
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    wake: Notify,
    active: ArcSwap<Vec<ActiveAlert>>,
    failing: ArcSwap<Vec<Alert>>,
    /// How often something came in, and up to which of them `active` shows what came.
    arrivals: watch::Sender<(u64, u64)>,
    /// What others have posted; the lock is held until it is told.
    outside: Mutex<Outside>,
    post: Notify,
    kept: Kept,
    facts: ArcSwap<Facts>,
}

/// What the loop has not taken yet. Of several transitions of one alert only the last counts, so that a slow loop
/// costs no memory and loses nothing that a receiver would have heard.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) transitions: HashMap<Labels, Transition>,
    /// Those canaries among them that others have posted.
    pub(super) posted_canaries: HashSet<Labels>,
    pub(super) plan: Option<Plan>,
    /// How often something came in before it was taken.
    taken: u64,
}

impl Shared {
    pub(super) fn new(kept: Kept, facts: Arc<Facts>) -> Self {
        Self {
            inbox: Mutex::default(),
            wake: Notify::new(),
            active: ArcSwap::default(),
            failing: ArcSwap::default(),
            arrivals: watch::Sender::new((0, 0)),
            outside: Mutex::default(),
            post: Notify::new(),
            kept,
            facts: ArcSwap::new(facts),
        }
    }

    /// Takes transitions of our own rules in; says how many found no room.
    pub(super) fn tell(&self, transitions: Vec<Transition>) -> usize {
        self.take_in(transitions, false)
    }

    /// Takes in what became of alerts that others have posted; says how many found no room. What our own rules say of their
    /// canary is not replaced by this.
    pub(super) fn tell_of_others(&self, transitions: Vec<Transition>) -> usize {
        self.take_in(transitions, true)
    }

    fn take_in(&self, transitions: Vec<Transition>, are_posted: bool) -> usize {
        if transitions.is_empty() {
            return 0;
        }
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        for transition in transitions {
            let labels = transition.alert().labels.clone();
            let waits = inbox.transitions.contains_key(&labels);
            if !waits && inbox.transitions.len() >= MAX_ALERTS {
                dropped += 1;
                continue;
            }
            if is_canary(&labels) {
                if !are_posted {
                    inbox.posted_canaries.remove(&labels);
                } else if waits && !inbox.posted_canaries.contains(&labels) {
                    continue;
                } else {
                    inbox.posted_canaries.insert(labels.clone());
                }
            }
            inbox.transitions.insert(labels, transition);
        }
        self.arrivals.send_modify(|(came, _)| *came += 1);
        drop(inbox);
        self.wake.notify_one();
        dropped
    }

    /// Hands a new configuration over; an older one not taken yet is forgotten.
    pub(super) fn adopt(&self, plan: Plan) {
        self.facts.store(Arc::clone(&plan.facts));
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).plan = Some(plan);
        self.wake.notify_one();
    }

    /// Empties the inbox.
    pub(super) fn take(&self) -> Inbox {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = self.arrivals.borrow().0;
        std::mem::replace(&mut *inbox, Inbox { taken, ..Inbox::default() })
    }

    /// Returns when something may have come in since the last call.
    pub(super) async fn arrival(&self) {
        self.wake.notified().await;
    }

    /// Shows what fires, and which receivers' channels take nothing.
    pub(super) fn publish(&self, active: Vec<ActiveAlert>, failing: Vec<Alert>) {
        self.failing.store(Arc::new(failing));
        self.active.store(Arc::new(active));
        let taken = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).taken;
        self.arrivals.send_if_modified(|(_, shown)| std::mem::replace(shown, taken) != taken);
    }

    /// Returns when what came in so far is shown.
    pub(super) async fn caught_up(&self) {
        let mut arrivals = self.arrivals.subscribe();
        let came = arrivals.borrow().0;
        let _ = arrivals.wait_for(|(_, shown)| *shown >= came).await;
    }

    /// What others have posted.
    pub(super) fn outside(&self) -> MutexGuard<'_, Outside> {
        self.outside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for [`Shared::posted`].
    pub(super) fn note_post(&self) {
        self.post.notify_one();
    }

    /// Returns when others have posted something since the last call.
    pub(super) async fn posted(&self) {
        self.post.notified().await;
    }

    /// What people have asked for.
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// What holds of the configuration.
    pub(super) fn facts(&self) -> Arc<Facts> {
        self.facts.load_full()
    }

    /// What is said of channels that take nothing.
    pub(super) fn failing(&self) -> Arc<Vec<Alert>> {
        self.failing.load_full()
    }

    /// The alerts that fire.
    pub(super) fn active(&self) -> Arc<Vec<ActiveAlert>> {
        self.active.load_full()
    }
}

#[cfg(test)]
impl Default for Shared {
    fn default() -> Self {
        Self::new(Kept::in_memory().unwrap(), Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;

    #[test]
    fn the_inbox_keeps_the_last_word_about_an_alert() {
        let alert = Alert {
            labels: Labels::new([("alertname", "Down")]),
            annotations: Labels::empty(),
            starts_at: Millis(0),
            ends_at: None,
            value: 1.0,
            generator_url: String::new(),
        };
        let shared = Shared::default();
        let ended = Alert { ends_at: Some(Millis(1)), ..alert.clone() };
        assert_eq!(shared.tell(vec![Transition::Firing(alert.clone()), Transition::Still(alert)]), 0);
        assert_eq!(shared.tell(vec![Transition::Resolved(ended)]), 0);
        let inbox = shared.take();
        assert!(matches!(inbox.transitions.values().collect::<Vec<_>>()[..], [Transition::Resolved(_)]));
        assert!(shared.take().transitions.is_empty());
    }
}
