//! Where the notifier's handle and its loop meet: what came in, and what fires.
//!
//! Invariant: nobody waits here for longer than a map's insertion; at most as many transitions as alerts are kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::model::{Labels, Transition};

use super::group::{ActiveAlert, MAX_ALERTS};
use super::plan::Plan;

/// What the notifier's handle and the loop share.
#[derive(Default)]
pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    wake: Notify,
    active: ArcSwap<Vec<ActiveAlert>>,
}

/// What the loop has not taken yet. Of several transitions of one alert only the last counts, so that a slow loop
/// costs no memory and loses nothing that a receiver would have heard.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) transitions: HashMap<Labels, Transition>,
    pub(super) plan: Option<Plan>,
}

impl Shared {
    /// Takes transitions in; says how many found no room.
    pub(super) fn tell(&self, transitions: Vec<Transition>) -> usize {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        let mut dropped = 0;
        for transition in transitions {
            let labels = transition.alert().labels.clone();
            if inbox.transitions.len() < MAX_ALERTS || inbox.transitions.contains_key(&labels) {
                inbox.transitions.insert(labels, transition);
            } else {
                dropped += 1;
            }
        }
        drop(inbox);
        self.wake.notify_one();
        dropped
    }

    /// Hands a new configuration over; an older one not taken yet is forgotten.
    pub(super) fn adopt(&self, plan: Plan) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).plan = Some(plan);
        self.wake.notify_one();
    }

    /// Empties the inbox.
    pub(super) fn take(&self) -> Inbox {
        std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when something may have come in since the last call.
    pub(super) async fn arrival(&self) {
        self.wake.notified().await;
    }

    /// Shows what fires.
    pub(super) fn publish(&self, active: Vec<ActiveAlert>) {
        self.active.store(Arc::new(active));
    }

    /// The alerts that fire.
    pub(super) fn active(&self) -> Arc<Vec<ActiveAlert>> {
        self.active.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Alert, Millis};

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
