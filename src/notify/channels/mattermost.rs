//! Posts to Mattermost by an incoming webhook (<https://developers.mattermost.com/integrate/webhooks/incoming/>), in the form
//! that it shares with Slack. A webhook gives no message back to edit, so the end is a message of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::markdown;
use super::service::{
    Deliver, POSSIBLE_DUPLICATE, Refusal, Size, Texts, calling_nobody, credentials_once, parse_url, read_http,
    read_template, read_url, shorter_if_too_large, tell,
};
use super::{Channel, ChannelError, ChannelSettings, HttpSettings, Receipt};

/// In characters, of a message's text; Mattermost itself cuts longer ones of an attachment.
const TEXT: usize = 16_383;

/// `mattermost_webhook_url` of `global`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    webhook_url: Option<Secret>,
}

/// One item of `mattermost_configs`. The texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The incoming webhook.
    pub webhook_url: Secret,
    /// Another channel than the webhook's.
    pub channel: String,
    /// Who says it.
    pub username: String,
    /// A picture of who says it.
    pub icon_url: String,
    /// Or an emoji instead.
    pub icon_emoji: String,
    /// The message's own text, beside the attachments; without `attachments` the only one's.
    pub text: String,
    /// A post type, `custom_…`.
    pub kind: String,
    /// What the side bar shows.
    pub card: String,
    /// How urgent it is.
    pub priority: Option<Priority>,
    /// `attachments`, or the one that stands in the item itself.
    pub attachments: Vec<Attachment>,
    /// Whether the attachments are `attachments`, beside the text.
    pub beside_text: bool,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

/// `priority`
#[derive(Debug, Clone, PartialEq)]
pub struct Priority {
    /// Template: standard, important or urgent.
    pub priority: String,
    /// Whether readers are asked to acknowledge; not with standard.
    pub requested_ack: bool,
    /// Whether the mentioned are reminded until they answer; with urgent only.
    pub persistent_notifications: bool,
}

/// A block beside a coloured bar. Pairs of Mattermost's name for a text, and its template.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attachment {
    texts: Vec<(&'static str, String)>,
    fields: Vec<Field>,
}

/// A cell of an attachment's table.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    title: String,
    value: String,
    short: Option<bool>,
}

/// An attachment's texts, with what they are where the item itself is the attachment.
const ATTACHMENT: [(&str, &str); 13] = [
    ("fallback", r#"{{ template "mattermost.default.fallback" . }}"#),
    ("color", r#"{{ template "mattermost.default.color" . }}"#),
    ("pretext", ""),
    ("text", r#"{{ template "mattermost.default.text" . }}"#),
    ("author_name", ""),
    ("author_link", ""),
    ("author_icon", ""),
    ("title", r#"{{ template "mattermost.default.title" . }}"#),
    ("title_link", r#"{{ template "mattermost.default.titlelink" . }}"#),
    ("thumb_url", ""),
    ("footer", ""),
    ("footer_icon", ""),
    ("image_url", ""),
];

impl Attachment {
    fn read(fields: &mut Fields<'_>, with_defaults: bool) -> Self {
        let texts = ATTACHMENT
            .map(|(key, default)| (key, read_template(fields, key, if with_defaults { default } else { "" })));
        Self { texts: texts.into_iter().filter(|(_, text)| !text.is_empty()).collect(), fields: read_fields(fields) }
    }
}

fn read_fields(fields: &mut Fields<'_>) -> Vec<Field> {
    let problems = fields.problems();
    let one = |node| {
        let mut field = Fields::of(node, "a field", problems)?;
        let (title, value) = (read_template(&mut field, "title", ""), read_template(&mut field, "value", ""));
        let short = field.bool("short");
        for key in ["title", "value"] {
            if !field.has(key) {
                problems.add(field.at(), format!("a field has no `{key}`"), format!("add `{key}: …`"));
            }
        }
        field.finish();
        Some(Field { title, value, short })
    };
    fields.list("fields").iter().filter_map(one).collect()
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "mattermost";
    const KEY: &'static str = "mattermost_configs";
    type Defaults = Defaults;

    fn read_defaults(global: &mut Fields<'_>) -> Defaults {
        Defaults { webhook_url: read_url(global, "mattermost_webhook_url", "mattermost_webhook_url_file") }
    }

    fn read(fields: &mut Fields<'_>, defaults: &Defaults, default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let given = fields.has("webhook_url") || fields.has("webhook_url_file");
        let own = read_url(fields, "webhook_url", "webhook_url_file");
        let webhook_url = if given { own } else { defaults.webhook_url.clone() };
        if webhook_url.is_none() && !given {
            let way_out = "add `webhook_url: https://…` here, or `mattermost_webhook_url` under `global`";
            fields.problems().add(fields.at(), "there is no `webhook_url`", way_out);
        }
        let problems = fields.problems();
        let attachment = |node| {
            let mut fields = Fields::of(node, "an attachment", problems)?;
            let attachment = Attachment::read(&mut fields, false);
            fields.finish();
            Some(attachment)
        };
        let mut attachments: Vec<_> = fields.list("attachments").iter().filter_map(attachment).collect();
        let item = Attachment::read(fields, true);
        let text = item.texts.iter().find(|(key, _)| *key == "text").map(|(_, text)| text.clone()).unwrap_or_default();
        let beside_text = !attachments.is_empty();
        if !beside_text {
            attachments.push(item);
        }
        let card = fields.section("props").map(|mut props| {
            let card = read_template(&mut props, "card", "");
            props.finish();
            card
        });
        let priority = fields.section("priority").map(read_priority);
        let username = read_template(fields, "username", r#"{{ template "mattermost.default.username" . }}"#);
        let mut plain = |key| read_template(fields, key, "");
        let (channel, kind) = (plain("channel"), plain("type"));
        let (icon_url, icon_emoji) = (plain("icon_url"), plain("icon_emoji"));
        let webhook_url = webhook_url?;
        credentials_once(fields, "webhook_url", &webhook_url, &http)?;
        Some(Self {
            webhook_url,
            channel,
            username,
            icon_url,
            icon_emoji,
            text,
            kind,
            card: card.unwrap_or_default(),
            priority,
            attachments,
            beside_text,
            http,
            timeout,
        })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.webhook_url).map_err(|complaint| format!("`webhook_url` {complaint}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?;
        Ok(Arc::new(Mattermost { endpoint, settings: self.clone(), templates: Arc::clone(templates) }))
    }
}

fn read_priority(mut fields: Fields<'_>) -> Priority {
    let priority = Priority {
        priority: read_template(&mut fields, "priority", ""),
        requested_ack: fields.bool("requested_ack").unwrap_or(false),
        persistent_notifications: fields.bool("persistent_notifications").unwrap_or(false),
    };
    fields.finish();
    priority
}

struct Mattermost {
    endpoint: Endpoint,
    settings: Settings,
    templates: Arc<Templates>,
}

#[derive(Serialize)]
struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon_emoji: String,
    attachments: Vec<serde_json::Map<String, serde_json::Value>>,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    props: Option<Props>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Urgency>,
}

#[derive(Serialize)]
struct Props {
    card: String,
}

#[derive(Serialize)]
struct Urgency {
    priority: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    requested_ack: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    persistent_notifications: bool,
}

impl Mattermost {
    fn message(&self, notification: &Notification, size: Size) -> Result<Message, ChannelError> {
        let settings = &self.settings;
        let texts = Texts::escaped(&self.templates, notification, calling_nobody, calling_nobody);
        let attachments = settings.attachments.iter().map(|one| attachment(one, &texts, size));
        let mut text = if settings.beside_text { texts.of(&settings.text)? } else { String::new() };
        if notification.possible_duplicate {
            text.insert_str(0, if text.is_empty() { "" } else { "\n" });
            text.insert_str(0, POSSIBLE_DUPLICATE);
        }
        let card = texts.of(&settings.card)?;
        Ok(Message {
            text: markdown(&text, size.of(TEXT)).into_owned(),
            channel: texts.of(&settings.channel)?,
            username: texts.of(&settings.username)?,
            icon_url: texts.of(&settings.icon_url)?,
            icon_emoji: texts.of(&settings.icon_emoji)?,
            attachments: attachments.collect::<Result<_, _>>()?,
            kind: texts.of(&settings.kind)?,
            props: Some(card).filter(|card| !card.is_empty()).map(|card| Props { card }),
            priority: settings.priority.as_ref().map(|priority| urgency(priority, &texts)).transpose()?.flatten(),
        })
    }
}

fn attachment(
    attachment: &Attachment,
    texts: &Texts<'_>,
    size: Size,
) -> Result<serde_json::Map<String, serde_json::Value>, ChannelError> {
    let mut out = serde_json::Map::new();
    for (key, template) in &attachment.texts {
        let text = texts.of(template)?;
        if !text.is_empty() {
            out.insert((*key).into(), markdown(&text, size.of(TEXT)).into_owned().into());
        }
    }
    let mut fields = Vec::new();
    for field in &attachment.fields {
        let mut cell = serde_json::Map::new();
        cell.insert("title".into(), texts.of(&field.title)?.into());
        cell.insert("value".into(), markdown(&texts.of(&field.value)?, size.of(TEXT)).into_owned().into());
        cell.extend(field.short.map(|short| ("short".to_owned(), short.into())));
        fields.push(serde_json::Value::Object(cell));
    }
    if !fields.is_empty() {
        out.insert("fields".into(), fields.into());
    }
    Ok(out)
}

/// Mattermost takes each wish only at its urgency; Alertmanager leaves the others out, and takes another word for standard.
fn urgency(priority: &Priority, texts: &Texts<'_>) -> Result<Option<Urgency>, ChannelError> {
    let word = match texts.of(&priority.priority)?.trim().to_ascii_lowercase().as_str() {
        "" => return Ok(None),
        "urgent" => "urgent",
        "important" => "important",
        _ => "standard",
    };
    Ok(Some(Urgency {
        priority: word,
        requested_ack: priority.requested_ack && word != "standard",
        persistent_notifications: priority.persistent_notifications && word == "urgent",
    }))
}

#[async_trait]
impl Deliver for Mattermost {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let message = self.message(notification, size)?;
        tell(&self.endpoint, &message).await
    }
}

#[async_trait]
impl Channel for Mattermost {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
#[path = "mattermost_tests.rs"]
mod tests;
