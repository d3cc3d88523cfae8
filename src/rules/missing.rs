//! Rules over metrics that nobody has: mostly a name that is written wrong, or a target that is not watched.

use crate::model::Place;

/// A rule that needs metrics that do not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Where the rule stands.
    pub at: Place,
    /// The recorded metric or the alert.
    pub rule: String,
    /// What it needs.
    pub metrics: Vec<String>,
}

/// What readers of the rule are told.
pub(super) fn notice(metrics: &[String]) -> Option<String> {
    if metrics.is_empty() {
        return None;
    }
    let names = metrics.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Some(format!("no series is called {names}: correct the name, watch what shows it, or remove the rule"))
}
