//! What a target of kind `llm` needs beyond the common keys, and how each provider lists its models.

use crate::collect::{Collect, TargetSettings};
use crate::runtime::supervise::Supervisor;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use url::Url;

use crate::collect::web::{read_trust, read_url, without_credentials};
use crate::model::Secret;
use crate::runtime::http_client::{bearer, sensitive};
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// What a target of kind `llm` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The value of the label `provider`.
    pub(super) provider: String,
    pub(super) dialect: Dialect,
    url: Url,
    instance: String,
    api_key: Option<Secret>,
    pub(super) trust: Trust,
}

/// Whose API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenAi,
    Anthropic,
    Gemini,
    Ollama,
}

/// The providers we know by name, with whether they answer without a key.
const PROVIDERS: [(&str, Dialect, bool); 17] = [
    ("openai", Dialect::OpenAi, false),
    ("anthropic", Dialect::Anthropic, false),
    ("gemini", Dialect::Gemini, false),
    ("ollama", Dialect::Ollama, true),
    ("openai_compatible", Dialect::OpenAi, true),
    ("cerebras", Dialect::OpenAi, false),
    ("cohere", Dialect::OpenAi, false),
    ("deepseek", Dialect::OpenAi, false),
    ("fireworks", Dialect::OpenAi, false),
    ("groq", Dialect::OpenAi, false),
    ("litellm", Dialect::OpenAi, true),
    ("llamacpp", Dialect::OpenAi, true),
    ("mistral", Dialect::OpenAi, false),
    ("openrouter", Dialect::OpenAi, true),
    ("together", Dialect::OpenAi, false),
    ("vllm", Dialect::OpenAi, true),
    ("xai", Dialect::OpenAi, false),
];

/// The version of Anthropic's API that we read.
const ANTHROPIC_VERSION: &str = "2023-06-01";

impl TargetSettings for Settings {
    const KIND: &'static str = "llm";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = "llm";

    /// Reads the kind's own keys: `provider`, `api_key` (or `api_key_file`), `tls`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let provider = fields.required("provider");
        let api_key = fields.secret("api_key", "api_key_file").filter(|key| !key.expose().is_empty());
        let trust = read_trust(fields);
        let parsed = read_url(url, fields);
        let provider = provider?.to_lowercase();
        let Some((_, dialect, keyless)) = PROVIDERS.iter().find(|(name, ..)| *name == provider) else {
            let known = PROVIDERS.map(|(name, ..)| name).join(", ");
            let way_out =
                format!("known: {known}; openai_compatible is for any other that lists its models under /models");
            fields.wrong("provider", format!("the provider `{provider}` is not known"), way_out);
            return None;
        };
        let named = fields.has("api_key") || fields.has("api_key_file");
        if api_key.is_none() && !named && !keyless {
            fields.wrong(
                "api_key",
                format!("{provider} needs an API key"),
                "add `api_key: \"${NAME}\"` or `api_key_file: PATH`",
            );
        }
        let mut parsed = parsed?;
        if parsed.username() != "" || parsed.password().is_some() || parsed.query().is_some() {
            fields.wrong(
                "url",
                "the URL holds credentials or a query",
                "give the base URL here and the key in `api_key`",
            );
            return None;
        }
        parsed.set_fragment(None);
        if api_key.as_ref().is_some_and(|key| sensitive(key).is_none()) {
            fields.wrong("api_key", "the key cannot be sent in a header", "check it for line breaks");
            return None;
        }
        let instance = without_credentials(url);
        Some(Self { provider, dialect: *dialect, url: parsed, instance, api_key, trust })
    }

    /// The URL as it was written.
    fn instance(&self) -> String {
        self.instance.clone()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Llm::new(self)?))
    }
}

impl Settings {
    /// Where the models are listed: never a paid call.
    pub(super) fn models_url(&self) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        let versioned = base.rsplit('/').next().is_some_and(is_version);
        let (version, list, query) = match self.dialect {
            Dialect::OpenAi => ("", "/models", None),
            Dialect::Anthropic => ("/v1", "/models", Some("limit=1000")),
            Dialect::Gemini => ("/v1beta", "/models", Some("pageSize=1000")),
            Dialect::Ollama => ("", "/api/tags", None),
        };
        // The address may be given with the version or, for Ollama, with the path of its OpenAI-like side.
        let base =
            if self.dialect == Dialect::Ollama { base.trim_end_matches("/v1").trim_end_matches("/api") } else { &base };
        let version = if versioned { "" } else { version };
        url.set_path(&format!("{base}{version}{list}"));
        url.set_query(query);
        url
    }

    /// The headers that carry the key. A key never stands in a URL: URLs end up in logs.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.dialect == Dialect::Anthropic {
            headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(ANTHROPIC_VERSION));
        }
        let Some(key) = &self.api_key else {
            return headers;
        };
        let (name, value) = match self.dialect {
            Dialect::OpenAi | Dialect::Ollama => (AUTHORIZATION, bearer(key)),
            Dialect::Anthropic => (HeaderName::from_static("x-api-key"), key.clone()),
            Dialect::Gemini => (HeaderName::from_static("x-goog-api-key"), key.clone()),
        };
        if let Some(value) = sensitive(&value) {
            headers.insert(name, value);
        }
        headers
    }
}

/// `v1`, `v1beta`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::test_target::read;

    #[test]
    fn each_provider_lists_its_models_where_it_does() {
        for (provider, url, list) in [
            ("openai", "https://api.openai.com/v1", "https://api.openai.com/v1/models"),
            ("openai", "https://api.openai.com/v1/", "https://api.openai.com/v1/models"),
            ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com/v1/models?limit=1000"),
            ("anthropic", "https://api.anthropic.com/v1", "https://api.anthropic.com/v1/models?limit=1000"),
            ("gemini", "https://g.example", "https://g.example/v1beta/models?pageSize=1000"),
            ("ollama", "http://ollama:11434", "http://ollama:11434/api/tags"),
            ("ollama", "http://ollama:11434/v1", "http://ollama:11434/api/tags"),
            ("vllm", "http://vllm:8000/v1", "http://vllm:8000/v1/models"),
        ] {
            let settings = read::<Settings>(url, &format!("{{provider: {provider}, api_key: k}}")).unwrap();
            assert_eq!(settings.models_url().as_str(), list);
        }
    }

    #[test]
    fn the_key_goes_into_the_providers_header_and_nowhere_else() {
        for (provider, header, value) in [
            ("openai", "authorization", "Bearer hunter2"),
            ("anthropic", "x-api-key", "hunter2"),
            ("gemini", "x-goog-api-key", "hunter2"),
        ] {
            let settings =
                read::<Settings>("https://x/v1", &format!("{{provider: {provider}, api_key: hunter2}}")).unwrap();
            assert_eq!(settings.headers()[header], value);
            let shown =
                format!("{settings:?} {:?} {} {}", settings.headers(), settings.models_url(), settings.instance());
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(read::<Settings>("http://x", "provider: ollama").is_ok());
        assert!(read::<Settings>("http://x", "provider: openai").unwrap_err()[0].contains("openai needs an API key"));
        assert!(
            read::<Settings>("http://x", "provider: opnai").unwrap_err()[0]
                .contains("`opnai` is not known; known: openai,")
        );
        let said = read::<Settings>("http://x/v1?key=hunter2", "{provider: gemini, api_key: k}").unwrap_err();
        assert!(said[0].contains("credentials or a query") && !said[0].contains("hunter2"));
    }
}
