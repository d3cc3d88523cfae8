use proptest::prelude::*;

use super::*;
use crate::model::{MetricKind, Suffix};

fn text(page: &str) -> Result<Parsed, ParseError> {
    parse(page, Format::Text, Limits::default())
}

fn open_metrics(page: &str) -> Result<Parsed, ParseError> {
    parse(page, Format::OpenMetrics, Limits::default())
}

/// Every sample as `name{labels} value`, with its family's type.
fn flat(parsed: &Parsed) -> Vec<String> {
    let blocks = parsed.blocks.iter();
    let lines = blocks.flat_map(|block| {
        block.points.iter().map(move |point| {
            let (family, suffix) = (&block.family, point.suffix.as_str());
            format!("{} {}{suffix}{} {}", family.kind.text_name(), family.name, point.labels, point.value)
        })
    });
    lines.collect()
}

#[test]
fn a_text_page_with_all_that_the_format_has() {
    let page = r#"
# a comment
# HELP http_requests_total Requests: a \\ and a \n newline.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",} 3

  msdos_file{path="C:\\DIR\\F.TXT",error="a:\n\"F\" \x"} 1.458255915e9
bare 12.47
weird{problem="division by zero"} +Inf -3982045
nan NaN
# TYPE took histogram
took_bucket{le="0.05"} 24054
took_bucket{le="+Inf"} 144320
took_sum 53423
took_count 144320
# TYPE rpc summary
rpc{quantile="0.5"} 4773
rpc_sum 1.7560473e+07
rpc_count 2693
"#;
    let parsed = text(page).unwrap();
    assert_eq!(
        flat(&parsed),
        [
            r#"counter http_requests_total{code="200", method="post"} 1027"#,
            r#"counter http_requests_total{code="400", method="post"} 3"#,
            r#"untyped msdos_file{error="a:\n\"F\" \\x", path="C:\\DIR\\F.TXT"} 1458255915"#,
            "untyped bare{} 12.47",
            r#"untyped weird{problem="division by zero"} inf"#,
            "untyped nan{} NaN",
            r#"histogram took_bucket{le="0.05"} 24054"#,
            r#"histogram took_bucket{le="+Inf"} 144320"#,
            "histogram took_sum{} 53423",
            "histogram took_count{} 144320",
            r#"summary rpc{quantile="0.5"} 4773"#,
            "summary rpc_sum{} 17560473",
            "summary rpc_count{} 2693",
        ]
    );
    assert_eq!(parsed.blocks[0].family.help, "Requests: a \\ and a \n newline.");
    assert_eq!((parsed.samples, parsed.duplicates), (13, 0));
}

#[test]
fn an_openmetrics_page_keeps_full_prometheus_names() {
    let page = r#"# TYPE jobs counter
# UNIT jobs jobs
# HELP jobs Jobs done.
jobs_total{q="a"} 17.0 1520879607.789 # {trace_id="KOO5S4vxi0o"} 0.67 1520879607.7
jobs_created{q="a"} 1520430000.123
# TYPE build info
build_info{version="1"} 1
# TYPE mode stateset
mode{mode="on"} 1
# TYPE size gaugehistogram
size_bucket{le="+Inf"} 4
size_gcount 4
size_gsum 10
# TYPE took histogram
took_bucket{le="1.0"} 1 # {} 0.3
took_bucket{le="+Inf"} 2
took_count 2
took_sum 1.5
took_created 1
# TYPE odd counter
odd 4
# EOF
"#;
    assert_eq!(
        flat(&open_metrics(page).unwrap()),
        [
            r#"counter jobs_total{q="a"} 17"#,
            r#"untyped jobs_created{q="a"} 1520430000.123"#,
            r#"gauge build_info{version="1"} 1"#,
            r#"gauge mode{mode="on"} 1"#,
            r#"gauge size_bucket{le="+Inf"} 4"#,
            "gauge size_gcount{} 4",
            "gauge size_gsum{} 10",
            r#"histogram took_bucket{le="1.0"} 1"#,
            r#"histogram took_bucket{le="+Inf"} 2"#,
            "histogram took_count{} 2",
            "histogram took_sum{} 1.5",
            "untyped took_created{} 1",
            "untyped odd{} 4",
        ]
    );
    assert_eq!(open_metrics(page).unwrap().blocks[0].family.help, "Jobs done.");
}

#[test]
fn a_family_with_its_own_type_is_not_folded_into_another() {
    let page = "# TYPE a summary\n# TYPE a_count gauge\na_count 1\na_sum 2\n";
    assert_eq!(flat(&text(page).unwrap()), ["gauge a_count{} 1", "summary a_sum{} 2"]);
    let parsed = text("# TYPE b histogram\nb_sum 2\nb_max 3\n").unwrap();
    assert_eq!(parsed.blocks[0].points[0].suffix, Suffix::Sum);
    assert_eq!(parsed.blocks[1].family.kind, MetricKind::Unknown);
}

#[test]
fn unreadable_pages_say_where_and_why() {
    let said = |outcome: Result<Parsed, ParseError>| outcome.unwrap_err().to_string();
    assert_eq!(said(text("a 1\n<html>\n")), "line 2: a metric's name must start the line");
    assert_eq!(said(text("a{b=\"c\" 1")), "line 1: `,` or `}` is expected behind a label");
    assert_eq!(said(text("a{b=\"c")), "line 1: a label's value does not end");
    assert_eq!(said(text("a{b=\"1\",b=\"2\"} 1")), "line 1: the label `b` is given twice");
    assert_eq!(said(text("a one")), "line 1: the sample's value is no number");
    assert_eq!(said(text("a")), "line 1: the sample has no value");
    assert_eq!(said(text("a 1 2 3")), "line 1: something follows the sample's timestamp");
    assert_eq!(said(text("# TYPE a thing\n")), "line 1: `thing` is not a metric type");
    assert_eq!(said(open_metrics("a 1\n")), "line 1: the page does not end with `# EOF`");
    assert_eq!(said(open_metrics("# EOF\na 1\n")), "line 2: nothing may follow `# EOF`");
}

#[test]
fn pages_beyond_the_limits_are_refused() {
    let limits = Limits { samples: 2, labels: 1, line: 20 };
    let limited = |page: &str| parse(page, Format::Text, limits).map_err(|error| error.what);
    assert_eq!(limited("a 1\nb 1\n").map(|parsed| parsed.samples), Ok(2));
    assert_eq!(limited("a 1\nb 1\nc 1\n"), Err(Wrong::TooManySamples(2)));
    assert_eq!(limited("a{b=\"\",c=\"\"} 1"), Err(Wrong::TooManyLabels(1)));
    assert_eq!(limited("a{b=\"123456789012\"} 1"), Err(Wrong::LineTooLong(20)));
}

#[test]
fn of_a_series_given_twice_the_first_stays() {
    let parsed = text("a{x=\"1\"} 1\na{x=\"1\"} 2\na{x=\"2\"} 3\n").unwrap();
    assert_eq!(flat(&parsed), [r#"untyped a{x="1"} 1"#, r#"untyped a{x="2"} 3"#]);
    assert_eq!(parsed.duplicates, 1);
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(page in "(\\PC|\n|[a-c#{}\"=, \\\\]|TYPE |HELP |# EOF){0,200}") {
        let _ = text(&page);
        let _ = open_metrics(&page);
    }
}
