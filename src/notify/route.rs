//! Which receiver hears of an alert, and in which group.
//!
//! In: an alert's labels. Out: the routes that take it. Invariant: pure, no clock.
//!
//! There is one route, the root, which takes everything. Sub-routes will be children of [`Route`], each with
//! matchers and a key of its own; [`Route::taking`] already answers with as many routes as match.

use std::time::Duration;

use crate::model::Labels;

/// By which labels alerts come together in one notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// By these labels; by none, everything is one group.
    Labels(Vec<String>),
    /// `group_by: ['...']`: by all labels, so that each alert is alone.
    All,
}

impl GroupBy {
    /// The labels that name an alert's group. A label the alert does not have is left out.
    pub fn labels_of(&self, alert: &Labels) -> Labels {
        match self {
            Self::All => alert.clone(),
            Self::Labels(names) => alert.without(|name| !names.iter().any(|wanted| wanted == name)),
        }
    }
}

/// When a group tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From a group's first alert to its first notification, so that others can join.
    pub group_wait: Duration,
    /// From one look at a known group to the next; what changed in between is told then.
    pub group_interval: Duration,
    /// After how long a group in which nothing changed is told again.
    pub repeat_interval: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            group_wait: Duration::from_secs(5),
            group_interval: Duration::from_mins(5),
            repeat_interval: Duration::from_hours(4),
        }
    }
}

/// A way from alerts to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// As Alertmanager names routes in group keys: the matchers on the way to it; `{}` is the root.
    pub key: String,
    /// The receiver's name.
    pub receiver: String,
    /// How alerts come together.
    pub group_by: GroupBy,
    /// When they are told.
    pub timing: Timing,
}

impl Route {
    /// The root route of a configuration.
    pub fn root(receiver: String, group_by: GroupBy, timing: Timing) -> Self {
        Self { key: "{}".into(), receiver, group_by, timing }
    }

    /// The routes that take an alert with these labels, in the order of the configuration.
    pub fn taking(&self, _alert: &Labels) -> Vec<&Route> {
        vec![self]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_an_alert_does_not_have_do_not_name_its_group() {
        let alert = Labels::new([("alertname", "Down"), ("instance", "a")]);
        let by = GroupBy::Labels(vec!["alertname".into(), "cluster".into()]);
        assert_eq!(by.labels_of(&alert).to_string(), r#"{alertname="Down"}"#);
        assert_eq!(GroupBy::Labels(vec![]).labels_of(&alert), Labels::empty());
        assert_eq!(GroupBy::All.labels_of(&alert), alert);
    }
}
