//! The `llm_*` counters and histograms: what this process took in since it started.
//!
//! Invariant: bounded. A label takes a limited number of values of limited length; further ones become `other`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::event::cut;
use super::ledger::Record;
use super::money::Usd;
use super::tokens::TokenType;

/// How many values a label may take; with every combination in use the store's own limit still holds.
const MAX_VALUES: usize = 200;
/// How long a label's value may be, in bytes.
const MAX_LENGTH: usize = 128;
/// Where values go that are beyond the limit.
const OTHER: &str = "other";

/// The bounds of `gen_ai.client.operation.duration` in OpenTelemetry's semantic conventions, in seconds.
pub const DURATION_BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Who {
    provider: Arc<str>,
    model: Arc<str>,
    feature: Arc<str>,
    team: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    #[prometheus(flatten)]
    who: Who,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    #[prometheus(flatten)]
    who: Who,
    r#type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Violation {
    provider: Arc<str>,
    rule: &'static str,
}

/// A counter of money that stays exact until it is shown.
#[derive(Debug, Clone, Default)]
struct UsdCounter(Arc<Mutex<Usd>>);

impl UsdCounter {
    fn add(&self, sum: Usd) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += sum;
    }
}

impl TypedMetric for UsdCounter {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for UsdCounter {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sum = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_f64();
        encoder.encode_counter::<NoLabelSet, _, u64>(&sum, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

/// The counters. Cheap to clone; clones share them.
#[derive(Clone, Default)]
pub struct Metrics {
    requests: Family<Call, Counter>,
    tokens: Family<Kind, Counter>,
    cost: Family<Kind, UsdCounter>,
    estimated: Family<Kind, Counter>,
    unpriced: Family<Who, Counter>,
    unmetered: Family<Who, Counter>,
    duration: Durations,
    violations: Family<Violation, Counter>,
    values: Arc<Values>,
}

#[derive(Clone)]
struct Durations(Family<Who, Histogram>);

impl Default for Durations {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(DURATION_BOUNDS)))
    }
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        // The encoder adds `_total` to counters.
        registry.register("llm_requests", "Model calls by operation and outcome", all.requests.clone());
        registry.register("llm_tokens", "Tokens by type; the types are disjoint and add up", all.tokens.clone());
        registry.register(
            "llm_cost_usd",
            "Cost in US dollars by type of token; other: searches, seconds, fees, a provider's own total",
            all.cost.clone(),
        );
        registry.register("llm_estimated_tokens", "Tokens by type that no provider reported", all.estimated.clone());
        registry.register("llm_unpriced_tokens", "Tokens of models without a known price", all.unpriced.clone());
        registry.register(
            "llm_unmetered_requests",
            "Answered model calls whose usage nobody told",
            all.unmetered.clone(),
        );
        registry.register("llm_request_duration_seconds", "Duration of model calls in seconds", all.duration.0.clone());
        registry.register(
            "sidewatch_usage_violations",
            "Usage whose numbers contradict each other, by rule",
            all.violations.clone(),
        );
        all
    }

    /// Counts one new event.
    pub fn count(&self, record: &Record) {
        let Record { event, cost } = record;
        let who = self.who(record);
        let outcome = event.outcome.as_str();
        self.requests.get_or_create(&Call { who: who.clone(), operation: event.operation(), outcome }).inc();
        for (kind, count) in event.usage.tokens.iter() {
            self.tokens.get_or_create(&Kind { who: who.clone(), r#type: kind.name() }).inc_by(count);
        }
        for kind in TokenType::ALL {
            if let Some(sum) = cost.of(kind) {
                self.cost.get_or_create(&Kind { who: who.clone(), r#type: kind.name() }).add(sum);
            }
        }
        if cost.other > Usd::ZERO {
            self.cost.get_or_create(&Kind { who: who.clone(), r#type: OTHER }).add(cost.other);
        }
        if cost.unpriced_tokens > 0 {
            self.unpriced.get_or_create(&who).inc_by(cost.unpriced_tokens);
        }
        if event.is_unmetered() {
            self.unmetered.get_or_create(&who).inc();
        }
        for rule in &event.usage.violations {
            self.violations.get_or_create(&Violation { provider: Arc::clone(&who.provider), rule }).inc();
        }
        if let Some(length) = event.duration {
            self.duration.0.get_or_create(&who).observe(length.as_secs_f64());
        }
    }

    fn who(&self, record: &Record) -> Who {
        let event = &record.event;
        Who {
            provider: self.values.bound("provider", &event.provider),
            model: self.values.bound("model", &event.model),
            feature: self.values.bound("feature", event.feature.as_deref().unwrap_or_default()),
            team: self.values.bound("team", event.team.as_deref().unwrap_or_default()),
        }
    }
}

/// The values that each label has taken.
#[derive(Debug, Default)]
struct Values(Mutex<HashMap<&'static str, HashSet<Arc<str>>>>);

impl Values {
    fn bound(&self, label: &'static str, value: &str) -> Arc<str> {
        let value = cut(value, MAX_LENGTH);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.entry(label).or_default();
        if let Some(known) = known.get(value) {
            return Arc::clone(known);
        }
        if known.len() >= MAX_VALUES {
            return OTHER.into();
        }
        let value: Arc<str> = value.into();
        known.insert(Arc::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_beyond_its_limit_becomes_other() {
        let values = Values::default();
        for at in 0..MAX_VALUES {
            assert_eq!(&*values.bound("model", &format!("m{at}")), format!("m{at}"));
        }
        assert_eq!(&*values.bound("model", "new"), "other");
        assert_eq!(&*values.bound("model", "m7"), "m7");
        assert_eq!(&*values.bound("team", "new"), "new");
        assert_eq!(values.bound("feature", &"ä".repeat(200)).len(), MAX_LENGTH);
    }
}
