//! What the channels' own tests share.

use std::sync::Arc;

use crate::model::{Alert, Labels, Millis, Problems};
use crate::notify::notification::{Notification, Reason};
use crate::yaml::{Fields, parse};

use super::{ChannelSettings, HttpSettings};

/// What a configuration reads as, and what is wrong with it.
pub fn read<S: ChannelSettings>(text: &str, global: &str) -> (Option<S>, Vec<String>) {
    let problems = Problems::new();
    let (global, node) = (parse(global, "g.yml").unwrap(), parse(text, "f.yml").unwrap());
    let mut global = Fields::of(&global, "`global`", &problems).unwrap();
    let defaults = S::read_defaults(&mut global);
    global.finish();
    let mut fields = Fields::of(&node, "an item", &problems).unwrap();
    let settings = S::read(&mut fields, &defaults, &HttpSettings::default());
    fields.finish();
    (settings, problems.into_sorted().iter().map(ToString::to_string).collect())
}

/// What a configuration without problems reads as.
pub fn settings<S: ChannelSettings>(text: &str) -> S {
    let (settings, problems) = read(text, "");
    assert_eq!(problems, [""; 0]);
    settings.unwrap()
}

/// An alert that fires since 03:04:05; its texts hold what markups are made of.
pub fn alert(database: &str) -> Alert {
    Alert {
        labels: Labels::new([("alertname", "PgPool"), ("db", database), ("severity", "critical")]),
        annotations: Labels::new([("summary", "pool <97%> & \"more\" of @everyone")]),
        starts_at: Millis(1_795_230_245_120),
        ends_at: None,
        value: 97.0,
        generator_url: "http://agent:9640/g?x=1&y=2".into(),
    }
}

/// One alert of the group `PgPool`.
pub fn firing(database: &str) -> Notification {
    Notification {
        receiver: "on-call".into(),
        integration: ("webhook", 0),
        group_key: r#"{}:{alertname="PgPool"}"#.into(),
        group_labels: Labels::new([("alertname", "PgPool")]),
        alerts: vec![Arc::new(alert(database))],
        reason: Reason::First,
        external_url: "http://sidewatch:9640".into(),
        at: Millis(1_795_230_250_000),
        receipt: None,
        possible_duplicate: false,
        asides: crate::notify::Asides::default(),
    }
}

/// The same, ended.
pub fn resolved(database: &str) -> Notification {
    let ended = Alert { ends_at: Some(Millis(1_795_230_845_120)), ..alert(database) };
    Notification { alerts: vec![Arc::new(ended)], reason: Reason::AllResolved, ..firing(database) }
}

/// As it is sent, for people.
pub fn json(message: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(message).unwrap()
}
