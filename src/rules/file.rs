//! Rule files in Prometheus' format, read as strictly as promtool reads them, with every problem at its place.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{METRIC_NAME, Place, Problems};
use crate::promql::Query;
use crate::yaml::{Fields, Node, glob, parse};

use super::template;

/// A group of rules as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// The file it stands in, as the user named it.
    pub file: Arc<str>,
    /// Unique within the file.
    pub name: Arc<str>,
    /// How often it is evaluated; `None`: the global evaluation interval.
    pub interval: Option<Duration>,
    /// How far in the past it is evaluated; `None`: not at all.
    pub query_offset: Option<Duration>,
    /// How many alerts or series each rule may give; 0 and less: any number.
    pub limit: i64,
    /// Its alerts are not those of before a restart, whatever the store knows of these.
    pub begins_anew: bool,
    /// Evaluated in this order.
    pub rules: Vec<RuleSpec>,
}

/// One rule as it is written.
#[derive(Debug, Clone)]
pub struct RuleSpec {
    /// Where it stands.
    pub at: Place,
    /// Recording or alerting.
    pub kind: RuleKind,
    /// The expression.
    pub query: Arc<Query>,
    /// The group's labels overlaid with the rule's own. Alerting rules expand the values as templates.
    pub labels: Vec<(String, String)>,
}

/// What a rule does with its expression.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleKind {
    /// Keeps it as a series.
    Record {
        /// The metric's name.
        name: String,
    },
    /// Tells when it gives anything.
    Alert {
        /// The label `alertname`.
        name: String,
        /// How long the condition must hold before the alert fires (`for`).
        hold: Duration,
        /// How long the alert goes on after the condition has ended.
        keep_firing_for: Duration,
        /// Templates.
        annotations: Vec<(String, String)>,
    },
}

impl PartialEq for RuleSpec {
    /// Equal when it does the same, wherever it stands.
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.query.text() == other.query.text() && self.labels == other.labels
    }
}

impl RuleSpec {
    /// The recorded metric or the alert.
    pub fn name(&self) -> &str {
        match &self.kind {
            RuleKind::Record { name } | RuleKind::Alert { name, .. } => name,
        }
    }
}

/// Reads every file that the patterns name, relative to `base_dir`. This is the only place of the part that reads files.
pub fn load(patterns: &[Node], base_dir: &Path, problems: &Problems) -> Vec<GroupSpec> {
    let mut groups = Vec::new();
    let mut read = HashSet::new();
    for node in patterns {
        let at = &node.at;
        let Some(pattern) = node.text() else {
            problems.add(
                at,
                format!("a rule file is {}", node.kind()),
                "write its path, or a pattern such as alerts/*.yml",
            );
            continue;
        };
        let found = glob::files(pattern, base_dir).unwrap_or_default();
        if found.is_empty() {
            problems.add(at, format!("no rule file matches `{pattern}`"), "check the pattern, or remove it");
        }
        for path in found.into_iter().filter(|path| read.insert(path.clone())) {
            let name = path.display().to_string();
            match std::fs::read_to_string(&path) {
                Ok(text) => groups.extend(read_file(&name, &text, problems)),
                Err(error) => {
                    let at = Place { file: name.into(), line: 1, column: 1 };
                    problems.add(&at, format!("cannot read the rule file: {error}"), "check the path and its rights");
                }
            }
        }
    }
    groups
}

/// Reads one file's text. Rules with a problem are left out; a caller that finds problems uses none of the rest.
pub fn read_file(path: &str, text: &str, problems: &Problems) -> Vec<GroupSpec> {
    let node = match parse(text, path) {
        Ok(node) => node,
        Err(problem) => {
            problems.add(&problem.at, problem.what, problem.way_out);
            return Vec::new();
        }
    };
    let Some(mut fields) = Fields::of(&node, "a rule file", problems) else {
        return Vec::new();
    };
    let groups: Vec<_> = fields.list("groups").iter().filter_map(|node| group(path, node, problems)).collect();
    fields.finish();
    let mut names = HashSet::new();
    for (group, at) in &groups {
        if !names.insert(Arc::clone(&group.name)) {
            problems.add(at, format!("the group `{}` is given twice in this file", group.name), "rename one of them");
        }
    }
    groups.into_iter().map(|(group, _)| group).collect()
}

fn group<'n>(file: &str, node: &'n Node, problems: &'n Problems) -> Option<(GroupSpec, &'n Place)> {
    let mut fields = Fields::of(node, "a rule group", problems)?;
    let name = fields.required("name");
    let interval = fields.duration("interval").filter(|interval| !interval.is_zero());
    let query_offset = fields.duration("query_offset");
    let limit = fields.number("limit").unwrap_or(0);
    let labels = labels(&mut fields);
    let rules = fields.list("rules").iter().filter_map(|node| rule(node, &labels, problems)).collect();
    if name.as_deref() == Some("") {
        fields.wrong("name", "the group's name is empty", "give it one");
    }
    let at = fields.at();
    fields.finish();
    let (file, name, begins_anew) = (file.into(), name?.into(), false);
    Some((GroupSpec { file, name, interval, query_offset, limit, begins_anew, rules }, at))
}

fn rule(node: &Node, group_labels: &[(String, String)], problems: &Problems) -> Option<RuleSpec> {
    let mut fields = Fields::of(node, "a rule", problems)?;
    let record = fields.text("record");
    let alert = fields.text("alert");
    let query = query(&mut fields);
    let own = labels(&mut fields);
    let kind = match (record, alert) {
        (Some(_), Some(_)) => {
            fields.wrong("alert", "both `record` and `alert` are given", "keep one of them");
            None
        }
        (None, None) => {
            problems.add(&node.at, "the rule has neither `record` nor `alert`", "add one of them with a name");
            None
        }
        (Some(name), None) => recording(&mut fields, name),
        (None, Some(name)) => alerting(&mut fields, name, &own, problems),
    };
    fields.finish();
    let labels = overlaid(group_labels, &own);
    Some(RuleSpec { at: node.at.clone(), kind: kind?, query: query?, labels })
}

fn query(fields: &mut Fields<'_>) -> Option<Arc<Query>> {
    let text = fields.required("expr")?;
    if text.trim().is_empty() {
        fields.wrong("expr", "the expression is empty", "write a PromQL expression");
        return None;
    }
    match Query::parse(&text) {
        // As Prometheus, also one that gives neither a number nor an instant vector: it fails when it is evaluated.
        Ok(query) => Some(Arc::new(query)),
        Err(error) => {
            // The place within the expression; the file's place is that of the value.
            fields.wrong("expr", format!("could not parse expression: {error}"), "correct the expression");
            None
        }
    }
}

fn recording(fields: &mut Fields<'_>, name: String) -> Option<RuleKind> {
    // As Prometheus, any other text; one that is not letters, digits, `_` and `:` stands in `/federate`, not on `/metrics`.
    if name.contains(['{', '}']) {
        fields.wrong("record", "the metric's name has braces", "a selector belongs in `expr`, labels in `labels`");
        return None;
    }
    if name.is_empty() {
        fields.wrong("record", "the metric's name is empty", "give it one");
        return None;
    }
    for key in ["for", "keep_firing_for", "annotations"] {
        if fields.has(key) {
            fields.take(key);
            fields.wrong(key, format!("a recording rule has no `{key}`"), "remove it");
        }
    }
    Some(RuleKind::Record { name })
}

fn alerting(fields: &mut Fields<'_>, name: String, own: &[(String, String)], problems: &Problems) -> Option<RuleKind> {
    let hold = fields.duration("for").unwrap_or_default();
    let keep_firing_for = fields.duration("keep_firing_for").unwrap_or_default();
    let annotations = fields.text_map("annotations");
    for (key, text, at) in &annotations {
        if key.is_empty() {
            problems.add(at, "an annotation's name is empty", "give it one");
        }
        if let Err(wrong) = template::check(text) {
            problems.add(at, format!("the template of `{key}` is wrong: {wrong}"), "correct the template");
        }
    }
    for (key, text) in own {
        if let Err(wrong) = template::check(text) {
            fields.wrong("labels", format!("the template of `{key}` is wrong: {wrong}"), "correct the template");
        }
    }
    if name.is_empty() {
        fields.wrong("alert", "the alert's name is empty", "give it one");
        return None;
    }
    let annotations = annotations.into_iter().map(|(key, text, _)| (key, text)).collect();
    Some(RuleKind::Alert { name, hold, keep_firing_for, annotations })
}

fn labels(fields: &mut Fields<'_>) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for (name, value, at) in fields.text_map("labels") {
        // As Prometheus 3, any text but these.
        if name.is_empty() || name == METRIC_NAME {
            let what = format!("`{name}` cannot be a label of a rule");
            fields.problems().add(at, what, "give it a name; `__name__` is set by the rule");
            continue;
        }
        labels.push((name, value));
    }
    labels.sort();
    labels
}

fn overlaid(under: &[(String, String)], over: &[(String, String)]) -> Vec<(String, String)> {
    let kept = under.iter().filter(|(name, _)| !over.iter().any(|(other, _)| other == name)).cloned();
    let mut all: Vec<_> = kept.chain(over.iter().cloned()).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<GroupSpec>, Vec<String>) {
        let problems = Problems::new();
        let groups = read_file("r.yml", text, &problems);
        (groups, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_file_of_prometheus_is_read_as_it_is() {
        let (groups, problems) = read(
            "groups:\n- name: g\n  interval: 30s\n  labels: {team: a, tier: x}\n  rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n  \
             - alert: Down\n    expr: up == 0\n    for: 5m\n    keep_firing_for: 1m\n    labels: {tier: page}\n    \
             annotations: {summary: \"{{ $labels.instance }} is down\"}\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(groups[0].interval, Some(Duration::from_secs(30)));
        assert_eq!(groups[0].rules[0].name(), "job:up:sum");
        assert_eq!(groups[0].rules[1].labels, [("team".into(), "a".into()), ("tier".into(), "page".into())]);
    }

    #[test]
    fn every_problem_comes_with_its_place() {
        let (_, problems) = read(
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up ==\n    labels: {__name__: x}\n  - record: a-b\n    expr: up\n  \
             - expr: up\n  - alert: B\n    expr: up[5m]\n    annotations: {s: \"{{ .x \", \"\": y}\n  - record: \"c{x}\"\n    expr: up\n  - record: c\n    expr: up\n    for: 5m\n    colour: red\n",
        );
        insta::assert_snapshot!(problems.join("\n"));
    }

    #[test]
    fn what_promtool_takes_is_taken() {
        for rule in [
            "{record: a, expr: '\"x\"'}",
            "{record: a.b, expr: 'up[5m]'}",
            "{alert: '{a}', expr: '\"x\"', labels: {a-b: c, ü: d}, annotations: {a b: c, __name__: d}}",
        ] {
            let (groups, problems) = read(&format!("groups: [{{name: g, limit: -1, rules: [{rule}]}}]"));
            assert_eq!((groups[0].rules.len(), groups[0].limit, problems), (1, -1, vec![]), "{rule}");
        }
    }

    #[test]
    fn a_pattern_that_finds_nothing_is_a_problem() {
        let problems = Problems::new();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yml"), "groups: [{name: g, rules: []}]").unwrap();
        let pattern = |text: &str| parse(text, "sidewatch.yml").unwrap();
        let groups = load(&[pattern("\"*.yml\""), pattern("b/*.yml")], folder.path(), &problems);
        assert_eq!(groups.len(), 1);
        assert_eq!(problems.into_sorted()[0].what, "no rule file matches `b/*.yml`");
    }
}
