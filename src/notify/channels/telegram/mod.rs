//! A message by a Telegram bot; edited when the alerts are over.
//!
//! <https://core.telegram.org/bots/api>. A text that Telegram cannot parse is sent once more without its markup: an alert
//! without bold letters is better than none.

pub(super) mod html;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::http_client::Reply;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::characters;
use super::service::{
    Deliver, POSSIBLE_DUPLICATE, Refusal, Size, Texts, ask, not_the_service, parse_url, read_http, read_template,
    read_url, refused, shorter_if_too_large, wait_as_told,
};
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt};

/// Telegram's own server, unless `api_url` or `telegram_api_url` says otherwise.
const API_URL: &str = "https://api.telegram.org";
/// Limits of a text: characters once its markup is taken out, and bytes with it.
const TEXT: usize = 4096;
const BYTES: usize = 1 << 15;

/// `telegram_*` of `global`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    api_url: Option<Secret>,
    bot_token: Option<Secret>,
}

/// How a text is marked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ParseMode {
    /// A few tags. What comes from alerts is escaped.
    #[serde(rename = "HTML")]
    Html,
    /// The old dialect.
    Markdown,
    /// The new dialect.
    MarkdownV2,
}

/// One item of `telegram_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the bot API is.
    pub api_url: Secret,
    /// The bot's token.
    pub bot_token: Secret,
    /// Whom to tell; groups have negative ids.
    pub chat_id: i64,
    /// A topic of the group.
    pub message_thread_id: Option<i64>,
    /// Template of the text.
    pub message: String,
    /// How it is marked up; `None` for plain text.
    pub parse_mode: Option<ParseMode>,
    /// Whether it arrives without a sound.
    pub disable_notifications: bool,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "telegram";
    const KEY: &'static str = "telegram_configs";
    type Defaults = Defaults;

    fn read_defaults(global: &mut Fields<'_>) -> Defaults {
        Defaults {
            api_url: read_url(global, "telegram_api_url", "telegram_api_url_file"),
            bot_token: global.secret("telegram_bot_token", "telegram_bot_token_file"),
        }
    }

    fn read(fields: &mut Fields<'_>, defaults: &Defaults, default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let api_url = read_url(fields, "api_url", "api_url_file").or_else(|| defaults.api_url.clone());
        let bot_token = fields.secret("bot_token", "bot_token_file").or_else(|| defaults.bot_token.clone());
        if bot_token.is_none() && !fields.has("bot_token") && !fields.has("bot_token_file") {
            let way_out = "add it here, or `telegram_bot_token` to `global`";
            fields.problems().add(fields.at(), "there is no `bot_token`", way_out);
        }
        let chat_id = read_chat(fields);
        let message = read_template(fields, "message", r#"{{ template "telegram.default.message" . }}"#);
        let parse_mode = fields.parsed("parse_mode", |text| match text {
            "HTML" => Ok(Some(ParseMode::Html)),
            "Markdown" => Ok(Some(ParseMode::Markdown)),
            "MarkdownV2" => Ok(Some(ParseMode::MarkdownV2)),
            "" => Ok(None),
            _ => Err(format!("`{text}` is none of HTML, MarkdownV2, Markdown and nothing")),
        });
        let message_thread_id = fields.number("message_thread_id").filter(|id| *id != 0);
        let disable_notifications = fields.bool("disable_notifications").unwrap_or(false);
        Some(Self {
            api_url: api_url.unwrap_or_else(|| Secret::new(API_URL)),
            bot_token: Secret::new(bot_token?.expose().trim()),
            chat_id: chat_id?,
            message_thread_id,
            message,
            parse_mode: parse_mode.unwrap_or(Some(ParseMode::Html)),
            disable_notifications,
            http,
            timeout,
        })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let mut url = parse_url(&self.api_url).map_err(|complaint| format!("`api_url` {complaint}"))?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([&format!("bot{}", self.bot_token.expose()), SEND]);
        }
        // The part behind the bot's id is the secret one.
        let key = self.bot_token.expose().rsplit(':').next().unwrap_or_default();
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?;
        let endpoint = endpoint.hiding(self.bot_token.clone()).hiding(Secret::new(key));
        Ok(Arc::new(Telegram { settings: self.clone(), endpoint, templates: Arc::clone(templates) }))
    }
}

fn read_chat(fields: &mut Fields<'_>) -> Option<i64> {
    let text = fields.secret("chat_id", "chat_id_file");
    let given = ["chat_id", "chat_id_file"].into_iter().find(|key| fields.has(key));
    let Some(given) = given else {
        fields.problems().add(fields.at(), "there is no `chat_id`", "add `chat_id: …`: a number");
        return None;
    };
    let id = text?.expose().trim().parse().ok().filter(|id| *id != 0);
    if id.is_none() {
        fields.wrong(given, "the chat's id is no number", "ask the bot API's `getUpdates` for it");
    }
    id
}

/// The methods of the bot API.
const SEND: &str = "sendMessage";
const EDIT: &str = "editMessageText";

struct Telegram {
    settings: Settings,
    endpoint: Endpoint,
    templates: Arc<Templates>,
}

#[derive(Debug, Clone, Serialize)]
struct Message {
    chat_id: i64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<ParseMode>,
    link_preview_options: Preview,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "message_id")]
    edits: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "message_thread_id")]
    topic: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disable_notification: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_parameters: Option<ReplyTo>,
}

#[derive(Debug, Clone, Serialize)]
struct Preview {
    is_disabled: bool,
}

#[derive(Debug, Clone, Serialize)]
struct ReplyTo {
    message_id: i64,
    allow_sending_without_reply: bool,
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    description: String,
    parameters: Option<Parameters>,
    result: Option<Posted>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<f64>,
}

#[derive(Deserialize)]
struct Posted {
    message_id: i64,
}

/// A "no", and its words.
struct No {
    refusal: Refusal,
    description: String,
}

impl From<ChannelError> for No {
    fn from(error: ChannelError) -> Self {
        Self { refusal: error.into(), description: String::new() }
    }
}

impl Telegram {
    fn message(&self, notification: &Notification, size: Size) -> Result<Message, ChannelError> {
        let settings = &self.settings;
        let tail = if notification.possible_duplicate { format!("\n\n{POSSIBLE_DUPLICATE}") } else { String::new() };
        let room = size.of(TEXT) - tail.len();
        let text = if settings.parse_mode == Some(ParseMode::Html) {
            let texts = Texts::escaped(&self.templates, notification, html::escape, html::escape);
            html::cut(&texts.of(&settings.message)?, room, size.of(BYTES) - tail.len()).into_owned()
        } else {
            let texts = Texts::plain(&self.templates, notification);
            characters(&texts.of(&settings.message)?, room).into_owned()
        };
        let tail = match settings.parse_mode {
            Some(ParseMode::MarkdownV2) => Cow::Owned(tail.replace('.', "\\.")),
            _ => Cow::Borrowed(tail.as_str()),
        };
        Ok(Message {
            chat_id: settings.chat_id,
            text: text + &tail,
            parse_mode: settings.parse_mode,
            link_preview_options: Preview { is_disabled: true },
            edits: None,
            topic: settings.message_thread_id,
            disable_notification: settings.disable_notifications.then_some(true),
            reply_parameters: None,
        })
    }

    /// Ids of messages count within their chat, and the configuration may name another one tomorrow.
    fn receipt(&self, message_id: i64) -> String {
        format!("{}/{message_id}", self.settings.chat_id)
    }

    fn message_id(&self, receipt: &str) -> Option<i64> {
        let (chat, message) = receipt.split_once('/')?;
        message.parse().ok().filter(|_| chat == self.settings.chat_id.to_string())
    }

    async fn post(&self, message: &Message) -> Result<Receipt, No> {
        self.ask_in_any_form(SEND, message).await
    }

    /// Edits the message; one that cannot be edited is answered.
    async fn edit(&self, id: i64, message: &Message) -> Result<Receipt, No> {
        let edited = Message { edits: Some(id), topic: None, disable_notification: None, ..message.clone() };
        match self.ask_in_any_form(EDIT, &edited).await {
            // An earlier attempt did it.
            Err(no) if no.description.contains("message is not modified") => Ok(Some(self.receipt(id).into())),
            Err(no) if no.refusal.is_for_good() => {
                let reply_parameters = Some(ReplyTo { message_id: id, allow_sending_without_reply: true });
                self.post(&Message { reply_parameters, ..message.clone() }).await
            }
            other => other,
        }
    }

    /// Without markup if it cannot be parsed.
    async fn ask_in_any_form(&self, method: &str, message: &Message) -> Result<Receipt, No> {
        match self.ask(method, message).await {
            Err(no) if no.description.contains("can't parse entities") && message.parse_mode.is_some() => {
                let is_html = message.parse_mode == Some(ParseMode::Html);
                let text = if is_html { html::plain(&message.text) } else { message.text.clone() };
                // Addresses that stood in tags count now.
                let text = characters(&text, TEXT).into_owned();
                self.ask(method, &Message { parse_mode: None, text, ..message.clone() }).await
            }
            other => other,
        }
    }

    async fn ask(&self, method: &str, message: &Message) -> Result<Receipt, No> {
        let mut url = self.endpoint.url().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push(method);
        }
        let reply = ask(&self.endpoint, Method::POST, url, message).await?;
        self.understand(&reply)
    }

    fn understand(&self, reply: &Reply) -> Result<Receipt, No> {
        let answer: Option<Answer> = serde_json::from_slice(&reply.body).ok();
        let Some(answer) = answer else {
            let is_success = reply.status.is_success();
            let refusal =
                if is_success { not_the_service(&self.endpoint, reply) } else { refused(&self.endpoint, reply) };
            return Err(No { refusal, description: String::new() });
        };
        if answer.ok && reply.status.is_success() {
            return Ok(answer.result.map(|posted| self.receipt(posted.message_id).into()));
        }
        let seconds = answer.parameters.and_then(|parameters| parameters.retry_after);
        let refusal = if answer.description.contains("message is too long") {
            Refusal::TooLarge(ChannelError::lasting(FailureReason::ClientError, self.endpoint.told(reply)))
        } else if reply.status.is_success() {
            ChannelError::lasting(FailureReason::ClientError, self.endpoint.told(reply)).into()
        } else {
            wait_as_told(refused(&self.endpoint, reply), seconds)
        };
        Err(No { refusal, description: answer.description })
    }
}

#[async_trait]
impl Deliver for Telegram {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let message = self.message(notification, size)?;
        let told = notification.receipt.as_deref().and_then(|receipt| self.message_id(receipt));
        let outcome = match told {
            Some(id) if !notification.is_firing() => self.edit(id, &message).await,
            _ => self.post(&message).await,
        };
        outcome.map_err(|no| no.refusal)
    }
}

#[async_trait]
impl Channel for Telegram {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
mod tests;
