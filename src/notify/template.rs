//! The texts of messages: Go templates with Alertmanager's data and functions.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{FuncMap, Value};

use crate::model::{Alert, Labels};
use crate::template;

use super::notification::{Notification, common};

/// The templates that a message's texts may use.
pub struct Templates {
    functions: FuncMap,
}

impl Templates {
    /// With Go's functions and those that Prometheus and Alertmanager share.
    pub fn new() -> Self {
        let mut functions = FuncMap::new();
        template::texts(&mut functions);
        Self { functions }
    }

    /// A text expanded for a notification.
    ///
    /// # Errors
    /// What is wrong with the template, in Go's words.
    pub fn text(&self, text: &str, notification: &Notification) -> Result<String, String> {
        template::expand(text, &data(notification), self.functions.clone())
    }
}

fn data(notification: &Notification) -> Value {
    map([
        ("Receiver", text(&notification.receiver)),
        ("Status", text(notification.status())),
        ("Alerts", Value::from(notification.alerts.iter().map(|alert| one(alert)).collect::<Vec<_>>())),
        ("GroupLabels", labels(&notification.group_labels)),
        ("CommonLabels", labels(&common(notification.alerts.iter().map(|alert| &alert.labels)))),
        ("CommonAnnotations", labels(&common(notification.alerts.iter().map(|alert| &alert.annotations)))),
        ("ExternalURL", text(&notification.external_url)),
    ])
}

fn one(alert: &Alert) -> Value {
    map([
        ("Status", text(if alert.ends_at.is_none() { "firing" } else { "resolved" })),
        ("Labels", labels(&alert.labels)),
        ("Annotations", labels(&alert.annotations)),
        ("GeneratorURL", text(&alert.generator_url)),
    ])
}

fn labels(labels: &Labels) -> Value {
    map(labels.iter().map(|(name, value)| (name, text(value))))
}

fn map<'n>(pairs: impl IntoIterator<Item = (&'n str, Value)>) -> Value {
    let pairs: BTreeMap<Arc<str>, Value> = pairs.into_iter().map(|(name, value)| (Arc::from(name), value)).collect();
    Value::Map(Arc::new(pairs))
}

fn text(text: &str) -> Value {
    Value::from(text)
}
