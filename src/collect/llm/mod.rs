//! Kind `llm`: whether a model provider can be reached, takes our key and has capacity, without spending a token.
//!
//! In: a provider, its base URL, a key. Out: `probe_*` as of an HTTP probe, and `llm_*` about the provider's answer.
//! The question is always the list of models: free everywhere.
//!
//! Healthy means that a call could be made now. So a provider that answers 429 to a free call is reachable but not
//! healthy, with reason `limit`; a refused key is reason `auth`, a missing right `permission`, an overload or an error `status`.
//! No connection at all counts as outcome `server_error`, no answer in time as `timeout`.

pub mod outcome;
pub mod rate_limit;
mod settings;

pub use settings::Settings;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;

use crate::model::{Family, Outcome};
use crate::runtime::http_client::{HttpClient, Overflow, Reply, Request};

use super::probe::{self, Watch};
use super::web::{Follow, fetch, report_exchange};
use super::{Collect, CollectError, Look, Reason};
use outcome::{Class, OF_ANSWERS, classify};
use rate_limit::rate_limits;

/// From one look to the next, unless the target says otherwise. The question is free but counts against rate limits, and a
/// provider seldom changes within seconds.
pub const INTERVAL: Duration = Duration::from_mins(1);

/// Lists of models are long (hundreds of kilobytes at brokers), but not longer than this.
const MOST_BODY: usize = 4 << 20;

static OUTCOME: Family = Family::gauge(
    "llm_provider_outcome",
    "How the provider answered the last free check: 1 for the outcome seen, 0 for the others",
);
static MODELS: Family =
    Family::gauge("llm_models_available", "Models that the provider lists for our key, at most one page of them");
static REMAINING: Family =
    Family::gauge("llm_ratelimit_remaining", "What the provider's last answer said is left of a rate limit");
static LIMIT: Family = Family::gauge("llm_ratelimit_limit", "What the provider's last answer said a rate limit is");

/// A provider check.
#[derive(Debug)]
pub struct Llm {
    settings: Settings,
    client: HttpClient,
}

impl Llm {
    /// Prepares the check.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let client = HttpClient::new(&settings.trust)?;
        Ok(Self { settings, client })
    }

    fn judge(&self, reply: &Reply, look: &mut Look) -> Outcome {
        self.report_limits(reply, look);
        let error_type = reply.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let class = classify(reply.status.as_u16(), error_type, &reply.body);
        if class != Class::Ok {
            look.unhealthy(self.complaint(class, reply.status.as_u16()));
            return class.outcome();
        }
        let Some(models) = count_models(&reply.body).filter(|_| reply.status.is_success()) else {
            let status = reply.status.as_u16();
            let message = format!("{} answers {status} without a list of models", self.settings.provider);
            look.unhealthy(CollectError::new(Reason::Malformed, message));
            return Outcome::ServerError;
        };
        look.labeled(&MODELS, [("provider", &self.settings.provider)], models as f64);
        Outcome::Ok
    }

    /// The provider's own message is left out: it may repeat parts of the key.
    fn complaint(&self, class: Class, status: u16) -> CollectError {
        let provider = &self.settings.provider;
        let (reason, what) = match class {
            Class::Auth => (Reason::Auth, "does not take the API key"),
            Class::Permission => (Reason::Permission, "takes the API key but does not let it list models"),
            Class::RateLimited => (Reason::Limit, "is limiting our rate"),
            Class::QuotaExhausted => (Reason::Limit, "says that credit or quota is used up"),
            Class::Overloaded => (Reason::Status, "is overloaded"),
            Class::Timeout => (Reason::Timeout, "gave up waiting"),
            Class::ModelNotFound => (Reason::Status, "has no list of models there; check the URL's path"),
            _ => (Reason::Status, "answers with an error"),
        };
        CollectError::new(reason, format!("{provider} {what} (status {status})"))
    }

    fn report_limits(&self, reply: &Reply, look: &mut Look) {
        let provider = self.settings.provider.as_str();
        let headers = reply.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        for (resource, limits) in rate_limits(headers) {
            let labels = [("provider", provider), ("resource", resource.as_str())];
            if let Some(remaining) = limits.remaining {
                look.labeled(&REMAINING, labels, remaining);
            }
            if let Some(limit) = limits.limit {
                look.labeled(&LIMIT, labels, limit);
            }
        }
    }

    fn report_outcome(&self, seen: Outcome, look: &mut Look) {
        for outcome in OF_ANSWERS {
            let labels = [("provider", self.settings.provider.as_str()), ("outcome", outcome.as_str())];
            look.labeled(&OUTCOME, labels, f64::from(u8::from(outcome == seen)));
        }
    }
}

#[async_trait]
impl Collect for Llm {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let request = Request {
            headers: self.settings.headers(),
            max_body: MOST_BODY,
            ..Request::get(self.settings.models_url(), watch.deadline())
        };
        let (reply, journey) = fetch(&self.client, request, Follow::Redirects, Overflow::Discard).await;
        let seen = match &reply {
            Ok(reply) => self.judge(reply, &mut look),
            Err(error) => {
                look.unhealthy(error.clone());
                outcome_without_answer(error.reason())
            }
        };
        self.report_outcome(seen, &mut look);
        report_exchange(&mut look, &journey, reply.as_ref().ok(), !self.settings.trust.insecure_skip_verify);
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let outcome = outcome_without_answer(error.reason());
        let mut look = probe::unanswered(error);
        self.report_outcome(outcome, &mut look);
        look
    }
}

fn outcome_without_answer(reason: Reason) -> Outcome {
    if reason == Reason::Timeout { Outcome::Timeout } else { Outcome::ServerError }
}

/// `OpenAI` and Anthropic list under `data`, Gemini, Cohere and Ollama under `models`, Together at the top.
fn count_models(body: &[u8]) -> Option<usize> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let list = document.get("data").or_else(|| document.get("models")).unwrap_or(&document);
    // A fresh vLLM or Ollama writes an empty list as null.
    if list.is_null() { Some(0) } else { list.as_array().map(Vec::len) }
}

#[cfg(test)]
mod tests;
