//! What is sent to Slack: one message with one attachment, as Alertmanager's.

use std::borrow::Cow;

use serde::Serialize;

use crate::notify::channels::ChannelError;
use crate::notify::channels::limit;
use crate::notify::channels::service::{POSSIBLE_DUPLICATE, Size, Texts};
use crate::notify::notification::Notification;
use crate::notify::template::Templates;

use super::{Place, Settings};

/// Slack's limit of a headline and of a footer, in characters.
const TITLE: usize = 1024;
const FOOTER: usize = 300;
/// Slack cuts a message at 40,000 characters, inside markup or not; so these stay below it together.
const TEXT: usize = 16_000;
const LINE: usize = 4_000;
const FIELD: usize = 2_000;

/// The body of `chat.postMessage`, `chat.update` and incoming webhooks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    #[serde(skip_serializing_if = "is_false")]
    link_names: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    attachments: [Attachment; 1],
    /// The message to edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<String>,
    /// The message to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<String>,
    /// Whether an answer is shown in the channel too.
    #[serde(skip_serializing_if = "is_false")]
    reply_broadcast: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Attachment {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pretext: String,
    text: String,
    fallback: String,
    callback_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    #[serde(skip_serializing_if = "String::is_empty")]
    image_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thumb_url: String,
    footer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mrkdwn_in: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
struct Field {
    title: String,
    value: String,
    short: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Action {
    r#type: String,
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    style: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<Confirmation>,
}

#[derive(Debug, Clone, Serialize)]
struct Confirmation {
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    ok_text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    dismiss_text: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Message {
    /// Fills in the texts.
    pub(super) fn of(
        settings: &Settings,
        templates: &Templates,
        notification: &Notification,
        size: Size,
    ) -> Result<Self, ChannelError> {
        // Names, colours and URLs are no markup: an `&` in them is an `&`.
        let plain = Texts::plain(templates, notification);
        let marked = Texts::escaped(templates, notification, escape, escape_but_links);
        let cut =
            |template: &str, most| marked.of(template).map(|text| limit::slack(&text, size.of(most)).into_owned());
        let from = &settings.attachment;
        let field = |field: &super::settings::Field| {
            let (title, value) = (cut(&field.title, TITLE)?, cut(&field.value, FIELD)?);
            Ok(Field { title, value, short: field.short })
        };
        let mut footer = cut(&from.footer, FOOTER)?;
        if notification.possible_duplicate {
            let before = if footer.is_empty() { "" } else { " | " };
            let room = FOOTER - POSSIBLE_DUPLICATE.len() - before.len();
            footer = format!("{}{before}{POSSIBLE_DUPLICATE}", limit::slack(&footer, room));
        }
        let attachment = Attachment {
            title: cut(&from.title, TITLE)?,
            title_link: plain.of(&from.title_link)?,
            pretext: cut(&from.pretext, LINE)?,
            text: cut(&from.text, TEXT)?,
            fallback: cut(&from.fallback, LINE)?,
            callback_id: plain.of(&from.callback_id)?,
            fields: from.fields.iter().map(field).collect::<Result<_, ChannelError>>()?,
            actions: from.actions.iter().map(|action| Action::of(action, &plain)).collect::<Result<_, _>>()?,
            image_url: plain.of(&from.image_url)?,
            thumb_url: plain.of(&from.thumb_url)?,
            footer,
            color: plain.of(&from.color)?,
            mrkdwn_in: from.mrkdwn_in.clone(),
        };
        Ok(Self {
            channel: plain.of(&settings.channel)?,
            username: plain.of(&settings.username)?,
            icon_emoji: plain.of(&settings.icon_emoji)?,
            icon_url: plain.of(&settings.icon_url)?,
            link_names: settings.link_names,
            text: cut(&settings.message_text, LINE)?,
            attachments: [attachment],
            ts: None,
            thread_ts: None,
            reply_broadcast: false,
        })
    }

    /// The same in a place that holds a message already, which it takes the place of.
    pub(super) fn instead_of(&self, place: &Place) -> Self {
        Self { channel: place.channel.clone(), ts: Some(place.ts.clone()), ..self.clone() }
    }

    /// The same in the thread of a message; `broadcast`: shown in the channel too.
    pub(super) fn in_thread_of(&self, place: &Place, broadcast: bool) -> Self {
        let (channel, thread_ts) = (place.channel.clone(), Some(place.ts.clone()));
        Self { channel, thread_ts, reply_broadcast: broadcast, ..self.clone() }
    }
}

impl Action {
    fn of(action: &super::settings::Action, texts: &Texts<'_>) -> Result<Self, ChannelError> {
        let confirm = action.confirm.as_ref().map(|asked| {
            Ok::<_, ChannelError>(Confirmation {
                text: texts.of(&asked.text)?,
                title: texts.of(&asked.title)?,
                ok_text: texts.of(&asked.ok_text)?,
                dismiss_text: texts.of(&asked.dismiss_text)?,
            })
        });
        Ok(Self {
            r#type: texts.of(&action.kind)?,
            text: texts.of(&action.text)?,
            url: texts.of(&action.url)?,
            style: texts.of(&action.style)?,
            name: texts.of(&action.name)?,
            value: texts.of(&action.value)?,
            confirm: confirm.transpose()?,
        })
    }
}

/// Slack's three characters.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The same, but links that the author of an annotation wrote in Slack's way stay links. Mentions, which ping people, do not.
fn escape_but_links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out += &escape(before);
        let (link, length) = match link_length(from) {
            Some(length) => (Cow::Owned(from[..length].replace('&', "&amp;")), length),
            None => (Cow::Borrowed("&lt;"), 1),
        };
        out += &link;
        rest = &from[length..];
    }
    out + &escape(rest)
}

/// The length in bytes of `<http…>` or `<http…|text>` at the beginning of a text.
fn link_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find(['<', '>', '\n']).filter(|end| inner[*end..].starts_with('>'))?;
    let link = &inner[..end];
    let url = link.split('|').next().unwrap_or(link);
    let is_url = url.starts_with("http://") || url.starts_with("https://") || url.starts_with("mailto:");
    (is_url && !url.contains(' ')).then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alerts_texts_are_no_markup_but_links_are_links() {
        assert_eq!(escape("<!channel> a & b"), "&lt;!channel&gt; a &amp; b");
        assert_eq!(
            escape_but_links("load > 3 & <!here> see <https://r/?a&b|the runbook> < 5 <http://x y>"),
            "load &gt; 3 &amp; &lt;!here&gt; see <https://r/?a&amp;b|the runbook> &lt; 5 &lt;http://x y&gt;"
        );
    }
}
