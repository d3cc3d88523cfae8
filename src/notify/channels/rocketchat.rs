//! Posts to Rocket.Chat by its REST API (<https://developer.rocket.chat/apidocs/post-message>).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::HeaderName;
use serde::{Deserialize, Serialize};

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::{characters, markdown};
use super::service::{
    Deliver, POSSIBLE_DUPLICATE, Refusal, Size, Texts, calling_nobody, not_the_service, parse_url, read_http,
    read_template, read_url, refused, shorter_if_too_large,
};
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt};

/// The makers' own server, as Alertmanager's default.
const PUBLIC: &str = "https://open.rocket.chat/";
/// In characters.
const TITLE: usize = 1024;
/// In characters: what a server takes unless its operator says otherwise (`Message_MaxAllowedSize`).
const TEXT: usize = 5000;

/// `rocketchat_*` of `global`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    api_url: Option<Secret>,
    token: Option<Secret>,
    token_id: Option<Secret>,
}

/// One item of `rocketchat_configs`. The texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The server.
    pub api_url: Secret,
    /// The sender's personal access token.
    pub token: Secret,
    /// The sender's user id.
    pub token_id: Secret,
    /// `#channel` or `@user`.
    pub channel: String,
    /// The bar beside the text.
    pub color: String,
    /// The headline.
    pub title: String,
    /// Where it leads.
    pub title_link: String,
    /// What happened.
    pub text: String,
    /// A table.
    pub fields: Vec<Field>,
    /// A picture of who says it.
    pub icon_url: String,
    /// Or an emoji instead.
    pub emoji: String,
    /// A picture below the text.
    pub image_url: String,
    /// A small picture beside the text.
    pub thumb_url: String,
    /// Buttons.
    pub actions: Vec<Action>,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

/// A cell of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    title: String,
    value: String,
    short: bool,
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    text: String,
    url: String,
    msg: String,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "rocketchat";
    const KEY: &'static str = "rocketchat_configs";
    type Defaults = Defaults;

    fn read_defaults(global: &mut Fields<'_>) -> Defaults {
        Defaults {
            api_url: read_url(global, "rocketchat_api_url", "rocketchat_api_url_file"),
            token: global.secret("rocketchat_token", "rocketchat_token_file"),
            token_id: global.secret("rocketchat_token_id", "rocketchat_token_id_file"),
        }
    }

    fn read(fields: &mut Fields<'_>, defaults: &Defaults, default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let api_url = read_url(fields, "api_url", "api_url_file").or_else(|| defaults.api_url.clone());
        let token = secret(fields, "token", "token_file", defaults.token.as_ref());
        let token_id = secret(fields, "token_id", "token_id_file", defaults.token_id.as_ref());
        let short = fields.bool("short_fields").unwrap_or(false);
        let (cells, actions) = (read_fields(fields, short), read_actions(fields));
        // Of Slack's form; Rocket.Chat links names by itself, and Alertmanager sends nothing of it.
        fields.bool("link_names");
        let color = r#"{{ if eq .Status "firing" }}red{{ else }}green{{ end }}"#;
        let mut text = |key, otherwise| read_template(fields, key, otherwise);
        Some(Self {
            api_url: api_url.unwrap_or_else(|| Secret::new(PUBLIC)),
            channel: text("channel", ""),
            color: text("color", color),
            title: text("title", r#"{{ template "rocketchat.default.title" . }}"#),
            title_link: text("title_link", r#"{{ template "rocketchat.default.titlelink" . }}"#),
            text: text("text", r#"{{ template "rocketchat.default.text" . }}"#),
            icon_url: text("icon_url", r#"{{ template "rocketchat.default.iconurl" . }}"#),
            emoji: text("emoji", r#"{{ template "rocketchat.default.emoji" . }}"#),
            image_url: text("image_url", ""),
            thumb_url: text("thumb_url", ""),
            token: token?,
            token_id: token_id?,
            fields: cells,
            actions,
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
            path.pop_if_empty().extend(["api", "v1", "chat.postMessage"]);
        }
        let endpoint =
            Endpoint::new(url, &self.http, self.timeout)?.hiding(self.token.clone()).hiding(self.token_id.clone());
        Ok(Arc::new(RocketChat { endpoint, settings: self.clone(), templates: Arc::clone(templates) }))
    }
}

fn secret(
    fields: &mut Fields<'_>,
    key: &'static str,
    file_key: &'static str,
    global: Option<&Secret>,
) -> Option<Secret> {
    let given = fields.has(key) || fields.has(file_key);
    let own = fields.secret(key, file_key);
    if given {
        return own;
    }
    if global.is_none() {
        let way_out = format!("add `{key}: …` here, or `rocketchat_{key}` under `global`");
        fields.problems().add(fields.at(), format!("there is no `{key}`"), way_out);
    }
    global.cloned()
}

fn read_fields(fields: &mut Fields<'_>, short: bool) -> Vec<Field> {
    let problems = fields.problems();
    let one = |node| {
        let mut field = Fields::of(node, "a field", problems)?;
        let (title, value) = (read_template(&mut field, "title", ""), read_template(&mut field, "value", ""));
        let short = field.bool("short").unwrap_or(short);
        field.finish();
        Some(Field { title, value, short })
    };
    fields.list("fields").iter().filter_map(one).collect()
}

fn read_actions(fields: &mut Fields<'_>) -> Vec<Action> {
    let problems = fields.problems();
    let one = |node| {
        let mut action = Fields::of(node, "an action", problems)?;
        // Only buttons are known; Alertmanager takes any word for them.
        action.text("type");
        let mut text = |key| read_template(&mut action, key, "");
        let read = Action { text: text("text"), url: text("url"), msg: text("msg") };
        action.finish();
        Some(read)
    };
    fields.list("actions").iter().filter_map(one).collect()
}

struct RocketChat {
    endpoint: Endpoint,
    settings: Settings,
    templates: Arc<Templates>,
}

#[derive(Serialize)]
struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    channel: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    emoji: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    avatar: String,
    attachments: [Attachment; 1],
}

#[derive(Serialize)]
struct Attachment {
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title_link: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    image_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thumb_url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    color: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Cell>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Button>,
}

#[derive(Serialize)]
struct Cell {
    short: bool,
    title: String,
    value: String,
}

#[derive(Serialize)]
struct Button {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    url: String,
    is_webview: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    msg: String,
    msg_in_chat_window: bool,
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
}

impl RocketChat {
    fn message(&self, notification: &Notification, size: Size) -> Result<Message, ChannelError> {
        let settings = &self.settings;
        let texts = Texts::escaped(&self.templates, notification, calling_nobody, calling_nobody);
        let cell = |field: &Field| {
            let (title, value) = (texts.of(&field.title)?, texts.of(&field.value)?);
            Ok(Cell { short: field.short, title, value: markdown(&value, size.of(TEXT)).into_owned() })
        };
        let button = |action: &Action| {
            let (text, url, msg) = (texts.of(&action.text)?, texts.of(&action.url)?, texts.of(&action.msg)?);
            Ok(Button { kind: "button", text, url, is_webview: false, msg, msg_in_chat_window: false })
        };
        let attachment = Attachment {
            title: characters(&texts.of(&settings.title)?, size.of(TITLE)).into_owned(),
            title_link: texts.of(&settings.title_link)?,
            text: markdown(&texts.of(&settings.text)?, size.of(TEXT)).into_owned(),
            image_url: texts.of(&settings.image_url)?,
            thumb_url: texts.of(&settings.thumb_url)?,
            color: texts.of(&settings.color)?,
            fields: settings.fields.iter().map(cell).collect::<Result<_, ChannelError>>()?,
            actions: settings.actions.iter().map(button).collect::<Result<_, ChannelError>>()?,
        };
        Ok(Message {
            channel: texts.of(&settings.channel)?,
            text: if notification.possible_duplicate { POSSIBLE_DUPLICATE } else { "" },
            emoji: texts.of(&settings.emoji)?,
            avatar: texts.of(&settings.icon_url)?,
            attachments: [attachment],
        })
    }
}

#[async_trait]
impl Deliver for RocketChat {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let body = serde_json::to_vec(&self.message(notification, size)?).map_err(|error| {
            ChannelError::lasting(FailureReason::Other, format!("the message has no JSON form: {error}"))
        })?;
        let headers = [
            (HeaderName::from_static("x-auth-token"), self.settings.token.expose().to_owned()),
            (HeaderName::from_static("x-user-id"), self.settings.token_id.expose().to_owned()),
        ];
        let reply = self.endpoint.ask(Method::POST, self.endpoint.url().clone(), body, &headers).await?;
        if !reply.status.is_success() {
            return Err(refused(&self.endpoint, &reply));
        }
        match serde_json::from_slice(&reply.body) {
            Ok(Answer { success: true }) => Ok(None),
            Ok(Answer { success: false }) => {
                Err(ChannelError::lasting(FailureReason::ClientError, self.endpoint.told(&reply)).into())
            }
            Err(_) => Err(not_the_service(&self.endpoint, &reply)),
        }
    }
}

#[async_trait]
impl Channel for RocketChat {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
#[path = "rocketchat_tests.rs"]
mod tests;
