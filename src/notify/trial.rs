//! One notification to a receiver that somebody sets up, with no agent running: `sidewatch test receiver`.

use std::sync::Arc;

use crate::model::{Alert, Labels, Millis};

use super::aside::Asides;
use super::channels::{ChannelError, IntegrationId, Receipt};
use super::identity::group_key;
use super::notification::{Notification, Reason};
use super::plan::Plan;

/// The alert that is told. Rules cannot fire it by chance: nothing of ours has the name.
const ALERTNAME: &str = "SidewatchTest";

/// What came back from one channel of a receiver.
#[derive(Debug)]
pub struct Trial {
    /// Which channel.
    pub to: IntegrationId,
    /// What the channel gave back, or why it did not take the message.
    pub outcome: Result<Receipt, ChannelError>,
}

impl Plan {
    /// Sends one firing test alert through every channel of a receiver, one after the other and each once, and with `ends`
    /// also its end. Nothing if there is no receiver of this name.
    pub async fn try_receiver(&self, name: &str, external_url: &str, at: Millis, ends: bool) -> Option<Vec<Trial>> {
        if !self.facts.receivers.iter().any(|receiver| receiver == name) {
            return None;
        }
        let mut trials = Vec::new();
        for planned in self.integrations.iter().filter(|planned| &*planned.id.receiver == name) {
            let mut outcome = planned.channel.send(&notification(&planned.id, external_url, at, None)).await;
            if let (Ok(receipt), true, true) = (&outcome, ends, planned.settings.send_resolved) {
                let end = notification(&planned.id, external_url, at, Some(receipt.clone()));
                outcome = planned.channel.send(&end).await;
            }
            trials.push(Trial { to: planned.id.clone(), outcome });
        }
        Some(trials)
    }
}

/// The test alert firing, or its end where what came back of the firing one is given.
fn notification(to: &IntegrationId, external_url: &str, at: Millis, ended: Option<Receipt>) -> Notification {
    let group_labels = Labels::new([("alertname", ALERTNAME)]);
    let summary = format!("A test of the receiver `{}`: nothing is wrong.", to.receiver);
    let alert = Alert {
        labels: group_labels.with("severity", "info"),
        annotations: Labels::new([("summary", summary.as_str())]),
        starts_at: at,
        ends_at: ended.as_ref().map(|_| at),
        value: 1.0,
        generator_url: external_url.to_owned(),
    };
    Notification {
        receiver: Arc::clone(&to.receiver),
        integration: (to.kind, to.index),
        group_key: group_key("{}", &group_labels).into(),
        group_labels,
        reason: if ended.is_some() { Reason::AllResolved } else { Reason::First },
        alerts: vec![Arc::new(alert)],
        external_url: external_url.trim_end_matches('/').into(),
        at,
        receipt: ended.flatten(),
        possible_duplicate: false,
        asides: Asides::default(),
    }
}
