//! Publishes to Amazon SNS: topics, FIFO topics, mobile endpoints, telephones
//! (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).
//!
//! A FIFO topic gets a group's messages in order, and drops what has an id it saw in the last five minutes: the id names one
//! notification, its status among it, so that a repeated attempt is dropped and the end of an alert is not.

mod credentials;
mod sigv4;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderName};
use url::{Position, Url, form_urlencoded};

use crate::model::{Millis, Secret};
use crate::notify::identity::digest;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::runtime::http_client::Reply;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::{bytes, characters};
use super::service::{POSSIBLE_DUPLICATE, Texts, not_the_service, parse_url, read_http, read_template, refused};
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt, Retry};

pub use credentials::SigV4;
use credentials::is_region;
use sigv4::{Credentials, Signed, sign};

/// All of a message: text and attributes.
const MESSAGE: usize = 256 << 10;
/// A text message, in characters; more than 160 become several.
const SMS: usize = 1600;
/// In characters; SNS wants fewer than a hundred.
const SUBJECT: usize = 99;
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
/// AWS's words for "slower", whatever the status.
const THROTTLED: [&str; 5] =
    ["Throttling", "Throttled", "ThrottledException", "ThrottlingException", "RequestLimitExceeded"];
/// What stands for a text of nothing, which SNS refuses.
const NOTHING: &str = "(no details)";

/// One item of `sns_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where to; by the region unless it is given.
    pub api_url: Option<String>,
    /// Who asks.
    pub sigv4: SigV4,
    /// To whom.
    pub to: To,
    /// Template: the subject that mail subscribers see.
    pub subject: String,
    /// Template: the text.
    pub message: String,
    /// Templates, names too: attributes that subscribers filter by.
    pub attributes: Vec<(String, String)>,
    /// TLS, proxies and the like.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

/// The receiving end; a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    /// A topic's ARN.
    Topic(String),
    /// A mobile endpoint's ARN.
    Target(String),
    /// A telephone number, as `+49…`.
    Phone(String),
}

impl To {
    fn text(&self) -> &str {
        match self {
            Self::Topic(text) | Self::Target(text) | Self::Phone(text) => text,
        }
    }

    fn parameter(&self) -> &'static str {
        match self {
            Self::Topic(_) => "TopicArn",
            Self::Target(_) => "TargetArn",
            Self::Phone(_) => "PhoneNumber",
        }
    }
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "sns";
    const KEY: &'static str = "sns_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let (mut http, timeout) = read_http(fields, default_http);
        if http.authorization.take().is_some() && fields.has("http_config") {
            fields.wrong("http_config", "SNS is asked with a signature, not with credentials", "use `sigv4`");
        }
        // Of AWS's library; ours trusts as `http_config` says.
        if fields.bool("use_aws_http_client") == Some(true) {
            fields.wrong("use_aws_http_client", "there is no AWS client here", "name the CA in `http_config`");
        }
        let api_url = fields.parsed("api_url", read_api_url);
        let sigv4 = fields.section("sigv4").map(SigV4::read).unwrap_or_default();
        let mut to = Vec::new();
        for (key, make) in
            [("topic_arn", To::Topic as fn(String) -> To), ("target_arn", To::Target), ("phone_number", To::Phone)]
        {
            let given = fields.has(key);
            to.extend(Some(read_template(fields, key, "")).filter(|_| given).map(make));
        }
        let subject = read_template(fields, "subject", r#"{{ template "sns.default.subject" . }}"#);
        let message = read_template(fields, "message", r#"{{ template "sns.default.message" . }}"#);
        let attributes = fields.text_map("attributes").into_iter().map(|(name, value, _)| (name, value)).collect();
        if to.len() != 1 {
            let what = "exactly one of `topic_arn`, `target_arn` and `phone_number` says where messages go";
            fields.problems().add(fields.at(), what, "give one of them");
            return None;
        }
        let to = to.remove(0);
        if api_url.is_none() && !fields.has("api_url") && sigv4.region(to.text()).is_none() {
            let way_out = "add `sigv4: {region: …}` or set AWS_REGION";
            fields.problems().add(fields.at(), "the AWS region is not known", way_out);
            return None;
        }
        Some(Self { api_url, sigv4, to, subject, message, attributes, http, timeout })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let region = self.sigv4.region(self.to.text()).ok_or("the AWS region is not known")?;
        if !is_region(&region) {
            return Err(format!("`{region}` is no AWS region"));
        }
        let credentials = self.sigv4.credentials()?;
        let url = match &self.api_url {
            Some(url) => url.clone(),
            None if region.starts_with("cn-") => format!("https://sns.{region}.amazonaws.com.cn/"),
            None => format!("https://sns.{region}.amazonaws.com/"),
        };
        let url = Url::parse(&url).map_err(|error| format!("`api_url` is not a URL: {error}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?.hiding(credentials.secret_key.clone());
        Ok(Arc::new(Sns { endpoint, region, credentials, settings: self.clone(), templates: Arc::clone(templates) }))
    }
}

/// Alertmanager takes a template here; the signature's host and region would have to follow, so ours is plain.
fn read_api_url(text: &str) -> Result<String, String> {
    let url = parse_url(&Secret::new(text)).map_err(|complaint| format!("`api_url` {complaint}"))?;
    if text.contains("{{") || url.query().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("`api_url` is a plain URL, without template, query and credentials".into());
    }
    Ok(text.to_owned())
}

/// By its name, which must end so.
fn is_fifo(topic: &str) -> bool {
    topic.trim().strip_suffix(".fifo").is_some()
}

struct Sns {
    endpoint: Endpoint,
    region: String,
    credentials: Credentials,
    settings: Settings,
    templates: Arc<Templates>,
}

impl Sns {
    /// The parameters of `Publish`.
    fn parameters(&self, notification: &Notification) -> Result<Vec<(String, String)>, ChannelError> {
        let settings = &self.settings;
        let texts = Texts::plain(&self.templates, notification);
        let to = texts.of(settings.to.text())?;
        let mut attributes = BTreeMap::new();
        for (name, value) in &settings.attributes {
            attributes.insert(texts.of(name)?, texts.of(value)?);
        }
        let taken: usize = attributes.iter().map(|(name, value)| name.len() + value.len() + "String".len()).sum();
        let mut message = texts.of(&settings.message)?;
        if notification.possible_duplicate && !self.is_idempotent() {
            message.insert_str(0, &format!("{POSSIBLE_DUPLICATE}\n"));
        }
        let short = match settings.to {
            To::Phone(_) => characters(&message, SMS),
            // What says that something is missing needs room, too.
            _ => bytes(&message, MESSAGE.saturating_sub(taken + 32)),
        };
        if short != message {
            attributes.insert("truncated".into(), "true".into());
        }
        let subject = texts.of(&settings.subject)?;
        let subject = subject.split(char::is_control).map(str::trim).collect::<Vec<_>>().join(" ");
        let mut parameters: Vec<(String, String)> = Vec::new();
        let mut say = |name: &str, value: &str| parameters.push((name.into(), value.into()));
        say("Action", "Publish");
        say("Version", "2010-03-31");
        say(settings.to.parameter(), to.trim());
        say("Message", if short.trim().is_empty() { NOTHING } else { &short });
        if !subject.trim().is_empty() {
            say("Subject", &characters(subject.trim(), SUBJECT));
        }
        if matches!(settings.to, To::Topic(_)) && is_fifo(&to) {
            say("MessageGroupId", &digest(&[&notification.receiver, &notification.group_key], 64));
            say("MessageDeduplicationId", &notification.id());
        }
        for (number, (name, value)) in (1..).zip(attributes.iter().filter(|(_, value)| !value.is_empty())) {
            say(&format!("MessageAttributes.entry.{number}.Name"), name);
            say(&format!("MessageAttributes.entry.{number}.Value.DataType"), "String");
            say(&format!("MessageAttributes.entry.{number}.Value.StringValue"), value);
        }
        Ok(parameters)
    }

    fn refused(&self, reply: &Reply) -> ChannelError {
        let mut error = refused(&self.endpoint, reply).into_error();
        let code = element(&reply.body, "Code");
        if code.as_deref().is_some_and(|code| THROTTLED.contains(&code)) {
            error.reason = FailureReason::RateLimited;
            if error.retry == Retry::Never {
                error.retry = Retry::Backoff;
            }
        }
        if let (Some(code), Some(message)) = (code, element(&reply.body, "Message")) {
            error.what = format!("answered {}: {code}: {}", reply.status, self.endpoint.excerpt(&message));
        }
        error
    }
}

/// The text of the first such element in AWS's answer.
fn element(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inner, _) = rest.split_once(&format!("</{name}>"))?;
    let plain = inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'");
    Some(plain.replace("&amp;", "&"))
}

#[async_trait]
impl Channel for Sns {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        let parameters = self.parameters(notification)?;
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes();
        let url = self.endpoint.url();
        let request = Signed {
            service: "sns",
            region: &self.region,
            host: &url[Position::BeforeHost..Position::AfterPort],
            path: url.path(),
            content_type: Some(FORM),
            body: &body,
            at: Millis::now(),
        };
        let mut headers = vec![(CONTENT_TYPE, FORM.to_owned())];
        for (name, value) in sign(&self.credentials, &request) {
            headers.push((HeaderName::from_static(name), value.expose().to_owned()));
        }
        let reply = self.endpoint.ask(Method::POST, url.clone(), body, &headers).await?;
        if !reply.status.is_success() {
            return Err(self.refused(&reply));
        }
        match element(&reply.body, "MessageId") {
            Some(_) => Ok(None),
            None => Err(not_the_service(&self.endpoint, &reply).into_error()),
        }
    }

    fn is_idempotent(&self) -> bool {
        matches!(&self.settings.to, To::Topic(arn) if is_fifo(arn))
    }
}

#[cfg(test)]
mod tests;
