//! Words thrown together: whatever is read must be refused or answered, never end the process.

use std::time::Duration;

use proptest::prelude::*;

use super::{Options, Query};
use crate::model::{Labels, METRIC_NAME, Millis};
use crate::store::{Limits, Series, Store};

const WORDS: [&str; 74] = [
    "a",
    "b",
    "a{x=\"1\"}",
    "{__name__=~\".+\"}",
    "h_bucket",
    "(",
    ")",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "[5m]",
    "[1h:7m]",
    "[9y:1d]",
    "[5m:]",
    "offset",
    "5m",
    "-5m",
    "290y",
    "0s",
    "@",
    "start()",
    "end()",
    "9e15",
    "-9e15",
    "1e300",
    "Inf",
    "NaN",
    "0",
    "1",
    "-1",
    "0x1F",
    "1_000",
    "\"x\"",
    "'\\n'",
    "`(.*)`",
    "\"$1\"",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "==",
    "!=",
    ">",
    "bool",
    "and",
    "or",
    "unless",
    "on(x)",
    "ignoring(x)",
    "group_left(y)",
    "group_right",
    "by (x)",
    "without (x)",
    ",",
    "sum",
    "avg",
    "topk(2,",
    "quantile(0.5,",
    "count_values(\"v\",",
    "rate(",
    "max_over_time(",
    "histogram_quantile(0.9,",
    "label_replace(",
    "predict_linear(",
    "quantile_over_time(2,",
    "absent(",
    "day_of_month(",
    "é#\n",
];

fn store() -> Store {
    let store = Store::new(Limits { retention: Duration::from_hours(24), max_series: 100 });
    for (name, x) in [("a", "1"), ("a", "2"), ("b", "1"), ("h_bucket", "1")] {
        let labels = Labels::new([(METRIC_NAME, name), ("x", x), ("le", if name == "h_bucket" { "+Inf" } else { "" })]);
        let samples = (0..40).map(|n| (Millis(n * 15_000), (n * n % 7) as f64)).collect();
        store.append_external(&[Series { labels, samples }]);
    }
    store
}

fn ask(store: &Store, text: &str) {
    let Ok(query) = Query::parse(text) else { return };
    let options = Options { max_samples: 20_000, max_samples_read: 200_000, ..Options::default() };
    for at in [0, 300_000, i64::MIN, i64::MAX] {
        let _ = query.instant(&store.snapshot(), Millis(at), &options);
    }
    let _ = query.range(&store.snapshot(), Millis(0), Millis(600_000), Duration::from_secs(47), &options);
    let _ = query.range(&store.snapshot(), Millis(i64::MAX - 9), Millis(i64::MAX), Duration::from_millis(7), &options);
    let _ = query.range(&store.snapshot(), Millis(i64::MIN), Millis(i64::MAX), Duration::MAX, &options);
}

/// Expressions that are right more often than words thrown together.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "a",
        "b",
        "{__name__=~\".+\"}",
        "h_bucket",
        "a offset 290y",
        "a offset -290y",
        "a @ 9e15",
        "a @ -9e15",
        "a @ end()",
        "vector(1)",
        "vector(time())",
        "a{x=\"1\"}",
        "vector(1e300)",
        "vector(-Inf)",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 12, 2, |inner| {
        let wrap = prop::sample::select(vec![
            "-(#)",
            "sum by (x) (#)",
            "topk(2, #)",
            "bottomk(scalar(#), a)",
            "quantile(NaN, #)",
            "count_values(\"x\", #)",
            "rate((#)[5m:30s])",
            "max_over_time((#)[290y:40y])",
            "predict_linear((#)[5m:1m] offset 280y, 9)",
            "histogram_quantile(0.5, #)",
            "histogram_fraction(0, 1, #)",
            "label_replace(#, \"le\", \"$1\", \"x\", \"(.*)\")",
            "label_join(#, \"__name__\", \"-\", \"x\")",
            "day_of_year(#)",
            "days_in_month(#)",
            "timestamp(#)",
            "sort(#)",
            "absent(#)",
            "quantile_over_time(0.5, (#)[1m:7s])",
            "deriv((#)[9m:10s])",
            "round(#, 0)",
            "clamp(#, 2, 1)",
            "vector(scalar(#))",
            "absent_over_time((#)[5m:] @ -9e15)",
            "changes((#)[5m:])",
            "min_over_time((#)[1ms:1ms])",
            "acosh(#)",
        ]);
        let join = prop::sample::select(vec![
            "(#) + (%)",
            "(#) > (%)",
            "(#) == bool (%)",
            "(#) and (%)",
            "(#) or (%)",
            "(#) unless on (x) (%)",
            "(#) % on (x) group_left (le) (%)",
            "(#) ^ on () group_right () (%)",
            "(#) atan2 ignoring (x) (%)",
        ]);
        let wrapped = (wrap, inner.clone()).prop_map(|(shape, part): (&str, String)| shape.replace('#', &part));
        let joined = (join, inner.clone(), inner)
            .prop_map(|(shape, left, right): (&str, String, String)| shape.replace('#', &left).replace('%', &right));
        prop_oneof![wrapped, joined]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn words_thrown_together_are_refused_or_answered(words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..14)) {
        ask(&store(), &words.concat());
        ask(&store(), &words.join(" "));
    }

    #[test]
    fn any_text_is_refused_or_read(text in "\\PC{0,40}") {
        ask(&store(), &text);
    }

    #[test]
    fn an_expression_is_answered_or_refused_at_any_time(text in expression()) {
        ask(&store(), &text);
    }
}
