//! Kind `http`: asks a URL and judges the answer, as `blackbox_exporter`'s `http` prober.
//!
//! In: a URL, what to send, what to expect. Out: the `probe_*` families of that prober, and in words why a probe failed.
//!
//! Redirects are followed within one look; each request has a fresh connection, so that connect and TLS are always
//! measured. Cookies are not kept between redirects.

mod expect;
mod json_path;
mod settings;
mod wanted;

pub use expect::Expect;
pub use settings::Settings;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::Secret;
use crate::runtime::http_client::{HttpClient, Overflow, Reply, Request};

use super::probe::{self, Watch, report_regex};
use super::web::{self, Bounds, Follow, fetch, report_exchange};
use super::{Collect, CollectError, Look, Reason};
use expect::Answer;

/// How much of a body is kept to be looked into; the rest is read, counted and dropped.
const MOST_BODY: usize = 1 << 20;
/// How much of a packed body is unpacked to be counted.
const MOST_COUNTED: u64 = 16 << 20;
const BOUNDS: Bounds = Bounds { kept: MOST_BODY, counted: MOST_COUNTED };

/// An HTTP probe.
#[derive(Debug)]
pub struct Http {
    settings: Settings,
    client: HttpClient,
}

impl Http {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let client = HttpClient::new(&settings.trust)?;
        Ok(Self { settings, client })
    }

    fn request(&self, deadline: Instant) -> Request {
        let Settings { url, method, headers, body, .. } = &self.settings;
        Request {
            method: method.clone(),
            headers: headers.clone(),
            body: body.clone(),
            max_body: MOST_BODY,
            ..Request::get(url.clone(), deadline)
        }
    }

    /// Judges the answer; says whether a regular expression is to blame, and the body's decoded length.
    fn judge(&self, reply: &Reply, sent: u64, watch: &Watch, look: &mut Look) -> (bool, u64) {
        let decoded = match web::decode(&reply.headers, reply.body.clone(), sent, BOUNDS) {
            Ok(decoded) => decoded,
            Err(message) => {
                look.unhealthy(CollectError::new(Reason::Malformed, message));
                return (false, 0);
            }
        };
        let answer = Answer {
            status: reply.status,
            headers: &reply.headers,
            body: &decoded.bytes,
            cut: decoded.cut,
            took: watch.elapsed(),
        };
        let verdict = self.settings.expect.judge(&answer);
        for complaint in verdict.complaints {
            look.unhealthy(self.without_secrets(complaint));
        }
        (verdict.regex, decoded.length)
    }

    /// A target may echo what we sent; no message may.
    fn without_secrets(&self, error: CollectError) -> CollectError {
        let secrets = self.settings.secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
        error.reworded(|words| secrets.fold(words.to_owned(), |words, secret| words.replace(secret, "***")))
    }
}

#[async_trait]
impl Collect for Http {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let request = self.request(watch.deadline());
        let follow = if self.settings.follow_redirects { Follow::Redirects } else { Follow::Nothing };
        let (outcome, journey) = fetch(&self.client, request, follow, Overflow::Discard).await;
        let (regex, length) = match &outcome {
            Ok(reply) => self.judge(reply, journey.last.body_length, &watch, &mut look),
            Err(error) => {
                look.unhealthy(self.without_secrets(error.clone()));
                (false, 0)
            }
        };
        report_exchange(&mut look, &journey, outcome.as_ref().ok(), !self.settings.trust.insecure_skip_verify);
        web::report_length(&mut look, length);
        report_regex(&mut look, regex);
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = probe::unanswered(error);
        web::report_no_answer(&mut look);
        look
    }
}

#[cfg(test)]
mod tests;
