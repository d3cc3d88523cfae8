//! The words of the language, as often as they shall be met.

pub const OF_VECTOR: &[&str] = &[
    "abs",
    "ceil",
    "floor",
    "sgn",
    "exp",
    "ln",
    "log2",
    "log10",
    "sqrt",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
    "tanh",
    "deg",
    "rad",
    "absent",
    "sort",
    "sort_desc",
    "timestamp",
    "round",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "year",
    "histogram_avg",
    "histogram_count",
    "histogram_sum",
    "histogram_stddev",
    "histogram_stdvar",
];
pub const OF_MATRIX: &[&str] = &[
    "rate",
    "rate",
    "rate",
    "increase",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "absent_over_time",
];
pub const AGGREGATIONS: &[&str] = &["sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"];
pub const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "atan2"];
pub const COMPARISONS: &[&str] = &["==", "!=", "<", "<=", ">", ">="];
pub const SETS: &[&str] = &["and", "or", "unless"];
pub const NUMBERS: &[&str] = &[
    "0", "1", "2", "-1", "0.5", "10", "100", "3.25", "1e3", "1e-3", "Inf", "-Inf", "NaN", "0x1F", "5m", "1_000", ".5",
    "7", "-2.5",
];
pub const QUANTILES: &[&str] = &["0", "0.5", "0.9", "0.95", "0.99", "1", "0.25", "1.5", "-0.1", "NaN", "0.333"];
pub const GROUPINGS: &[&str] = &[
    "job",
    "instance",
    "job, instance",
    "code",
    "le",
    "job, le",
    "",
    "kind",
    "zone, job",
    "how",
    "left, right",
    "nothing",
    "job,",
    "__name__",
    "\"a label\"",
];

/// What gives nothing on floats, whatever it is given.
const OF_NATIVE_HISTOGRAMS: &str = "histogram_avg histogram_count histogram_sum histogram_stddev histogram_stdvar";

/// The words of the language that must be met: functions, aggregations, operators, modifiers.
pub fn vocabulary() -> impl Iterator<Item = &'static str> {
    let others = "clamp clamp_min clamp_max vector scalar time pi topk bottomk quantile count_values quantile_over_time \
                  predict_linear histogram_quantile histogram_fraction label_replace label_join by without on ignoring \
                  group_left group_right bool offset @ start end";
    let lists = [OF_VECTOR, OF_MATRIX, AGGREGATIONS, ARITHMETIC, COMPARISONS, SETS].into_iter().flatten().copied();
    let native = |word: &&str| OF_NATIVE_HISTOGRAMS.split(' ').any(|name| name == *word);
    lists.filter(move |word| !native(word)).chain(others.split_ascii_whitespace())
}
