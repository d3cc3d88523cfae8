//! Scrapes an app's own `/metrics`, as a Prometheus server does.
//!
//! In: the page's URL. Out: its families, as they are. `up` is whether the scrape succeeded, as with Prometheus; a scrape
//! either succeeds whole or not at all.

mod settings;

use std::io::Read as _;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::StatusCode;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};
use tokio::time::Instant;
use url::Url;

use settings::Auth;
pub use settings::Settings;

use super::{Collect, CollectError, Look, Reason};
use crate::exposition::{Format, Limits, Parsed, Wrong, parse};
use crate::runtime::http_client::{HttpClient, HttpError, Reply, Request};

/// A longer page is refused, compressed or not.
const MAX_PAGE: usize = 16 << 20;
/// As many redirects as Go's HTTP client, and so Prometheus, follows.
const MAX_REDIRECTS: usize = 10;
/// Series that the runner makes for every target; a page's own ones without labels would clash with them.
const OF_THE_RUNNER: [&str; 3] = ["up", "scrape_duration_seconds", "scrape_samples_scraped"];

/// Scrapes one page.
#[derive(Debug)]
pub struct Prometheus {
    settings: Settings,
    client: HttpClient,
}

impl Prometheus {
    /// A scraper; connects only when it looks.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self { client: HttpClient::new(&settings.trust)?, settings })
    }

    async fn scrape(&self, deadline: Instant) -> Result<Parsed, CollectError> {
        let reply = self.fetch(deadline).await?;
        let content_type = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let format = Format::of_content_type(content_type);
        let page = page(&reply).map_err(|error| self.failed(error.0, &error.1))?;
        let limits = Limits { samples: self.settings.sample_limit, ..Limits::default() };
        parse(&page, format, limits).map_err(|error| {
            let too_many = matches!(error.what, Wrong::TooManySamples(_));
            let reason = if too_many { Reason::TooLarge } else { Reason::Malformed };
            self.failed(reason, &format!("the page cannot be taken: {error}"))
        })
    }

    /// Asks for the page, following redirects.
    async fn fetch(&self, deadline: Instant) -> Result<Reply, CollectError> {
        let mut url = self.settings.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::get(url.clone(), deadline);
            request.max_body = MAX_PAGE;
            request.headers = self.headers(&url, deadline);
            let (outcome, _) = self.client.send(request).await;
            let reply = outcome.map_err(|error| self.failed(reason_of(&error), &error.to_string()))?;
            match redirect(&reply, &url) {
                None => return self.checked(reply),
                Some(next) => url = next.map_err(|what| self.failed(Reason::Malformed, what))?,
            }
        }
        Err(self.failed(Reason::Status, &format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn headers(&self, url: &Url, deadline: Instant) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(Format::ACCEPT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let left = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        if let Ok(seconds) = HeaderValue::from_str(&format!("{left:.3}")) {
            headers.insert("x-prometheus-scrape-timeout-seconds", seconds);
        }
        // Credentials stay with the server they were given for.
        if url.origin() == self.settings.url.origin()
            && let Some(auth) = self.settings.auth.as_ref().and_then(Auth::header)
        {
            headers.insert(AUTHORIZATION, auth);
        }
        headers
    }

    fn checked(&self, reply: Reply) -> Result<Reply, CollectError> {
        let reason = match reply.status {
            StatusCode::OK => return Ok(reply),
            StatusCode::UNAUTHORIZED => Reason::Auth,
            StatusCode::FORBIDDEN => Reason::Permission,
            _ => Reason::Status,
        };
        Err(self.failed(reason, &format!("the server answered with status {}", reply.status)))
    }

    fn failed(&self, reason: Reason, what: &str) -> CollectError {
        CollectError::new(reason, format!("cannot scrape {}: {what}", self.settings.instance()))
    }
}

#[async_trait]
impl Collect for Prometheus {
    async fn look(&self, deadline: Instant) -> Look {
        match self.scrape(deadline).await {
            Ok(parsed) => self.seen(parsed),
            Err(error) => self.unanswered(error),
        }
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.up = false;
        look.unhealthy(error);
        look
    }
}

impl Prometheus {
    fn seen(&self, parsed: Parsed) -> Look {
        let mut look = Look::new();
        if parsed.duplicates > 0 {
            let what = format!("{} samples repeat a series of the page; the first of each is kept", parsed.duplicates);
            look.missed(CollectError::new(Reason::Malformed, format!("{}: {what}", self.settings.instance())));
        }
        for block in parsed.blocks {
            let clashes = OF_THE_RUNNER.contains(&&*block.family.name);
            for point in block.points.into_iter().filter(|point| !(clashes && point.labels.is_empty())) {
                look.point(&block.family, point.suffix, point.labels, point.value);
            }
        }
        look
    }
}

/// Where an answer sends us, if it does.
fn redirect(reply: &Reply, from: &Url) -> Option<Result<Url, &'static str>> {
    if !matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = reply.headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| from.join(location).ok());
    let next = next.filter(|next| matches!(next.scheme(), "http" | "https"));
    Some(next.ok_or("the server redirects without saying where to, or to what is not HTTP"))
}

/// The page's text, decompressed.
fn page(reply: &Reply) -> Result<String, (Reason, String)> {
    let encoding = reply.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let bytes = match encoding.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => reply.body.clone(),
        "gzip" | "x-gzip" => gunzip(&reply.body, MAX_PAGE)?,
        _ => return Err((Reason::Malformed, "the page is compressed in a way that was not asked for".into())),
    };
    String::from_utf8(bytes.into()).map_err(|_| (Reason::Malformed, "the page is not UTF-8".into()))
}

/// Decompresses up to `limit` bytes; more is an error, so that a small answer cannot fill the memory.
fn gunzip(compressed: &[u8], limit: usize) -> Result<Bytes, (Reason, String)> {
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(compressed).take(limit as u64 + 1).read_to_end(&mut plain);
    read.map_err(|error| (Reason::Malformed, format!("the page is not the gzip it says it is: {error}")))?;
    if plain.len() > limit {
        return Err((Reason::TooLarge, format!("the page is longer than {limit} bytes")));
    }
    Ok(plain.into())
}

fn reason_of(error: &HttpError) -> Reason {
    match error {
        HttpError::Resolve { .. } => Reason::Resolve,
        HttpError::Connect { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused => Reason::Refused,
        HttpError::Connect { .. } => Reason::Unreachable,
        HttpError::Tls { .. } => Reason::Tls,
        HttpError::Timeout { .. } => Reason::Timeout,
        HttpError::Protocol { .. } => Reason::Malformed,
        HttpError::TooLarge { .. } => Reason::TooLarge,
        HttpError::Request(_) => Reason::Internal,
    }
}

#[cfg(test)]
mod tests;
