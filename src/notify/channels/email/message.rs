//! The mail's headers and structure.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{MultiPart, header};

use crate::notify::identity::digest;
use crate::notify::notification::{Notification, common};

use super::{Settings, words};

/// Makes the message. `Err` says why it cannot be made; header values never hold line breaks.
pub(super) fn compose(settings: &Settings, notification: &Notification) -> Result<Message, String> {
    let host = settings.from.email.domain();
    let thread = format!("<sidewatch-{}@{host}>", digest(&[&notification.receiver, &notification.group_key], 16));
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(notification.at.0).unwrap_or(0));
    let mut builder = Message::builder()
        .from(settings.from.clone())
        .mailbox(header::To::from(settings.to.clone()))
        .subject(one_line(&subject(notification)))
        .date(at)
        .message_id(Some(format!("<{}@{host}>", notification.id())))
        .in_reply_to(thread.clone())
        .references(thread)
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .raw_header(raw("X-Alert-Status", notification.status()));
    for (name, value) in &settings.headers {
        let name = HeaderName::new_from_ascii(name.clone()).map_err(|_| format!("`{name}` is no header's name"))?;
        builder = builder.raw_header(HeaderValue::new(name, one_line(value)));
    }
    let body = MultiPart::alternative_plain_html(words::text(notification), words::html(notification));
    builder.multipart(body).map_err(|error| format!("cannot compose the mail: {error}"))
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Alertmanager's default subject: `[FIRING:2] Name (what else is common to all)`.
pub(super) fn subject(notification: &Notification) -> String {
    let state = match notification.firing().count() {
        0 => "RESOLVED".to_owned(),
        firing => format!("FIRING:{firing}"),
    };
    let shared = common(notification.alerts.iter().map(|alert| &alert.labels));
    let rest = shared.without(|name| notification.group_labels.get(name).is_some());
    let values = |labels: &crate::model::Labels| labels.iter().map(|(_, value)| value).collect::<Vec<_>>().join(" ");
    let mut subject = format!("[{state}] {}", values(&notification.group_labels));
    if !rest.is_empty() {
        let _ = write!(subject, " ({})", values(&rest));
    }
    subject
}

/// Labels may hold anything; a header may not.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}
