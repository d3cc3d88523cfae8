//! Plays one test: gives the series to a store step by step, evaluates the rules at each, and looks at what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Block, Family, Labels, METRIC_NAME, MetricKind, Millis, Point, Suffix, is_stale};
use crate::promql::{Options, Query, Value};
use crate::store::{Limits, Picture, Store};

use super::report::{Failure, Sample};
use super::spec::{AlertTest, ExpressionTest, Test, TestFile};
use crate::rules::{AlertState, Externals, Group, GroupSpec};

/// As long as any test; nothing of it is forgotten.
const RETENTION: Duration = Duration::from_hours(24 * 365 * 100);
/// As many series as a machine's memory takes.
const MAX_SERIES: usize = 20_000_000;
/// As many samples as Prometheus lets a query load.
const MAX_SAMPLES: usize = 50_000_000;

pub(super) fn run(file: &TestFile, test: &Test, groups: &[GroupSpec]) -> Vec<Failure> {
    let store = Store::new(Limits { retention: RETENTION, max_series: MAX_SERIES });
    let externals =
        Externals { labels: test.external_labels.clone(), url: test.external_url.trim_end_matches('/').into() };
    let options = Options { subquery_step: file.evaluation_interval, max_samples: MAX_SAMPLES, ..Options::default() };
    let mut groups: Vec<Group> = groups.iter().map(|spec| Group::new(spec.clone(), externals.clone())).collect();
    for group in &mut groups {
        group.set_options(options.clone());
    }
    let mut feed = Feed::new(test);
    let mut failures = Vec::new();
    let last = test.alerts.iter().map(|test| test.eval_time);
    let last = last.chain(test.expressions.iter().map(|test| test.eval_time)).max().unwrap_or_default();
    let mut since = Duration::ZERO;
    // Always once; then as long as the next step is not behind all that is asked about.
    while since <= last {
        let now = test.start + since;
        feed.until(now, &store);
        let broken = evaluate(&mut groups, &store, now, since);
        if !broken.is_empty() {
            failures.extend(broken);
            return failures;
        }
        let next = since + file.evaluation_interval;
        let due = test.alerts.iter().filter(|test| test.eval_time >= since && test.eval_time < next);
        failures.extend(due.filter_map(|expected| alerts(&test.name, expected, &groups)));
        since = next;
    }
    let expressions = test.expressions.iter();
    failures.extend(
        expressions.filter_map(|expected| expression(expected, &store, test.start, &options, file.fuzzy_compare)),
    );
    failures
}

/// Every rule that could not be evaluated. A test goes no further then: what it would show is not what the rules mean.
fn evaluate(groups: &mut [Group], store: &Store, now: Millis, since: Duration) -> Vec<Failure> {
    let mut broken = Vec::new();
    for group in groups {
        let failures = group.evaluate(store, now).failures;
        broken.extend(failures.into_iter().map(|failure| Failure::Rule {
            rule: failure.rule,
            at: since,
            error: failure.error,
        }));
    }
    broken
}

fn alerts(test: &str, expected: &AlertTest, groups: &[Group]) -> Option<Failure> {
    let mut got = Vec::new();
    for group in groups {
        let view = group.handle().load();
        for (rule, spec) in
            view.rules.iter().zip(&view.spec.rules).filter(|(_, spec)| spec.name() == expected.alertname)
        {
            debug_assert!(rule.alerts.is_empty() || matches!(spec.kind, crate::rules::RuleKind::Alert { .. }));
            let firing = rule.alerts.iter().filter(|alert| alert.state == AlertState::Firing);
            got.extend(firing.map(|alert| (alert.labels.clone(), alert.annotations.clone())));
        }
    }
    got.sort();
    let mut wanted = expected.expected.clone();
    wanted.sort();
    (got != wanted).then(|| Failure::Alerts {
        test: test.to_owned(),
        alertname: expected.alertname.clone(),
        at: expected.eval_time,
        expected: wanted,
        got,
    })
}

fn expression(
    expected: &ExpressionTest,
    store: &Store,
    start: Millis,
    options: &Options,
    fuzzy: bool,
) -> Option<Failure> {
    let (expression, at) = (expected.expression.clone(), expected.eval_time);
    let mut got = match ask(&expected.expression, store, start + at, options) {
        Ok(got) => got,
        Err(error) => return Some(Failure::Query { expression, at, error }),
    };
    let by_labels = |a: &Sample, b: &Sample| a.0.cmp(&b.0);
    let mut wanted = expected.expected.clone();
    got.sort_by(by_labels);
    wanted.sort_by(by_labels);
    let same = |(got, wanted): (&Sample, &Sample)| got.0 == wanted.0 && equal(got.1, wanted.1, fuzzy);
    let fits = got.len() == wanted.len() && got.iter().zip(&wanted).all(same);
    (!fits).then_some(Failure::Samples { expression, at, expected: wanted, got })
}

/// Exactly, so that a NaN is never what is expected, as with promtool; or up to the last bit.
#[expect(clippy::float_cmp, reason = "a test says which number it means")]
fn equal(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || (fuzzy && (a.next_up() == b || a.next_down() == b))
}

fn ask(expression: &str, store: &Store, at: Millis, options: &Options) -> Result<Vec<Sample>, String> {
    let query = Query::parse(expression).map_err(|error| error.to_string())?;
    match query.instant(&store.snapshot(), at, options).map_err(|error| error.to_string())?.value {
        Value::Vector(elements) => Ok(elements),
        Value::Scalar(value) => Ok(vec![(Labels::empty(), value)]),
        Value::String(_) | Value::Matrix(_) => Err("rule result is not a vector or scalar".into()),
    }
}

/// The series of a test, handed to the store up to a time.
struct Feed {
    series: Vec<(Family, Labels, Vec<Option<f64>>)>,
    start: Millis,
    interval: Duration,
    /// The next step.
    next: usize,
    longest: usize,
}

impl Feed {
    fn new(test: &Test) -> Self {
        let mut all: BTreeMap<&Labels, Vec<Option<f64>>> = BTreeMap::new();
        for series in &test.series {
            // Of a series that is written twice, the later one counts.
            all.insert(&series.labels, series.values.clone());
        }
        let longest = all.values().map(Vec::len).max().unwrap_or(0);
        let written = |(labels, values): (&Labels, Vec<Option<f64>>)| {
            let family = Family::discovered(labels.metric_name().to_owned(), MetricKind::Unknown, String::new());
            (family, labels.without(|name| name == METRIC_NAME), values)
        };
        let series = all.into_iter().map(written).collect();
        Self { series, start: test.start, interval: test.interval, next: 0, longest }
    }

    /// Every sample up to `now`, in order of time. Each series is a source of its own: where another has no value, it does not end.
    fn until(&mut self, now: Millis, store: &Store) {
        while self.next < self.longest {
            let steps = u32::try_from(self.next).unwrap_or(u32::MAX);
            let at = self.start + self.interval.saturating_mul(steps);
            if at > now {
                return;
            }
            for (number, (family, labels, values)) in self.series.iter().enumerate() {
                let Some(value) = values.get(self.next).copied().flatten() else { continue };
                let point = Point { suffix: Suffix::None, labels: labels.clone(), value };
                let block = Block { family: family.clone(), points: vec![point] };
                store.record(Picture {
                    source: format!("input:{number}").into(),
                    labels: Labels::empty(),
                    // What a source no longer shows ends with a marker.
                    blocks: if is_stale(value) { Vec::new() } else { vec![block] },
                    at,
                });
            }
            self.next += 1;
        }
    }
}
