//! Pings a dead man's switch: Healthchecks (<https://healthchecks.io/docs/http_api/>) and what speaks its language.
//!
//! `/fail` while an alert of the group fires, the URL itself when none does any more: the other end shows red and green, and
//! tells its own people.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use url::Url;

use crate::model::Secret;
use crate::notify::notification::Notification;
use crate::notify::template::Templates;
use crate::yaml::Fields;

use super::http::Endpoint;
use super::limit::bytes;
use super::service::{Texts, credentials_once, parse_url, read_http, read_template, require_url};
use super::{Channel, ChannelError, ChannelSettings, HttpSettings, Receipt};

/// What Healthchecks keeps of a body unless its operator says otherwise (`PING_BODY_LIMIT`).
const BODY: usize = 10_000;

/// One item of `ping_configs`, which Alertmanager does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// What is pinged when nothing fires. A secret: whoever knows it can ping.
    pub url: Secret,
    /// GET, HEAD or POST; the last brings `text` along. Default POST.
    pub method: Method,
    /// Template: a POST's body, which the check's page shows.
    pub text: String,
    /// Authentication and TLS.
    pub http: HttpSettings,
    /// One attempt's time.
    pub timeout: Duration,
}

impl ChannelSettings for Settings {
    const KIND: &'static str = "ping";
    const KEY: &'static str = "ping_configs";
    type Defaults = ();

    fn read_defaults(_: &mut Fields<'_>) {}

    fn read(fields: &mut Fields<'_>, (): &(), default_http: &HttpSettings) -> Option<Self> {
        let (http, timeout) = read_http(fields, default_http);
        let method = fields.parsed("method", read_method);
        let text = read_template(fields, "text", r#"{{ template "__subject" . }}"#);
        let url = require_url(fields, "url", "url_file")?;
        credentials_once(fields, "url", &url, &http)?;
        Some(Self { url, method: method.unwrap_or(Method::POST), text, http, timeout })
    }

    fn caution(&self) -> Option<&'static str> {
        self.http.caution()
    }

    fn build(&self, templates: &Arc<Templates>) -> Result<Arc<dyn Channel>, String> {
        let url = parse_url(&self.url).map_err(|complaint| format!("`url` {complaint}"))?;
        let endpoint = Endpoint::new(url, &self.http, self.timeout)?;
        Ok(Arc::new(Ping { endpoint, settings: self.clone(), templates: Arc::clone(templates) }))
    }
}

fn read_method(text: &str) -> Result<Method, String> {
    match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        _ => Err(format!("`{text}` is no method of a ping; write GET, HEAD or POST")),
    }
}

struct Ping {
    endpoint: Endpoint,
    settings: Settings,
    templates: Arc<Templates>,
}

#[async_trait]
impl Channel for Ping {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        let url = if notification.is_firing() { failed(self.endpoint.url()) } else { self.endpoint.url().clone() };
        let method = self.settings.method.clone();
        let body = if method == Method::POST {
            let text = Texts::plain(&self.templates, notification).of(&self.settings.text)?;
            bytes(&text, BODY).into_owned().into_bytes()
        } else {
            Vec::new()
        };
        let plain = (CONTENT_TYPE, "text/plain; charset=utf-8".to_owned());
        let headers = if body.is_empty() { &[][..] } else { &[plain][..] };
        let reply = self.endpoint.ask(method, url, body, headers).await?;
        if !reply.status.is_success() {
            return Err(self.endpoint.refused(&reply));
        }
        Ok(None)
    }

    /// Two equal pings are as good as one.
    fn is_idempotent(&self) -> bool {
        true
    }
}

/// `…/fail`; a query (`?create=1`) stays where it is.
fn failed(url: &Url) -> Url {
    let mut url = url.clone();
    let path = format!("{}/fail", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

#[cfg(test)]
#[path = "ping_tests.rs"]
mod tests;
