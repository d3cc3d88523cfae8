//! A configuration made ready: whatever can fail has been built before anything is swapped.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::model::Alert;

use super::canary;
use super::channels::{Channel, Integration, IntegrationId};
use super::handover;
use super::inhibit::Inhibitor;
use super::route::{GroupBy, Route, Timing};
use super::settings::Settings;
use super::template::Templates;

/// What the API tells of a configuration.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// As [`super::original`] writes it.
    pub original: String,
    /// The receivers' names, in the order of the file.
    pub receivers: Vec<String>,
    /// When an alert of others ends if nobody says it, and one from before the start of which nobody has spoken since.
    pub resolve_timeout: Duration,
    /// [`Settings::first_words`]
    pub first_words: BTreeMap<String, Duration>,
}

impl Facts {
    /// Within so long after a start somebody speaks of an alert that fires.
    pub(super) fn first_word(&self, alert: &Alert) -> Duration {
        let own = alert.labels.get("alertname").and_then(|name| self.first_words.get(name));
        own.map_or(self.resolve_timeout, |own| self.resolve_timeout.max(*own))
    }
}

/// A configuration with everything built that can fail.
pub struct Plan {
    pub(super) facts: Arc<Facts>,
    pub(super) routes: Route,
    /// Without any source yet.
    pub(super) inhibitor: Inhibitor,
    pub(super) integrations: Vec<Planned>,
    pub(super) canary: Option<canary::Planned>,
    pub(super) handover: handover::Plan,
}

/// One integration, ready to be used.
pub(super) struct Planned {
    pub(super) id: IntegrationId,
    pub(super) settings: Integration,
    pub(super) channel: Arc<dyn Channel>,
}

impl Plan {
    /// Builds the channels.
    ///
    /// # Errors
    /// What only building can find, such as a CA file that cannot be read; with the receiver's name.
    pub fn build(settings: &Settings) -> Result<Self, String> {
        let (templates, mut integrations) = (Arc::new(Templates::with(&settings.templates)), Vec::new());
        for receiver in &settings.receivers {
            let mut seen: HashMap<&str, usize> = HashMap::new();
            for settings in &receiver.integrations {
                let count = seen.entry(settings.kind()).or_default();
                let id =
                    IntegrationId { receiver: receiver.name.as_str().into(), kind: settings.kind(), index: *count };
                *count += 1;
                let channel = settings.build(&templates).map_err(|complaint| format!("receiver {id}: {complaint}"))?;
                integrations.push(Planned { id, settings: settings.clone(), channel });
            }
        }
        let handover = handover::Plan::build(&settings.handover)?;
        // Without a route nobody is told, but what fires can still be asked for.
        let nobody = || Route::root(String::new(), GroupBy::Labels(Vec::new()), Timing::default());
        let facts = Arc::new(Facts {
            original: settings.original.clone(),
            receivers: settings.receivers.iter().map(|receiver| receiver.name.clone()).collect(),
            resolve_timeout: settings.resolve_timeout,
            first_words: settings.first_words.clone(),
        });
        let routes = settings.route.clone().unwrap_or_else(nobody);
        let routes = match &settings.canary {
            Some(canary) => canary.routes(routes),
            None => routes,
        };
        let canary = settings.canary.as_ref().map(|canary| canary.plan(&templates)).transpose()?;
        Ok(Self { facts, routes, inhibitor: Inhibitor::new(&settings.inhibit_rules), integrations, canary, handover })
    }
}
