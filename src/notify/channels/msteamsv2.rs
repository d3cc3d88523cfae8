//! A card for a Teams workflow ("when a webhook request is received").
//!
//! Workflows give back no message id, so the end of an alert is a card of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::Serialize;

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::{bytes, characters};
use super::service::{
    Deliver, POSSIBLE_DUPLICATE, Refusal, Size, Texts, ask, credentials_once, not_the_service, parse_url, read_http,
    read_template, refused, require_url, shorter_if_too_large,
};
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt};

/// The largest body that Teams takes, in bytes.
const BODY: usize = 28_000;
/// A headline longer than this, in characters, is none.
const TITLE: usize = 1024;
/// What Teams answers, with status 200, when its own other half refuses.
const INNER_STATUS: &str = "Microsoft Teams endpoint returned HTTP error ";

/// One item of `msteamsv2_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The workflow's URL: a secret.
    pub webhook_url: Secret,
    /// Template of the headline.
    pub title: String,
    /// Template of the text.
    pub text: String,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "msteamsv2";
    const KEY: &'static str = "msteamsv2_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let title = read_template(fields, "title", r#"{{ template "msteamsv2.default.title" . }}"#);
        let text = read_template(fields, "text", r#"{{ template "msteamsv2.default.text" . }}"#);
        let webhook_url = require_url(fields, "webhook_url", "webhook_url_file")?;
        credentials_once(fields, "webhook_url", &webhook_url, &http)?;
        Some(Self { webhook_url, title, text, http, timeout })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.webhook_url).map_err(|complaint| format!("`webhook_url` {complaint}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?;
        Ok(Arc::new(Teams { settings: self.clone(), endpoint, templates: Arc::clone(templates) }))
    }
}

struct Teams {
    settings: Settings,
    endpoint: Endpoint,
    templates: Arc<Templates>,
}

#[derive(Serialize)]
struct Message {
    r#type: &'static str,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    content_type: &'static str,
    content_url: Option<String>,
    content: Card,
}

#[derive(Serialize)]
struct Card {
    #[serde(rename = "$schema")]
    schema: &'static str,
    r#type: &'static str,
    version: &'static str,
    body: Vec<Block>,
    msteams: Width,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Block {
    r#type: &'static str,
    text: String,
    wrap: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_subtle: Option<bool>,
}

#[derive(Serialize)]
struct Width {
    width: &'static str,
}

impl Block {
    fn text(text: String) -> Self {
        Self { r#type: "TextBlock", text, wrap: true, ..Self::default() }
    }
}

impl Message {
    fn of(blocks: Vec<Block>) -> Self {
        let content = Card {
            schema: "http://adaptivecards.io/schemas/adaptive-card.json",
            r#type: "AdaptiveCard",
            version: "1.2",
            body: blocks,
            msteams: Width { width: "full" },
        };
        let content_type = "application/vnd.microsoft.card.adaptive";
        Self { r#type: "message", attachments: [Attachment { content_type, content_url: None, content }] }
    }

    fn length(&self) -> usize {
        serde_json::to_vec(self).map_or(usize::MAX, |json| json.len())
    }
}

impl Teams {
    fn message(&self, notification: &Notification, size: Size) -> Result<Message, ChannelError> {
        let texts = Texts::plain(&self.templates, notification);
        let title = texts.of(&self.settings.title)?;
        let text = texts.of(&self.settings.text)?;
        let limit = size.of(BODY);
        let message = |text: &str| {
            let headline = Block {
                weight: Some("Bolder"),
                size: Some("Medium"),
                style: Some("heading"),
                color: Some(if notification.is_firing() { "Attention" } else { "Good" }),
                ..Block::text(characters(&title, size.of(TITLE)).into_owned())
            };
            let mut blocks = vec![headline, Block::text(text.to_owned())];
            if notification.possible_duplicate {
                blocks.push(Block { is_subtle: Some(true), ..Block::text(POSSIBLE_DUPLICATE.into()) });
            }
            Message::of(blocks)
        };
        // JSON makes of some characters two or six, so the text is cut by what is over until nothing is.
        let mut room = text.len().min(limit);
        loop {
            let message = message(&bytes(&text, room));
            let over = message.length().saturating_sub(limit);
            if over == 0 || room == 0 {
                return Ok(message);
            }
            room = room.saturating_sub(over.div_ceil(6).max(1));
        }
    }
}

#[async_trait]
impl Deliver for Teams {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let message = self.message(notification, size)?;
        let reply = ask(&self.endpoint, Method::POST, self.endpoint.url().clone(), &message).await?;
        if !reply.status.is_success() {
            return Err(refused(&self.endpoint, &reply));
        }
        let body = String::from_utf8_lossy(&reply.body);
        if body.trim_start().starts_with('<') {
            return Err(not_the_service(&self.endpoint, &reply));
        }
        let Some((_, inner)) = body.split_once(INNER_STATUS) else {
            return Ok(None);
        };
        let what = self.endpoint.told(&reply);
        Err(match inner.get(..3) {
            Some("413") => Refusal::TooLarge(ChannelError::lasting(FailureReason::ClientError, what)),
            Some("429") => ChannelError::passing(FailureReason::RateLimited, what).into(),
            Some(status) if status.starts_with('5') => ChannelError::passing(FailureReason::ServerError, what).into(),
            _ => ChannelError::lasting(FailureReason::ClientError, what).into(),
        })
    }
}

#[async_trait]
impl Channel for Teams {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
#[path = "msteamsv2_tests.rs"]
mod tests;
