//! One model call, as every source hands it over and every provider's words are mapped to.

use std::time::Duration;

use crate::model::{Millis, Outcome};

use super::formats::Api;
use super::money::Usd;
use super::price::canonical_provider;
use super::raw::RawUsage;
use super::tokens::Tokens;

/// What one model call used.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageEvent {
    /// Makes repeats harmless; without it, the response id does, and without both each event counts.
    /// Ids are global: two senders that use the same one mean the same call, so a sender with ids of its own (row
    /// numbers) puts its name before them.
    pub id: Option<String>,
    /// Whose model, as the sender wrote it.
    pub provider: String,
    /// The model as the answer named it, else as the request did.
    pub model: String,
    /// Which API's words the usage was in.
    pub api: Option<Api>,
    /// Which price list was used.
    pub service_tier: ServiceTier,
    /// When the call ended.
    pub at: Millis,
    /// The application's feature the call was for; never taken from prompts.
    pub feature: Option<String>,
    /// The team that pays.
    pub team: Option<String>,
    /// How the call ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Option<Duration>,
    /// How long the first token took; not longer than the call.
    pub time_to_first_token: Option<Duration>,
    /// The provider's id of the answer.
    pub response_id: Option<String>,
    /// The usage in disjoint counts and other units.
    pub usage: Usage,
    /// Whether the sender estimated the counts because no provider reported them.
    pub estimated: bool,
    /// The numbers of the usage as the provider sent them.
    pub raw: Option<RawUsage>,
    /// Who told us.
    pub source: Source,
}

impl UsageEvent {
    /// What makes the event the same as one seen before: its id, else the provider's id of the answer, whichever of
    /// the provider's names the sender used.
    pub fn identity(&self) -> Option<String> {
        let answer = || {
            let provider = canonical_provider(&self.provider).to_ascii_lowercase();
            Some(format!("response:{provider}:{}", self.response_id.as_ref()?))
        };
        self.id.clone().or_else(answer)
    }

    /// How fast the output came once it had begun; `None` unless the output and both times are known.
    pub fn output_tokens_per_second(&self) -> Option<f64> {
        let writing = self.duration?.checked_sub(self.time_to_first_token?).filter(|time| !time.is_zero())?;
        let tokens = self.usage.tokens.written().filter(|tokens| *tokens > 0)?;
        Some(tokens as f64 / writing.as_secs_f64())
    }

    /// `gen_ai.operation.name` as OpenTelemetry writes it.
    pub fn operation(&self) -> &'static str {
        self.api.map_or("chat", Api::operation)
    }

    /// Whether the call was answered, and so should have told its usage, but did not.
    pub fn is_unmetered(&self) -> bool {
        let answered = matches!(self.outcome, Outcome::Ok | Outcome::StreamCut | Outcome::ClientCancelled);
        let usage = &self.usage;
        answered
            && usage.tokens.is_unreported()
            && usage.reported_cost.is_none()
            && usage.searches.is_none()
            && usage.duration.is_none()
    }
}

/// A provider's usage in our words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Usage {
    /// Disjoint token counts.
    pub tokens: Tokens,
    /// Web searches and reranked queries, billed each.
    pub searches: Option<u64>,
    /// Audio billed by its length.
    pub duration: Option<Duration>,
    /// What the provider or a gateway says it costs. It wins over the computed cost.
    pub reported_cost: Option<Usd>,
    /// Names of price multipliers that apply: `us` (inference geography), `fast` (speed).
    pub multipliers: Vec<&'static str>,
    /// The tier the answer names.
    pub service_tier: Option<ServiceTier>,
    /// What in the usage contradicts itself. Counted, never dropped.
    pub violations: Vec<&'static str>,
}

/// Which price list a call was billed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ServiceTier {
    /// The ordinary one.
    #[default]
    Standard,
    /// Cheaper, answered within a day.
    Batch,
    /// Cheaper and slower.
    Flex,
    /// Dearer and faster.
    Priority,
}

impl ServiceTier {
    /// Reads the providers' spellings; `None` for a tier nobody has heard of.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            ""
            | "default"
            | "standard"
            | "auto"
            | "scale"
            | "on_demand"
            | "unspecified"
            | "standard_only"
            | "reserved"
            | "performance"
            | "provisioned_throughput"
            | "traffic_type_unspecified" => Self::Standard,
            "batch" | "batches" => Self::Batch,
            "flex" | "on_demand_flex" => Self::Flex,
            "priority" | "fast" | "on_demand_priority" => Self::Priority,
            _ => return None,
        })
    }

    /// Our word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }
}

/// Who told us of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// `POST /v1/usage`.
    Post,
    /// The gateway saw it pass.
    Gateway,
    /// OpenTelemetry spans.
    Otlp,
    /// A Redis stream.
    Redis,
}

impl Source {
    /// As the ledger keeps it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Gateway => "gateway",
            Self::Otlp => "otlp",
            Self::Redis => "redis",
        }
    }
}

/// Cuts text to at most `limit` bytes at a character's border.
pub fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::usage::wire::parse_event;

    fn event(item: &serde_json::Value) -> UsageEvent {
        parse_event(item, Millis(0)).unwrap()
    }

    #[test]
    fn one_answer_is_the_same_under_all_of_its_providers_names() {
        let of = |provider: &str| event(&json!({"provider": provider, "model": "m", "response_id": "r1"})).identity();
        assert_eq!(of("OpenAI"), of("openai"));
        assert_eq!(of("aws.bedrock"), of("bedrock"));
        assert_eq!(of("Acme"), of("acme"));
        assert_ne!(of("azure"), of("openai"));
    }

    #[test]
    fn a_speed_needs_both_times_and_an_output() {
        let speed = |item| event(&item).output_tokens_per_second();
        let usage = json!({"prompt_tokens": 5, "completion_tokens": 90,
            "completion_tokens_details": {"reasoning_tokens": 60}});
        let whole = json!({"provider": "openai", "model": "m", "usage": usage,
            "duration_seconds": 2.0, "time_to_first_token_seconds": 0.5});
        assert_eq!(speed(whole.clone()), Some(60.0));
        for missing in ["usage", "duration_seconds", "time_to_first_token_seconds"] {
            let mut item = whole.clone();
            item.as_object_mut().unwrap().remove(missing);
            assert_eq!(speed(item), None, "{missing}");
        }
    }
}
