//! What a query may cost, what is said beside its answer, and what changes from step to step.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::model::{Labels, METRIC_NAME, Millis};
use crate::promql::{EvalError, Options, Query, Value};
use crate::store::{Limits, Series, Store};

const MINUTE: Duration = Duration::from_mins(1);

/// A name, labels, a value a minute.
type Given<'g> = (&'g str, &'g [(&'g str, &'g str)], &'g [f64]);

/// Series of one sample a minute; `f64::NAN` leaves a minute out.
fn store(series: &[Given<'_>]) -> Store {
    let store = Store::new(Limits { retention: Duration::from_hours(24), max_series: 10_000 });
    for (name, labels, values) in series {
        let labels = Labels::new([(METRIC_NAME, *name)].into_iter().chain(labels.iter().copied()));
        let samples = (0..).zip(*values).filter(|(_, value)| !value.is_nan());
        let samples = samples.map(|(minute, value)| (Millis(minute * 60_000), *value)).collect();
        store.append_external(&[Series { labels, samples }]);
    }
    store
}

fn options() -> Options {
    // A sample stands for its own minute alone.
    Options { lookback: MINUTE, ..Options::default() }
}

/// The answer over the first minutes, a line per series: labels, and `_` where there is no value.
fn over(store: &Store, minutes: i64, text: &str) -> Result<String, EvalError> {
    let query = Query::parse(text).unwrap();
    let end = Millis((minutes - 1) * 60_000);
    let answer = query.range(&store.snapshot(), Millis(0), end, MINUTE, &options())?;
    let Value::Matrix(series) = answer.value else { panic!("no matrix") };
    let line = |series: &Series| {
        let at = |minute: i64| series.samples.iter().find(|(at, _)| at.0 == minute * 60_000).map(|(_, value)| *value);
        let values: Vec<String> =
            (0..minutes).map(|minute| at(minute).map_or("_".into(), |value| value.to_string())).collect();
        format!("{} {}", series.labels, values.join(" "))
    };
    Ok(series.iter().map(line).collect::<Vec<_>>().join("\n"))
}

const GAP: f64 = f64::NAN;

#[test]
fn a_pair_is_worked_out_where_both_are() {
    let store = store(&[
        ("a", &[("x", "1")], &[1.0, 2.0, GAP, 4.0]),
        ("b", &[("x", "1")], &[10.0, GAP, 30.0, 40.0]),
        ("b", &[("x", "2")], &[1.0, 1.0, 1.0, 1.0]),
    ]);
    assert_eq!(over(&store, 4, "a + b").unwrap(), r#"{x="1"} 11 _ _ 44"#);
    assert_eq!(over(&store, 4, "a and b").unwrap(), r#"{__name__="a", x="1"} 1 _ _ 4"#);
    assert_eq!(over(&store, 4, "a unless b").unwrap(), r#"{__name__="a", x="1"} _ 2 _ _"#);
    let or = over(&store, 4, "a or b").unwrap();
    let expected =
        [r#"{__name__="a", x="1"} 1 2 _ 4"#, r#"{__name__="b", x="1"} _ _ 30 _"#, r#"{__name__="b", x="2"} 1 1 1 1"#];
    assert_eq!(or, expected.join("\n"));
}

#[test]
fn duplicates_are_an_error_only_at_a_step_that_has_them() {
    // The two of `one` never have a value at the same time, as when an instance is replaced.
    let apart = store(&[
        ("many", &[("x", "1")], &[1.0, 2.0, 3.0, 4.0]),
        ("one", &[("pod", "old")], &[10.0, 20.0, GAP, GAP]),
        ("one", &[("pod", "new")], &[GAP, GAP, 30.0, 40.0]),
    ]);
    assert_eq!(over(&apart, 4, "many + on () group_left one").unwrap(), r#"{x="1"} 11 22 33 44"#);
    let with_pod = over(&apart, 4, "many + on () group_left (pod) one").unwrap();
    assert_eq!(with_pod, "{pod=\"new\", x=\"1\"} _ _ 33 44\n{pod=\"old\", x=\"1\"} 11 22 _ _");
    let overlapping = store(&[
        ("many", &[("x", "1")], &[1.0, 2.0]),
        ("one", &[("pod", "old")], &[10.0, 20.0]),
        ("one", &[("pod", "new")], &[GAP, 30.0]),
    ]);
    assert_eq!(over(&overlapping, 1, "many + on () group_left one").unwrap(), r#"{x="1"} 11"#);
    let error = over(&overlapping, 2, "many + on () group_left one").unwrap_err().to_string();
    assert!(error.starts_with("found duplicate series for the match group {} on the right hand-side"), "{error}");
    // Nothing on the other side: nobody asks.
    assert_eq!(over(&overlapping, 2, "nothing + on () group_left one").unwrap(), "");
}

#[test]
fn series_that_lose_their_names_are_one_if_they_never_meet() {
    let store = store(&[("old_name", &[], &[1.0, 2.0, GAP]), ("new_name", &[], &[GAP, GAP, 3.0])]);
    assert_eq!(over(&store, 3, r#"{__name__=~".*_name"} * 2"#).unwrap(), "{} 2 4 6");
    let error = over(&store, 3, r#"-{__name__=~".*_name"}"#).unwrap_err().to_string();
    assert_eq!(error, "vector cannot contain metrics with the same labelset");
}

#[test]
fn the_best_of_each_step_are_picked_by_themselves() {
    let store = store(&[
        ("a", &[("x", "1")], &[1.0, 5.0, 2.0]),
        ("a", &[("x", "2")], &[2.0, 1.0, 2.0]),
        ("a", &[("x", "3")], &[3.0, 3.0, GAP]),
        ("k", &[], &[1.0, 2.0, 0.0]),
    ]);
    let expected = "{__name__=\"a\", x=\"1\"} _ 5 _\n{__name__=\"a\", x=\"3\"} 3 3 _";
    assert_eq!(over(&store, 3, "topk(scalar(k), a)").unwrap(), expected);
    assert_eq!(over(&store, 3, "quantile(0.5, a)").unwrap(), "{} 2 3 2");
    assert_eq!(over(&store, 3, "count_values(\"v\", a > 2)").unwrap(), "{v=\"3\"} 1 1 _\n{v=\"5\"} _ 1 _");
}

#[test]
fn what_is_pinned_is_asked_once_and_stands_at_every_step() {
    let store = store(&[("a", &[], &[1.0, 2.0, 4.0])]);
    assert_eq!(over(&store, 3, "a @ 60").unwrap(), r#"{__name__="a"} 2 2 2"#);
    assert_eq!(over(&store, 3, "a - on () a @ end()").unwrap(), "{} -3 -2 0");
    assert_eq!(over(&store, 3, "timestamp(a @ 60)").unwrap(), "{} 60 60 60");
    assert_eq!(over(&store, 3, "time() + 0 * scalar(a @ 60)").unwrap(), "{} 0 60 120");
    assert_eq!(over(&store, 3, "predict_linear(a[2m] @ 60, 60)").unwrap(), "{} 2 3 4");
}

#[test]
fn a_subquery_has_its_own_steps() {
    let store = store(&[("a", &[], &[1.0, 5.0, 2.0, 3.0])]);
    assert_eq!(over(&store, 4, "max_over_time(a[2m:1m])").unwrap(), "{} 1 5 5 3");
    assert_eq!(over(&store, 4, "count_over_time(a[1m:20s])").unwrap(), "{} 1 3 3 3");
    assert_eq!(over(&store, 4, "last_over_time(sum(a)[1m:1m] offset 1m)").unwrap(), "{} _ 1 5 2");
}

#[test]
fn a_query_that_asks_for_too_much_fails_alone() {
    let store = store(&[("a", &[], &[1.0; 200])]);
    let (start, end) = (Millis(0), Millis(199 * 60_000));
    let ask = |text: &str, options: &Options| {
        Query::parse(text).unwrap().range(&store.snapshot(), start, end, MINUTE, options).map(|_| ())
    };
    let reason = |result: Result<(), EvalError>| result.unwrap_err().reason();
    assert_eq!(ask("a", &options()), Ok(()));
    assert_eq!(reason(ask("a", &Options { max_steps: 199, ..options() })), "too_much");
    assert_eq!(reason(ask("a", &Options { max_samples: 199, ..options() })), "too_much");
    assert_eq!(reason(ask("a", &Options { max_samples_read: 199, ..options() })), "too_much");
    // One answer of 200 samples is little, but both sides of the sum must be held beside it.
    assert_eq!(ask("a + a", &Options { max_samples: 400, ..options() }), Ok(()));
    assert_eq!(reason(ask("a + a", &Options { max_samples: 150, ..options() })), "too_much");
    assert_eq!(reason(ask("max_over_time(a[10y:1ms])", &options())), "too_much");
    let cancel = Some(Arc::new(AtomicBool::new(true)));
    assert_eq!(reason(ask("a", &Options { cancel, ..options() })), "canceled");
}

#[test]
fn notes_name_their_places() {
    let store = store(&[
        ("a", &[], &[1.0, 2.0, 3.0]),
        ("h_bucket", &[("le", "1")], &[5.0, 5.0, 5.0]),
        ("h_bucket", &[("le", "+Inf")], &[4.0, 4.0, 4.0]),
        ("h_bucket", &[("le", "many")], &[4.0, 4.0, 4.0]),
    ]);
    let notes = |text: &str| {
        let query = Query::parse(text).unwrap();
        let notes = query.instant(&store.snapshot(), Millis(120_000), &options()).unwrap().notes;
        (notes.warnings, notes.infos)
    };
    let not_a_counter =
        r#"PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "a" (1:10)"#;
    assert_eq!(notes("sum(rate(a[5m]))"), (vec![], vec![not_a_counter.to_owned()]));
    assert_eq!(notes("rate(h_bucket[5m])"), (vec![], vec![]));
    let out_of_range = "PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:10)";
    assert_eq!(notes("1 +\nquantile(1.5, a)"), (vec![out_of_range.to_owned()], vec![]));
    let (warnings, infos) = notes("histogram_quantile(0.5, h_bucket)");
    let bad = r#"PromQL warning: bucket label "le" is missing or has a malformed value of "many" for metric name "h_bucket" (1:25)"#;
    assert_eq!(warnings, [bad]);
    assert!(infos[0].starts_with("PromQL info: input to histogram_quantile needed to be fixed"), "{infos:?}");
    assert!(infos[0].ends_with(r#"for metric name "h_bucket" (1:25)"#), "{infos:?}");
}

#[test]
fn texts_and_patterns_that_would_grow_without_bound_are_refused() {
    let store = store(&[("a", &[("n", "0123456789")], &[1.0])]);
    let nested = |depth: usize| {
        let open = "label_replace(".repeat(depth);
        format!("{open}a{}", ", \"n\", \"$1$1\", \"n\", \"(.*)\")".repeat(depth))
    };
    let ask = |text: &str| Query::parse(text).unwrap().instant(&store.snapshot(), Millis(0), &Options::default());
    assert!(ask(&nested(8)).is_ok());
    assert_eq!(ask(&nested(40)).unwrap_err().reason(), "too_much");
    assert!(Query::parse("a{n=~\"(\\\\pL{100}){100}\"}").is_err());
}
