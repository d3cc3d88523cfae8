//! Which receivers hear of an alert, and in which groups.
//!
//! In: an alert's labels. Out: the routes that take it. Invariant: pure, no clock.
//!
//! As Alertmanager's tree: an alert goes to the first child that takes it, and on to the next ones where a child says
//! `continue`; a route whose children all pass on it keeps it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, Millis};

use super::matcher::{Matcher, all_take, render_list};
use super::time_interval::TimeInterval;

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

/// When a route may tell at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Hours {
    /// Only in one of these; always where there is none.
    pub active: Vec<Arc<TimeInterval>>,
    /// In none of these.
    pub muted: Vec<Arc<TimeInterval>>,
}

impl Hours {
    /// The names of the intervals that keep the route silent at a time of the wall clock; none when it may tell.
    pub fn silent(&self, wall: Millis) -> Vec<Arc<str>> {
        let names = |intervals: &[Arc<TimeInterval>], wanted: &dyn Fn(&TimeInterval) -> bool| {
            intervals.iter().filter(|interval| wanted(interval)).map(|interval| Arc::clone(&interval.name)).collect()
        };
        if !self.active.is_empty() && !self.active.iter().any(|interval| interval.contains(wall)) {
            return names(&self.active, &|_| true);
        }
        names(&self.muted, &|interval| interval.contains(wall))
    }
}

/// A way from alerts to a receiver, with the more particular ways inside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// As Alertmanager names routes in group keys: the matchers on the way to it; `{}` is the root. Two routes may have the
    /// same.
    pub key: String,
    /// The same, but different for every route of a tree.
    pub id: String,
    /// What an alert must fulfil to come here; in Alertmanager's order.
    pub matchers: Vec<Matcher>,
    /// Whether an alert that was taken goes on to the next sibling too.
    pub goes_on: bool,
    /// The receiver's name.
    pub receiver: String,
    /// How alerts come together.
    pub group_by: GroupBy,
    /// When they are told.
    pub timing: Timing,
    /// When they are not.
    pub hours: Arc<Hours>,
    /// The routes inside it, in the order of the configuration.
    pub routes: Vec<Route>,
}

impl Route {
    /// The root route of a configuration.
    pub fn root(receiver: String, group_by: GroupBy, timing: Timing) -> Self {
        Self {
            key: "{}".into(),
            id: "{}".into(),
            matchers: Vec::new(),
            goes_on: false,
            receiver,
            group_by,
            timing,
            hours: Arc::default(),
            routes: Vec::new(),
        }
    }

    /// A route inside this one, which inherits what it does not say itself. It is named when it is put in place.
    #[must_use]
    pub fn child(&self, mut matchers: Vec<Matcher>) -> Self {
        matchers.sort();
        let inherited = Self::root(self.receiver.clone(), self.group_by.clone(), self.timing);
        Self { matchers, ..inherited }
    }

    /// Puts routes into a tree's root, and names every route of the tree by its place.
    #[must_use]
    pub fn with(mut self, routes: Vec<Self>) -> Self {
        self.routes = routes;
        self.name_children();
        self
    }

    fn name_children(&mut self) {
        let mut twins: HashMap<String, usize> = HashMap::new();
        for route in &mut self.routes {
            let matchers = render_list(&route.matchers);
            route.key = format!("{}/{matchers}", self.key);
            let twin = twins.entry(matchers.clone()).or_default();
            route.id = format!("{}/{matchers}{twin}", self.id);
            *twin += 1;
            route.name_children();
        }
    }

    /// The routes that take an alert with these labels, in the order of the configuration; never none at the root.
    pub fn taking(&self, alert: &Labels) -> Vec<&Self> {
        let mut taking = Vec::new();
        for route in self.routes.iter().filter(|route| all_take(&route.matchers, alert)) {
            taking.extend(route.taking(alert));
            if !route.goes_on {
                break;
            }
        }
        if taking.is_empty() {
            taking.push(self);
        }
        taking
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

    fn tree() -> Route {
        let root = Route::root("root".into(), GroupBy::Labels(vec![]), Timing::default());
        let child = |parent: &Route, matchers: &str, receiver: &str, goes_on| {
            let route = parent.child(Matcher::parse_list(matchers).unwrap());
            Route { receiver: receiver.into(), goes_on, ..route }
        };
        let inner = vec![child(&root, "c=~x|y,a=1", "inner", false)];
        let first = Route { routes: inner, ..child(&root, "b=1", "first", false) };
        let routes = vec![child(&root, "a=1", "all", true), child(&root, "a=1", "twin", true), first];
        root.with(routes)
    }

    #[test]
    fn an_alert_goes_to_the_deepest_routes_that_take_it() {
        let taken = |labels: &[(&str, &str)]| {
            let labels = Labels::new(labels.iter().copied());
            tree().taking(&labels).into_iter().map(|route| route.receiver.clone()).collect::<Vec<_>>()
        };
        assert_eq!(taken(&[("x", "1")]), ["root"]);
        assert_eq!(taken(&[("b", "1")]), ["first"]);
        assert_eq!(taken(&[("a", "1"), ("b", "1"), ("c", "x")]), ["all", "twin", "inner"]);
        assert_eq!(taken(&[("a", "2"), ("b", "1"), ("c", "x")]), ["first"]);
    }

    #[test]
    fn keys_are_alertmanagers_and_ids_tell_twins_apart() {
        let tree = tree();
        let keys: Vec<_> = tree.routes.iter().map(|route| route.key.as_str()).collect();
        assert_eq!(keys, [r#"{}/{a="1"}"#, r#"{}/{a="1"}"#, r#"{}/{b="1"}"#]);
        assert_eq!(tree.routes[2].routes[0].key, r#"{}/{b="1"}/{a="1",c=~"x|y"}"#);
        assert_ne!(tree.routes[0].id, tree.routes[1].id);
    }
}
