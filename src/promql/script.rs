//! Runs test scripts in Prometheus' style: `load 1m` with series, then `eval instant at 5m <expr>` with the expected samples.
//!
//! The expectations of `testdata/` were taken from promtool 3.5.3 (`test rules`) on the same data.

use std::collections::BTreeMap;
use std::time::Duration;

use super::notation::{metric, values};
use super::{Answer, Options, Query, Value};
use crate::model::{Block, Family, Labels, METRIC_NAME, MetricKind, Millis, Point, Suffix, parse_duration};
use crate::store::{Limits, Picture, Series, Store};

/// `name{a="b", c="d"}` as labels.
fn labels(text: &str) -> Labels {
    metric(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Splits `labels value` at the space behind the braces.
fn split(line: &str) -> (&str, &str) {
    let at = line.rfind('}').map_or_else(|| line.find(' ').unwrap_or(0), |at| at + 1);
    (line[..at].trim(), line[at..].trim())
}

fn load(store: &Store, step: Duration, lines: &[&str]) {
    let series: Vec<(Labels, Vec<Option<f64>>)> = lines
        .iter()
        .map(|line| {
            let (name, notation) = split(line);
            (labels(name), values(notation).unwrap_or_else(|error| panic!("{line}: {error}")))
        })
        .collect();
    let longest = series.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    for at in 0..longest {
        for (number, (labels, values)) in series.iter().enumerate() {
            let Some(value) = values.get(at).copied().flatten() else {
                continue;
            };
            // A picture without the series ends it, so that one series is one source.
            let family = Family::discovered(labels.metric_name().to_owned(), MetricKind::Unknown, String::new());
            let stale = crate::model::is_stale(value);
            let point = Point { suffix: Suffix::None, labels: labels.without(|name| name == METRIC_NAME), value };
            store.record(Picture {
                source: format!("series {number}").into(),
                labels: Labels::empty(),
                blocks: if stale { vec![] } else { vec![Block { family, points: vec![point] }] },
                at: Millis(0) + step * at as u32,
            });
        }
    }
}

#[expect(clippy::float_cmp, reason = "infinities are equal only exactly")]
fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || ((a - b) / b).abs() < 1e-14
}

fn check(store: &Store, at: &str, expression: &str, expected: &[&str]) -> Result<(), String> {
    let query = Query::parse(expression).map_err(|error| error.to_string());
    let at = Millis(0) + parse_duration(at).unwrap();
    let got = query.and_then(|query| {
        query
            .instant(&store.snapshot(), at, &Options::default())
            .map(|answer| answer.value)
            .map_err(|error| error.to_string())
    });
    let got = match got {
        Err(error) if expected.first().is_some_and(|line| line.starts_with("FAIL")) => {
            tracing::debug!(error);
            return Ok(());
        }
        Err(error) => return Err(format!("failed: {error}")),
        Ok(Value::Vector(elements)) => elements,
        Ok(Value::Scalar(value)) => vec![(Labels::empty(), value)],
        Ok(other) => return Err(format!("gave a {}", other.type_name())),
    };
    let mut wanted: Vec<(Labels, f64)> = expected
        .iter()
        .map(|line| {
            let (name, value) = split(line);
            (labels(name), value.parse().unwrap_or_else(|_| panic!("{line}")))
        })
        .collect();
    let mut given = got.clone();
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    given.sort_by(|a, b| a.0.cmp(&b.0));
    let equal = wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(wanted, given)| wanted.0 == given.0 && same(given.1, wanted.1));
    if equal { Ok(()) } else { Err(format!("\n    exp: {wanted:?}\n    got: {given:?}")) }
}

fn run(script: &str) {
    let store = Store::new(Limits { retention: Duration::from_hours(24), max_series: 10_000 });
    let mut wrong = Vec::new();
    let mut lines = script.lines().peekable();
    let mut checked = 0;
    while let Some(line) = lines.next() {
        let mut block = Vec::new();
        while let Some(indented) = lines.next_if(|next| next.starts_with("  ")) {
            block.push(indented.trim());
        }
        if let Some(step) = line.strip_prefix("load ") {
            load(&store, parse_duration(step).unwrap(), &block);
        } else if let Some(rest) = line.strip_prefix("eval instant at ") {
            let (at, expression) = rest.split_once(' ').unwrap();
            checked += 1;
            if let Err(difference) = check(&store, at, expression, &block) {
                wrong.push(format!("{expression} at {at}: {difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} differ from promtool:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked > 0);
}

#[test]
fn the_engine_agrees_with_promtool() {
    run(include_str!("testdata/engine.test"));
}

/// The store that a script begins with, and all the expressions it asks.
fn loaded(script: &'static str) -> (Store, Vec<&'static str>) {
    let store = Store::new(Limits { retention: Duration::from_hours(24), max_series: 10_000 });
    let mut lines = script.lines();
    let step = lines.next().and_then(|line| line.strip_prefix("load ")).unwrap();
    let series: Vec<&str> = lines.by_ref().take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    load(&store, parse_duration(step).unwrap(), &series);
    let evals = lines.filter_map(|line| line.strip_prefix("eval instant at "));
    (store, evals.map(|line| line.split_once(' ').unwrap().1).collect())
}

/// Answers at all steps of a range, one instant after the other: label sets with times and the bits of values.
fn by_instants(query: &Query, store: &Store, times: &[Millis]) -> Result<BTreeMap<Labels, Vec<(Millis, u64)>>, String> {
    let mut all: BTreeMap<Labels, Vec<(Millis, u64)>> = BTreeMap::new();
    for at in times {
        let answer = query.instant(&store.snapshot(), *at, &Options::default()).map_err(|error| error.to_string())?;
        let elements = match answer.value {
            Value::Vector(elements) => elements,
            Value::Scalar(value) => vec![(Labels::empty(), value)],
            other => panic!("gave a {}", other.type_name()),
        };
        for (labels, value) in elements {
            all.entry(labels).or_default().push((*at, value.to_bits()));
        }
    }
    Ok(all)
}

#[test]
fn a_range_is_its_instants() {
    let (store, expressions) = loaded(include_str!("testdata/engine.test"));
    let step = Duration::from_secs(37);
    let times: Vec<Millis> = (0..40).map(|n| Millis(0) + Duration::from_mins(2) + step * n).collect();
    let mut answered = 0;
    // What `start()` and `end()` mean is another time for each instant.
    for text in expressions.into_iter().filter(|text| !text.contains("start()") && !text.contains("end()")) {
        let query = Query::parse(text).unwrap();
        let range = query.range(&store.snapshot(), times[0], times[39], step, &Options::default());
        match (range, by_instants(&query, &store, &times)) {
            (Ok(Answer { value: Value::Matrix(series), .. }), Ok(instants)) => {
                let bits = |(at, value): (Millis, f64)| (at, value.to_bits());
                let range: BTreeMap<_, _> =
                    series.into_iter().map(|s| (s.labels, s.samples.into_iter().map(bits).collect())).collect();
                assert_eq!(range, instants, "{text}");
                answered += 1;
            }
            (Err(_), Err(_)) => {}
            // Names that are dropped may make series equal that never meet at one step.
            (Err(error), Ok(_)) => assert!(error.to_string().contains("same labelset"), "{text}: {error}"),
            (range, instants) => panic!("{text}: {range:?} but by instants {instants:?}"),
        }
    }
    assert!(answered > 200, "{answered}");
}

#[test]
fn a_range_query_gives_each_series_its_steps() {
    let store = Store::new(Limits { retention: Duration::from_hours(24), max_series: 100 });
    load(&store, Duration::from_mins(1), &["a{i=\"1\"} 0+1x10", "a{i=\"2\"} 5 6 stale"]);
    let query = Query::parse("a * 2").unwrap();
    let value = query
        .range(&store.snapshot(), Millis(60_000), Millis(180_000), Duration::from_mins(1), &Options::default())
        .unwrap();
    let series = |i: &str, samples: &[(i64, f64)]| Series {
        labels: Labels::new([("i", i)]),
        samples: samples.iter().map(|(minute, value)| (Millis(minute * 60_000), *value)).collect(),
    };
    assert_eq!(
        value.value,
        Value::Matrix(vec![series("1", &[(1, 2.0), (2, 4.0), (3, 6.0)]), series("2", &[(1, 12.0)])])
    );
}

#[test]
fn limits_hold_before_the_stack_does() {
    let deep = format!("{}1{}", "(".repeat(7000), ")".repeat(7000));
    assert!(Query::parse(&deep).unwrap_err().message.contains("nested deeper"));
    let chain = vec!["1"; 8000].join("+");
    assert!(Query::parse(&chain).is_err());
    let store = Store::new(Limits { retention: Duration::from_hours(24), max_series: 100 });
    load(&store, Duration::from_mins(1), &["a 0+1x10"]);
    let few = Options { max_samples: 3, ..Options::default() };
    let error = Query::parse("a[1h]").unwrap().instant(&store.snapshot(), Millis(600_000), &few).unwrap_err();
    assert_eq!(error.reason(), "too_much");
}

#[test]
fn what_may_be_read_may_be_answered() {
    let store = Store::new(Limits { retention: Duration::from_hours(24), max_series: 100 });
    load(&store, Duration::from_mins(1), &["a 0+1x10"]);
    let deepest = 98;
    for text in [
        vec!["a"; deepest].join(" + "),
        vec!["a"; deepest].join(" ^ "),
        format!("{}a{}", "abs(".repeat(deepest), ")".repeat(deepest)),
        format!("{}a{}", "sum(".repeat(deepest), ")".repeat(deepest)),
        format!("{}a{}", "sort(topk(1,".repeat(deepest / 2), "))".repeat(deepest / 2)),
        format!("{}a", "-".repeat(deepest)),
        format!("{}a{}", "max_over_time(".repeat(deepest / 2), "[1m:1m])".repeat(deepest / 2)),
    ] {
        let query = Query::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let snapshot = store.snapshot();
        query.instant(&snapshot, Millis(600_000), &Options::default()).unwrap();
        let minute = Duration::from_mins(1);
        query.range(&snapshot, Millis(300_000), Millis(600_000), minute, &Options::default()).unwrap();
    }
}

#[test]
fn a_query_tells_what_it_reads() {
    let query = Query::parse("sum(rate(a{x=\"1\"}[5m])) / on () {__name__=~\"b.*\"}").unwrap();
    let names: Vec<_> = query.selectors().iter().map(|selector| selector.name.map(str::to_owned)).collect();
    assert_eq!(names, [Some("a".to_owned()), None]);
}
