//! Publishes to ntfy: JSON to the server's root (<https://docs.ntfy.sh/publish/#publish-as-json>).
//!
//! A group is one notification: every message about it carries the same `sequence_id`, so that the end replaces the
//! alarm where the server is 2.16 or newer; an older one shows each message by itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::model::Secret;
use crate::notify::identity::digest;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::http_client::{Reply, bearer};
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::{bytes, characters};
use super::service::{
    Deliver, Refusal, Size, Texts, ask, credentials_once, not_the_service, parse_url, read_http, read_template,
    read_url, refused, shorter_if_too_large,
};
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt, Retry};

/// The service that its makers run.
const PUBLIC: &str = "https://ntfy.sh/";
/// In bytes. A longer message becomes an attachment, or is refused.
const MESSAGE: usize = 4096;
/// In characters. Servers set no limit beyond that of the body, but it is one line on a telephone.
const TITLE: usize = 250;
/// Quotas of a day or of an account (e-mails, messages, calls), which no wait of minutes refills.
const SPENT: [u32; 3] = [42902, 42908, 42910];
/// Too many wrong passwords from our address.
const LOCKED_OUT: u32 = 42909;

/// One item of `ntfy_configs`, which Alertmanager does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The server's root. Default ntfy.sh.
    pub url: Secret,
    /// Template: where to publish. Whoever knows it can read along, so it is kept out of errors.
    pub topic: String,
    /// Template: one line.
    pub title: String,
    /// Template: what happened.
    pub message: String,
    /// Template: 1 to 5 or ntfy's names for them; empty for ours by severity.
    pub priority: String,
    /// Templates: words that ntfy shows as emoji or as tags.
    pub tags: Vec<String>,
    /// Template: what a tap opens.
    pub click: String,
    /// Template: the URL of a picture.
    pub icon: String,
    /// Whether the message is Markdown.
    pub markdown: bool,
    /// Authentication (also from `token`) and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "ntfy";
    const KEY: &'static str = "ntfy_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let (mut http, timeout) = read_http(fields, default_http);
        if let Some(token) = fields.secret("token", "token_file") {
            if http.authorization.is_some() && fields.has("http_config") {
                fields.wrong("token", "credentials are given twice", "keep `token` or those of `http_config`");
            }
            http.authorization = Some(bearer(&token));
        }
        let url = read_url(fields, "url", "url_file");
        let url_is_wrong = url.is_none() && (fields.has("url") || fields.has("url_file"));
        if !fields.has("topic") {
            fields.problems().add(fields.at(), "there is no `topic`", "add `topic: …`, the name to publish under");
        }
        let settings = Self {
            url: url.unwrap_or_else(|| Secret::new(PUBLIC)),
            topic: read_template(fields, "topic", ""),
            title: read_template(fields, "title", r#"{{ template "ntfy.default.title" . }}"#),
            message: read_template(fields, "message", r#"{{ template "ntfy.default.message" . }}"#),
            priority: read_template(fields, "priority", ""),
            tags: fields.texts("tags"),
            click: read_template(fields, "click", "{{ .ExternalURL }}"),
            icon: read_template(fields, "icon", ""),
            markdown: fields.bool("markdown").unwrap_or(false),
            http,
            timeout,
        };
        credentials_once(fields, "url", &settings.url, &settings.http)?;
        (!url_is_wrong && !settings.topic.is_empty()).then_some(settings)
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.url).map_err(|complaint| format!("`url` {complaint}"))?;
        let endpoint = Endpoint::new(root(url), &self.http, self.timeout)?;
        Ok(Arc::new(Ntfy { endpoint, settings: self.clone(), templates: Arc::clone(templates) }))
    }
}

/// JSON is taken at the root only; a server may live under a path.
fn root(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

struct Ntfy {
    endpoint: Endpoint,
    settings: Settings,
    templates: Arc<Templates>,
}

#[derive(Serialize)]
struct Publication {
    topic: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    message: String,
    priority: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    click: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    icon: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    markdown: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions: Vec<Action>,
    sequence_id: String,
}

/// A button below the message.
#[derive(Serialize)]
struct Action {
    #[serde(rename = "action")]
    kind: &'static str,
    label: &'static str,
    url: String,
}

impl Action {
    /// Opens the page, where a name can be given: a tap in a pocket takes nothing on.
    fn acknowledge(url: &str) -> Self {
        Self { kind: "view", label: "Acknowledge", url: url.to_owned() }
    }
}

/// What an answer says: of the message, or of why there is none.
#[derive(Deserialize)]
struct Answer {
    id: Option<String>,
    code: Option<u32>,
}

impl Ntfy {
    fn message(&self, notification: &Notification, size: Size) -> Result<Publication, ChannelError> {
        let settings = &self.settings;
        let texts = Texts::plain(&self.templates, notification);
        let trimmed = |template: &str| texts.of(template).map(|text| text.trim().to_owned());
        let topic = trimmed(&settings.topic)?;
        if topic.is_empty() {
            return Err(ChannelError::lasting(FailureReason::ClientError, "the topic's template gave an empty text"));
        }
        let tags = settings.tags.iter().map(|tag| trimmed(tag)).collect::<Result<Vec<_>, _>>()?;
        Ok(Publication {
            topic,
            title: characters(&trimmed(&settings.title)?, TITLE).into_owned(),
            message: bytes(&trimmed(&settings.message)?, size.of(MESSAGE)).into_owned(),
            priority: priority(&trimmed(&settings.priority)?, notification)?,
            tags: tags.into_iter().filter(|tag| !tag.is_empty()).collect(),
            click: trimmed(&settings.click)?,
            icon: trimmed(&settings.icon)?,
            markdown: settings.markdown,
            actions: notification.asides.acknowledge_url.iter().map(|url| Action::acknowledge(url)).collect(),
            sequence_id: digest(&[&notification.receiver, &notification.group_key], 32),
        })
    }

    /// ntfy says in a code of its own whether a limit passes soon. The topic may be repeated.
    fn refused(&self, reply: &Reply, topic: &str) -> Refusal {
        let mut error = match refused(&self.endpoint, reply) {
            Refusal::TooLarge(mut error) => {
                error.what = error.what.replace(topic, "***");
                return Refusal::TooLarge(error);
            }
            Refusal::Other(error) => error,
        };
        error.what = error.what.replace(topic, "***");
        match serde_json::from_slice(&reply.body).ok().and_then(|answer: Answer| answer.code) {
            Some(code) if SPENT.contains(&code) => error.retry = Retry::Never,
            Some(LOCKED_OUT) => (error.retry, error.reason) = (Retry::Never, FailureReason::AuthError),
            _ => {}
        }
        Refusal::Other(error)
    }
}

#[async_trait]
impl Deliver for Ntfy {
    async fn deliver(&self, notification: &Notification, size: Size) -> Result<Receipt, Refusal> {
        let message = self.message(notification, size)?;
        let reply = ask(&self.endpoint, Method::POST, self.endpoint.url().clone(), &message).await?;
        if !reply.status.is_success() {
            return Err(self.refused(&reply, &message.topic));
        }
        // Behind a portal, or at the web page's address instead of the server's, a success means nothing.
        match serde_json::from_slice::<Answer>(&reply.body) {
            Ok(Answer { id: Some(_), .. }) => Ok(None),
            _ => Err(not_the_service(&self.endpoint, &reply)),
        }
    }
}

#[async_trait]
impl Channel for Ntfy {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        shorter_if_too_large(self, notification).await
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

/// What the user says, or by the gravest `severity` that fires: critical wakes, warning is heard, the rest is shown.
fn priority(said: &str, notification: &Notification) -> Result<u8, ChannelError> {
    if said.is_empty() {
        let each = notification.firing().map(|alert| match alert.labels.get("severity") {
            Some("critical" | "page") => 5,
            Some("error" | "warning") => 4,
            _ => 3,
        });
        return Ok(each.max().unwrap_or(3));
    }
    let known = match said {
        "min" => Some(1),
        "low" => Some(2),
        "default" => Some(3),
        "high" => Some(4),
        "max" | "urgent" => Some(5),
        number => number.parse().ok().filter(|number| (1..=5).contains(number)),
    };
    known.ok_or_else(|| {
        ChannelError::lasting(FailureReason::ClientError, format!("the priority `{said}` is none of ntfy's 1 to 5"))
    })
}

#[cfg(test)]
#[path = "ntfy_tests.rs"]
mod tests;
