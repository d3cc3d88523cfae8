//! The real exporters and the agent side by side on the same servers, compared family by family.
//!
//! The exporter is asked before and after the agent looked: what did not move between must be equal, what moved must lie
//! where the exporter saw it, or one step beside. A difference that we want is in the exporter's list with its reason.

mod blackbox;
mod blackbox_web;
mod docker;
mod node;
mod pgbouncer;
mod postgres;
pub mod redis;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::support::Page;

/// What an exporter tells of itself and not of what it watches.
const OF_THEMSELVES: [&str; 3] = ["go_", "process_", "promhttp_"];
/// What the agent adds to each series.
const OURS: [&str; 2] = ["job", "instance"];

/// In what two pages may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// We do not have the family.
    Missing,
    /// The type is another.
    Type,
    /// The label names are others; series are not compared then.
    Labels,
    /// Other label sets; values are compared where both have them.
    Series,
    /// The values differ by more than the collection skew.
    Value,
}

/// A difference that is meant.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// The family's name; `*` stands for anything.
    pub family: &'static str,
    pub what: What,
    /// Why it is better, or cannot be otherwise.
    pub why: &'static str,
}

/// Compares the exporter's pages from before and after with the agent's from between, and panics with all that differs
/// and is not in the list.
pub fn compare(before: &str, ours: &str, after: &str, differences: &[Difference]) {
    let (before, ours, after) = (families(before), families(ours), families(after));
    let mut complaints = String::new();
    let mut series = 0;
    let theirs = before.iter().filter(|(name, _)| !OF_THEMSELVES.iter().any(|own| name.starts_with(own)));
    for (name, family) in theirs.clone() {
        let mut complain = |what: What, words: String| {
            let meant = |difference: &&Difference| difference.what == what && matches(difference.family, name);
            if differences.iter().find(meant).is_none_or(|meant| meant.why.is_empty()) {
                let _ = writeln!(complaints, "{name}: {words}");
            }
        };
        let Some(own) = ours.get(name) else {
            complain(What::Missing, format!("we do not have it ({} {})", family.series.len(), family.kind));
            continue;
        };
        if own.kind != family.kind {
            complain(What::Type, format!("is {} there and {} here", family.kind, own.kind));
        }
        if own.label_names() != family.label_names() {
            complain(What::Labels, format!("labels {:?} there and {:?} here", family.label_names(), own.label_names()));
            continue;
        }
        let later = after.get(name);
        for (key, was) in &family.series {
            let Some(is) = own.series.get(key) else {
                // It may have gone in between; then it is not there afterwards either.
                if later.is_some_and(|later| later.series.contains_key(key)) {
                    complain(What::Series, format!("{key} is missing here"));
                }
                continue;
            };
            series += 1;
            let then = later.and_then(|later| later.series.get(key)).unwrap_or(was);
            if !between(*was, *is, *then) {
                complain(What::Value, format!("{key} was {was}, then {then} there, and is {is} here"));
            }
        }
        for key in own.series.keys().filter(|key| !family.series.contains_key(*key)) {
            if later.is_none_or(|later| !later.series.contains_key(key)) {
                complain(What::Series, format!("{key} is only here"));
            }
        }
    }
    assert!(series > 0, "nothing was compared: the exporter shows nothing");
    assert!(
        complaints.is_empty(),
        "of {} families and {series} series, what the exporter says and we do not:\n{complaints}",
        theirs.count()
    );
}

/// A family as a page shows it.
struct Family {
    kind: String,
    /// The values, by sample name and labels.
    series: BTreeMap<String, f64>,
    names: BTreeSet<Vec<String>>,
}

impl Family {
    /// The sets of label names that occur.
    fn label_names(&self) -> &BTreeSet<Vec<String>> {
        &self.names
    }
}

fn families(text: &str) -> BTreeMap<String, Family> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a type line has a name and a type");
        let (series, names) = (BTreeMap::new(), BTreeSet::new());
        all.insert(name.to_owned(), Family { kind: kind.to_owned(), series, names });
    }
    for line in Page::parse(text).0 {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let base = line.name.strip_suffix(suffix)?;
            all.get(base).is_some_and(|family| matches!(&*family.kind, "histogram" | "summary")).then_some(base)
        });
        let Some(family) = all.get_mut(base.unwrap_or(&line.name)) else { continue };
        let labels: BTreeMap<_, _> =
            line.labels.iter().filter(|(name, value)| !OURS.contains(&name.as_str()) && !value.is_empty()).collect();
        family.names.insert(labels.keys().map(|name| (*name).clone()).collect());
        family.series.insert(format!("{}{labels:?}", line.name), line.value);
    }
    all
}

/// Whether a value lies between what was and what is, or one such step beside.
fn between(was: f64, is: f64, then: f64) -> bool {
    if is.is_nan() {
        return was.is_nan() || then.is_nan();
    }
    let (low, high) = (was.min(then), was.max(then));
    let slack = (high - low) + 1e-9 * low.abs().max(high.abs());
    [was, then].iter().any(|value| value.to_bits() == is.to_bits()) || (low - slack <= is && is <= high + slack)
}

/// Whether a name is what a pattern with `*` means.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name
            .strip_prefix(start)
            .is_some_and(|left| (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..]))),
    }
}

#[test]
fn a_difference_is_found_unless_it_is_meant() {
    let page = |value: &str| format!("# TYPE a gauge\na{{x=\"1\"}} {value}\n# TYPE b counter\nb 5\n");
    let ours = "# TYPE a gauge\na{job=\"j\",x=\"1\"} 2\n# TYPE b counter\nb 5\n";
    compare(&page("2"), ours, &page("2"), &[]);
    compare(&page("1"), ours, &page("3"), &[]);
    let complains = |before: &str, ours: &str, differences: &[Difference]| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| compare(before, ours, before, differences))).is_err()
    };
    assert!(complains(&page("3"), ours, &[]), "a constant that is not equal");
    let meant = |family, what| [Difference { family, what, why: "meant" }];
    assert!(!complains(&page("3"), ours, &meant("*", What::Value)));
    assert!(complains(&page("3"), ours, &meant("b*", What::Value)), "meant for another family");
    assert!(complains(&page("2"), "# TYPE b counter\nb 5\n", &[]), "a family is missing");
    assert!(complains(&page("2"), &ours.replace("a gauge", "a counter"), &[]), "another type");
    assert!(complains(&page("2"), &ours.replace("x=", "y="), &[]), "another label");
    assert!(complains(&page("2"), &ours.replace("\"1\"", "\"2\""), &[]), "another series");
}
