//! How others hear that an integration fails.

use tracing::error;

use super::Dispatcher;
use crate::model::{Alert, Millis, Transition};
use crate::notify::channels::IntegrationId;
use crate::notify::failing::is_about;
use crate::notify::route::{GroupBy, Route};

impl Dispatcher {
    /// Says by an alert of our own that an integration fails, or does no more, to others: where the routes lead it, else to
    /// the next receiver that works.
    pub(super) fn tell_of(&mut self, news: impl IntoIterator<Item = Alert>, failing: &IntegrationId) {
        let now = self.clock.now();
        for alert in news {
            let works = |receiver: &str| {
                let own = self.live.iter().filter(|live| *live.id.receiver == *receiver);
                own.into_iter().any(|live| !is_about(&alert.labels, &live.id) && !self.failing.is_failing(&live.id))
            };
            let routed = self.routes.taking(&alert.labels).iter().any(|route| works(&route.receiver));
            let receivers = self.live.iter().map(|live| &live.id.receiver);
            let behind = receivers.clone().skip_while(|name| **name != failing.receiver);
            let next = behind.chain(receivers).find(|name| works(name)).cloned();
            let route = match next {
                _ if routed => None,
                Some(next) => {
                    let by = GroupBy::Labels(vec!["alertname".into(), "receiver".into(), "integration".into()]);
                    let mut route = Route::root(next.to_string(), by, self.routes.timing);
                    route.key = format!("{{}}/{{{}->{next}}}", failing.receiver);
                    route.id.clone_from(&route.key);
                    Some(route)
                }
                None => {
                    if alert.ends_at.is_none() {
                        error!(to = %failing, "notifications fail, and there is no other receiver that works");
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
        let ended: Vec<_> = self.failing.all().map(|(id, _)| id.clone()).filter(|id| !live.contains(id)).collect();
        for id in ended {
            let ended = self.failing.recovered(&id, Millis::now());
            self.tell_of(ended, &id);
        }
        // The routes of the file have taken these too, perhaps to the one that fails.
        let failing: Vec<_> = self.failing.all().map(|(id, alert)| (id.clone(), alert.clone())).collect();
        for (id, alert) in failing {
            self.tell_of([alert], &id);
        }
    }
}
