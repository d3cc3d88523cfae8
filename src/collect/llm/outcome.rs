//! Which class an LLM provider's answer belongs to.
//!
//! In: a status, the headers, the start of the body. Out: a [`Class`], and the [`Outcome`] it counts as in
//! `llm_requests_total{outcome}`. Shared by whoever reads providers' answers. No I/O, no clock.
//!
//! The bodies are those of `OpenAI` and compatibles (`{"error":{"message","type","code"}}`), Anthropic
//! (`{"type":"error","error":{"type","message"}}`), Google (`{"error":{"status","message","details"}}`), Bedrock (header
//! `x-amzn-errortype`), Ollama (`{"error":"…"}`) and `FastAPI` servers (`{"detail":…}`).

use serde_json::Value;

use crate::model::Outcome;

/// What an answer means, as finely as alerts and retries need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Answered.
    Ok,
    /// No money, plan or daily quota left; waiting does not help.
    QuotaExhausted,
    /// The key is missing, wrong or revoked.
    Auth,
    /// The key is good, the right is missing.
    Permission,
    /// Too much in a short time; helps to wait.
    RateLimited,
    /// The provider has no capacity.
    Overloaded,
    /// The prompt is too long for the model.
    ContextLength,
    /// No such model or path.
    ModelNotFound,
    /// Refused for its content.
    ContentFilter,
    /// The provider, or something before it, gave up waiting.
    Timeout,
    /// The provider failed.
    ServerError,
    /// Any other mistake of ours.
    InvalidRequest,
}

/// The outcomes that a whole answer, or none, can have; the others need a stream or a client.
pub const OF_ANSWERS: [Outcome; 8] = [
    Outcome::Ok,
    Outcome::ClientError,
    Outcome::AuthError,
    Outcome::RateLimited,
    Outcome::QuotaExhausted,
    Outcome::Overloaded,
    Outcome::ServerError,
    Outcome::Timeout,
];

impl Class {
    /// What it counts as.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Ok => Outcome::Ok,
            Self::QuotaExhausted => Outcome::QuotaExhausted,
            Self::Auth | Self::Permission => Outcome::AuthError,
            Self::RateLimited => Outcome::RateLimited,
            Self::Overloaded => Outcome::Overloaded,
            Self::Timeout => Outcome::Timeout,
            Self::ServerError => Outcome::ServerError,
            Self::ContextLength | Self::ModelNotFound | Self::ContentFilter | Self::InvalidRequest => {
                Outcome::ClientError
            }
        }
    }
}

/// Classifies an answer. `error_type` is the header `x-amzn-errortype`, where there is one. The first rule that holds counts.
pub fn classify(status: u16, error_type: Option<&str>, body: &[u8]) -> Class {
    if (200..400).contains(&status) {
        return Class::Ok;
    }
    let error = ProviderError::read(error_type, body);
    if error.says_quota(status) {
        return Class::QuotaExhausted;
    }
    if let Some(class) = error.by_type() {
        return class;
    }
    match status {
        400 if error.holds("api_key_invalid") => Class::Auth,
        401 => Class::Auth,
        403 => Class::Permission,
        400 | 413 if error.says_too_long() => Class::ContextLength,
        404 => Class::ModelNotFound,
        408 | 504 => Class::Timeout,
        429 => Class::RateLimited,
        503 | 529 => Class::Overloaded,
        500.. => Class::ServerError,
        _ => Class::InvalidRequest,
    }
}

/// The words of an error body, in lower case.
struct ProviderError {
    /// `type`, `code`, `status` and the header, each as a word.
    kinds: Vec<String>,
    message: String,
    /// The whole body, for signs that stand in nested details.
    whole: String,
}

impl ProviderError {
    fn read(error_type: Option<&str>, body: &[u8]) -> Self {
        let whole = String::from_utf8_lossy(body).to_lowercase();
        let document: Value = serde_json::from_str(&whole).unwrap_or_default();
        // Google's streams wrap the error in an array.
        let document = document.get(0).unwrap_or(&document);
        let error = document.get("error").filter(|error| !error.is_null()).unwrap_or(document);
        let word = |key: &str| error.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        // The header may go on: `ThrottlingException:http://internal…`.
        let header = error_type.and_then(|text| text.split(':').next()).map(str::to_lowercase);
        let kinds = ["type", "code", "status"].into_iter().filter_map(word).chain(header).collect();
        let plain = error.as_str().or_else(|| document.get("detail").and_then(Value::as_str)).map(ToOwned::to_owned);
        let message = word("message").or(plain).unwrap_or_default();
        Self { kinds, message, whole }
    }

    fn is(&self, kinds: &[&str]) -> bool {
        self.kinds.iter().any(|kind| kinds.contains(&kind.as_str()))
    }

    fn says(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.message.contains(phrase))
    }

    fn holds(&self, sign: &str) -> bool {
        self.whole.contains(sign)
    }

    fn says_quota(&self, status: u16) -> bool {
        let named = self.is(&["insufficient_quota", "enforced_spend_limit_reached", "billing_error"])
            || self.kinds.iter().any(|kind| kind.starts_with("billing_"));
        // Google says per minute and per day with the same status; the quota's name tells them apart.
        let daily = status == 429 && (self.holds("perday") || self.holds("limit: 0"));
        let words = ["credit balance is too low", "exceeded your current quota, please check", "insufficient balance"];
        status == 402 || named || daily || (self.says(&words) && !self.holds("perminute"))
    }

    fn says_too_long(&self) -> bool {
        let phrases = [
            "maximum context length",
            "prompt is too long",
            "exceeds the maximum number of tokens",
            "exceeds the available context size",
        ];
        self.is(&["context_length_exceeded", "request_too_large"]) || self.says(&phrases)
    }

    /// What the error calls itself, where that says more than the status.
    fn by_type(&self) -> Option<Class> {
        let table: [(&[&str], Class); 7] = [
            (&["overloaded_error", "serviceunavailableexception", "modelnotreadyexception"], Class::Overloaded),
            (&["unavailable"], Class::Overloaded),
            (
                &["throttlingexception", "rate_limit_exceeded", "rate_limit_error", "resource_exhausted"],
                Class::RateLimited,
            ),
            (&["authentication_error", "invalid_api_key"], Class::Auth),
            (&["content_filter", "content_policy_violation"], Class::ContentFilter),
            (&["model_not_found"], Class::ModelNotFound),
            (&["modeltimeoutexception", "timeout_error"], Class::Timeout),
        ];
        table.iter().find(|(kinds, _)| self.is(kinds)).map(|(_, class)| *class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_class() {
        let cases: &[(u16, &str, Class)] = &[
            (200, "", Class::Ok),
            (401, "", Class::Auth),
            (403, "<html>", Class::Permission),
            (429, "", Class::RateLimited),
            (429, r#"{"error":{"message":"x","type":"requests","code":"rate_limit_exceeded"}}"#, Class::RateLimited),
            (
                429,
                r#"{"error":{"message":"You exceeded your current quota, please check your plan","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Class::QuotaExhausted,
            ),
            (
                429,
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"quotaId":"GenerateRequestsPerMinutePerProject"}]}}"#,
                Class::RateLimited,
            ),
            (
                429,
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"quotaId":"GenerateRequestsPerDayPerProject"}]}}"#,
                Class::QuotaExhausted,
            ),
            (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Class::QuotaExhausted),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API"}}"#,
                Class::QuotaExhausted,
            ),
            (
                400,
                r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                Class::Auth,
            ),
            (400, r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#, Class::ContextLength),
            (400, r#"{"error":{"code":"content_filter","message":"x"}}"#, Class::ContentFilter),
            (400, r#"{"error":{"message":"x","code":null}}"#, Class::InvalidRequest),
            (404, r#"{"error":"model 'x' not found"}"#, Class::ModelNotFound),
            (408, "", Class::Timeout),
            (500, r#"{"error":"boom"}"#, Class::ServerError),
            (502, "<html>bad gateway</html>", Class::ServerError),
            (503, r#"[{"error":{"status":"UNAVAILABLE"}}]"#, Class::Overloaded),
            (504, "", Class::Timeout),
            (529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Class::Overloaded),
        ];
        for (status, body, class) in cases {
            assert_eq!(classify(*status, None, body.as_bytes()), *class, "{status} {body}");
        }
    }

    #[test]
    fn bedrock_says_it_in_a_header() {
        let of = |status, header| classify(status, Some(header), br#"{"message":"x"}"#);
        assert_eq!(of(429, "ModelNotReadyException:http://internal/"), Class::Overloaded);
        assert_eq!(of(429, "ThrottlingException"), Class::RateLimited);
        assert_eq!(of(408, "ModelTimeoutException"), Class::Timeout);
    }

    #[test]
    fn outcomes_are_the_contracts() {
        let all: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(
            all,
            [
                "ok",
                "client_error",
                "auth_error",
                "rate_limited",
                "quota_exhausted",
                "overloaded",
                "server_error",
                "timeout",
                "stream_cut",
                "client_cancelled"
            ]
        );
    }
}
