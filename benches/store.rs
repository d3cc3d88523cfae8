//! What the store's daily work costs: samples in, series found, samples out.
//!
//! `cargo bench --bench store`. The data are those of the side-by-side measurement with Prometheus: 241 samples at 15 s.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use regex::Regex;
use sidewatch::model::{Block, Family, Labels, METRIC_NAME, MetricKind, Millis, Point, Suffix};
use sidewatch::store::{Limits, MatchOp, Matcher, Picture, Series, Store};

const SERIES: usize = 5_000;
const SAMPLES: i64 = 241;
const START: i64 = 1_700_000_000_000;
const STEP: i64 = 15_000;
const END: Millis = Millis(START + SAMPLES * STEP);
const LIMITS: Limits = Limits { retention: Duration::from_hours(2), max_series: 200_000 };

/// Numbers that look like chance and are the same each time.
fn noise(a: usize, b: i64) -> u64 {
    let mixed =
        (a as u64 ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(b.cast_unsigned() | 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

fn labels(series: usize) -> Labels {
    let name = ["requests_total", "queue_length"][series % 2];
    let pod = format!("pod-{series}");
    Labels::new([(METRIC_NAME, name), ("job", ["api", "worker", "mail"][series % 3]), ("pod", &pod)])
}

/// A counter that rises unevenly.
fn counter(series: usize) -> Vec<(Millis, f64)> {
    let mut value = 0;
    let sample = |n| {
        value += noise(series, n) % 20;
        (Millis(START + n * STEP), value as f64)
    };
    (0..SAMPLES).map(sample).collect()
}

fn filled() -> Store {
    let store = Store::new(LIMITS);
    let all: Vec<_> = (0..SERIES).map(|n| Series { labels: labels(n), samples: counter(n) }).collect();
    store.append_external(&all);
    store
}

fn like(name: &str, pattern: &str) -> Matcher {
    let regex = Regex::new(&format!("^(?s:{pattern})$")).expect("a regular expression");
    Matcher { name: name.into(), op: MatchOp::Matches(regex), value: pattern.into() }
}

fn samples(c: &mut Criterion) {
    let series = Series { labels: labels(0), samples: counter(0) };
    let mut group = c.benchmark_group("samples");
    group.throughput(Throughput::Elements(SAMPLES.cast_unsigned()));
    group.bench_function("encode", |b| {
        let append = |store: Store| store.append_external(std::slice::from_ref(&series));
        b.iter_batched(|| Store::new(LIMITS), append, BatchSize::SmallInput);
    });
    let store = Store::new(LIMITS);
    store.append_external(std::slice::from_ref(&series));
    let runs = store.snapshot().runs(&[], Millis(0), END);
    let mut out = Vec::new();
    group.bench_function("decode", |b| b.iter(|| runs[0].decode_into(black_box(&mut out))));
    let recent = store.snapshot().runs(&[], END - Duration::from_mins(5), END);
    group.bench_function("decode the last 5 minutes", |b| b.iter(|| recent[0].decode_into(black_box(&mut out))));
}

fn selection(c: &mut Criterion) {
    let snapshot = filled().snapshot();
    let name = Matcher::equal(METRIC_NAME, "requests_total");
    let cases = [
        ("name", vec![name.clone()]),
        ("two labels", vec![name.clone(), Matcher::equal("job", "api")]),
        ("one series", vec![name.clone(), Matcher::equal("pod", "pod-44")]),
        ("alternatives", vec![name.clone(), like("job", "api|mail")]),
        ("regex", vec![name.clone(), like("pod", "pod-[1-3].*5")]),
        ("prefix", vec![like("pod", "pod-12.*")]),
    ];
    let mut group = c.benchmark_group("select");
    for (what, matchers) in &cases {
        group.bench_function(*what, |b| {
            b.iter(|| snapshot.runs(black_box(matchers), END - Duration::from_mins(5), END));
        });
    }
    group.bench_function("latest of 5,000", |b| b.iter(|| snapshot.newest(&[], END - Duration::from_mins(5), END)));
}

fn pictures(c: &mut Criterion) {
    let picture = |look: i64| {
        let family = Family::discovered("requests".into(), MetricKind::Gauge, String::new());
        let point = |n: usize| {
            let labels = Labels::new([("pod", format!("pod-{n}"))]);
            Point { suffix: Suffix::None, labels, value: noise(n, look) as f64 }
        };
        let blocks = vec![Block { family, points: (0..SERIES).map(point).collect() }];
        let labels = Labels::new([("job", "api")]);
        Picture { source: "api".into(), labels, blocks, at: Millis(START + look * STEP) }
    };
    let store = Store::new(LIMITS);
    let mut look = 0;
    let mut group = c.benchmark_group("picture");
    group.throughput(Throughput::Elements(SERIES as u64));
    group.bench_function("record 5,000 points", |b| {
        let next = || {
            look += 1;
            picture(look)
        };
        // One after the other: made all at once they would not be the last one's successors in memory.
        b.iter_batched(next, |picture| store.record(picture), BatchSize::PerIteration);
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = samples, selection, pictures
}
criterion_main!(benches);
