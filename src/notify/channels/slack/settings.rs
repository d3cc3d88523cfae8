//! One item of `slack_configs`, and what `global` gives to all of them.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Secret;
use crate::notify::channels::http::Endpoint;
use crate::notify::channels::service::{credentials_once, parse_url, read_http, read_template, read_url};
use crate::notify::channels::{Channel, ChannelSettings, HttpSettings};
use crate::notify::template::Templates;
use crate::runtime::http_client::bearer;
use crate::yaml::Fields;

use super::Slack;

/// Where messages go with an app's token.
const APP_URL: &str = "https://slack.com/api/chat.postMessage";
/// The method of the Web API that posts: a URL that ends so takes and answers JSON, and messages can be edited.
pub(super) const POST_METHOD: &str = "chat.postMessage";

/// `slack_*` of `global`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Defaults {
    api_url: Option<Secret>,
    app_token: Option<Secret>,
    app_url: Option<Secret>,
}

/// One item of `slack_configs`. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// An incoming webhook or the Web API's `chat.postMessage`: a secret.
    pub url: Secret,
    /// Whether `url` is the Web API, where messages can be edited and answered in threads.
    pub is_api: bool,
    /// `update_message`; not given: edited when the alerts are over.
    pub update_message: Option<bool>,
    /// Later messages go into the first one's thread.
    pub post_updates_to_thread: bool,
    /// `#channel`, an id, or `@user`.
    pub channel: String,
    /// Who writes.
    pub username: String,
    /// The writer's picture: `:emoji:`.
    pub icon_emoji: String,
    /// The writer's picture.
    pub icon_url: String,
    /// Whether `@name` and `#channel` in texts become links.
    pub link_names: bool,
    /// Above the attachment.
    pub message_text: String,
    /// The attachment that holds the message.
    pub attachment: Attachment,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

/// The attachment's texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// The bar at its left: `good`, `warning`, `danger` or `#rrggbb`.
    pub color: String,
    /// Its headline.
    pub title: String,
    /// Where the headline leads.
    pub title_link: String,
    /// Above the headline.
    pub pretext: String,
    /// Its text.
    pub text: String,
    /// A table of short texts.
    pub fields: Vec<Field>,
    /// Small, below.
    pub footer: String,
    /// For notifications that show plain text only.
    pub fallback: String,
    /// Names the message for interactions.
    pub callback_id: String,
    /// A picture below the text.
    pub image_url: String,
    /// A small picture beside the text.
    pub thumb_url: String,
    /// The parts that are written in Slack's markup.
    pub mrkdwn_in: Vec<String>,
    /// Buttons.
    pub actions: Vec<Action>,
}

/// A cell of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its headline.
    pub title: String,
    /// Its text.
    pub value: String,
    /// Whether another fits beside it.
    pub short: bool,
}

/// A button.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// `button`, mostly.
    pub kind: String,
    /// What stands on it.
    pub text: String,
    /// `primary` or `danger`.
    pub style: String,
    /// Where it leads; then there is no name, value and question.
    pub url: String,
    /// What is sent to the app.
    pub name: String,
    /// What is sent to the app.
    pub value: String,
    /// What is asked first.
    pub confirm: Option<Confirmation>,
}

/// What is asked before a button counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// The question.
    pub text: String,
    /// Its headline.
    pub title: String,
    /// The button that goes on.
    pub ok_text: String,
    /// The button that does not.
    pub dismiss_text: String,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "slack";
    const KEY: &'static str = "slack_configs";
    type Defaults = Defaults;

    fn read_defaults(global: &mut Fields<'_>) -> Defaults {
        let defaults = Defaults {
            api_url: read_url(global, "slack_api_url", "slack_api_url_file"),
            app_token: global.secret("slack_app_token", "slack_app_token_file"),
            app_url: read_url(global, "slack_app_url", "slack_app_url_file"),
        };
        if defaults.api_url.is_some() && defaults.app_token.is_some() {
            global.wrong("slack_api_url", "both `slack_api_url` and `slack_app_token` are given", "keep one of them");
        }
        defaults
    }

    fn read(fields: &mut Fields<'_>, defaults: &Defaults, default_http: &HttpSettings) -> Option<Self> {
        let (mut http, timeout) = read_http(fields, default_http);
        let address = read_address(fields, defaults, &mut http);
        let is_api = address.as_ref().is_some_and(|url| url.expose().ends_with(POST_METHOD));
        let update_message = fields.bool("update_message");
        let post_updates_to_thread = fields.bool("post_updates_to_thread").unwrap_or(false);
        for (key, asked) in
            [("update_message", update_message == Some(true)), ("post_updates_to_thread", post_updates_to_thread)]
        {
            if asked && address.is_some() && !is_api {
                let what = format!("`{key}` cannot be had from an incoming webhook");
                fields.wrong(key, what, "use `app_token`, or write `api_url: https://slack.com/api/chat.postMessage`");
            }
        }
        let mut text = |key, otherwise| read_template(fields, key, otherwise);
        let channel = text("channel", "");
        let username = text("username", r#"{{ template "slack.default.username" . }}"#);
        let icon_emoji = text("icon_emoji", r#"{{ template "slack.default.iconemoji" . }}"#);
        let icon_url = text("icon_url", r#"{{ template "slack.default.iconurl" . }}"#);
        let message_text = text("message_text", "");
        let attachment = Attachment::read(fields);
        let link_names = fields.bool("link_names").unwrap_or(false);
        Some(Self {
            url: address?,
            is_api,
            update_message,
            post_updates_to_thread,
            channel,
            username,
            icon_emoji,
            icon_url,
            link_names,
            message_text,
            attachment,
            http,
            timeout,
        })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.url).map_err(|complaint| format!("Slack's URL {complaint}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?;
        Ok(Arc::new(Slack { settings: self.clone(), endpoint, templates: Arc::clone(templates) }))
    }
}

/// Where messages go. A token goes into the HTTP settings.
fn read_address(fields: &mut Fields<'_>, defaults: &Defaults, http: &mut HttpSettings) -> Option<Secret> {
    let api_url = read_url(fields, "api_url", "api_url_file");
    let own_token = fields.secret("app_token", "app_token_file");
    let posting = read_url(fields, "app_url", "app_url_file").or_else(|| defaults.app_url.clone());
    let given = |keys: [&str; 2]| keys.into_iter().any(|key| fields.has(key));
    let (has_url, has_token) = (given(["api_url", "api_url_file"]), given(["app_token", "app_token_file"]));
    if has_url && has_token {
        fields.problems().add(fields.at(), "both `api_url` and `app_token` are given", "keep one of them");
        return None;
    }
    if has_url {
        credentials_once(fields, "api_url", api_url.as_ref()?, http)?;
        return api_url;
    }
    let token = if has_token { own_token } else { defaults.app_token.clone() };
    if let Some(token) = token {
        if http.authorization.is_some() {
            let at = fields.at();
            fields.problems().add(at, "credentials are given twice", "keep `app_token` or those of `http_config`");
            return None;
        }
        http.authorization = Some(bearer(&Secret::new(token.expose().trim())));
        return Some(posting.unwrap_or_else(|| Secret::new(APP_URL)));
    }
    if defaults.api_url.is_none() && !has_token {
        let what = "there is neither an `api_url` nor an `app_token`";
        fields.problems().add(fields.at(), what, "add one of them here, or `slack_api_url` to `global`");
    }
    defaults.api_url.clone()
}

impl Attachment {
    fn read(fields: &mut Fields<'_>) -> Self {
        let short_fields = fields.bool("short_fields").unwrap_or(false);
        let table = read_items(fields, "fields", |item| Field::read(item, short_fields));
        let actions = read_items(fields, "actions", Action::read);
        let mrkdwn_in = fields.texts("mrkdwn_in");
        let default = || ["fallback", "pretext", "text"].map(ToOwned::to_owned).to_vec();
        let mut text = |key, otherwise| read_template(fields, key, otherwise);
        Self {
            color: text("color", r#"{{ template "slack.default.color" . }}"#),
            title: text("title", r#"{{ template "slack.default.title" . }}"#),
            title_link: text("title_link", r#"{{ template "slack.default.titlelink" . }}"#),
            pretext: text("pretext", r#"{{ template "slack.default.pretext" . }}"#),
            text: text("text", r#"{{ template "slack.default.text" . }}"#),
            fields: table,
            footer: text("footer", r#"{{ template "slack.default.footer" . }}"#),
            fallback: text("fallback", r#"{{ template "slack.default.fallback" . }}"#),
            callback_id: text("callback_id", r#"{{ template "slack.default.callbackid" . }}"#),
            image_url: text("image_url", ""),
            thumb_url: text("thumb_url", ""),
            mrkdwn_in: if mrkdwn_in.is_empty() { default() } else { mrkdwn_in },
            actions,
        }
    }
}

fn read_items<T>(fields: &mut Fields<'_>, key: &'static str, read: impl Fn(&mut Fields<'_>) -> Option<T>) -> Vec<T> {
    let problems = fields.problems();
    let one = |item| {
        let mut fields = Fields::of(item, format!("an item of `{key}`"), problems)?;
        let read = read(&mut fields);
        fields.finish();
        read
    };
    fields.list(key).iter().filter_map(one).collect()
}

/// A template that must be there.
fn required(fields: &mut Fields<'_>, key: &'static str) -> Option<String> {
    let text = read_template(fields, key, "");
    if !fields.has(key) {
        fields.problems().add(fields.at(), format!("there is no `{key}`"), format!("add `{key}: …`"));
    }
    (!text.is_empty()).then_some(text)
}

impl Field {
    fn read(fields: &mut Fields<'_>, short: bool) -> Option<Self> {
        let (title, value) = (required(fields, "title"), required(fields, "value"));
        let short = fields.bool("short").unwrap_or(short);
        Some(Self { title: title?, value: value?, short })
    }
}

impl Action {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (kind, text) = (required(fields, "type"), required(fields, "text"));
        let mut optional = |key| read_template(fields, key, "");
        let (url, name, value) = (optional("url"), optional("name"), optional("value"));
        let style = optional("style");
        let confirm = fields.section("confirm").and_then(Confirmation::read);
        if url.is_empty() && name.is_empty() {
            let at = fields.at();
            fields.problems().add(at, "a button has neither `url` nor `name`", "add `url: https://…`");
        }
        let (kind, text) = (kind?, text?);
        // As Alertmanager: a button that leads somewhere is no message to the app.
        if !url.is_empty() {
            return Some(Self { kind, text, style, url, name: String::new(), value: String::new(), confirm: None });
        }
        Some(Self { kind, text, style, url, name, value, confirm })
    }
}

impl Confirmation {
    fn read(mut fields: Fields<'_>) -> Option<Self> {
        let text = required(&mut fields, "text");
        let mut optional = |key| read_template(&mut fields, key, "");
        let (title, ok_text, dismiss_text) = (optional("title"), optional("ok_text"), optional("dismiss_text"));
        fields.finish();
        Some(Self { text: text?, title, ok_text, dismiss_text })
    }
}
