//! The agent's own metrics, in prometheus-client's registry. Each part gets the handles it needs and nothing more.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::exposition;
use crate::model::{Block, Labels, Millis};
use crate::store::Picture;

use super::process;

/// From half a millisecond, where an idle agent lives, to the longest time-outs.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// How looks keep their time.
#[derive(Debug, Clone)]
pub struct LookMetrics {
    duration: Histogram,
    delay: Histogram,
}

impl LookMetrics {
    /// Puts `sidewatch_look_duration_seconds` and `sidewatch_look_delay_seconds` into the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { duration: seconds(), delay: seconds() };
        registry.register("sidewatch_look_duration_seconds", "How long looks took", metrics.duration.clone());
        let help = "How long after their due time looks began: what one target costs another";
        registry.register("sidewatch_look_delay_seconds", help, metrics.delay.clone());
        metrics
    }

    /// Takes in one look.
    pub fn observe(&self, took: Duration, late: Duration) {
        self.duration.observe(took.as_secs_f64());
        self.delay.observe(late.as_secs_f64());
    }
}

/// Labels of a rule group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct GroupLabels {
    /// The group's name.
    pub rule_group: String,
}

/// How rule evaluation goes.
#[derive(Debug, Clone)]
pub struct RuleMetrics {
    evaluations: Family<GroupLabels, Counter>,
    failures: Family<GroupLabels, Counter>,
    duration: Histogram,
    delay: Histogram,
}

impl RuleMetrics {
    /// Puts the `sidewatch_rule_*` metrics into the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics =
            Self { evaluations: Family::default(), failures: Family::default(), duration: seconds(), delay: seconds() };
        registry.register("sidewatch_rule_evaluations", "Rules evaluated", metrics.evaluations.clone());
        registry.register(
            "sidewatch_rule_evaluation_failures",
            "Rules that could not be evaluated",
            metrics.failures.clone(),
        );
        registry.register(
            "sidewatch_rule_group_duration_seconds",
            "How long one evaluation of a group took",
            metrics.duration.clone(),
        );
        let help = "How long after their due time groups were evaluated";
        registry.register("sidewatch_rule_group_delay_seconds", help, metrics.delay.clone());
        metrics
    }

    /// Makes a group visible at zero before its first failure, so that `increase()` sees the first one.
    pub fn announce(&self, group: &str) {
        let labels = GroupLabels { rule_group: group.to_owned() };
        self.evaluations.get_or_create(&labels).inc_by(0);
        self.failures.get_or_create(&labels).inc_by(0);
    }

    /// Takes in one evaluation of a group.
    pub fn observe(&self, group: &str, rules: usize, failed: usize, took: Duration, late: Duration) {
        let labels = GroupLabels { rule_group: group.to_owned() };
        self.evaluations.get_or_create(&labels).inc_by(rules as u64);
        self.failures.get_or_create(&labels).inc_by(failed as u64);
        self.duration.observe(took.as_secs_f64());
        self.delay.observe(late.as_secs_f64());
    }
}

/// Labels of an HTTP handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HandlerLabels {
    /// The route, never the path with its arguments.
    pub handler: String,
    /// The answer's status code.
    pub code: u16,
}

/// How the agent's own server answers.
#[derive(Debug, Clone)]
pub struct ServeMetrics {
    duration: Family<HandlerLabels, Histogram>,
}

impl ServeMetrics {
    /// Puts `sidewatch_http_request_duration_seconds` into the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { duration: Family::new_with_constructor(seconds) };
        registry.register("sidewatch_http_request_duration_seconds", "How long answers took", metrics.duration.clone());
        metrics
    }

    /// Takes in one answer.
    pub fn observe(&self, handler: &str, code: u16, took: Duration) {
        let labels = HandlerLabels { handler: handler.to_owned(), code };
        self.duration.get_or_create(&labels).observe(took.as_secs_f64());
    }
}

/// Labels of a question that got no answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ErrorLabels {
    /// Prometheus' `errorType`.
    pub error: &'static str,
}

/// How questions to the store go.
#[derive(Debug, Clone)]
pub struct QueryMetrics {
    duration: Histogram,
    failures: Family<ErrorLabels, Counter>,
}

impl QueryMetrics {
    /// Puts `sidewatch_query_duration_seconds` and `sidewatch_query_failures_total` into the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { duration: seconds(), failures: Family::default() };
        let help = "How long questions over the API took that were answered, waiting for a place among it";
        registry.register("sidewatch_query_duration_seconds", help, metrics.duration.clone());
        let help = "Questions over the API that could not be answered";
        registry.register("sidewatch_query_failures", help, metrics.failures.clone());
        // At zero from the start, so that `increase()` sees the first one.
        for error in ["execution", "timeout", "internal"] {
            metrics.failures.get_or_create(&ErrorLabels { error }).inc_by(0);
        }
        metrics
    }

    /// Takes in one that was answered.
    pub fn answered(&self, took: Duration) {
        self.duration.observe(took.as_secs_f64());
    }

    /// Takes in one that was not.
    pub fn failed(&self, error: &'static str) {
        self.failures.get_or_create(&ErrorLabels { error }).inc();
    }
}

/// How samples come in by remote write.
#[derive(Debug, Clone)]
pub struct WriteMetrics {
    outcomes: Family<OutcomeLabels, Counter>,
}

/// What became of samples that were written in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabels {
    /// `taken`, `out_of_order`, `out_of_bounds`, `duplicate`, `no_place`, `invalid`, `not_supported`.
    pub outcome: &'static str,
}

impl WriteMetrics {
    /// Puts `sidewatch_remote_write_samples_total` into the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self { outcomes: Family::default() };
        let help = "Samples that came by remote write, by what became of them";
        registry.register("sidewatch_remote_write_samples", help, metrics.outcomes.clone());
        for outcome in ["taken", "out_of_order", "out_of_bounds", "duplicate", "no_place", "invalid", "not_supported"] {
            metrics.count(outcome, 0);
        }
        metrics
    }

    /// Counts samples.
    pub fn count(&self, outcome: &'static str, samples: u64) {
        self.outcomes.get_or_create(&OutcomeLabels { outcome }).inc_by(samples);
    }
}

/// Where the agent's own picture comes from: the registry, the process, and blocks that parts make when asked.
#[derive(Clone)]
pub struct Own {
    registry: Arc<Registry>,
    labels: Labels,
    makers: Arc<[Maker]>,
}

/// Makes blocks that stand in no registry: states that are read off a part when asked.
pub type Maker = Box<dyn Fn(Millis) -> Vec<Block> + Send + Sync>;

/// The source of the agent's own series in the store.
pub const OWN_SOURCE: &str = "sidewatch";

impl Own {
    /// Everything that shall show, under `job="sidewatch"` and the configured instance.
    pub fn new(registry: Registry, instance: &str, makers: Vec<Maker>) -> Self {
        let labels = Labels::new([("job", OWN_SOURCE), ("instance", instance)]);
        Self { registry: Arc::new(registry), labels, makers: makers.into() }
    }

    /// All own blocks as they stand.
    pub fn blocks(&self, now: Millis) -> Vec<Block> {
        let mut blocks = exposition::gather(&self.registry);
        blocks.extend(process::blocks());
        blocks.extend(self.makers.iter().flat_map(|make| make(now)));
        blocks
    }

    /// The same as a picture for the store and for `/metrics`.
    pub fn picture(&self, now: Millis) -> Picture {
        Picture { source: OWN_SOURCE.into(), labels: self.labels.clone(), blocks: self.blocks(now), at: now }
    }
}

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").field("labels", &self.labels).finish_non_exhaustive()
    }
}
