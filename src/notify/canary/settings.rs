//! The section `alerting.canary`.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, Place, Problems};
use crate::notify::channels::arrival::{FOUND, Settings as Arrival, can_be_found};
use crate::notify::channels::{ChannelSettings as _, HttpSettings, ping};
use crate::notify::settings::Settings;
use crate::notify::template::Templates;
use crate::yaml::Fields;

use super::{Planned, goes_by};

/// Often enough for a silence that is noticed before somebody needs it, seldom enough for a folder of mails.
const INTERVAL: Duration = Duration::from_mins(15);
/// Rules have to be evaluated twice in it, and a channel has to answer.
const SHORTEST: Duration = Duration::from_secs(1);

/// How often a canary flies, whereto, and who hears that it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Canary {
    /// From one canary to the next, and the longest that one may take to arrive.
    pub interval: Duration,
    /// The receivers that get it; none: those that the routes lead it to.
    pub receivers: Vec<String>,
    /// Where it is looked for once a channel took it.
    pub arrivals: Vec<Arrival>,
    /// What is pinged when all canaries of a period have arrived.
    pub ping: Option<ping::Settings>,
}

/// Where lists of the section stand.
pub(in crate::notify) struct Places<'n> {
    section: &'n Place,
    receivers: &'n Place,
    arrivals: &'n Place,
}

impl Canary {
    /// Reads the section and ends the reading. Also gives the places of `receivers` and `arrivals`.
    pub(in crate::notify) fn read(mut fields: Fields<'_>) -> (Self, Places<'_>) {
        let interval = fields.duration("interval").unwrap_or(INTERVAL);
        if interval < SHORTEST {
            fields.wrong("interval", "a canary needs a longer `interval`", "write at least 1s, better some minutes");
        }
        let receivers = fields.texts("receivers");
        let (problems, http) = (fields.problems(), HttpSettings::default());
        let (receivers_at, arrivals_at) = (fields.place_of("receivers"), fields.place_of("arrivals"));
        let places = Places { section: fields.at(), receivers: receivers_at, arrivals: arrivals_at };
        let arrivals = fields.list("arrivals").iter().filter_map(|node| {
            let mut fields = Fields::of(node, "an item of `arrivals`", problems)?;
            let arrival = Arrival::read(&mut fields);
            fields.finish();
            arrival
        });
        let arrivals = arrivals.collect();
        let ping = fields.section("ping").and_then(|mut fields| {
            let ping = ping::Settings::read(&mut fields, &(), &http);
            fields.finish();
            ping
        });
        fields.finish();
        (Self { interval: interval.max(SHORTEST), receivers, arrivals, ping }, places)
    }

    /// Says what of it the receivers do not bear out.
    pub(in crate::notify) fn check(&self, at: &Places<'_>, settings: &Settings, problems: &Problems) {
        let receivers = &settings.receivers;
        let names = receivers.iter().map(|receiver| receiver.name.as_str()).collect::<Vec<_>>().join(", ");
        let has_no_channel = |name: &String| {
            let found = receivers.iter().find(|receiver| receiver.name == *name);
            found.is_some_and(|receiver| !receiver.integrations.iter().any(|channel| goes_by(channel.kind())))
        };
        if settings.route.is_none() && receivers.is_empty() && self.receivers.is_empty() {
            let what = "nobody is told of alerts here, so the canary goes nowhere: it is not handed to Alertmanagers";
            problems.add(at.section, what, "add `route` and `receivers` to `alerting`, or remove `canary`");
        }
        for (place, name) in self.receivers.iter().enumerate() {
            if !receivers.iter().any(|receiver| receiver.name == *name) {
                problems.add(at.receivers, format!("there is no receiver `{name}`"), format!("known: {names}"));
            }
            if self.receivers[..place].contains(name) {
                problems.add(at.receivers, format!("the receiver `{name}` is named twice"), "name it once");
            }
        }
        for name in self.led_to(settings).iter().filter(|name| has_no_channel(name)) {
            let what = format!("the receiver `{name}` has no channel, so no canary can arrive there");
            problems.add(at.receivers, what, "name those that have one as the canary's `receivers`");
        }
        for (place, Arrival { receiver, integration, .. }) in self.arrivals.iter().enumerate() {
            let is_same = |other: &Arrival| other.receiver == *receiver && other.integration == *integration;
            if self.arrivals[..place].iter().any(is_same) {
                let what = format!("it is said twice where messages of `{receiver}` by `{integration}` arrive");
                problems.add(at.arrivals, what, "say it once: one place is asked");
            }
            let found = receivers.iter().find(|known| known.name == *receiver);
            let channels = found.iter().flat_map(|known| &known.integrations);
            if !channels.into_iter().any(|channel| channel.kind() == integration) {
                let what = format!("there is no receiver `{receiver}` with a channel `{integration}`");
                problems.add(at.arrivals, what, format!("known receivers: {names}"));
            } else if !can_be_found(integration) {
                let what = format!("messages by `{integration}` hold no id, so none can be looked for");
                problems.add(at.arrivals, what, format!("remove it: its answer counts; {FOUND} can be looked for"));
            } else if !self.receivers.is_empty() && !self.receivers.contains(receiver) {
                let what = format!("the receiver `{receiver}` gets no canary");
                problems.add(at.arrivals, what, "add it to the canary's `receivers`");
            }
        }
    }

    /// The receivers that get it, as far as labels say that every canary has.
    fn led_to(&self, settings: &Settings) -> Vec<String> {
        let labels = Labels::new([("alertname", super::NAME), ("job", "sidewatch"), ("severity", "none")]);
        let routes = settings.route.clone().map(|root| self.routes(root));
        let taking = routes.iter().flat_map(|routes| routes.taking(&labels));
        taking.map(|route| route.receiver.clone()).collect()
    }

    /// Builds what can fail.
    ///
    /// # Errors
    /// A CA file that cannot be read, and the like.
    pub(in crate::notify) fn plan(&self, templates: &Arc<Templates>) -> Result<Planned, String> {
        let arrivals = self.arrivals.iter().map(Arrival::build).collect::<Result<Vec<_>, _>>();
        let arrivals = arrivals.map_err(|complaint| format!("canary: arrivals: {complaint}"))?;
        let ping = self.ping.as_ref().map(|ping| ping.build(templates)).transpose();
        let ping = ping.map_err(|complaint| format!("canary: ping: {complaint}"))?;
        Ok(Planned { every: self.interval, arrivals, ping })
    }
}
