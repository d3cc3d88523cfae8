//! OAuth 2.0 by client credentials (RFC 6749, 4.4): a token is fetched, kept while it holds, and sent along.

use std::fmt;
use std::time::Duration;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use crate::model::{Millis, Secret};
use crate::notify::channels::{ChannelError, FailureReason};
use crate::runtime::http_client::{HttpClient, Proxies, Reply, Request, basic, bearer, sensitive};
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

use super::settings::{read_proxies, read_tls};
use super::{excerpt, judge, no_answer, reason};

/// A token is fetched anew so long before its end, for what is under way then.
const EARLY: Duration = Duration::from_secs(10);

/// The `oauth2` section.
#[derive(Debug, Clone, PartialEq)]
pub struct OAuth2 {
    client_id: String,
    client_secret: Secret,
    scopes: Vec<String>,
    token_url: Url,
    /// Further parameters of the request.
    endpoint_params: Vec<(String, String)>,
    trust: Trust,
    proxies: Proxies,
}

impl OAuth2 {
    /// Reads the section.
    pub fn read(mut fields: Fields<'_>) -> Option<Self> {
        let client_id = fields.required("client_id");
        let client_secret = fields.secret("client_secret", "client_secret_file");
        let scopes = fields.texts("scopes");
        let token_url = fields.parsed("token_url", read_token_url);
        if !fields.has("token_url") {
            fields.problems().add(fields.at(), "`oauth2` has no `token_url`", "add `token_url: https://…`");
        }
        let endpoint_params = fields.text_map("endpoint_params").into_iter().map(|(name, value, _)| (name, value));
        let endpoint_params = endpoint_params.collect();
        let trust = fields.section("tls_config").map(read_tls).unwrap_or_default();
        let proxies = read_proxies(&mut fields);
        for key in ["grant_type", "iss", "audience", "claims", "client_certificate_key", "client_certificate_key_file"]
        {
            fields.not_built(key);
        }
        for key in ["client_certificate_key_id", "signature_algorithm"] {
            fields.not_built(key);
        }
        fields.finish();
        let client_secret = client_secret.unwrap_or_default();
        let (client_id, token_url) = (client_id?, token_url?);
        Some(Self { client_id, client_secret, scopes, token_url, endpoint_params, trust, proxies })
    }
}

/// The complaint never quotes the URL.
fn read_token_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|error| format!("`token_url` is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() && url.password().is_none() => Ok(url),
        _ => Err("`token_url` is no http:// or https:// URL without a password".into()),
    }
}

/// Fetches and keeps the token.
pub struct Tokens {
    client: HttpClient,
    settings: OAuth2,
    kept: Mutex<Option<Token>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    /// Without one the server's refusal tells the end.
    until: Option<Instant>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<f64>,
}

impl Tokens {
    /// Prepares; nothing is asked yet.
    ///
    /// # Errors
    /// A CA file or a certificate that cannot be read.
    pub fn new(settings: &OAuth2) -> Result<Self, String> {
        let client = HttpClient::new(&settings.trust)?.over(settings.proxies.clone());
        Ok(Self { client, settings: settings.clone(), kept: Mutex::new(None) })
    }

    /// The value of `Authorization`, and whether it was there before.
    pub async fn authorization(&self, deadline: Instant) -> Result<(HeaderValue, bool), ChannelError> {
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| token.until.is_none_or(|until| Instant::now() < until)) {
            return Ok((token.header.clone(), true));
        }
        let token = self.fetch(deadline).await?;
        *kept = Some(token.clone());
        Ok((token.header, false))
    }

    /// Drops a token that a server refused.
    pub async fn forget(&self, refused: &HeaderValue) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|token| token.header == refused) {
            *kept = None;
        }
    }

    /// Asks with the client's name and secret in the header; servers that want them in the body say that they do not know us.
    async fn fetch(&self, deadline: Instant) -> Result<Token, ChannelError> {
        let reply = self.ask(true, deadline).await?;
        let reply = if matches!(reply.status.as_u16(), 400 | 401) { self.ask(false, deadline).await? } else { reply };
        let excerpt = || excerpt(&String::from_utf8_lossy(&reply.body), &[self.settings.client_secret.expose()]);
        if !reply.status.is_success() {
            let what = format!("no OAuth 2.0 token: answered {}: {}", reply.status, excerpt());
            let retry = judge(reply.status, &reply.headers, Millis::now());
            return Err(ChannelError { retry, ..ChannelError::lasting(reason(reply.status), what) });
        }
        let Ok(granted) = serde_json::from_slice::<Granted>(&reply.body) else {
            let what = "no OAuth 2.0 token: the answer holds none";
            return Err(ChannelError::passing(FailureReason::Other, what));
        };
        let header = sensitive(&bearer(&Secret::new(granted.access_token)))
            .ok_or_else(|| ChannelError::lasting(FailureReason::Other, "the OAuth 2.0 token fits no header"))?;
        let holds = granted.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Token { header, until: holds.map(|holds| Instant::now() + holds.saturating_sub(EARLY)) })
    }

    async fn ask(&self, in_header: bool, deadline: Instant) -> Result<Reply, ChannelError> {
        let (outcome, _timings) = self.client.send(self.settings.request(in_header, deadline)).await;
        // That the token's server is silent says nothing about the message, which was not sent.
        outcome.map_err(|error| ChannelError { may_have_arrived: false, ..no_answer(&error) })
    }
}

impl OAuth2 {
    fn request(&self, in_header: bool, deadline: Instant) -> Request {
        let (client_id, client_secret) = (&self.client_id, self.client_secret.expose());
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !self.scopes.is_empty() {
            form.append_pair("scope", &self.scopes.join(" "));
        }
        form.extend_pairs(&self.endpoint_params);
        if !in_header {
            form.append_pair("client_id", client_id).append_pair("client_secret", client_secret);
        }
        let mut request = Request::post_json(self.token_url.clone(), form.finish(), deadline);
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if in_header {
            // Both are encoded as in a form before they are put together (RFC 6749, 2.3.1).
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let header = sensitive(&basic(&encoded(client_id), &Secret::new(encoded(client_secret))));
            request.headers.extend(header.map(|header| (AUTHORIZATION, header)));
        }
        request
    }
}
