//! POSTs Alertmanager's webhook body, version 4, so that whatever understands Alertmanager understands us.
//!
//! Field by field it is what Alertmanager sends (<https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>),
//! with its `notification_reason` (0.32) and `payload` (a body of the user's own). Of our own are the header
//! `Idempotency-Key`, the same for each attempt at one notification; `X-Possible-Duplicate`, where it is not known whether
//! an attempt arrived; and a signature, if `signing_secret` is given.

mod payload;
mod signature;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::header::HeaderName;
use serde::Serialize;
use url::Url;

use crate::model::{Alert, Labels, Millis, Secret};
use crate::notify::identity::{quote_meta, render_fingerprint};
use crate::notify::notification::{Notification, common};
use crate::notify::template::{Templates, Texts, check};
use crate::runtime::http_client::credentials;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::{Channel, ChannelError, ChannelSettings, FailureReason, HttpSettings, Receipt};

pub use payload::Payload;
use signature::Signer;

/// One attempt's time, where `timeout` gives none.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Go's zero time: how Alertmanager writes that an alert has not ended.
const NOT_ENDED: &str = "0001-01-01T00:00:00Z";

/// One item of `webhook_configs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Where to; `http` or `https`, or a template of it. A secret: tokens are often part of it.
    pub url: Secret,
    /// At most so many alerts in a body; 0 for all.
    pub max_alerts: usize,
    /// A body of the user's own instead of Alertmanager's.
    pub payload: Option<Payload>,
    /// What bodies are signed with.
    pub signing_secret: Option<Secret>,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "webhook";
    const KEY: &'static str = "webhook_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let url = fields.secret("url", "url_file");
        let payload = fields.take("payload").map(|node| Payload::read(node, fields.problems()));
        let signing_secret = fields.secret("signing_secret", "signing_secret_file");
        if let Some(Err(complaint)) = signing_secret.as_ref().map(Signer::new) {
            let key = if fields.has("signing_secret") { "signing_secret" } else { "signing_secret_file" };
            fields.wrong(key, complaint, "write 24 to 64 random bytes, as `whsec_` and base64");
        }
        let settings = Self {
            payload,
            signing_secret,
            url: url.clone().unwrap_or_default(),
            max_alerts: fields.number("max_alerts").unwrap_or(0),
            http: fields.section("http_config").map_or_else(|| default_http.clone(), HttpSettings::read),
            timeout: fields.duration("timeout").filter(|timeout| !timeout.is_zero()).unwrap_or(TIMEOUT),
        };
        if url.is_none() {
            if !fields.has("url") && !fields.has("url_file") {
                fields.problems().add(fields.at(), "a webhook has no `url`", "add `url: http://…` or `url_file: …`");
            }
            return None;
        }
        let key = if fields.has("url") { "url" } else { "url_file" };
        if settings.is_template() {
            // What is wrong with it would quote the URL.
            if check(settings.url.expose()).is_ok() {
                return Some(settings);
            }
            fields.wrong(key, "the webhook's URL is no template", "check its braces and functions");
            return None;
        }
        match parse_url(&settings.url).map(|mut url| credentials(&mut url)) {
            Ok(Some(_)) if settings.http.authorization.is_some() => {
                let way_out = "keep those of the URL or those of `http_config`";
                fields.wrong(key, "credentials are given twice", way_out);
                None
            }
            Ok(_) => Some(settings),
            Err(complaint) => {
                fields.wrong(key, complaint, "write `url: http://…`");
                None
            }
        }
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        Ok(Arc::new(Webhook::new(self, templates)?))
    }
}

impl Settings {
    fn is_template(&self) -> bool {
        self.url.expose().contains("{{")
    }
}

/// The complaint never quotes the URL.
fn parse_url(url: &Secret) -> Result<Url, String> {
    let parsed = Url::parse(url.expose().trim()).map_err(|error| format!("the webhook's URL is not a URL: {error}"))?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(parsed),
        _ => Err("the webhook's URL is neither http:// nor https://".into()),
    }
}

/// The channel.
pub struct Webhook {
    settings: Settings,
    templates: Arc<Templates>,
    /// `None` where the URL is a template.
    endpoint: Option<Endpoint>,
    signer: Option<Signer>,
}

impl Webhook {
    /// Makes the channel.
    ///
    /// # Errors
    /// A CA file that cannot be read, or credentials that fit no header.
    pub fn new(settings: &Settings, templates: &Arc<Templates>) -> Result<Self, String> {
        let endpoint = |url| Endpoint::new(parse_url(url)?, &settings.http, settings.timeout);
        let endpoint = if settings.is_template() { None } else { Some(endpoint(&settings.url)?) };
        let signer = settings.signing_secret.as_ref().map(Signer::new).transpose()?;
        Ok(Self { settings: settings.clone(), templates: Arc::clone(templates), endpoint, signer })
    }

    fn body(&self, notification: &Notification, texts: &Texts<'_>) -> Result<Vec<u8>, String> {
        let Some(payload) = &self.settings.payload else {
            return Ok(body(notification, self.settings.max_alerts));
        };
        let payload = payload.expand(texts).map_err(|error| format!("the template of `payload`: {error}"))?;
        Ok(serde_json::to_vec(&payload).expect("values of JSON always serialise"))
    }
}

#[async_trait]
impl Channel for Webhook {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        let lasting = |error| ChannelError::lasting(FailureReason::ClientError, error);
        let (body, url) = {
            let texts = self.templates.of(notification);
            let url = || texts.text(self.settings.url.expose()).map_err(|_| "the template of the URL fails".to_owned());
            let url = if self.endpoint.is_none() { Some(Secret::new(url().map_err(lasting)?)) } else { None };
            (self.body(notification, &texts).map_err(lasting)?, url)
        };
        let id = notification.id();
        let mut headers = Vec::new();
        if let Some(signer) = &self.signer {
            headers.extend(signer.headers(&id, Millis::now(), &body));
        }
        headers.push((HeaderName::from_static("idempotency-key"), id));
        if notification.possible_duplicate {
            headers.push((HeaderName::from_static("x-possible-duplicate"), "true".to_owned()));
        }
        match (&self.endpoint, url) {
            (Some(endpoint), _) => endpoint.post(body, &headers).await?,
            (None, url) => {
                let url = parse_url(&url.unwrap_or_default()).map_err(lasting)?;
                let endpoint = Endpoint::new(url, &self.settings.http, self.settings.timeout).map_err(lasting)?;
                endpoint.post(body, &headers).await?
            }
        };
        Ok(None)
    }

    fn is_idempotent(&self) -> bool {
        true
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'n> {
    receiver: String,
    status: &'static str,
    alerts: Vec<BodyAlert<'n>>,
    group_labels: BTreeMap<&'n str, &'n str>,
    common_labels: BTreeMap<&'n str, &'n str>,
    common_annotations: BTreeMap<&'n str, &'n str>,
    #[serde(rename = "externalURL")]
    external_url: &'n str,
    version: &'static str,
    group_key: &'n str,
    truncated_alerts: usize,
    #[serde(rename = "notification_reason")]
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BodyAlert<'n> {
    status: &'static str,
    labels: BTreeMap<&'n str, &'n str>,
    annotations: BTreeMap<&'n str, &'n str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'n str,
    fingerprint: String,
}

impl<'n> From<&'n Alert> for BodyAlert<'n> {
    fn from(alert: &'n Alert) -> Self {
        Self {
            status: if alert.ends_at.is_none() { "firing" } else { "resolved" },
            labels: alert.labels.iter().collect(),
            annotations: alert.annotations.iter().collect(),
            starts_at: go_time(alert.starts_at),
            ends_at: alert.ends_at.map_or_else(|| NOT_ENDED.to_owned(), go_time),
            generator_url: &alert.generator_url,
            fingerprint: render_fingerprint(&alert.labels),
        }
    }
}

/// The JSON that is sent.
fn body(notification: &Notification, max_alerts: usize) -> Vec<u8> {
    let all = notification.alerts.len();
    let shown = if max_alerts == 0 { all } else { all.min(max_alerts) };
    let alerts = &notification.alerts[..shown];
    let common_labels = common(alerts.iter().map(|alert| &alert.labels));
    let common_annotations = common(alerts.iter().map(|alert| &alert.annotations));
    let body = Body {
        receiver: quote_meta(&notification.receiver),
        status: notification.status(),
        alerts: alerts.iter().map(|alert| BodyAlert::from(alert.as_ref())).collect(),
        group_labels: map(&notification.group_labels),
        common_labels: map(&common_labels),
        common_annotations: map(&common_annotations),
        external_url: &notification.external_url,
        version: "4",
        group_key: &notification.group_key,
        truncated_alerts: all - shown,
        reason: notification.reason.as_str(),
    };
    serde_json::to_vec(&body).expect("maps with text keys and plain values always serialise")
}

fn map(labels: &Labels) -> BTreeMap<&str, &str> {
    labels.iter().collect()
}

/// Go's `RFC3339Nano`: fractions without zeros at the end.
fn go_time(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests;
