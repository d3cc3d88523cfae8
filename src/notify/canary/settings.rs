//! The section `alerting.canary`.

use std::time::Duration;

use crate::notify::channels::arrival;
use crate::notify::channels::{ChannelSettings as _, HttpSettings, ping};
use crate::notify::settings::Receiver;
use crate::notify::template::Templates;
use crate::yaml::Fields;

use super::Planned;

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
    pub arrivals: Vec<arrival::Settings>,
    /// What is pinged when all canaries of a period have arrived.
    pub ping: Option<ping::Settings>,
}

impl Canary {
    /// Reads the section and ends the reading.
    pub(in crate::notify) fn read(mut fields: Fields<'_>) -> Self {
        let interval = fields.duration("interval").unwrap_or(INTERVAL);
        if interval < SHORTEST {
            fields.wrong("interval", "a canary needs a longer `interval`", "write at least 1s, better some minutes");
        }
        let receivers = fields.texts("receivers");
        let (problems, http) = (fields.problems(), HttpSettings::default());
        let arrivals = fields.list("arrivals").iter().filter_map(|node| {
            let mut fields = Fields::of(node, "an item of `arrivals`", problems)?;
            let arrival = arrival::Settings::read(&mut fields);
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
        Self { interval: interval.max(SHORTEST), receivers, arrivals, ping }
    }

    /// What of it the receivers do not bear out, with a way out.
    pub(in crate::notify) fn complaints(&self, receivers: &[Receiver]) -> Vec<(String, String)> {
        let known = receivers.iter().map(|receiver| receiver.name.as_str()).collect::<Vec<_>>().join(", ");
        let mut complaints = Vec::new();
        for name in &self.receivers {
            match receivers.iter().find(|receiver| receiver.name == *name) {
                None => {
                    complaints
                        .push((format!("there is no receiver `{name}` for the canary"), format!("known: {known}")));
                }
                Some(receiver) if receiver.integrations.is_empty() => {
                    let what = format!("the receiver `{name}` has no channel, so no canary can arrive there");
                    complaints.push((what, "name one that has".into()));
                }
                Some(_) => {}
            }
        }
        for arrival in &self.arrivals {
            let on_it = |receiver: &&Receiver| {
                receiver.name == arrival.receiver
                    && receiver.integrations.iter().any(|integration| integration.kind() == arrival.integration)
            };
            if !receivers.iter().any(|receiver| on_it(&receiver)) {
                let what = format!("no receiver `{}` has a channel `{}`", arrival.receiver, arrival.integration);
                complaints.push((what, format!("known receivers: {known}")));
            } else if !self.receivers.is_empty() && !self.receivers.contains(&arrival.receiver) {
                let what = format!("the receiver `{}` gets no canary", arrival.receiver);
                complaints.push((what, "add it to `receivers`".into()));
            }
        }
        complaints
    }

    /// Builds what can fail.
    ///
    /// # Errors
    /// A CA file that cannot be read, and the like.
    pub(in crate::notify) fn plan(&self, templates: &std::sync::Arc<Templates>) -> Result<Planned, String> {
        let arrivals = self.arrivals.iter().map(arrival::Settings::build).collect::<Result<Vec<_>, _>>();
        let arrivals = arrivals.map_err(|complaint| format!("canary: arrivals: {complaint}"))?;
        let ping = self.ping.as_ref().map(|ping| ping.build(templates)).transpose();
        let ping = ping.map_err(|complaint| format!("canary: ping: {complaint}"))?;
        Ok(Planned { every: self.interval, arrivals, ping })
    }
}
