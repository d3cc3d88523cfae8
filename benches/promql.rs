//! What queries cost: the same data and the same questions as in the side-by-side measurement with Prometheus.
//!
//! `cargo bench --bench promql`. 5,000 counters, 3,600 buckets and 1,400 gauges, 241 samples each at 15 s; each question
//! at one time and over the hour at 15 s.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use sidewatch::model::{Labels, METRIC_NAME, Millis};
use sidewatch::promql::{Options, Query};
use sidewatch::store::{Limits, Series, Store};

const SAMPLES: i64 = 241;
const START: i64 = 1_700_000_000_000;
const STEP: i64 = 15_000;
const END: Millis = Millis(START + (SAMPLES - 1) * STEP);

const QUESTIONS: [(&str, &str); 8] = [
    ("one series", r#"x{pod="pod-7"}"#),
    ("all series", "x"),
    ("rate", "sum by (job) (rate(x[5m]))"),
    ("histogram_quantile", "histogram_quantile(0.95, sum by (le) (rate(h_bucket[5m])))"),
    ("topk", "topk(10, x)"),
    ("max_over_time", "max by (job) (max_over_time(g[30m]))"),
    ("ratio", "sum by (job) (rate(x[5m])) / on (job) sum by (job) (x)"),
    ("subquery", "max_over_time(sum by (job) (rate(x[5m]))[10m:1m])"),
];

/// Numbers that look like chance and are the same each time.
fn noise(a: usize, b: i64) -> u64 {
    let mixed =
        (a as u64 ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(b.cast_unsigned() | 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn series(name: &str, number: usize, extra: (&str, &str), counts: bool) -> Series {
    let pod = format!("pod-{number}");
    let job = ["api", "worker", "mail", "db"][number % 4];
    let labels = Labels::new([(METRIC_NAME, name), ("job", job), ("pod", &pod), extra]);
    let mut total = 0.0;
    let sample = |n| {
        let next = (noise(number, n) % 1000) as f64;
        total = if counts { total + (next / 50.0).floor() } else { next / 8.0 };
        (Millis(START + n * STEP), total)
    };
    Series { labels, samples: (0..SAMPLES).map(sample).collect() }
}

fn filled() -> Store {
    let store = Store::new(Limits { retention: Duration::from_hours(2), max_series: 200_000 });
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    for number in 0..5000 {
        store.append_external(&[series("x", number, ("code", "200"), true)]);
    }
    for number in 0..3600 {
        store.append_external(&[series("h_bucket", number / 12, ("le", bounds[number % 12]), true)]);
    }
    for number in 0..1400 {
        store.append_external(&[series("g", number, ("zone", "a"), false)]);
    }
    store
}

fn questions(c: &mut Criterion) {
    let store = filled();
    let options = Options::default();
    for (name, text) in QUESTIONS {
        let query = Query::parse(text).expect("a query");
        let mut group = c.benchmark_group(name);
        group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
        group.bench_function("instant", |b| {
            b.iter(|| black_box(query.instant(&store.snapshot(), END, &options)).expect("an answer"));
        });
        let step = Duration::from_millis(STEP.unsigned_abs());
        group.bench_function("range", |b| {
            b.iter(|| {
                black_box(query.range(&store.snapshot(), Millis(START), END, step, &options)).expect("an answer")
            });
        });
    }
}

criterion_group!(benches, questions);
criterion_main!(benches);
