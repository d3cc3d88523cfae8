//! Pushes to telephones by Pushover (<https://pushover.net/api>).
//!
//! An emergency (priority 2) rings until somebody acknowledges it. Its receipt is kept, so that the end of the alerts, or a
//! newer emergency about them, ends the ringing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use serde::Deserialize;
use tracing::debug;
use url::{Url, form_urlencoded};

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::http_client::Reply;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::characters;
use super::service::{
    Deliver, POSSIBLE_DUPLICATE, Refusal, Size, Texts, not_the_service, parse_url, read_http, read_template, read_url,
    refused, shorter_if_too_large,
};
use super::telegram::html;
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt, Retry};

const API: &str = "https://api.pushover.net/";
const FORM: &str = "application/x-www-form-urlencoded";
/// In characters, as the next three.
const TITLE: usize = 250;
const MESSAGE: usize = 1024;
const URL: usize = 512;
const URL_TITLE: usize = 100;
/// What an emergency may ask for: how often it rings, and for how long.
const LEAST_RETRY: Duration = Duration::from_secs(30);
const LONGEST_EXPIRE: Duration = Duration::from_hours(3);
/// What Pushover asks to wait after a failure of its own.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// Pushover refuses an empty message.
const NOTHING: &str = "(no details)";
const EMERGENCY: i8 = 2;

/// One item of `pushover_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where the service is. Ours; for a relay on the way to it.
    pub api_url: Secret,
    /// The recipient: a user or a group.
    pub user_key: Secret,
    /// The application that sends.
    pub token: Secret,
    /// Template: one line.
    pub title: String,
    /// Template: what happened.
    pub message: String,
    /// Template: a link below the message.
    pub url: String,
    /// Template: the link's name.
    pub url_title: String,
    /// Template: one of the user's devices; empty for all.
    pub device: String,
    /// Template: the sound.
    pub sound: String,
    /// Template: -2 to 2.
    pub priority: String,
    /// How often an emergency rings.
    pub retry: Duration,
    /// For how long it rings.
    pub expire: Duration,
    /// When the message vanishes; zero for never.
    pub ttl: Duration,
    /// Whether the message is in Pushover's HTML.
    pub html: bool,
    /// Whether the message is in a font of equal widths.
    pub monospace: bool,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "pushover";
    const KEY: &'static str = "pushover_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let user_key = required_secret(fields, "user_key", "user_key_file");
        let token = required_secret(fields, "token", "token_file");
        let api_url = read_url(fields, "api_url", "api_url_file");
        let retry = fields.duration("retry").unwrap_or(Duration::from_mins(1));
        let expire = fields.duration("expire").unwrap_or(Duration::from_hours(1));
        if retry < LEAST_RETRY {
            fields.wrong("retry", "Pushover rings every 30 seconds at most", "write `retry: 30s` or more");
        }
        if expire > LONGEST_EXPIRE {
            fields.wrong("expire", "Pushover rings for three hours at most", "write `expire: 3h` or less");
        }
        let (html, monospace) = (fields.bool("html").unwrap_or(false), fields.bool("monospace").unwrap_or(false));
        if html && monospace {
            fields.wrong("monospace", "a message is HTML or in a font of equal widths", "keep `html` or `monospace`");
        }
        Some(Self {
            api_url: api_url.unwrap_or_else(|| Secret::new(API)),
            user_key: user_key?,
            token: token?,
            title: read_template(fields, "title", r#"{{ template "pushover.default.title" . }}"#),
            message: read_template(fields, "message", r#"{{ template "pushover.default.message" . }}"#),
            url: read_template(fields, "url", r#"{{ template "pushover.default.url" . }}"#),
            url_title: read_template(fields, "url_title", ""),
            device: read_template(fields, "device", ""),
            sound: read_template(fields, "sound", ""),
            priority: read_template(fields, "priority", r#"{{ if eq .Status "firing" }}2{{ else }}0{{ end }}"#),
            retry,
            expire,
            ttl: fields.duration("ttl").unwrap_or_default(),
            html,
            monospace,
            http,
            timeout,
        })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.api_url).map_err(|complaint| format!("`api_url` {complaint}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?;
        let endpoint = endpoint.hiding(self.user_key.clone()).hiding(self.token.clone());
        Ok(Arc::new(Pushover { endpoint, settings: self.clone(), templates: Arc::clone(templates) }))
    }
}

fn required_secret(fields: &mut Fields<'_>, key: &'static str, file_key: &'static str) -> Option<Secret> {
    let secret = fields.secret(key, file_key);
    if secret.is_none() && !fields.has(key) && !fields.has(file_key) {
        fields.problems().add(
            fields.at(),
            format!("there is no `{key}`"),
            format!("add `{key}: …` or `{file_key}: …`"),
        );
    }
    secret
}

struct Pushover {
    endpoint: Endpoint,
    settings: Settings,
    templates: Arc<Templates>,
}

/// Of every answer.
#[derive(Deserialize)]
struct Answer {
    status: u8,
    receipt: Option<String>,
}

impl Pushover {
    fn form(&self, notification: &Notification, size: Size) -> Result<Vec<(&'static str, String)>, ChannelError> {
        let settings = &self.settings;
        let texts = Texts::plain(&self.templates, notification);
        let trimmed = |template: &str| texts.of(template).map(|text| text.trim().to_owned());
        let priority = trimmed(&settings.priority)?;
        let emergency = if let Ok(level @ -2..=2) = priority.parse::<i8>() {
            level == EMERGENCY
        } else {
            let what = format!("the priority `{priority}` is none of Pushover's -2 to 2");
            return Err(ChannelError::lasting(FailureReason::ClientError, what));
        };
        let message = self.text(notification, size.of(MESSAGE))?;
        let mut form = vec![
            ("token", texts.of(settings.token.expose())?),
            ("user", texts.of(settings.user_key.expose())?),
            ("title", characters(&trimmed(&settings.title)?, TITLE).into_owned()),
            ("message", message),
            ("priority", priority),
            ("timestamp", (notification.at.0 / 1000).to_string()),
        ];
        if emergency {
            form.push(("retry", settings.retry.as_secs().to_string()));
            form.push(("expire", settings.expire.as_secs().to_string()));
        }
        // Half a link leads nowhere.
        let url = Some(trimmed(&settings.url)?).filter(|url| url.chars().count() <= URL).unwrap_or_default();
        let url_title = characters(&trimmed(&settings.url_title)?, URL_TITLE).into_owned();
        let ttl = if settings.ttl.is_zero() { String::new() } else { settings.ttl.as_secs().to_string() };
        let flag = |set: bool| if set { "1".to_owned() } else { String::new() };
        let more = [
            ("url", url),
            ("url_title", url_title),
            ("device", trimmed(&settings.device)?),
            ("sound", trimmed(&settings.sound)?),
            ("ttl", ttl),
            ("html", flag(settings.html)),
            ("monospace", flag(settings.monospace)),
        ];
        form.extend(more.into_iter().filter(|(_, value)| !value.is_empty()));
        Ok(form)
    }

    fn text(&self, notification: &Notification, room: usize) -> Result<String, ChannelError> {
        let texts = if self.settings.html {
            Texts::escaped(&self.templates, notification, html::escape, html::escape)
        } else {
            Texts::plain(&self.templates, notification)
        };
        let mut text = texts.of(&self.settings.message)?.trim().to_owned();
        if text.is_empty() {
            NOTHING.clone_into(&mut text);
        }
        if notification.possible_duplicate {
            text.insert_str(0, &format!("{POSSIBLE_DUPLICATE}\n"));
        }
        // Pushover counts characters with the markup; so many bytes are never more of them.
        let short = if self.settings.html { html::cut(&text, room, room) } else { characters(&text, room) };
        Ok(short.into_owned())
    }

    async fn post(&self, path: &[&str], form: Vec<(&'static str, String)>) -> Result<Reply, ChannelError> {
        let mut url: Url = self.endpoint.url().clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
        self.endpoint.ask(Method::POST, url, body, &[(CONTENT_TYPE, FORM.to_owned())]).await
    }

    /// Ends the ringing of an emergency. One that Pushover does not know any more rings no more.
    async fn cancel(&self, receipt: &str, notification: &Notification) -> Result<(), ChannelError> {
        let token = Texts::plain(&self.templates, notification).of(self.settings.token.expose())?;
        let reply = self.post(&["1", "receipts", receipt, "cancel.json"], vec![("token", token)]).await?;
        if reply.status.is_success() {
            return Ok(());
        }
        let error = self.refused(&reply).into_error();
        if error.retry == Retry::Never { Ok(()) } else { Err(error) }
    }

    fn refused(&self, reply: &Reply) -> Refusal {
        let Refusal::Other(mut error) = refused(&self.endpoint, reply) else {
            return refused(&self.endpoint, reply);
        };
        match error.reason {
            FailureReason::ServerError if error.retry == Retry::Backoff => error.retry = Retry::After(AFTER_FAILURE),
            // The month's messages are used up: nothing is let through before it ends.
            FailureReason::RateLimited if is_zero(reply, "x-limit-app-remaining") => error.retry = Retry::Never,
            _ => {}
        }
        Refusal::Other(error)
    }
}

fn is_zero(reply: &Reply, header: &str) -> bool {
    reply.headers.get(header).is_some_and(|value| value.as_bytes() == b"0")
}

#[async_trait]
impl Deliver for Pushover {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let form = self.form(notification, size)?;
        let ringing = notification.receipt.as_deref().filter(|receipt| !receipt.is_empty());
        // Before the message: if this fails both are tried again, and nothing is told twice.
        if let Some(receipt) = ringing.filter(|_| !notification.is_firing()) {
            let unsent = |error| ChannelError { may_have_arrived: false, ..error };
            self.cancel(receipt, notification).await.map_err(unsent)?;
        }
        let reply = self.post(&["1", "messages.json"], form).await?;
        if !reply.status.is_success() {
            return Err(self.refused(&reply));
        }
        let answer = match serde_json::from_slice::<Answer>(&reply.body) {
            Ok(answer) if answer.status == 1 => answer,
            Ok(_) => {
                return Err(ChannelError::lasting(FailureReason::ClientError, self.endpoint.told(&reply)).into());
            }
            Err(_) => return Err(not_the_service(&self.endpoint, &reply)),
        };
        // After the message: it takes over the ringing, and a failure here is no reason to tell it again.
        if let Some(receipt) = ringing.filter(|_| notification.is_firing() && answer.receipt.is_some())
            && let Err(error) = self.cancel(receipt, notification).await
        {
            debug!(%error, "an older emergency rings on beside the new one");
        }
        // A message below an emergency leaves what rings alone.
        let kept = || notification.receipt.clone().filter(|_| notification.is_firing());
        Ok(answer.receipt.map(Arc::from).or_else(kept))
    }
}

#[async_trait]
impl Channel for Pushover {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }
}

#[cfg(test)]
#[path = "pushover_tests.rs"]
mod tests;
