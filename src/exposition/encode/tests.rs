use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;
use crate::exposition::{Limits, parse};
use crate::model::{Block, MetricKind, Suffix};

fn point(suffix: Suffix, labels: &[(&str, &str)], value: f64) -> Point {
    Point { suffix, labels: Labels::new(labels.iter().copied()), value }
}

fn block(name: &str, kind: MetricKind, help: &str, points: Vec<Point>) -> Block {
    Block { family: Family::discovered(name.into(), kind, help.into()), points }
}

fn picture(source: &str, labels: &[(&str, &str)], blocks: Vec<Block>) -> Arc<Picture> {
    let labels = Labels::new(labels.iter().copied());
    Arc::new(Picture { source: source.into(), labels, blocks, at: Millis(1_700_000_000_123) })
}

fn page(pictures: &[Arc<Picture>], options: Options<'_>) -> String {
    let mut out = String::new();
    encode(pictures, options, |piece| out.push_str(piece));
    out
}

fn varied() -> Vec<Arc<Picture>> {
    let buckets = |labels: &'static [(&str, &str)], value| point(Suffix::Bucket, labels, value);
    vec![
        picture(
            "app",
            &[("instance", "a:1"), ("job", "app")],
            vec![
                block(
                    "http_requests_total",
                    MetricKind::Counter,
                    "Requests \"served\"\nby \\ code.",
                    vec![
                        point(Suffix::None, &[("code", "200"), ("path", "C:\\x\n\"y\"")], 1e6),
                        point(Suffix::None, &[("job", "inner")], 3.0),
                    ],
                ),
                block(
                    "took_seconds",
                    MetricKind::Histogram,
                    "How long.",
                    vec![
                        buckets(&[("le", "0.5")], 1.0),
                        buckets(&[("le", "+Inf")], 2.0),
                        point(Suffix::Sum, &[], 0.75),
                        point(Suffix::Count, &[], 2.0),
                    ],
                ),
                block("up", MetricKind::Gauge, "Answered.", vec![point(Suffix::None, &[], 1.0)]),
            ],
        ),
        picture(
            "db",
            &[("instance", "b:1"), ("job", "postgres")],
            vec![
                block("up", MetricKind::Counter, "Other words.", vec![point(Suffix::None, &[], 0.0)]),
                block("pg_locks", MetricKind::Counter, "Old name.", vec![point(Suffix::None, &[], f64::NAN)]),
            ],
        ),
        picture(
            "sidewatch",
            &[("instance", "s"), ("job", "sidewatch")],
            vec![block("sidewatch_looks_total", MetricKind::Counter, "", vec![point(Suffix::None, &[], 5.0)])],
        ),
    ]
}

#[test]
fn a_text_page() {
    let expected = r#"# HELP http_requests_total Requests "served"\nby \\ code.
# TYPE http_requests_total counter
http_requests_total{code="200",instance="a:1",job="app",path="C:\\x\n\"y\""} 1e+06
http_requests_total{exported_job="inner",instance="a:1",job="app"} 3
# HELP pg_locks Old name.
# TYPE pg_locks counter
pg_locks{instance="b:1",job="postgres"} NaN
# TYPE sidewatch_looks_total counter
sidewatch_looks_total{instance="s",job="sidewatch"} 5
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{instance="a:1",job="app",le="0.5"} 1
took_seconds_bucket{instance="a:1",job="app",le="+Inf"} 2
took_seconds_sum{instance="a:1",job="app"} 0.75
took_seconds_count{instance="a:1",job="app"} 2
# HELP up Answered.
# TYPE up gauge
up{instance="a:1",job="app"} 1
up{instance="b:1",job="postgres"} 0
"#;
    assert_eq!(page(&varied(), Options::default()), expected);
}

#[test]
fn an_openmetrics_page_with_times() {
    let options = Options { format: Format::OpenMetrics, timestamps: true, ..Options::default() };
    let written = page(&varied(), options);
    let starts = [
        "# TYPE http_requests counter\n# HELP http_requests Requests \\\"served\\\"\\nby \\\\ code.\nhttp_requests_total{",
        "# TYPE pg_locks unknown\n# HELP pg_locks Old name.\npg_locks{instance=\"b:1\",job=\"postgres\"} NaN 1700000000.123\n",
        "sidewatch_looks_total{instance=\"s\",job=\"sidewatch\"} 5\n",
    ];
    for part in starts {
        assert!(written.contains(part), "{part} is missing in\n{written}");
    }
    assert!(written.ends_with("\n# EOF\n"));
    let text = page(&varied(), Options { timestamps: true, ..Options::default() });
    assert!(text.contains("up{instance=\"a:1\",job=\"app\"} 1 1700000000123\n"));
    assert!(text.contains("sidewatch_looks_total{instance=\"s\",job=\"sidewatch\"} 5\n"));
}

#[test]
fn one_job_alone() {
    let written = page(&varied(), Options { job: Some("postgres"), ..Options::default() });
    assert!(written.contains("pg_locks{") && !written.contains("http_requests"), "{written}");
    let ruled = picture(
        "rule:g/r",
        &[],
        vec![
            block("a:b", MetricKind::Gauge, "", vec![point(Suffix::None, &[("job", "x")], 1.0)]),
            block("c", MetricKind::Gauge, "", vec![point(Suffix::None, &[("job", "y")], 1.0)]),
        ],
    );
    assert_eq!(
        page(&[ruled], Options { job: Some("x"), ..Options::default() }),
        "# TYPE a:b gauge\na:b{job=\"x\"} 1\n"
    );
}

#[test]
fn of_a_series_from_two_sources_the_first_stays() {
    let one = |source: &str, value| {
        let points = vec![point(Suffix::None, &[("a", "1")], value)];
        picture(source, &[], vec![block("x", MetricKind::Gauge, "", points)])
    };
    assert_eq!(page(&[one("p", 1.0), one("q", 2.0)], Options::default()), "# TYPE x gauge\nx{a=\"1\"} 1\n");
}

#[test]
fn a_counter_beside_a_gauge_of_its_shortened_name_keeps_its_own() {
    let of = |name, kind| block(name, kind, "", vec![point(Suffix::None, &[], 1.0)]);
    let both = picture("p", &[], vec![of("x", MetricKind::Gauge), of("x_total", MetricKind::Counter)]);
    let written = page(&[both], Options { format: Format::OpenMetrics, ..Options::default() });
    assert_eq!(written, "# TYPE x gauge\nx 1\n# TYPE x_total unknown\nx_total 1\n# EOF\n");
}

#[test]
fn promtool_finds_nothing_wrong_with_the_syntax() {
    let mut child = Command::new("promtool")
        .args(["check", "metrics", "--extended"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed where the tests run");
    let written = page(&varied(), Options::default());
    child.stdin.take().unwrap().write_all(written.as_bytes()).unwrap();
    let said = child.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&said.stderr).into_owned();
    // The linter dislikes our deliberately bare names; a page it cannot parse is another matter.
    let expected = ["sidewatch_looks_total no help text", "pg_locks counter metrics should have \"_total\" suffix"];
    let surprising = complaints.lines().filter(|line| !expected.contains(line)).collect::<Vec<_>>();
    assert!(surprising.is_empty(), "{surprising:?}");
}

/// Values by full name and labels.
fn values(blocks: &[Block], target: &Labels) -> Vec<(String, u64)> {
    let mut all: Vec<_> = blocks
        .iter()
        .flat_map(|block| {
            block.points.iter().map(|point| {
                let name = format!("{}{}", block.family.name, point.suffix.as_str());
                (format!("{name}{}", store::overlay(&point.labels, target)), (point.value + 0.0).to_bits())
            })
        })
        .collect();
    all.sort();
    all
}

fn any_blocks() -> impl Strategy<Value = Vec<Block>> {
    let kind = prop_oneof![
        Just(MetricKind::Counter),
        Just(MetricKind::Gauge),
        Just(MetricKind::Histogram),
        Just(MetricKind::Unknown)
    ];
    let value = prop_oneof![any::<f64>(), (-1000i64..1000).prop_map(|v| v as f64)]
        .prop_map(|value| if value.is_nan() { f64::NAN } else { value });
    let labels = prop::collection::btree_map("[a-z_]{1,4}", "(\\PC|\"|\\\\|\n){0,6}", 0..4).prop_map(Labels::new);
    let points = prop::collection::btree_map(labels, value, 1..6);
    let families = prop::collection::btree_map("[a-z]{1,5}(_total)?", (kind, "(\\PC|\"|\\\\|\n){0,9}", points), 1..6);
    families.prop_map(|families| {
        let blocks = families.into_iter().map(|(name, (kind, help, points))| {
            let suffix = if kind == MetricKind::Histogram { Suffix::Sum } else { Suffix::None };
            let points = points.into_iter().map(|(labels, value)| Point { suffix, labels, value }).collect();
            block(&name, kind, &help, points)
        });
        blocks.collect()
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(blocks in any_blocks()) {
        let target = Labels::new([("instance", "i:1"), ("job", "j")]);
        let source = Picture { source: "s".into(), labels: target.clone(), blocks, at: Millis(5) };
        let pictures = [Arc::new(source)];
        for format in [Format::Text, Format::OpenMetrics] {
            for timestamps in [false, true] {
                let written = page(&pictures, Options { format, job: None, timestamps });
                let read = parse(&written, format, Limits::UNBOUNDED).unwrap();
                prop_assert_eq!(values(&read.blocks, &Labels::empty()), values(&pictures[0].blocks, &target));
            }
        }
    }
}
