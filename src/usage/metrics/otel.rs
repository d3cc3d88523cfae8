//! OpenTelemetry's `gen_ai.client.*` histograms as Prometheus spells them, from the same events.
//!
//! Names, bounds and attributes are those of the semantic conventions for generative AI. An event names one model: the
//! answer's, else the request's; it stands in both attributes.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{DURATION_BOUNDS, labels::Who};
use crate::model::Outcome;
use crate::usage::event::UsageEvent;
use crate::usage::price::otel_provider;

/// The bounds of `gen_ai.client.token.usage`, in tokens: powers of four.
const TOKEN_BOUNDS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

#[expect(clippy::struct_field_names, reason = "the fields are the labels, and the convention has the prefix")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: Arc<str>,
    gen_ai_request_model: Arc<str>,
    gen_ai_response_model: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tokens {
    #[prometheus(flatten)]
    operation: Operation,
    gen_ai_token_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    #[prometheus(flatten)]
    operation: Operation,
    /// Empty for calls that ended well, which is as good as absent.
    error_type: &'static str,
}

/// The two histograms.
#[derive(Clone)]
pub struct Otel {
    tokens: Family<Tokens, Histogram>,
    duration: Family<Ended, Histogram>,
}

impl Otel {
    /// Makes the histograms and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self {
            tokens: Family::new_with_constructor(|| Histogram::new(TOKEN_BOUNDS)),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BOUNDS)),
        };
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens of a model call, read and written; cached ones are part of the input",
            all.tokens.clone(),
        );
        registry.register(
            "gen_ai_client_operation_duration_seconds",
            "Duration of model calls in seconds",
            all.duration.clone(),
        );
        all
    }

    /// Counts one event.
    pub fn count(&self, who: &Who, event: &UsageEvent) {
        let operation = Operation {
            gen_ai_operation_name: event.operation(),
            gen_ai_provider_name: otel_provider(&who.provider).into(),
            gen_ai_request_model: Arc::clone(&who.model),
            gen_ai_response_model: Arc::clone(&who.model),
        };
        let tokens = &event.usage.tokens;
        for (kind, count) in [("input", tokens.read()), ("output", tokens.written())] {
            if let Some(count) = count {
                let labels = Tokens { operation: operation.clone(), gen_ai_token_type: kind };
                self.tokens.get_or_create(&labels).observe(count as f64);
            }
        }
        if let Some(length) = event.duration {
            let error_type = if event.outcome == Outcome::Ok { "" } else { event.outcome.as_str() };
            self.duration.get_or_create(&Ended { operation, error_type }).observe(length.as_secs_f64());
        }
    }
}
