//! A canary: an alert that fires on a schedule for no other reason than to prove that alerts arrive.
//!
//! ```text
//! own sample ─▶ rule ─▶ inbox ─▶ route ─▶ group ─▶ outbox ─▶ channel ─▶ taken ─▶ found there ─▶ dead-man ping
//!                                                               │          │           │
//!                                                               └──────────┴── no ─────┴──▶ SidewatchCanaryFailing
//! ```
//!
//! It goes the way of every alert. The one thing of its own is a copy of the tree of routes ([`Canary::routes`]) with the
//! canary's times, so that nobody's `repeat_interval` or hours decide whether there is a proof in each period. It fires in the
//! first half of each period and ends in the second, so that each period's is a new one.
//!
//! [`watch`] keeps the books of a period; whatever is not proven by its end is told.

pub(super) mod alerts;
mod settings;
pub(super) mod watch;

use std::sync::Arc;
use std::time::Duration;

use crate::model::Labels;

use super::channels::arrival::Arrival;
use super::channels::{Channel, ChannelSettings as _, ping};
use super::matcher::Matcher;
use super::route::{GroupBy, Hours, Route, Timing};

pub use settings::Canary;

/// The alert's name.
pub const NAME: &str = "SidewatchCanary";

/// Whether an alert is a canary.
pub(super) fn is_canary(labels: &Labels) -> bool {
    labels.get("alertname") == Some(NAME)
}

/// Whether a canary goes by a kind of channel. A dead man's switch would take it for a failure; it has `ping`.
pub(super) fn goes_by(kind: &str) -> bool {
    kind != ping::Settings::KIND
}

/// A canary with everything built that can fail.
pub(super) struct Planned {
    /// A period.
    pub(super) every: Duration,
    pub(super) arrivals: Vec<Arc<Arrival>>,
    pub(super) ping: Option<Arc<dyn Channel>>,
}

impl Canary {
    /// Puts the way of the canary before all others: to the receivers that are named, else wherever the tree leads it.
    #[must_use]
    pub(super) fn routes(&self, root: Route) -> Route {
        let Ok(matchers) = Matcher::parse_list(&format!("alertname={NAME}")) else { return root };
        let way = root.child(matchers);
        let inner = if self.receivers.is_empty() {
            root.routes.clone()
        } else {
            let to = |receiver: &String| Route { receiver: receiver.clone(), goes_on: true, ..root.child(Vec::new()) };
            self.receivers.iter().map(to).collect()
        };
        let way = self.timed(Route { routes: inner, ..way });
        let routes = std::iter::once(way).chain(root.routes.clone()).collect();
        root.with(routes)
    }

    /// A route and all inside it at the canary's times.
    fn timed(&self, route: Route) -> Route {
        let routes = route.routes.into_iter().map(|inner| self.timed(inner)).collect();
        // Each agent's on its own, should another's come along.
        let group_by = GroupBy::Labels(vec!["alertname".into(), "instance".into()]);
        Route { routes, group_by, timing: self.timing(), hours: Arc::<Hours>::default(), ..route }
    }

    /// The group begins with the canary, and is over before the next one: it ends at half of the period, which is seen at
    /// six tenths. Until then, what was refused is tried anew.
    fn timing(&self) -> Timing {
        Timing {
            group_wait: Duration::ZERO,
            group_interval: self.interval.mul_f64(0.3),
            repeat_interval: self.interval,
        }
    }
}
