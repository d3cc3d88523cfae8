//! What a template sees of a notification: Alertmanager's data, and beside them a few of our own.
//!
//! Ours are `.GroupKey`, `.SentAt`, `.PossibleDuplicate`, `.Lasting` (for how long the oldest alert fires), `.AcknowledgeURL`,
//! and an alert's `.Value`, `.ValueString`, `.Limit`, `.Duration`, `.Lasting`, `.Flapped`, `.AcknowledgeURL`, `.AcknowledgedBy`.

use std::time::Duration;

use gotmpl::Value;
use jiff::SignedDuration;

use crate::model::{Alert, Labels, Millis, render_float};
use crate::notify::acknowledge::Note;
use crate::notify::aside::Aside;
use crate::notify::identity::{quote_meta, render_fingerprint};
use crate::notify::notification::{Notification, common};
use crate::promql::Comparison;
use crate::template::member::{Kind, pairs, structure};
use crate::template::{moment, span};

/// The data of a message.
pub fn of(notification: &Notification) -> Value {
    let labels = common(notification.alerts.iter().map(|alert| &alert.labels));
    let annotations = common(notification.alerts.iter().map(|alert| &alert.annotations));
    let (asides, nothing) = (&notification.asides, Aside::default());
    let beside = asides.alerts.iter().chain(std::iter::repeat(&nothing));
    let alerts = notification.alerts.iter().zip(beside);
    let alerts = alerts.map(|(alert, aside)| one(alert, aside, notification.at)).collect::<Vec<_>>();
    let oldest = notification.firing().map(|alert| alert.starts_at).min().unwrap_or(notification.at);
    let fields = [
        ("Receiver", quote_meta(&notification.receiver).into()),
        ("Status", notification.status().into()),
        ("Alerts", alerts.into()),
        ("NotificationReason", notification.reason.as_str().into()),
        ("GroupLabels", set(&notification.group_labels)),
        ("CommonLabels", set(&labels)),
        ("CommonAnnotations", set(&annotations)),
        ("ExternalURL", Value::from(&*notification.external_url)),
        ("GroupKey", Value::from(&*notification.group_key)),
        ("SentAt", time(notification.at)),
        ("PossibleDuplicate", Value::Bool(notification.possible_duplicate)),
        ("Lasting", lasting(notification.at.since(oldest)).into()),
        ("AcknowledgeURL", asides.acknowledge_url.as_deref().unwrap_or_default().into()),
    ];
    structure(Kind::Data, fields)
}

fn one(alert: &Alert, aside: &Aside, now: Millis) -> Value {
    let lasted = alert.ends_at.unwrap_or(now).since(alert.starts_at);
    let fields = [
        ("Status", Value::from(if alert.ends_at.is_none() { "firing" } else { "resolved" })),
        ("Labels", set(&alert.labels)),
        ("Annotations", set(&alert.annotations)),
        ("StartsAt", time(alert.starts_at)),
        ("EndsAt", alert.ends_at.map_or_else(moment::zero, time)),
        ("GeneratorURL", alert.generator_url.as_str().into()),
        ("Fingerprint", render_fingerprint(&alert.labels).into()),
        ("Value", Value::Float(alert.value)),
        ("Limit", limit(&alert.generator_url).unwrap_or_default().into()),
        ("ValueString", number(alert.value).into()),
        ("Duration", span::span(i64::try_from(lasted.as_nanos()).unwrap_or(i64::MAX))),
        ("Lasting", lasting(lasted).into()),
        ("Flapped", Value::Int(i64::try_from(aside.flapped).unwrap_or(i64::MAX))),
        ("AcknowledgeURL", aside.acknowledge_url.as_deref().unwrap_or_default().into()),
        ("AcknowledgedBy", aside.acknowledged.as_ref().map_or("", Note::name).into()),
    ];
    structure(Kind::Alert, fields)
}

fn set(labels: &Labels) -> Value {
    pairs(labels.iter())
}

fn time(at: Millis) -> Value {
    moment::at(SignedDuration::from_millis(at.0))
}

/// The two largest units of a duration: `3 h`, `12 min 34 s`.
fn lasting(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = |size: u64, unit: &str, rest: u64, smaller: &str| match rest {
        0 => format!("{} {unit}", seconds / size),
        rest => format!("{} {unit} {rest} {smaller}", seconds / size),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => units(60, "min", seconds % 60, "s"),
        3600..86_400 => units(3600, "h", seconds % 3600 / 60, "min"),
        _ => units(86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Up to four digits behind the point, where they say something. Nothing where there is no number: others post alerts without.
fn number(value: f64) -> String {
    if value.is_nan() {
        return String::new();
    }
    let size = value.abs();
    if value == 0.0 || !value.is_finite() || !(1e-3..1e15).contains(&size) {
        return render_float(value);
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What the rule's expression compares with at its end, as `> 0.9`, if that is a number.
fn limit(generator_url: &str) -> Option<String> {
    let (_, query) = generator_url.split_once('?')?;
    let (_, expression) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "g0.expr")?;
    let comparison = Comparison::at_end_of(&expression)?;
    Some(format!("{} {}", comparison.operator, comparison.limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_what_the_expression_compares_with() {
        for (expression, expected) in [
            ("pg_up+%3D%3D+0", Some("== 0")),
            ("rate(x%5B5m%5D)%2Fy+%3E+0.9", Some("> 0.9")),
            ("x+%3C+bool+3+*+1024", Some("< 3 * 1024")),
            ("x+%3E+on()+y", None),
            ("absent(up)", None),
        ] {
            let url = format!("http://sidewatch:9640/graph?g0.expr={expression}&g0.tab=1");
            assert_eq!(limit(&url).as_deref(), expected, "{expression}");
        }
        assert_eq!(limit("http://elsewhere/"), None);
    }
}
