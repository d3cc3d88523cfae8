//! What channels over HTTP share: `http_config`, the POST, and what an answer means for trying again.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::model::{Millis, Secret};
use crate::notify::retry::retry_after;
use crate::runtime::http_client::{HttpClient, HttpError, Reply, Request, basic, credentials, sensitive};

use super::{ChannelError, FailureReason, Retry};

mod oauth2;
mod settings;

use oauth2::Tokens;
pub use settings::HttpSettings;
pub(super) use settings::read_trust;

/// How much of a refusing answer goes into the log, in characters.
const EXCERPT: usize = 200;
/// A piece of a URL's path or query as long as this may be a token that a service repeats alone.
const TOKEN: usize = 16;
/// So many redirects are followed, as Go's client does.
const REDIRECTS: usize = 10;

/// Where requests go, with all that goes along. The URL is a secret: it is in no error.
pub(in crate::notify) struct Endpoint {
    client: HttpClient,
    /// Without user and password.
    url: Url,
    authorization: Option<HeaderValue>,
    /// Where the value of `Authorization` comes from instead.
    tokens: Option<Tokens>,
    /// `http_headers`.
    headers: HeaderMap,
    follow_redirects: bool,
    /// What goes out beside the URL and `Authorization` and must not come back out of answers.
    hidden: Vec<Secret>,
    timeout: Duration,
}

impl Endpoint {
    /// Prepares for requests. Credentials stand in the URL or in `http_config`; whoever reads the settings refuses both.
    pub(in crate::notify) fn new(mut url: Url, settings: &HttpSettings, timeout: Duration) -> Result<Self, String> {
        let client = HttpClient::new(&settings.trust)?.over(settings.proxies.clone());
        let client = if settings.http1_only { client.without_http2() } else { client };
        let in_url = credentials(&mut url);
        let from_url = in_url.as_ref().map(|(user, password)| basic(user, password));
        let authorization =
            settings.authorization.clone().or(from_url).map(|secret| {
                sensitive(&secret).ok_or("the credentials hold a character that no HTTP header may have")
            });
        let authorization = authorization.transpose()?;
        let mut hidden: Vec<_> = in_url.into_iter().map(|(_, password)| password).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let wrong = || format!("the value of the header `{name}` holds a character that no HTTP header may have");
            headers.append(name.clone(), sensitive(value).ok_or_else(wrong)?);
            hidden.push(value.clone());
        }
        let follow_redirects = !settings.no_redirects;
        let tokens = settings.oauth2.as_deref().map(Tokens::new).transpose()?;
        Ok(Self { client, url, authorization, tokens, headers, follow_redirects, hidden, timeout })
    }

    /// Keeps a secret that stands in bodies or in headers of the channel's own out of errors too.
    pub(super) fn hiding(mut self, secret: Secret) -> Self {
        self.hidden.push(secret);
        self
    }

    /// Where it goes, without user and password.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Sends a JSON body; any 2xx is success, and its answer comes back.
    pub(in crate::notify) async fn post(
        &self,
        body: Vec<u8>,
        headers: &[(HeaderName, String)],
    ) -> Result<Reply, ChannelError> {
        let reply = self.ask(Method::POST, self.url.clone(), body, headers).await?;
        if reply.status.is_success() { Ok(reply) } else { Err(self.refused(&reply)) }
    }

    /// Sends a JSON body to this or another address of the same server; any answer comes back. Another `Content-Type` among
    /// the headers counts.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Vec<u8>,
        headers: &[(HeaderName, String)],
    ) -> Result<Reply, ChannelError> {
        let mut request = Request { method, ..Request::post_json(url, body, Instant::now() + self.timeout) };
        if request.body.is_empty() {
            request.headers.remove(CONTENT_TYPE);
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                request.headers.insert(name.clone(), value);
            }
        }
        for (name, value) in &self.headers {
            request.headers.append(name.clone(), value.clone());
        }
        if let Some(authorization) = &self.authorization {
            // What a channel computes for the request itself, such as a signature, goes before.
            request.headers.entry(AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        let Some(tokens) = &self.tokens else {
            return self.follow(request).await;
        };
        let (token, kept) = tokens.authorization(request.deadline).await?;
        request.headers.insert(AUTHORIZATION, token.clone());
        let reply = self.follow(request.clone()).await?;
        if reply.status != StatusCode::UNAUTHORIZED || !kept {
            return Ok(reply);
        }
        // A token may end before its time.
        tokens.forget(&token).await;
        let (token, _) = tokens.authorization(request.deadline).await?;
        request.headers.insert(AUTHORIZATION, token);
        self.follow(request).await
    }

    /// Follows redirects where the message arrives by it: a POST that became a GET (301, 302, 303) would be lost without a
    /// word, so that such an answer is taken for the refusal that it is.
    async fn follow(&self, mut request: Request) -> Result<Reply, ChannelError> {
        for _ in 0..=REDIRECTS {
            let (outcome, _timings) = self.client.send(request.clone()).await;
            let reply = outcome.map_err(|error| no_answer(&error))?;
            match redirect(&request, &reply).filter(|_| self.follow_redirects) {
                Some(next) => request = next,
                None => return Ok(reply),
            }
        }
        Err(ChannelError::lasting(FailureReason::ClientError, format!("redirected more than {REDIRECTS} times")))
    }

    /// What an answer means that is no success, by its status alone.
    pub(super) fn refused(&self, reply: &Reply) -> ChannelError {
        let retry = judge(reply.status, &reply.headers, Millis::now());
        ChannelError { retry, ..ChannelError::lasting(reason(reply.status), self.told(reply)) }
    }

    /// An answer for the log: its status and how its body begins, without secrets.
    pub(super) fn told(&self, reply: &Reply) -> String {
        let body = self.excerpt(&String::from_utf8_lossy(&reply.body));
        let colon = if body.is_empty() { "" } else { ": " };
        format!("answered {}{colon}{body}", reply.status)
    }

    /// The beginning of what a server said, on one line and without secrets.
    pub(super) fn excerpt(&self, text: &str) -> String {
        excerpt(text, &self.secrets())
    }

    /// What an answer must not repeat into our logs.
    fn secrets(&self) -> Vec<&str> {
        let authorization = self.authorization.as_ref().and_then(|value| value.to_str().ok());
        let credentials = authorization.and_then(|value| value.split_once(' ')).map(|(_, credentials)| credentials);
        let parts = [Some(self.url.path()), self.url.query(), credentials];
        let hidden = self.hidden.iter().map(Secret::expose);
        let pieces = self.url.path_segments().into_iter().flatten();
        let values = self.url.query().into_iter().flat_map(|query| query.split(['&', '=']));
        let long = pieces.chain(values).filter(|piece| piece.len() >= TOKEN);
        let parts = parts.into_iter().flatten().chain(hidden).filter(|part| part.len() > 1);
        parts.chain(long).collect()
    }
}

/// Where a redirecting answer sends a request that stays what it is. Credentials and headers of the user's stay with the host
/// they are for.
fn redirect(request: &Request, reply: &Reply) -> Option<Request> {
    let keeps_method = matches!(reply.status.as_u16(), 307 | 308);
    let reads = matches!(request.method, Method::GET | Method::HEAD) && matches!(reply.status.as_u16(), 301..=303);
    if !keeps_method && !reads {
        return None;
    }
    let location = reply.headers.get(LOCATION)?.to_str().ok()?;
    let url = request.url.join(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let mut next = Request { url, ..request.clone() };
    if next.url.origin() != request.url.origin() {
        next.headers =
            request.headers.get(CONTENT_TYPE).map(|value| (CONTENT_TYPE, value.clone())).into_iter().collect();
    }
    Some(next)
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

#[cfg(test)]
#[path = "http_tests.rs"]
mod sending;
