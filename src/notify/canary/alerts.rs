//! What is told of canaries that do not arrive; [`crate::notify::failing`] says whom.

use std::sync::Arc;

use crate::model::{Alert, Labels, Millis};
use crate::notify::channels::IntegrationId;

/// The alert's name.
pub const FAILING: &str = "SidewatchCanaryFailing";

/// The canary does not arrive by this channel.
pub fn not_arrived(id: &IntegrationId, why: &str, now: Millis) -> Alert {
    let labels = [
        ("alertname", FAILING),
        ("integration", id.kind),
        ("job", "sidewatch"),
        ("receiver", &id.receiver),
        ("severity", "critical"),
    ];
    let summary = format!("The canary does not reach {}: alerts may not either", id.receiver);
    let description = format!(
        "The canary alert of this period has not arrived by {id}: {why}. You hear this because it cannot be trusted to arrive \
         there. Look at the receiver's settings and at the service behind it; no dead-man ping goes out meanwhile."
    );
    alert(Labels::new(labels), &[("summary", summary), ("description", description), ("reason", why.into())], now)
}

/// No rule has fired the canary.
pub fn not_fired(now: Millis) -> Alert {
    let labels = [("alertname", FAILING), ("job", "sidewatch"), ("severity", "critical")];
    let why = "no rule has fired the canary";
    let description = format!(
        "For longer than its period {why}: the agent does not see itself, or does not evaluate its rules, so that other alerts \
         may not fire either. Look at its log and at `sidewatch why SidewatchCanary`; no dead-man ping goes out meanwhile."
    );
    let summary = "No canary flies: alerts may not fire".to_owned();
    alert(Labels::new(labels), &[("summary", summary), ("description", description), ("reason", why.into())], now)
}

fn alert(labels: Labels, texts: &[(&str, String)], now: Millis) -> Alert {
    let texts = texts.iter().map(|(name, text)| (*name, Arc::<str>::from(text.as_str())));
    Alert {
        labels,
        annotations: Labels::new(texts),
        starts_at: now,
        ends_at: None,
        value: 1.0,
        generator_url: String::new(),
    }
}
