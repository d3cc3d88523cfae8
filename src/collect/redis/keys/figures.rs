//! The figures of a group of keys, and their families.

use crate::collect::Look;
use crate::model::{Family, Labels, Suffix};

use super::Group;

static COUNT: Family = Family::gauge("redis_key_group_count", "Keys of this group, by the last whole pass.");
static KEYS_COUNT: Family =
    Family::gauge("redis_keys_count", "Keys like this pattern, by the last whole pass: the exporter's other spelling.");
static BYTES: Family = Family::gauge(
    "redis_key_group_memory_usage_bytes",
    "Memory that the group's keys take, in bytes: a sample's mean times their number.",
);
static EXPIRING: Family =
    Family::gauge("redis_key_group_keys_expiring", "Keys of this group that expire, by the share in a sample.");
static TTL: Family = Family::gauge(
    "redis_key_group_avg_ttl_seconds",
    "Average time to live of the group's keys that expire, by a sample, in seconds.",
);
static EXPIRED: Family = Family::counter(
    "redis_key_group_expired_keys_total",
    "Keys of this group that expired, estimated from samples that are looked up again one pass later.",
);
static EVICTED: Family = Family::counter(
    "redis_key_group_evicted_keys_total",
    "Keys of this group that were evicted, estimated from samples that are looked up again one pass later.",
);
static LIMIT: Family = Family::gauge("redis_key_group_limit", "Requests that a key of this group may count.");
static NEAR: Family = Family::gauge(
    "redis_key_group_keys_near_limit",
    "Keys whose count is at least 80 % of the limit, those at the limit included.",
);
static AT: Family = Family::gauge("redis_key_group_keys_at_limit", "Keys whose count has reached the limit.");
static HIGHEST: Family = Family::gauge("redis_key_group_highest_count", "The highest count among the keys looked at.");

/// From which share of the limit on a key is near it.
const NEAR_SHARE: f64 = 0.8;

/// A group at the end of a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Its keys.
    pub count: f64,
    /// Their memory.
    pub bytes: Option<f64>,
    /// Those of them that expire.
    pub expiring: Option<f64>,
    /// How long these have still, on average.
    pub ttl_seconds: Option<f64>,
    /// How near its keys are to their limit.
    pub pressure: Option<Pressure>,
}

/// How near the keys are that count requests to what is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressure {
    limit: f64,
    /// Keys at or above the limit.
    pub at_limit: f64,
    /// Keys at or above 80 % of it.
    pub near_limit: f64,
    /// The highest count.
    pub highest: Option<f64>,
}

impl Pressure {
    /// From the counts of some of `all` keys.
    pub fn of(counts: &[f64], limit: f64, all: f64) -> Self {
        let scale = if counts.is_empty() { 0.0 } else { all / counts.len() as f64 };
        let above = |bound: f64| counts.iter().filter(|count| **count >= bound).count() as f64 * scale;
        let highest = counts.iter().copied().reduce(f64::max);
        Self { limit, at_limit: above(limit), near_limit: above(limit * NEAR_SHARE), highest }
    }
}

/// What a group lost since the agent's start.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Lost {
    /// Expired keys.
    pub expired: f64,
    /// Evicted keys.
    pub evicted: f64,
}

/// Puts a group into the look.
pub fn show(group: &Group, figures: &Figures, lost: Lost, look: &mut Look) {
    let labels = group.pattern.labels("key_group");
    let mut put = |family: &Family, labels: &Labels, value: Option<f64>| {
        if let Some(value) = value {
            look.point(family, Suffix::None, labels.clone(), value);
        }
    };
    put(&KEYS_COUNT, &group.pattern.labels("key"), Some(figures.count));
    put(&COUNT, &labels, Some(figures.count));
    put(&BYTES, &labels, figures.bytes);
    put(&EXPIRING, &labels, figures.expiring);
    put(&TTL, &labels, figures.ttl_seconds);
    put(&EXPIRED, &labels, Some(lost.expired));
    put(&EVICTED, &labels, Some(lost.evicted));
    put(&LIMIT, &labels, group.limit);
    if let Some(pressure) = &figures.pressure {
        put(&NEAR, &labels, Some(pressure.near_limit));
        put(&AT, &labels, Some(pressure.at_limit));
        put(&HIGHEST, &labels, pressure.highest);
    }
}
