//! A message through a Discord webhook, as one embed; edited when the alerts are over.
//!
//! <https://discord.com/developers/docs/resources/webhook>. Nobody is pinged but whom the configured `content` names itself:
//! an alert's texts cannot.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::http_client::Reply;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::{characters, markdown};
use super::service::{
    Deliver, POSSIBLE_DUPLICATE, Refusal, Size, Texts, ask, credentials_once, not_the_service, parse_url, read_http,
    read_template, refused, require_url, shorter_if_too_large, wait_as_told,
};
use super::{Channel, ChannelError, ChannelSettings, HttpSettings, Receipt};

/// Discord's limits, in characters.
const CONTENT: usize = 2000;
const TITLE: usize = 256;
const DESCRIPTION: usize = 4096;
const USERNAME: usize = 80;
/// The embed's edge, as Alertmanager's.
const FIRING: u32 = 0x99_2D22;
const RESOLVED: u32 = 0x2E_CC71;

/// One item of `discord_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The webhook's URL: a secret.
    pub webhook_url: Secret,
    /// Template of the text above the embed.
    pub content: String,
    /// Template of the embed's title.
    pub title: String,
    /// Template of the embed's text.
    pub message: String,
    /// Who writes; empty for the webhook's own name.
    pub username: String,
    /// The writer's picture.
    pub avatar_url: String,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "discord";
    const KEY: &'static str = "discord_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let content = read_template(fields, "content", "");
        let title = read_template(fields, "title", r#"{{ template "discord.default.title" . }}"#);
        let message = read_template(fields, "message", r#"{{ template "discord.default.message" . }}"#);
        let username = fields.text("username").unwrap_or_default();
        let avatar_url = fields.text("avatar_url").unwrap_or_default();
        let webhook_url = require_url(fields, "webhook_url", "webhook_url_file")?;
        credentials_once(fields, "webhook_url", &webhook_url, &http)?;
        Some(Self { webhook_url, content, title, message, username, avatar_url, http, timeout })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.webhook_url).map_err(|complaint| format!("`webhook_url` {complaint}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?;
        Ok(Arc::new(Discord { settings: self.clone(), endpoint, templates: Arc::clone(templates) }))
    }
}

struct Discord {
    settings: Settings,
    endpoint: Endpoint,
    templates: Arc<Templates>,
}

#[derive(Serialize)]
struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    content: String,
    embeds: [Embed; 1],
    allowed_mentions: Mentions,
    #[serde(skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    avatar_url: String,
}

#[derive(Serialize)]
struct Embed {
    title: String,
    description: String,
    color: u32,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    footer: Option<Footer>,
}

#[derive(Serialize)]
struct Footer {
    text: &'static str,
}

/// Whom a message may ping.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct Mentions {
    parse: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<String>,
}

impl Mentions {
    /// Those that a configured text names itself.
    fn of(template: &str) -> Self {
        let (mut users, mut roles) = (Vec::new(), Vec::new());
        for rest in template.split("<@").skip(1) {
            let (list, rest) = match rest.strip_prefix('&') {
                Some(rest) => (&mut roles, rest),
                None => (&mut users, rest.strip_prefix('!').unwrap_or(rest)),
            };
            let id = rest.split('>').next().unwrap_or_default();
            if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()) && !list.iter().any(|known| known == id) {
                list.push(id.to_owned());
            }
        }
        let everyone = template.contains("@everyone") || template.contains("@here");
        Self { parse: if everyone { vec!["everyone"] } else { Vec::new() }, users, roles }
    }
}

/// The answer with `wait=true`.
#[derive(Deserialize)]
struct Posted {
    id: String,
}

#[derive(Deserialize)]
struct TooMany {
    retry_after: f64,
}

impl Discord {
    fn message(&self, notification: &Notification, size: Size) -> Result<Message, ChannelError> {
        let settings = &self.settings;
        let texts = Texts::plain(&self.templates, notification);
        let at = jiff::Timestamp::from_millisecond(notification.at.0).unwrap_or_default();
        let embed = Embed {
            title: characters(&texts.of(&settings.title)?, size.of(TITLE)).into_owned(),
            description: markdown(&texts.of(&settings.message)?, size.of(DESCRIPTION)).into_owned(),
            color: if notification.is_firing() { FIRING } else { RESOLVED },
            timestamp: at.to_string(),
            footer: notification.possible_duplicate.then_some(Footer { text: POSSIBLE_DUPLICATE }),
        };
        Ok(Message {
            content: markdown(&texts.of(&settings.content)?, size.of(CONTENT)).into_owned(),
            embeds: [embed],
            allowed_mentions: Mentions::of(&settings.content),
            username: characters(&settings.username, USERNAME).into_owned(),
            avatar_url: settings.avatar_url.clone(),
        })
    }

    async fn post(&self, message: &Message) -> Result<Receipt, Refusal> {
        let mut url = self.endpoint.url().clone();
        if !url.query_pairs().any(|(name, _)| name == "wait") {
            url.query_pairs_mut().append_pair("wait", "true");
        }
        let reply = ask(&self.endpoint, Method::POST, url, message).await?;
        self.posted(&reply)
    }

    async fn edit(&self, id: &str, message: &Message) -> Result<Receipt, Refusal> {
        let reply = ask(&self.endpoint, Method::PATCH, self.url_of(id), message).await?;
        self.posted(&reply)
    }

    fn url_of(&self, id: &str) -> Url {
        let mut url = self.endpoint.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["messages", id]);
        }
        url
    }

    fn posted(&self, reply: &Reply) -> Result<Receipt, Refusal> {
        if !reply.status.is_success() {
            let asked = serde_json::from_slice(&reply.body).ok().map(|body: TooMany| body.retry_after);
            return Err(wait_as_told(refused(&self.endpoint, reply), asked));
        }
        match serde_json::from_slice::<Posted>(&reply.body) {
            Ok(posted) => Ok(Some(posted.id.into())),
            // Servers that speak Discord's language need not say where the message stands.
            Err(_) if reply.body.is_empty() => Ok(None),
            Err(_) => Err(not_the_service(&self.endpoint, reply)),
        }
    }
}

#[async_trait]
impl Deliver for Discord {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let message = self.message(notification, size)?;
        match &notification.receipt {
            Some(id) if !notification.is_firing() => match self.edit(id, &message).await {
                // The message is gone, or was another webhook's.
                Err(refusal) if refusal.is_for_good() => self.post(&message).await,
                other => other,
            },
            _ => self.post(&message).await,
        }
    }
}

#[async_trait]
impl Channel for Discord {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
#[path = "discord_tests.rs"]
mod tests;
