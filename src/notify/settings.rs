//! The configuration's `alerting:` section: Alertmanager's schema, as far as it is built.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::yaml::Fields;

use super::channels::{Defaults, Integration};
use super::route::{GroupBy, Route, Timing};
use super::template::Files;

/// Channels of Alertmanager's that have no file under `channels/` yet.
const LATER_CHANNELS: [&str; 17] = [
    "discord_configs",
    "incidentio_configs",
    "jira_configs",
    "mattermost_configs",
    "msteams_configs",
    "msteamsv2_configs",
    "opsgenie_configs",
    "pagerduty_configs",
    "pushover_configs",
    "rocketchat_configs",
    "slack_configs",
    "sns_configs",
    "telegram_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
    "googlechat_configs",
];

/// Keys of `global` that belong to those channels, or to templates.
const LATER_GLOBALS: [&str; 15] = [
    "slack_api_url",
    "slack_api_url_file",
    "slack_app_token",
    "slack_app_url",
    "victorops_api_key",
    "victorops_api_url",
    "pagerduty_url",
    "opsgenie_api_key",
    "opsgenie_api_url",
    "telegram_api_url",
    "telegram_bot_token",
    "webex_api_url",
    "wechat_api_url",
    "jira_api_url",
    "rocketchat_api_url",
];

/// How long Alertmanager keeps an alert without `endsAt`; see [`Settings::resolve_timeout`].
const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);

/// Whom to tell of which alerts, how and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The root of the routing tree; `None` without an `alerting:` section: nobody is told.
    pub route: Option<Route>,
    /// Receivers by name.
    pub receivers: Vec<Receiver>,
    /// The user's own texts.
    pub templates: Files,
    /// When an alert that came over the API without an end counts as ended. Alerts of our own rules always end
    /// by a transition, so nothing uses it before the API takes alerts.
    pub resolve_timeout: Duration,
}

/// Somebody to tell, on any number of channels; on none for `null` receivers.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// Unique.
    pub name: String,
    /// In the order of kinds and of the file.
    pub integrations: Vec<Integration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { route: None, receivers: Vec::new(), templates: Files::default(), resolve_timeout: RESOLVE_TIMEOUT }
    }
}

impl Settings {
    /// As [`Self::read_in`], with no folder.
    #[cfg(test)]
    pub fn read(fields: Fields<'_>) -> Self {
        Self::read_in(fields, Path::new(""))
    }

    /// Reads the section and ends the reading. Relative paths in it start at `folder`.
    pub fn read_in(mut fields: Fields<'_>, folder: &Path) -> Self {
        let templates = Files::read(fields.list("templates"), folder, fields.problems());
        let global = Global::read(fields.section("global"));
        let receivers = read_receivers(&mut fields, &global);
        let route = fields.section("route").and_then(|route| read_route(route, &receivers));
        if !fields.has("route") {
            fields.wrong("route", "`alerting` has no `route`", "add `route: {receiver: NAME}`");
        }
        for key in ["inhibit_rules", "time_intervals", "mute_time_intervals", "config_file"] {
            fields.not_built(key);
        }
        for key in ["hold_missing", "alertmanagers", "tracing"] {
            fields.not_built(key);
        }
        fields.finish();
        let receivers = receivers.into_iter().map(|(name, integrations)| Receiver { name, integrations }).collect();
        Self { route, receivers, templates, resolve_timeout: global.resolve_timeout }
    }
}

/// What `global` gives to channels that do not say it themselves.
struct Global {
    channels: Defaults,
    resolve_timeout: Duration,
}

impl Global {
    fn read(fields: Option<Fields<'_>>) -> Self {
        let Some(mut fields) = fields else {
            return Self { channels: Defaults::default(), resolve_timeout: RESOLVE_TIMEOUT };
        };
        let global = Self {
            channels: Defaults::read(&mut fields),
            resolve_timeout: fields.duration("resolve_timeout").unwrap_or(RESOLVE_TIMEOUT),
        };
        for key in LATER_GLOBALS {
            fields.not_built(key);
        }
        fields.finish();
        global
    }
}

/// Receivers by name, also those with problems, so that a route to them is not a second one.
fn read_receivers(fields: &mut Fields<'_>, global: &Global) -> BTreeMap<String, Vec<Integration>> {
    let mut receivers = BTreeMap::new();
    let problems = fields.problems();
    for node in fields.list("receivers") {
        let Some(mut receiver) = Fields::of(node, "a receiver", problems) else {
            continue;
        };
        let name = receiver.required("name");
        let integrations = Integration::read_all(&mut receiver, &global.channels);
        for key in LATER_CHANNELS {
            receiver.not_built(key);
        }
        if let Some(name) = name {
            if receivers.contains_key(&name) {
                receiver.wrong("name", format!("the receiver `{name}` is given twice"), "rename or join them");
            }
            receivers.insert(name, integrations);
        }
        receiver.finish();
    }
    receivers
}

fn read_route(mut fields: Fields<'_>, receivers: &BTreeMap<String, Vec<Integration>>) -> Option<Route> {
    let receiver = fields.required("receiver");
    if let Some(name) = receiver.as_ref().filter(|name| !receivers.contains_key(*name)) {
        let known = receivers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let way_out = if known.is_empty() { "add it under `receivers`".into() } else { format!("known: {known}") };
        fields.wrong("receiver", format!("there is no receiver `{name}`"), way_out);
    }
    let group_by = read_group_by(&mut fields);
    let timing = read_timing(&mut fields);
    for key in ["matchers", "match", "match_re", "continue"] {
        if fields.has(key) {
            fields.wrong(key, format!("the root route takes everything, so it has no `{key}`"), "remove it");
        }
        fields.take(key);
    }
    for key in ["routes", "mute_time_intervals", "active_time_intervals"] {
        fields.not_built(key);
    }
    fields.finish();
    Some(Route::root(receiver?, group_by, timing))
}

fn read_group_by(fields: &mut Fields<'_>) -> GroupBy {
    let names = fields.texts("group_by");
    if !names.iter().any(|name| name == "...") {
        return GroupBy::Labels(names);
    }
    if names.len() > 1 {
        fields.wrong("group_by", "`...` stands for all labels and cannot have company", "keep `...` or the names");
    }
    GroupBy::All
}

fn read_timing(fields: &mut Fields<'_>) -> Timing {
    let default = Timing::default();
    let group_wait = fields.duration("group_wait").unwrap_or(default.group_wait);
    let mut positive = |key, otherwise| match fields.duration(key) {
        Some(Duration::ZERO) => {
            fields.wrong(key, format!("`{key}` cannot be zero"), "write a duration such as 5m");
            otherwise
        }
        given => given.unwrap_or(otherwise),
    };
    Timing {
        group_wait,
        group_interval: positive("group_interval", default.group_interval),
        repeat_interval: positive("repeat_interval", default.repeat_interval),
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
