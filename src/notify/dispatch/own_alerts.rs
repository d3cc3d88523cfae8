//! How others hear that an integration fails.

use tracing::error;

use super::Dispatcher;
use crate::model::{Alert, Millis, Transition};
use crate::notify::failing::{Subject, is_about};
use crate::notify::route::{GroupBy, Route};

impl Dispatcher {
    /// Says by an alert of our own that something fails, or does no more, to others than the integration that fails: where the
    /// routes lead it, else to the next receiver that works.
    pub(super) fn tell_of(&mut self, news: impl IntoIterator<Item = Alert>, subject: &Subject) {
        let failing = subject.integration().map_or_else(String::new, |id| id.receiver.to_string());
        let now = self.clock.now();
        for alert in news {
            let works = |receiver: &str| {
                let own = self.live.iter().filter(|live| *live.id.receiver == *receiver);
                own.into_iter().any(|live| !is_about(&alert.labels, &live.id) && !self.failing.is_failing(&live.id))
            };
            let routed = self.routes.taking(&alert.labels).iter().any(|route| works(&route.receiver));
            let receivers = self.live.iter().map(|live| &live.id.receiver);
            let behind = receivers.clone().skip_while(|name| ***name != *failing);
            let next = behind.chain(receivers).find(|name| works(name)).cloned();
            let route = match next {
                _ if routed => None,
                Some(next) => {
                    let by = GroupBy::Labels(vec!["alertname".into(), "receiver".into(), "integration".into()]);
                    let mut route = Route::root(next.to_string(), by, self.routes.timing);
                    route.key = format!("{{}}/{{{failing}->{next}}}");
                    route.id.clone_from(&route.key);
                    Some(route)
                }
                None => {
                    if alert.ends_at.is_none() {
                        error!(?subject, "notifications fail, and there is no other receiver that works");
                    }
                    continue;
                }
            };
            let transition = match alert.ends_at {
                None => Transition::Firing(alert),
                Some(_) => Transition::Resolved(alert),
            };
            self.take(transition, route.as_ref(), now);
        }
    }

    /// After a new configuration: what is gone fails no more, and what still fails is told where the new routes lead it.
    pub(super) fn tell_of_failing_anew(&mut self) {
        // What failed with other settings may not fail now.
        let live: Vec<_> = self.live.iter().map(|live| live.id.clone()).collect();
        let is_gone = |subject: &&Subject| {
            let about_canaries = !matches!(subject, Subject::Notifications(_));
            subject.integration().is_some_and(|id| !live.contains(id)) || about_canaries && self.canary.is_none()
        };
        let ended: Vec<_> = self.failing.all().map(|(subject, _)| subject).filter(is_gone).cloned().collect();
        for subject in ended {
            let ended = self.failing.ends(&subject, Millis::now());
            self.tell_of(ended, &subject);
        }
        // The routes of the file have taken these too, perhaps to the one that fails.
        let failing: Vec<_> = self.failing.all().map(|(subject, alert)| (subject.clone(), alert.clone())).collect();
        for (subject, alert) in failing {
            self.tell_of([alert], &subject);
        }
    }
}
