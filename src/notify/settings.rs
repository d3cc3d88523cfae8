//! The configuration's `alerting:` section: Alertmanager's schema, as far as it is built, here or in a file of its own.

mod hours;
mod matchers;
mod routing;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::yaml::{self, Fields};

use super::canary::Canary;
use super::channels::{Defaults, Integration};
use super::handover;
use super::inhibit::InhibitRule;
use super::route::Route;
use super::template::Files;

/// Channels of Alertmanager's that have no file under `channels/` yet.
const LATER_CHANNELS: [&str; 7] = [
    "incidentio_configs",
    "jira_configs",
    "msteams_configs",
    "opsgenie_configs",
    "victorops_configs",
    "webex_configs",
    "wechat_configs",
];

/// Keys of `global` that belong to those channels, or to templates.
const LATER_GLOBALS: [&str; 7] = [
    "victorops_api_key",
    "victorops_api_url",
    "opsgenie_api_key",
    "opsgenie_api_url",
    "webex_api_url",
    "wechat_api_url",
    "jira_api_url",
];

/// How long Alertmanager keeps an alert without `endsAt`; see [`Settings::resolve_timeout`].
const RESOLVE_TIMEOUT: Duration = Duration::from_mins(5);

/// Longer than a restart or a failover takes, shorter than anybody would want to believe an old figure.
const HOLD_MISSING: Duration = Duration::from_hours(1);

/// Whom to tell of which alerts, how and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The root of the routing tree; `None` without an `alerting:` section: nobody is told.
    pub route: Option<Route>,
    /// In the order of the file, which the API shows, as Alertmanager's.
    pub receivers: Vec<Receiver>,
    /// The user's own texts.
    pub templates: Files,
    /// Which alerts keep which others quiet.
    pub inhibit_rules: Vec<InhibitRule>,
    /// When an alert that came over the API without an end counts as ended, and after a restart one that was there before
    /// and that nobody has spoken of since. Other alerts of our own rules always end by a transition.
    pub resolve_timeout: Duration,
    /// An alert whose data are gone because a look failed is held for so long before it ends; zero: it ends at once.
    pub hold_missing: Duration,
    /// The alert that proves that alerts arrive; `None`: there is no such proof.
    pub canary: Option<Canary>,
    /// After a start the rules speak of what they fire within so long, by the alert's name; of others within `resolve_timeout`.
    pub first_words: BTreeMap<String, Duration>,
    /// Alertmanagers that hear of our own rules' alerts too, or instead.
    pub handover: handover::Settings,
    /// The section as the API shows it: [`super::original`].
    pub original: String,
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
        Self {
            route: None,
            receivers: Vec::new(),
            templates: Files::default(),
            inhibit_rules: Vec::new(),
            resolve_timeout: RESOLVE_TIMEOUT,
            hold_missing: HOLD_MISSING,
            canary: None,
            first_words: BTreeMap::new(),
            handover: handover::Settings::default(),
            original: super::original(None),
        }
    }
}

impl Settings {
    /// Reads the section and ends the reading. Relative paths in it start at the working directory.
    pub fn read(fields: Fields<'_>) -> Self {
        Self::read_in(fields, Path::new("."))
    }

    /// Reads the section and ends the reading. `config_file` starts at `folder`.
    pub fn read_in(mut fields: Fields<'_>, folder: &Path) -> Self {
        let hold_missing = fields.duration("hold_missing").unwrap_or(HOLD_MISSING);
        let handover = handover::Settings::read(&mut fields);
        let canary = fields.section("canary").map(Canary::read);
        let problems = fields.problems();
        let tells_others = !handover.alertmanagers.is_empty() && !fields.has("receivers");
        let settings = match fields.text("config_file") {
            Some(path) => read_file(fields, &folder.join(path)),
            None => read_schema(fields, folder, tells_others),
        };
        if let Some((canary, places)) = &canary {
            canary.check(places, &settings, problems);
        }
        Self { hold_missing, handover, canary: canary.map(|(canary, _)| canary), ..settings }
    }
}

/// Reads the file that stands for the whole schema. Nothing of the schema may stand beside it.
fn read_file(mut fields: Fields<'_>, path: &Path) -> Settings {
    for key in SCHEMA {
        if fields.has(key) {
            let what = format!("`{key}` is given beside `config_file`, which holds the whole schema");
            fields.wrong(key, what, "move it into that file");
        }
        fields.take(key);
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("cannot read {}: {error}", path.display());
            fields.wrong("config_file", what, "check the path and its rights");
            return Settings::default();
        }
    };
    let (problems, folder) = (fields.problems(), path.parent().unwrap_or(Path::new(".")));
    fields.finish();
    match yaml::parse(&text, &path.display().to_string()) {
        Ok(node) => {
            let settings = Fields::of(&node, "the file", problems)
                .map(|fields| read_schema(fields, folder, false))
                .unwrap_or_default();
            Settings { original: super::original(Some(&node)), ..settings }
        }
        Err(problem) => {
            problems.add(&problem.at, problem.what, problem.way_out);
            Settings::default()
        }
    }
}

/// Alertmanager's own keys.
const SCHEMA: [&str; 8] =
    ["global", "route", "receivers", "inhibit_rules", "time_intervals", "mute_time_intervals", "templates", "tracing"];

/// Reads Alertmanager's keys. `tells_others`: nobody needs to be named here.
fn read_schema(mut fields: Fields<'_>, folder: &Path, tells_others: bool) -> Settings {
    let templates = Files::read(fields.list("templates"), folder, fields.problems());
    let global = Global::read(fields.section("global"));
    let receivers = read_receivers(&mut fields, &global);
    let intervals = hours::read_all(&mut fields);
    let known = routing::Known { receivers: receivers.iter().map(|it| it.name.as_str()).collect(), intervals };
    let route = fields.section("route").and_then(|route| routing::read_root(route, &known));
    if !fields.has("route") && !tells_others {
        fields.wrong("route", "`alerting` has no `route`", "add `route: {receiver: NAME}`");
    }
    let inhibit_rules = matchers::read_inhibit_rules(&mut fields);
    fields.not_built("tracing");
    fields.finish();
    let resolve_timeout = global.resolve_timeout;
    let original = String::new();
    Settings { route, receivers, templates, inhibit_rules, resolve_timeout, original, ..Settings::default() }
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

/// Also those with problems, so that a route to them is not a second one.
fn read_receivers(fields: &mut Fields<'_>, global: &Global) -> Vec<Receiver> {
    let mut receivers: Vec<Receiver> = Vec::new();
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
            if receivers.iter().any(|known| known.name == name) {
                receiver.wrong("name", format!("the receiver `{name}` is given twice"), "rename or join them");
            }
            receivers.push(Receiver { name, integrations });
        }
        receiver.finish();
    }
    receivers
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
