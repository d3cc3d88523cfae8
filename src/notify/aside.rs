//! What a message says of alerts beside what their rules say: how often they came again, who has taken them on, and where
//! that can be done.

use crate::model::Alert;

use super::acknowledge::{Acknowledged, Episode, Meant, Note};
use super::notification::Notification;

/// Of a whole message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asides {
    /// Where all alerts of it that fire can be taken on. Nothing where nothing is left to be taken on, or nobody said where
    /// the agent is found from outside.
    pub acknowledge_url: Option<String>,
    /// Of each alert, in their order; may be shorter.
    pub alerts: Vec<Aside>,
}

/// Of one alert.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Aside {
    /// Where it can be taken on, while it fires and nobody has.
    pub acknowledge_url: Option<String>,
    /// Who has.
    pub acknowledged: Option<Note>,
    /// How often it ended and fired again within the last hour.
    pub flapped: usize,
}

impl Asides {
    /// What there is to say beside a message now. `flapped` counts for an alert's fingerprint.
    pub(super) fn of(notification: &Notification, acknowledged: &Acknowledged, flapped: impl Fn(u64) -> usize) -> Self {
        let one = |alert: &Alert| {
            let episode = Episode::of(alert);
            let note = acknowledged.note(episode);
            let is_free = alert.ends_at.is_none() && note.is_none();
            Aside {
                acknowledge_url: if is_free { acknowledged.url(Meant::Alert(episode)) } else { None },
                acknowledged: note,
                flapped: flapped(episode.fingerprint),
            }
        };
        let alerts: Vec<_> = notification.alerts.iter().map(|alert| one(alert)).collect();
        let mut urls = alerts.iter().filter_map(|aside| aside.acknowledge_url.as_ref());
        let acknowledge_url = match (urls.next(), urls.next()) {
            (Some(_), Some(_)) => {
                let group = Meant::group(&notification.receiver, &notification.group_key, notification.at);
                acknowledged.url(group)
            }
            (only, _) => only.cloned(),
        };
        Self { acknowledge_url, alerts }
    }

    /// With all texts that come from people or name an address put through a function.
    pub(super) fn escaped(&self, escape: fn(&str) -> String) -> Self {
        let url = |url: &Option<String>| url.as_deref().map(escape);
        let one = |aside: &Aside| Aside {
            acknowledge_url: url(&aside.acknowledge_url),
            acknowledged: aside.acknowledged.as_ref().map(|note| Note { by: escape(&note.by), at: note.at }),
            flapped: aside.flapped,
        };
        Self { acknowledge_url: url(&self.acknowledge_url), alerts: self.alerts.iter().map(one).collect() }
    }
}
