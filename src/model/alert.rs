//! Alerts, as rules make them and `notify` tells them.

use super::{Labels, Millis};

/// One label set of one alerting rule, while it is firing or when it has just ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Identity: `alertname`, the rule's labels, the expression's labels without `__name__`, external labels.
    pub labels: Labels,
    /// Expanded texts: `summary`, `description`, `runbook_url`, …
    pub annotations: Labels,
    /// Since when it fires: the condition has held for the rule's `for` longer.
    pub starts_at: Millis,
    /// When it ended; `None` while it fires.
    pub ends_at: Option<Millis>,
    /// The expression's value at the last evaluation that was true.
    pub value: f64,
    /// Where the expression can be looked at.
    pub generator_url: String,
}

/// A change of an alert's state that others must hear of. Pending alerts are nobody's business but the rules'.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// It fires now.
    Firing(Alert),
    /// It still fires; value or annotations are newer.
    Still(Alert),
    /// It has ended.
    Resolved(Alert),
}

impl Transition {
    /// The alert that changed.
    pub fn alert(&self) -> &Alert {
        match self {
            Self::Firing(alert) | Self::Still(alert) | Self::Resolved(alert) => alert,
        }
    }
}
