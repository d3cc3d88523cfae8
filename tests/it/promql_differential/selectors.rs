//! Selectors by chance, of the series that there are and of some that there are not.

use super::data::SPAN;
use super::random::Random;

const JOBS: &[&str] = &["api", "web", "db"];
const INSTANCES: &[&str] = &["a:1", "b:1"];

/// A metric and the labels it has.
const METRICS: &[(&str, &[&str])] = &[
    ("d_requests_total", &["job", "instance", "code"]),
    ("d_requests_total", &["job", "instance", "code"]),
    ("d_busy_seconds_total", &["job", "instance"]),
    ("d_errors_total", &["job", "instance"]),
    ("d_temperature", &["job", "instance", "zone"]),
    ("d_level", &["job", "instance"]),
    ("d_build_info", &["job", "instance", "version"]),
    ("d_limit", &["job"]),
    ("d_passing", &["how", "job"]),
    ("d_latency_bucket", &["job", "instance", "le"]),
    ("d_latency_count", &["job", "instance"]),
    ("d_latency_sum", &["job", "instance"]),
    ("d_odd_latency_bucket", &["job", "le"]),
    ("d_odd", &["kind"]),
    ("d_odd", &["kind"]),
    ("d_mixed", &["left", "right"]),
    ("d_clock_seconds", &["job"]),
    ("d_nothing", &["job"]),
];

/// A selector of any metric, with modifiers.
pub fn any(random: &mut Random) -> String {
    let (selector, modifiers) = with_modifiers(random);
    selector + &modifiers
}

/// A selector, and what stands behind its range.
pub fn with_modifiers(random: &mut Random) -> (String, String) {
    (bare(random), modifiers(random))
}

fn bare(random: &mut Random) -> String {
    match random.below(50) {
        0 => return r#"{"d.dotted"}"#.into(),
        1 => return r#"{"d.dotted", "a label"!="w"}"#.into(),
        2 => return r#"{__name__=~"d_l.*", job="api"}"#.into(),
        3 => return r#"{job="db", __name__!~"d_(level|limit)"}"#.into(),
        4 => return "{__name__='d_level', job!~`w.b`,}".into(),
        _ => {}
    }
    let (name, labels) = METRICS[random.below(METRICS.len())];
    let count = [0, 0, 0, 1, 1, 2][random.below(6)];
    let matchers: Vec<String> = (0..count)
        .map(|_| {
            let label = labels[random.below(labels.len())];
            matcher(random, label)
        })
        .collect();
    if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", matchers.join(",")) }
}

fn matcher(random: &mut Random, label: &str) -> String {
    let (value, pattern) = match label {
        "job" => (random.one_of(JOBS), random.one_of(&["api|web", "a.*", ".*b", "", ".+", "(?i)API", "nobody"])),
        "instance" => (random.one_of(INSTANCES), random.one_of(&["a:.*", ".:1", "b.1|c"])),
        "code" => (random.one_of(&["200", "404", "500"]), random.one_of(&["4..|5..", "2[0-9]+", r"\\d{3}"])),
        "le" => (random.one_of(&["1", "0.5", "+Inf"]), random.one_of(&["0.*", "[+]Inf|1"])),
        "how" => (random.one_of(&["late", "ended", "coming", "once", "holes"]), random.one_of(&["l.*", ".*e.*"])),
        "kind" => (
            random.one_of(&["nan", "some_nan", "inf", "both_inf", "zero", "huge", "cancelling"]),
            random.one_of(&[".*nan", "zero|both.*", "[hct].*"]),
        ),
        _ => (random.one_of(&["x", "1.2", "", "north"]), random.one_of(&["x|", ".+", "1[.].*"])),
    };
    match random.below(6) {
        0..3 => format!("{label}=\"{value}\""),
        3 => format!("{label}!=\"{value}\""),
        4 => format!("{label}=~\"{pattern}\""),
        _ => format!("{label}!~\"{pattern}\""),
    }
}

/// A metric with a series for each job and instance.
pub fn per_instance(random: &mut Random) -> String {
    let names =
        ["d_level", "d_errors_total", "d_busy_seconds_total", "d_latency_sum", "d_latency_count", "d_temperature"];
    random.one_of(&names).to_owned()
}

/// Two selectors of which the first has many for each of the second.
pub fn many_to_one(random: &mut Random) -> (String, String) {
    let many = random.one_of(&[
        "d_requests_total",
        "d_level",
        "d_temperature",
        "d_latency_bucket",
        "rate(d_requests_total[5m])",
    ]);
    let one = random.one_of(&["d_build_info", "d_limit", "d_build_info", "sum by (job) (d_level)", "d_latency_sum"]);
    (many.to_owned(), one.to_owned())
}

/// `offset` and `@`, mostly none.
pub fn modifiers(random: &mut Random) -> String {
    let offset = random.one_of(&["1m", "5m", "-1m", "15s", "-30s", "7s", "20m", "1h", "60", "0s"]);
    let at = match random.below(4) {
        0 => "@ start()".to_owned(),
        1 => "@ end()".to_owned(),
        // Relative to the data: the placeholder becomes a time when the question is asked.
        _ => format!("@ <{}>", random.between(-SPAN, 60_000)),
    };
    match random.below(20) {
        0 | 1 => format!(" offset {offset}"),
        2 => format!(" {at}"),
        3 => format!(" {at} offset {offset}"),
        4 if random.percent(30) => format!(" offset {offset} {at}"),
        _ => String::new(),
    }
}

/// A duration, such as a range.
pub fn duration(random: &mut Random) -> &'static str {
    const ALL: [&str; 15] = [
        "5m",
        "5m",
        "5m",
        "1m",
        "30s",
        "15s",
        "2m30s",
        "10m",
        "45s",
        "7m",
        "90",
        "1m15s100ms",
        "20m",
        "29s999ms",
        "3m",
    ];
    ALL[random.below(ALL.len())]
}
