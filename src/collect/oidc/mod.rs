//! Kind `oidc`: whether an OpenID provider's tokens can be checked by those who rely on it.
//!
//! In: the issuer's URL. Out: `probe_*` as blackbox' `http` prober has them for the discovery document, and `probe_oidc_*`.
//!
//! Good is: the discovery document is there and names the very same issuer (OpenID Connect Discovery 1.0, section 4.3),
//! every endpoint is as safe as the issuer, and the key set (RFC 7517) has a key for an algorithm that the provider signs with.
//! No token is asked for.

mod discovery;
mod keys;
mod settings;

pub use settings::Settings;

use std::time::Duration;

use async_trait::async_trait;
use hyper::StatusCode;
use tokio::time::Instant;
use url::Url;

use crate::model::{Family, Millis};
use crate::runtime::http_client::{HttpClient, Overflow, Request};

use super::probe::{self, Watch};
use super::web::{Follow, Journey, fetch, report_exchange, report_no_answer};
use super::{Collect, CollectError, Look, Reason};
use discovery::Document;
use keys::KeySet;

/// The longest document that is read.
const MOST_BODY: usize = 1 << 20;

static DURATION: Family = Family::gauge(
    "probe_oidc_duration_seconds",
    "Seconds to fetch each of the OpenID provider's documents by phase: discovery, keys.",
);
static ISSUER_MATCHES: Family = Family::gauge(
    "probe_oidc_issuer_matches",
    "Whether the discovery document names the issuer that it was asked for (1) or another (0).",
);
static INSECURE_ENDPOINTS: Family =
    Family::gauge("probe_oidc_insecure_endpoints", "Endpoints in the discovery document that are not https.");
static KEYS: Family =
    Family::gauge("probe_oidc_keys", "Keys in the OpenID provider's key set by type (kty) and algorithm (alg).");
static USABLE_KEYS: Family = Family::gauge(
    "probe_oidc_usable_keys",
    "Keys in the OpenID provider's key set that tokens can be checked with: for an algorithm it signs with, complete, not expired.",
);
static KEY_EXPIRY: Family = Family::gauge(
    "probe_oidc_earliest_key_cert_expiry",
    "When the first of the certificates (x5c) in the OpenID provider's key set expires, as a Unix time in seconds.",
);

/// An OpenID provider's probe.
#[derive(Debug)]
pub struct Oidc {
    settings: Settings,
    client: HttpClient,
}

impl Oidc {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let client = HttpClient::new(&settings.trust)?;
        Ok(Self { settings, client })
    }

    async fn visit(&self, watch: &Watch, look: &mut Look) -> Result<(), CollectError> {
        let (document, journey) = self.get(self.settings.discovery.clone(), "the discovery document", watch).await;
        report_exchange(look, &journey, !self.settings.trust.insecure_skip_verify);
        report_phase("discovery", journey.timings.total(), look);
        let document = Document::parse(&document?).map_err(malformed)?;
        self.judge_document(&document, look);
        let url = document.keys_url().map_err(malformed)?;
        let (keys, journey) = self.get(url, "the key set", watch).await;
        report_phase("keys", journey.timings.total(), look);
        let keys = KeySet::parse(&keys?).map_err(malformed)?;
        let now = Millis::now().as_seconds() as i64;
        judge_keys(&keys, &document, now, look);
        Ok(())
    }

    /// Fetches a JSON document; `what` is its name for messages.
    async fn get(&self, url: Url, what: &str, watch: &Watch) -> (Result<Vec<u8>, CollectError>, Journey) {
        let request = Request { max_body: MOST_BODY, ..Request::get(url, watch.deadline()) };
        let (reply, journey) = fetch(&self.client, request, Follow::Redirects, Overflow::Fail).await;
        let body = match reply {
            Ok(reply) if reply.status == StatusCode::OK => Ok(reply.body.to_vec()),
            Ok(reply) => {
                let words = format!("{what} is answered with status {}, expected 200", reply.status.as_u16());
                Err(CollectError::new(Reason::Status, words))
            }
            Err(error) => Err(error.reworded(|words| format!("{what}: {words}"))),
        };
        (body, journey)
    }

    fn judge_document(&self, document: &Document, look: &mut Look) {
        let issuer = &self.settings.issuer;
        look.value(&ISSUER_MATCHES, f64::from(u8::from(document.issuer() == Some(issuer))));
        let insecure = document.insecure_endpoints();
        look.value(&INSECURE_ENDPOINTS, insecure.len() as f64);
        let mut expected = |complaint: String| look.unhealthy(CollectError::new(Reason::Expectation, complaint));
        if document.issuer() != Some(issuer) {
            let named = document.issuer().map_or_else(|| "no issuer".into(), |named| format!("the issuer {named:?}"));
            let named = probe::shortened(&named, 200);
            expected(format!("the discovery document names {named}, expected {issuer:?}"));
        }
        // A provider on plain http is one for development, and nothing about it is safe.
        if issuer.starts_with("https:") && !insecure.is_empty() {
            expected(format!("not https: {}", insecure.join(", ")));
        }
        for algorithm in self.settings.algorithms.iter().filter(|algorithm| !document.signs_with(algorithm)) {
            expected(format!("the provider does not sign with {algorithm}"));
        }
    }
}

fn judge_keys(keys: &KeySet, document: &Document, now: i64, look: &mut Look) {
    for ((kind, algorithm), count) in keys.counts() {
        look.labeled(&KEYS, [("kty", kind), ("alg", algorithm)], count as f64);
    }
    if let Some(at) = keys.earliest_expiry() {
        look.value(&KEY_EXPIRY, at as f64);
    }
    let expired = keys.expired(now);
    let usable = keys.usable(document, now);
    look.value(&USABLE_KEYS, usable as f64);
    let mut expected = |complaint: String| look.unhealthy(CollectError::new(Reason::Expectation, complaint));
    if usable == 0 {
        expected(format!("none of the {} keys can check a token", keys.len()));
    } else if expired > 0 {
        expected(format!("the certificates of {expired} keys have expired"));
    }
}

fn malformed(complaint: String) -> CollectError {
    CollectError::new(Reason::Malformed, complaint)
}

fn report_phase(phase: &str, took: Duration, look: &mut Look) {
    look.labeled(&DURATION, [("phase", phase)], took.as_secs_f64());
}

#[async_trait]
impl Collect for Oidc {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        if let Err(error) = self.visit(&watch, &mut look).await {
            look.unhealthy(error);
        }
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = probe::unanswered(error);
        report_no_answer(&mut look);
        look
    }
}

#[cfg(test)]
mod tests;
