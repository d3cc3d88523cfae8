//! The mail's headers and structure.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart, header};

use crate::model::Millis;
use crate::notify::identity::digest;
use crate::notify::notification::Notification;
use crate::notify::template::{Templates, Texts};

use super::Settings;
use super::settings::{Thread, read_mailbox, read_mailboxes};

/// Makes the message. `Err` says why it cannot be made; header values never hold line breaks.
pub(super) fn compose(
    settings: &Settings,
    templates: &Templates,
    notification: &Notification,
) -> Result<Message, String> {
    let texts = templates.of(notification);
    let (from, to) = (sender(settings, &texts)?, recipients(settings, &texts)?);
    let host = from.email.domain().to_owned();
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(notification.at.0).unwrap_or(0));
    let envelope = Envelope::new(Some(from.email.clone()), to.iter().map(|mailbox| mailbox.email.clone()).collect());
    let mut builder = Message::builder()
        .envelope(envelope.map_err(|error| format!("cannot compose the mail: {error}"))?)
        .from(from)
        .mailbox(header::To::from(to))
        .subject(one_line(&expanded(&texts, "subject", &settings.subject)?))
        .date(at)
        .message_id(Some(format!("<{}@{host}>", notification.id())))
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .raw_header(raw("X-Alert-Status", notification.status()));
    if notification.possible_duplicate {
        builder = builder.raw_header(raw("X-Possible-Duplicate", "true"));
    }
    if let Some(thread) = thread(settings.thread, notification) {
        let root = format!("<sidewatch-{thread}@{host}>");
        builder = builder.in_reply_to(root.clone()).references(root);
    }
    // These replace ours of the same name.
    for (name, value) in &settings.headers {
        let value = one_line(&expanded(&texts, name, value)?);
        let name = HeaderName::new_from_ascii(name.clone()).map_err(|_| format!("`{name}` is no header's name"))?;
        builder = builder.raw_header(HeaderValue::new(name, value));
    }
    let text = expanded(&texts, "text", &settings.text)?;
    let html = texts.html(&settings.html).map_err(|error| format!("the template of `html`: {error}"))?;
    let built = match (text.is_empty(), html.is_empty()) {
        (_, true) => builder.singlepart(SinglePart::plain(text)),
        (true, false) => builder.singlepart(SinglePart::html(html)),
        (false, false) => builder.multipart(MultiPart::alternative_plain_html(text, html)),
    };
    built.map_err(|error| format!("cannot compose the mail: {error}"))
}

fn expanded(texts: &Texts<'_>, what: &str, template: &str) -> Result<String, String> {
    texts.text(template).map_err(|error| format!("the template of `{what}`: {error}"))
}

fn sender(settings: &Settings, texts: &Texts<'_>) -> Result<Mailbox, String> {
    read_mailbox(&expanded(texts, "from", &settings.from)?)
}

fn recipients(settings: &Settings, texts: &Texts<'_>) -> Result<Mailboxes, String> {
    read_mailboxes(&expanded(texts, "to", &settings.to)?)
}

/// What all mails of one conversation have in common: the group, and the day if the user wants a new one each day.
/// No mail has the conversation's id: readers of mail hang all its mails under one that they take for lost.
fn thread(thread: Thread, notification: &Notification) -> Option<String> {
    let group = digest(&[&notification.receiver, &notification.group_key], 16);
    match thread {
        Thread::Group => Some(group),
        Thread::Daily => Some(format!("{group}-{}", day(notification.at))),
        Thread::None => None,
    }
}

fn day(at: Millis) -> String {
    at.to_rfc3339().chars().take_while(|c| *c != 'T').collect()
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Labels may hold anything; a header may not.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}
