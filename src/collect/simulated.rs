//! A part of the demo's stack: it gives looks like the real kinds, without any wire protocol, and follows a story.
//!
//! The story repeats every four minutes: all is well; the cache dies and comes back; the database fills up with
//! connections; the app starts to fail. Every series carries `simulated="true"`.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::{Family, Millis};
use crate::runtime::supervise::Supervisor;
use crate::yaml::Fields;

use super::{Collect, CollectError, Look, Reason, TargetSettings};

/// Which part of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The web application.
    App,
    /// Its database.
    Postgres,
    /// Its cache.
    Redis,
    /// Its model provider.
    Llm,
    /// Its containers.
    Containers,
}

/// What a simulated target plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The part it plays.
    pub part: Part,
    /// When its story begins.
    pub start: Millis,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "simulated";
    const SCHEMES: &'static [&'static str] = &[];
    const JOB: &'static str = Self::KIND;

    fn read(_url: &str, _fields: &mut Fields<'_>) -> Option<Self> {
        None
    }

    /// The job that the real kind would have.
    fn job<'n>(&self, _target: &'n str) -> &'n str {
        match self.part {
            Part::App => super::http::Settings::JOB,
            Part::Postgres => super::postgres::Settings::JOB,
            Part::Redis => super::redis::Settings::JOB,
            Part::Llm => super::llm::Settings::JOB,
            Part::Containers => super::docker::Settings::JOB,
        }
    }

    /// A name from the story.
    fn instance(&self) -> String {
        match self.part {
            Part::App => "http://shop.demo:3000/health",
            Part::Postgres => "postgres.demo:5432",
            Part::Redis => "redis.demo:6379",
            Part::Llm => "https://openai.demo/v1/models",
            Part::Containers => "engine.demo",
        }
        .into()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(Simulated::new(self)))
    }
}

/// A chapter of the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chapter {
    Calm,
    CacheDead,
    PoolExhausted,
    AppFailing,
}

/// In milliseconds: long enough to see an alert come and go.
const CHAPTER: i64 = 60_000;

fn chapter(since: i64) -> Chapter {
    match since.rem_euclid(4 * CHAPTER) / CHAPTER {
        0 => Chapter::Calm,
        1 => Chapter::CacheDead,
        2 => Chapter::PoolExhausted,
        _ => Chapter::AppFailing,
    }
}

/// Plays its part.
#[derive(Debug)]
pub struct Simulated(Settings);

impl Simulated {
    /// A player.
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }
}

#[async_trait]
impl Collect for Simulated {
    async fn look(&self, _deadline: Instant) -> Look {
        let now = Millis::now();
        let chapter = chapter(now.0 - self.0.start.0);
        match self.0.part {
            Part::App => app(now, chapter),
            Part::Postgres => postgres(now, chapter),
            Part::Redis => redis(now, chapter),
            Part::Llm => llm(now),
            Part::Containers => containers(now),
        }
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = Look::new();
        look.unhealthy(error);
        look
    }
}

/// A slow wave between 0 and 1 with a phase of its own, so that curves differ.
fn wave(now: Millis, period_seconds: f64, phase: f64) -> f64 {
    0.5 + 0.5 * (now.as_seconds() / period_seconds * std::f64::consts::TAU + phase).sin()
}

/// A counter that has risen at `rate` a second since a fixed day.
fn since_start(now: Millis, rate: f64) -> f64 {
    (now.as_seconds().rem_euclid(86_400.0) * rate).floor()
}

static PROBE_SUCCESS: Family = Family::gauge("probe_success", "Displays whether or not the probe was a success");
static PROBE_DURATION: Family = Family::gauge("probe_duration_seconds", "How long the probe took in seconds");
static PROBE_STATUS: Family = Family::gauge("probe_http_status_code", "Response HTTP status code");

fn probe(look: &mut Look, success: bool, status: f64, seconds: f64) {
    look.value(&PROBE_SUCCESS, f64::from(u8::from(success)));
    look.value(&PROBE_STATUS, status);
    look.value(&PROBE_DURATION, seconds);
}

fn app(now: Millis, chapter: Chapter) -> Look {
    let mut look = Look::new();
    let failing = chapter == Chapter::AppFailing;
    let seconds = 0.03 + 0.05 * wave(now, 47.0, 0.0) + if failing { 1.2 } else { 0.0 };
    probe(&mut look, !failing, if failing { 500.0 } else { 200.0 }, seconds);
    if failing {
        look.unhealthy(CollectError::new(Reason::Status, "status 500, expected 200 (simulated)"));
    }
    look
}

fn postgres(now: Millis, chapter: Chapter) -> Look {
    static UP: Family = Family::gauge("pg_up", "Whether the last look could log in and query (1) or not (0).");
    static MAX: Family = Family::gauge("pg_settings_max_connections", "The maximum number of concurrent connections.");
    static ACTIVITY: Family = Family::gauge("pg_stat_activity_count", "Number of connections in this state.");
    static COMMITS: Family = Family::counter("pg_stat_database_xact_commit", "Committed transactions.");
    static SIZE: Family = Family::gauge("pg_database_size_bytes", "Disk space used by the database.");
    let mut look = Look::new();
    let exhausted = chapter == Chapter::PoolExhausted;
    let idle = if exhausted { 92.0 } else { (10.0 + 20.0 * wave(now, 61.0, 1.0)).round() };
    look.value(&UP, f64::from(u8::from(!exhausted)));
    look.value(&MAX, 100.0);
    look.labeled(&ACTIVITY, [("datname", "shop"), ("state", "idle")], idle);
    look.labeled(&ACTIVITY, [("datname", "shop"), ("state", "active")], (1.0 + 4.0 * wave(now, 23.0, 0.0)).round());
    look.labeled(&COMMITS, [("datname", "shop")], since_start(now, 42.0));
    look.labeled(&SIZE, [("datname", "shop")], 7.3e8 + since_start(now, 900.0));
    if exhausted {
        let error =
            CollectError::new(Reason::Limit, "sorry, too many clients already (simulated)").with_sqlstate("53300");
        look.unhealthy(error);
    }
    look
}

fn redis(now: Millis, chapter: Chapter) -> Look {
    static UP: Family = Family::gauge("redis_up", "Whether the last look reached the server (1) or not (0).");
    static USED: Family = Family::gauge("redis_memory_used_bytes", "Memory in use.");
    static MAX: Family = Family::gauge("redis_memory_max_bytes", "The limit; 0 for none.");
    static HITS: Family = Family::counter("redis_keyspace_hits_total", "Look-ups that found their key.");
    static MISSES: Family = Family::counter("redis_keyspace_misses_total", "Look-ups that did not.");
    let mut look = Look::new();
    if chapter == Chapter::CacheDead {
        look.value(&UP, 0.0);
        look.unhealthy(CollectError::new(Reason::Refused, "connection refused (simulated)"));
        return look;
    }
    look.value(&UP, 1.0);
    look.value(&USED, 3.0e8 + 2.0e8 * wave(now, 300.0, 0.0));
    look.value(&MAX, f64::from(1 << 30));
    look.value(&HITS, since_start(now, 120.0));
    look.value(&MISSES, since_start(now, 60.0));
    look
}

fn llm(now: Millis) -> Look {
    let mut look = Look::new();
    probe(&mut look, true, 200.0, 0.18 + 0.2 * wave(now, 31.0, 2.0));
    look
}

fn containers(now: Millis) -> Look {
    static CPU: Family = Family::counter("container_cpu_usage_seconds_total", "CPU time consumed.");
    static MEMORY: Family = Family::gauge("container_memory_working_set_bytes", "Memory that cannot be reclaimed.");
    static LIMIT: Family = Family::gauge("container_spec_memory_limit_bytes", "The memory limit; 0 for none.");
    static SEEN: Family =
        Family::gauge("container_last_seen", "When the container was seen last, in seconds since the epoch.");
    let mut look = Look::new();
    for (number, (name, image, share)) in [
        ("shop-app-1", "shop:1.4.2", 0.4),
        ("shop-postgres-1", "pgvector:pg16", 0.2),
        ("shop-redis-1", "redis:7.4", 0.1),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("/docker/{number:064x}");
        let labels = [("id", id.as_str()), ("name", name), ("image", image)];
        look.labeled(
            &CPU,
            [("id", &id), ("name", name), ("image", image), ("cpu", "total")],
            now.as_seconds().rem_euclid(86_400.0) * share,
        );
        look.labeled(&MEMORY, labels, 4.0e8 * share + 1.0e8 * wave(now, 90.0, number as f64));
        look.labeled(&LIMIT, labels, 2.0 * f64::from(1 << 30));
        look.labeled(&SEEN, labels, now.as_seconds().floor());
    }
    look
}
