//! Scrapes an app's own `/metrics`, as a Prometheus server does.
//!
//! In: the page's URL. Out: its families, as they are. `up` is whether the scrape succeeded, as with Prometheus; a scrape
//! either succeeds whole or not at all.

mod settings;

use async_trait::async_trait;
use hyper::StatusCode;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::task;
use tokio::time::{Instant, timeout_at};

pub use settings::Settings;

use super::probe::Watch;
use super::web::{Bounds, Follow, decode, fetch};
use super::{Collect, CollectError, Look, Reason, TargetSettings as _};
use crate::exposition::{Format, Limits, Parsed, Wrong, parse};
use crate::runtime::http_client::{HttpClient, Overflow, Reply, Request};

/// A longer page is refused, compressed or not.
const MAX_PAGE: usize = 16 << 20;
/// A page that may be longer is read on a thread of its own: a worker of the runtime has others to serve.
const LONG_PAGE: usize = 256 << 10;
/// How much longer a compressed page is taken to be; pages of metrics shrink to a tenth, rarely to less.
const COMPRESSION: usize = 16;
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
        let sample_limit = self.settings.sample_limit;
        if !is_long(&reply) {
            return read(&reply, sample_limit);
        }
        let read = move || read(&reply, sample_limit);
        let late = |_| CollectError::new(Reason::Timeout, "the page came, but was not read in time");
        let broken = |error| CollectError::new(Reason::Internal, format!("reading the page broke off: {error}"));
        timeout_at(deadline, task::spawn_blocking(read)).await.map_err(late)?.map_err(broken)?
    }

    /// Asks for the page, following redirects.
    async fn fetch(&self, deadline: Instant) -> Result<Reply, CollectError> {
        let mut request = Request::get(self.settings.url.clone(), deadline);
        request.max_body = MAX_PAGE;
        request.headers = self.headers(deadline);
        let (outcome, _) = fetch(&self.client, request, Follow::Redirects, Overflow::Fail).await;
        checked(outcome?)
    }

    fn headers(&self, deadline: Instant) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(Format::ACCEPT));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let left = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        if let Ok(seconds) = HeaderValue::from_str(&format!("{left:.3}")) {
            headers.insert("x-prometheus-scrape-timeout-seconds", seconds);
        }
        if let Some(authorization) = &self.settings.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers
    }
}

#[async_trait]
impl Collect for Prometheus {
    async fn look(&self, deadline: Instant) -> Look {
        match self.scrape(Watch::start(deadline).deadline()).await {
            Ok(parsed) => self.seen(parsed),
            Err(error) => {
                let instance = self.settings.instance();
                self.unanswered(error.reworded(|words| format!("cannot scrape {instance}: {words}")))
            }
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

fn checked(reply: Reply) -> Result<Reply, CollectError> {
    let reason = match reply.status {
        StatusCode::OK => return Ok(reply),
        StatusCode::UNAUTHORIZED => Reason::Auth,
        StatusCode::FORBIDDEN => Reason::Permission,
        _ => Reason::Status,
    };
    Err(CollectError::new(reason, format!("the server answered with status {}", reply.status)))
}

/// Whether reading the page may take long.
fn is_long(reply: &Reply) -> bool {
    let factor = if reply.headers.contains_key(CONTENT_ENCODING) { COMPRESSION } else { 1 };
    reply.body.len().saturating_mul(factor) > LONG_PAGE
}

/// Reads a page in the format that the server says.
fn read(reply: &Reply, sample_limit: usize) -> Result<Parsed, CollectError> {
    let content_type = reply.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::of_content_type(content_type);
    let page = page(reply, MAX_PAGE)?;
    parse(&page, format, Limits { samples: sample_limit, ..Limits::default() }).map_err(|error| {
        let too_many = matches!(error.what, Wrong::TooManySamples(_));
        let reason = if too_many { Reason::TooLarge } else { Reason::Malformed };
        CollectError::new(reason, format!("the page cannot be taken: {error}"))
    })
}

/// The page's text, decompressed. A longer one than `limit` is an error, so that a small answer cannot fill the memory.
fn page(reply: &Reply, limit: usize) -> Result<String, CollectError> {
    let malformed = |message: String| CollectError::new(Reason::Malformed, message);
    let bounds = Bounds { kept: limit, counted: limit as u64 + 1 };
    let decoded = decode(&reply.headers, reply.body.clone(), reply.body.len() as u64, bounds).map_err(malformed)?;
    if decoded.cut {
        return Err(CollectError::new(Reason::TooLarge, format!("the page is longer than {limit} bytes")));
    }
    String::from_utf8(decoded.bytes.into()).map_err(|_| malformed("the page is not UTF-8".into()))
}

#[cfg(test)]
mod tests;
