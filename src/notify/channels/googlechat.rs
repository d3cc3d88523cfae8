//! Posts to a Google Chat space by its incoming webhook
//! (<https://developers.google.com/workspace/chat/quickstart/webhooks>).
//!
//! All messages about a group are one thread.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::Serialize;
use url::Url;

use crate::model::Secret;
use crate::notify::identity::digest;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::{bytes, closing_fence};
use super::service::{
    Deliver, POSSIBLE_DUPLICATE, Refusal, Size, Texts, ask, credentials_once, not_the_service, parse_url, read_http,
    read_template, refused, require_url, shorter_if_too_large,
};
use super::{Channel, ChannelError, ChannelSettings, HttpSettings, Receipt};

/// A message's bytes, all told; what stands around the text takes less than the rest.
const MESSAGE: usize = 32_000 - 1_000;

/// One item of `googlechat_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The space's webhook. A secret: its key and token stand in it.
    pub url: Secret,
    /// Template: the message, in Chat's markup.
    pub text: String,
    /// Whether messages about a group are a thread. Default true.
    pub threading: bool,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "googlechat";
    const KEY: &'static str = "googlechat_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let default =
            r#"*{{ template "googlechat.default.title" . }}*{{ "\n" }}{{ template "googlechat.default.text" . }}"#;
        let text = read_template(fields, "text", default);
        let threading = fields.bool("threading").unwrap_or(true);
        let url = require_url(fields, "url", "url_file")?;
        credentials_once(fields, "url", &url, &http)?;
        Some(Self { url, text, threading, http, timeout })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.url).map_err(|complaint| format!("`url` {complaint}"))?;
        let secrets: Vec<_> = url.query_pairs().map(|(_, value)| Secret::new(value)).collect();
        let endpoint = Endpoint::new(if self.threading { threaded(url) } else { url }, &self.http, self.timeout)?;
        // An answer may name the key or the token alone.
        let endpoint = secrets.into_iter().fold(endpoint, Endpoint::hiding);
        Ok(Arc::new(GoogleChat { endpoint, settings: self.clone(), templates: Arc::clone(templates) }))
    }
}

/// Without this option Chat takes no notice of the thread's key.
fn threaded(mut url: Url) -> Url {
    if !url.query_pairs().any(|(name, _)| name == "messageReplyOption") {
        url.query_pairs_mut().append_pair("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD");
    }
    url
}

/// `<users/all>` would call up everybody: an alert's own texts cannot.
fn harmless(text: &str) -> String {
    text.replace("<users/", "<\u{200b}users/")
}

struct GoogleChat {
    endpoint: Endpoint,
    settings: Settings,
    templates: Arc<Templates>,
}

#[derive(Serialize)]
struct Message {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<Thread>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    thread_key: String,
}

#[async_trait]
impl Deliver for GoogleChat {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let mut text = Texts::escaped(&self.templates, notification, harmless, harmless)
            .of(&self.settings.text)?
            .trim()
            .to_owned();
        if notification.possible_duplicate {
            text = format!("{POSSIBLE_DUPLICATE}\n{text}");
        }
        let key = || digest(&[&notification.receiver, &notification.group_key], 32);
        let message = Message {
            text: closing_fence(&text, size.of(MESSAGE), bytes).into_owned(),
            thread: self.settings.threading.then(|| Thread { thread_key: key() }),
        };
        let reply = ask(&self.endpoint, Method::POST, self.endpoint.url().clone(), &message).await?;
        if !reply.status.is_success() {
            return Err(refused(&self.endpoint, &reply));
        }
        // Google's pages for people, such as a login, are successes too.
        match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&reply.body) {
            Ok(_) => Ok(None),
            Err(_) => Err(not_the_service(&self.endpoint, &reply)),
        }
    }
}

#[async_trait]
impl Channel for GoogleChat {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
#[path = "googlechat_tests.rs"]
mod tests;
