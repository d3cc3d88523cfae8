//! The `llm_*` counters and histograms: what this process took in since it started.
//!
//! Invariant: bounded; see [`labels`].

mod labels;
mod otel;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::Registry;

use super::event::UsageEvent;
use super::ledger::Record;
use super::money::Usd;
use super::price::Cost;
use super::tokens::TokenType;
use labels::{Labels, OTHER, Who};
use otel::Otel;

/// The bounds of `gen_ai.client.operation.duration` in OpenTelemetry's semantic conventions, in seconds.
pub const DURATION_BOUNDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

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

/// Tokens per second, from a machine without a GPU to the fastest inference chips.
const SPEED_BOUNDS: [f64; 14] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 35.0, 50.0, 75.0, 100.0, 150.0, 250.0, 500.0, 1000.0, 2500.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheCall {
    #[prometheus(flatten)]
    who: Who,
    cache: &'static str,
    result: &'static str,
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
#[derive(Clone)]
pub struct Metrics {
    requests: Family<Call, Counter>,
    tokens: Family<Kind, Counter>,
    cost: Family<Kind, UsdCounter>,
    estimated: Family<Kind, Counter>,
    unpriced: Family<Who, Counter>,
    unmetered: Family<Who, Counter>,
    cache: Family<CacheCall, Counter>,
    duration: Family<Who, Histogram>,
    first_token: Family<Who, Histogram>,
    speed: Family<Who, Histogram>,
    violations: Family<Violation, Counter>,
    limited: Counter,
    otel: Otel,
    labels: Arc<Labels>,
}

impl Metrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::new(registry);
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
        registry.register(
            "llm_cache_requests",
            "Model calls by whether the provider's prompt cache served a part (cache=prompt), where the provider said so",
            all.cache.clone(),
        );
        registry.register("llm_request_duration_seconds", "Duration of model calls in seconds", all.duration.clone());
        registry.register(
            "llm_time_to_first_token_seconds",
            "Time until a model call's first token in seconds",
            all.first_token.clone(),
        );
        registry.register(
            "llm_output_tokens_per_second",
            "Speed of a model call's output after its first token",
            all.speed.clone(),
        );
        registry.register(
            "sidewatch_usage_violations",
            "Usage whose numbers contradict each other, by rule",
            all.violations.clone(),
        );
        registry.register(
            "sidewatch_usage_labels_limited",
            "Usage events counted under shortened labels or `other`, because there were too many values or sets of labels",
            all.limited.clone(),
        );
        all
    }

    fn new(registry: &mut Registry) -> Self {
        Self {
            requests: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            estimated: Family::default(),
            unpriced: Family::default(),
            unmetered: Family::default(),
            cache: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(DURATION_BOUNDS)),
            first_token: Family::new_with_constructor(|| Histogram::new(DURATION_BOUNDS)),
            speed: Family::new_with_constructor(|| Histogram::new(SPEED_BOUNDS)),
            violations: Family::default(),
            limited: Counter::default(),
            otel: Otel::register(registry),
            labels: Arc::default(),
        }
    }

    /// Counts one new event.
    pub fn count(&self, record: &Record) {
        let Record { event, cost } = record;
        let (who, limited) = self.labels.of(event);
        self.limited.inc_by(u64::from(limited));
        let outcome = event.outcome.as_str();
        self.requests.get_or_create(&Call { who: who.clone(), operation: event.operation(), outcome }).inc();
        self.count_tokens(&who, event);
        self.count_cost(&who, cost);
        if event.is_unmetered() {
            self.unmetered.get_or_create(&who).inc();
        }
        for rule in &event.usage.violations {
            self.violations.get_or_create(&Violation { provider: Arc::clone(&who.provider), rule }).inc();
        }
        self.observe_times(&who, event);
        self.otel.count(&who, event);
    }

    fn count_tokens(&self, who: &Who, event: &UsageEvent) {
        for (kind, count) in event.usage.tokens.iter() {
            let labels = Kind { who: who.clone(), r#type: kind.name() };
            self.tokens.get_or_create(&labels).inc_by(count);
            if event.estimated {
                self.estimated.get_or_create(&labels).inc_by(count);
            }
        }
        if let Some(cached) = event.usage.tokens.get(TokenType::CachedInput) {
            let result = if cached > 0 { "hit" } else { "miss" };
            self.cache.get_or_create(&CacheCall { who: who.clone(), cache: "prompt", result }).inc();
        }
    }

    fn count_cost(&self, who: &Who, cost: &Cost) {
        for kind in TokenType::ALL {
            if let Some(sum) = cost.of(kind) {
                self.cost.get_or_create(&Kind { who: who.clone(), r#type: kind.name() }).add(sum);
            }
        }
        if cost.other > Usd::ZERO {
            self.cost.get_or_create(&Kind { who: who.clone(), r#type: OTHER }).add(cost.other);
        }
        if cost.unpriced_tokens > 0 {
            self.unpriced.get_or_create(who).inc_by(cost.unpriced_tokens);
        }
    }

    fn observe_times(&self, who: &Who, event: &UsageEvent) {
        if let Some(length) = event.duration {
            self.duration.get_or_create(who).observe(length.as_secs_f64());
        }
        if let Some(length) = event.time_to_first_token {
            self.first_token.get_or_create(who).observe(length.as_secs_f64());
        }
        if let Some(speed) = event.output_tokens_per_second() {
            self.speed.get_or_create(who).observe(speed);
        }
    }
}
