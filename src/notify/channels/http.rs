//! What channels over HTTP share: `http_config`, the POST, and what an answer means for trying again.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::model::{Millis, Secret};
use crate::notify::retry::retry_after;
use crate::runtime::http_client::{HttpClient, HttpError, Reply, Request, basic, bearer, credentials, sensitive};
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

use super::{ChannelError, FailureReason, Retry};

/// How much of a refusing answer goes into the log, in characters.
const EXCERPT: usize = 200;
/// A piece of a URL's path or query as long as this may be a token that a service repeats alone.
const TOKEN: usize = 16;

/// Prometheus' `http_config`, as far as it is built.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HttpSettings {
    /// The whole value of the `Authorization` header.
    pub authorization: Option<Secret>,
    /// From `tls_config`.
    pub trust: Trust,
}

impl HttpSettings {
    /// Reads `http_config` of a receiver or of `global`.
    pub fn read(mut fields: Fields<'_>) -> Self {
        let authorization = [basic_auth(&mut fields), authorization(&mut fields), bearer_token(&mut fields)];
        if authorization.iter().flatten().count() > 1 {
            let at = fields.at();
            fields.problems().add(at, "more than one way to authenticate is given", "keep one of them");
        }
        let trust = fields.section("tls_config").map(read_trust).unwrap_or_default();
        for key in ["oauth2", "proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header", "http_headers"]
        {
            fields.not_built(key);
        }
        // What we do anyway may be said; what we do not do may not.
        if fields.bool("follow_redirects") == Some(true) {
            fields.wrong("follow_redirects", "following redirects is not built yet", "write the final URL");
        }
        if fields.bool("enable_http2") == Some(false) {
            fields.wrong("enable_http2", "HTTP/2 cannot be turned off yet", "remove it");
        }
        fields.finish();
        Self { authorization: authorization.into_iter().flatten().next(), trust }
    }

    /// What a user who configured this should be reminded of at start.
    pub(super) fn caution(&self) -> Option<&'static str> {
        self.trust.insecure_skip_verify.then_some("TLS certificates are not checked")
    }
}

fn basic_auth(fields: &mut Fields<'_>) -> Option<Secret> {
    let mut section = fields.section("basic_auth")?;
    let user = section.secret("username", "username_file").unwrap_or_default();
    let password = section.secret("password", "password_file").unwrap_or_default();
    section.finish();
    Some(basic(user.expose(), &password))
}

fn authorization(fields: &mut Fields<'_>) -> Option<Secret> {
    let mut section = fields.section("authorization")?;
    let scheme = section.text("type").unwrap_or_else(|| "Bearer".into());
    let credentials = section.secret("credentials", "credentials_file");
    section.finish();
    Some(Secret::new(format!("{scheme} {}", credentials?.expose())))
}

fn bearer_token(fields: &mut Fields<'_>) -> Option<Secret> {
    fields.secret("bearer_token", "bearer_token_file").as_ref().map(bearer)
}

/// Reads a `tls_config`.
pub(super) fn read_trust(mut fields: Fields<'_>) -> Trust {
    let ca_file = fields.text("ca_file");
    let insecure_skip_verify = fields.bool("insecure_skip_verify").unwrap_or(false);
    for key in ["ca", "cert", "cert_file", "key", "key_file", "server_name", "min_version", "max_version"] {
        fields.not_built(key);
    }
    fields.finish();
    Trust { ca_file, insecure_skip_verify, ..Trust::default() }
}

/// A URL to POST to, with all that goes along. The URL is a secret: it is in no error.
pub(super) struct Endpoint {
    client: HttpClient,
    /// Without user and password.
    url: Url,
    /// The URL's own, for nobody's log.
    password: Option<Secret>,
    authorization: Option<HeaderValue>,
    /// What goes into bodies and must not come back out of answers.
    hidden: Vec<Secret>,
    timeout: Duration,
}

impl Endpoint {
    /// Prepares for requests. Credentials stand in the URL or in `http_config`; whoever reads the settings refuses both.
    pub(super) fn new(mut url: Url, settings: &HttpSettings, timeout: Duration) -> Result<Self, String> {
        let client = HttpClient::new(&settings.trust)?;
        let in_url = credentials(&mut url);
        let from_url = in_url.as_ref().map(|(user, password)| basic(user, password));
        let authorization =
            settings.authorization.clone().or(from_url).map(|secret| {
                sensitive(&secret).ok_or("the credentials hold a character that no HTTP header may have")
            });
        let password = in_url.map(|(_, password)| password);
        let authorization = authorization.transpose()?;
        Ok(Self { client, url, password, authorization, hidden: Vec::new(), timeout })
    }

    /// Keeps a secret that stands in bodies out of errors too.
    pub(super) fn hiding(mut self, secret: Secret) -> Self {
        self.hidden.push(secret);
        self
    }

    /// Where it goes, without user and password.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Sends a JSON body; any 2xx is success, and its answer comes back.
    pub(super) async fn post(&self, body: Vec<u8>, headers: &[(HeaderName, String)]) -> Result<Reply, ChannelError> {
        let reply = self.ask(Method::POST, self.url.clone(), body, headers).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(self.refused(&reply)) }
    }

    /// Sends a JSON body to this or another address of the same server; any answer comes back.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Vec<u8>,
        headers: &[(HeaderName, String)],
    ) -> Result<Reply, ChannelError> {
        let mut request = Request { method, ..Request::post_json(url, body, Instant::now() + self.timeout) };
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers.insert(name.clone(), value);
            }
        }
        if let Some(authorization) = &self.authorization {
            request.headers.insert(AUTHORIZATION, authorization.clone());
        }
        let (outcome, _timings) = self.client.send(request).await;
        outcome.map_err(|error| no_answer(&error))
    }

    /// What an answer means that is no success, by its status alone.
    pub(super) fn refused(&self, reply: &Reply) -> ChannelError {
        let retry = judge(reply.status, &reply.headers, Millis::now());
        ChannelError { retry, ..ChannelError::lasting(reason(reply.status), self.told(reply)) }
    }

    /// An answer for the log: its status and how its body begins, without secrets.
    pub(super) fn told(&self, reply: &Reply) -> String {
        let body = excerpt(&String::from_utf8_lossy(&reply.body), &self.secrets());
        let colon = if body.is_empty() { "" } else { ": " };
        format!("answered {}{colon}{body}", reply.status)
    }

    /// What an answer must not repeat into our logs.
    fn secrets(&self) -> Vec<&str> {
        let authorization = self.authorization.as_ref().and_then(|value| value.to_str().ok());
        let credentials = authorization.and_then(|value| value.split_once(' ')).map(|(_, credentials)| credentials);
        let password = self.password.as_ref().map(Secret::expose);
        let parts = [Some(self.url.path()), self.url.query(), password, credentials];
        let hidden = self.hidden.iter().map(Secret::expose);
        let pieces = self.url.path_segments().into_iter().flatten();
        let values = self.url.query().into_iter().flat_map(|query| query.split(['&', '=']));
        let long = pieces.chain(values).filter(|piece| piece.len() >= TOKEN);
        let parts = parts.into_iter().flatten().chain(hidden).filter(|part| part.len() > 1);
        parts.chain(long).collect()
    }
}

/// The beginning of an answer on one line, without secrets.
fn excerpt(body: &str, secrets: &[&str]) -> String {
    let mut text = body.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    text.retain(|c| !c.is_control());
    match text.char_indices().nth(EXCERPT) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// Servers' own failures, 408 and 429 pass; any other refusal lasts.
fn judge(status: StatusCode, headers: &HeaderMap, now: Millis) -> Retry {
    let asks_to_wait = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    if !status.is_server_error() && !asks_to_wait {
        return Retry::Never;
    }
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    asked.and_then(|asked| retry_after(asked, now)).map_or(Retry::Backoff, Retry::After)
}

fn reason(status: StatusCode) -> FailureReason {
    match status.as_u16() {
        401 | 403 => FailureReason::AuthError,
        429 => FailureReason::RateLimited,
        500.. => FailureReason::ServerError,
        _ => FailureReason::ClientError,
    }
}

fn no_answer(error: &HttpError) -> ChannelError {
    // Once the request is on its way, silence does not say whether it was taken.
    let may_have_arrived = matches!(
        error,
        HttpError::Timeout { phase: "processing" | "transfer" }
            | HttpError::Protocol { .. }
            | HttpError::TooLarge { .. }
    );
    let failure = match error {
        HttpError::Timeout { .. } => ChannelError::passing(FailureReason::DeadlineExceeded, error.to_string()),
        // Its text may quote the URL's path, which is a secret.
        HttpError::Request(_) => ChannelError::lasting(FailureReason::ClientError, "the URL cannot be asked over HTTP"),
        _ => ChannelError::passing(FailureReason::Other, error.to_string()),
    };
    ChannelError { may_have_arrived, ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let ask = |status: u16, after: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(after));
            }
            judge(StatusCode::from_u16(status).unwrap(), &headers, Millis(0))
        };
        assert_eq!(ask(503, None), Retry::Backoff);
        assert_eq!(ask(503, Some("2")), Retry::After(Duration::from_secs(2)));
        assert_eq!(ask(429, Some("nonsense")), Retry::Backoff);
        assert_eq!(ask(408, None), Retry::Backoff);
        for status in [301, 400, 401, 404, 410, 422] {
            assert_eq!(ask(status, Some("2")), Retry::Never, "{status}");
        }
    }

    #[test]
    fn an_answer_that_repeats_the_secret_is_cleaned() {
        assert_eq!(excerpt("no hook\n at /T0/s3cret \u{1b}[1m", &["/T0/s3cret"]), "no hook at *** [1m");
        assert_eq!(excerpt(&"ä".repeat(300), &[]).chars().count(), EXCERPT + 1);
    }

    #[test]
    fn credentials_in_the_url_become_a_header() {
        let url = Url::parse("http://u%40x:p+w&x=y@h/").unwrap();
        let endpoint = Endpoint::new(url, &HttpSettings::default(), Duration::from_secs(1)).unwrap();
        assert!(endpoint.secrets().contains(&"p+w&x=y"));
        assert_eq!(endpoint.url.as_str(), "http://h/");
        assert_eq!(endpoint.authorization.unwrap(), basic("u@x", &Secret::new("p+w&x=y")).expose());
    }
}
