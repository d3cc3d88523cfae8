//! Every shipped alert says what it must, has tests that would notice its loss, and has a runbook page; every page has its alert.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sidewatch::config::shipped;
use sidewatch::rules::RuleKind;

use crate::support::peers::newest;
use crate::support::{repository, run_with_input};

const HEADINGS: [&str; 4] = ["## What it means", "## How to look", "## Immediate fix", "## Long-term fix"];
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

#[test]
fn every_file_of_alerts_is_shipped() {
    let shipped: BTreeSet<_> = shipped::FILES.into_iter().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(names_in("alerts", ".yml"), shipped);
    assert_eq!(names_in("alerts/tests", ".yml"), shipped, "each file has its tests");
}

#[test]
fn every_alert_says_what_and_how_bad_and_where_to_read_on() {
    let mut wrong = Vec::new();
    for rule in shipped::rules().into_iter().flat_map(|group| group.rules) {
        let RuleKind::Alert { name, annotations, .. } = &rule.kind else { continue };
        let severity = rule.labels.iter().find(|(label, _)| label == "severity").map(|(_, value)| value.as_str());
        if !severity.is_some_and(|severity| SEVERITIES.contains(&severity)) {
            wrong.push(format!("{name}: severity is {severity:?}, not one of {SEVERITIES:?}"));
        }
        let text = |key| annotations.iter().find(|(name, _)| name == key).map_or("", |(_, text)| text.as_str());
        for key in ["summary", "description"] {
            if text(key).is_empty() {
                wrong.push(format!("{name}: no {key}"));
            }
        }
        let page = format!("docs/runbooks/{name}.md");
        if text("runbook_url") != page {
            wrong.push(format!("{name}: runbook_url is {:?}, not {page}", text("runbook_url")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_alert_has_its_page_and_every_page_its_alert() {
    let mut pages = names_in("docs/runbooks", ".md");
    assert!(pages.remove("README.md"), "the list of all pages");
    let list = text_of("docs/runbooks/README.md");
    let mut wrong = Vec::new();
    for name in alerts() {
        let file = format!("{name}.md");
        if !pages.remove(&file) {
            wrong.push(format!("{name} has no page"));
            continue;
        }
        if !list.contains(&format!("[{name}]({file})")) {
            wrong.push(format!("{name} is not in the list"));
        }
        let page = text_of(format!("docs/runbooks/{file}"));
        let found: Vec<_> = page.lines().filter(|line| line.starts_with("## ")).collect();
        if found != HEADINGS || !page.starts_with(&format!("# {name}\n")) {
            wrong.push(format!("{file}: the headings are {found:?}"));
        }
        wrong.extend(page.split("\n## ").skip(1).filter_map(|part| {
            let (heading, text) = part.split_once('\n')?;
            text.trim().is_empty().then(|| format!("{file}: nothing under {heading:?}"))
        }));
    }
    wrong.extend(pages.into_iter().map(|page| format!("{page} belongs to no alert")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An alert that never fires fails its tests, and so does one that always does. promtool judges: it is the quicker one.
#[test]
fn every_alert_has_tests_that_see_it_fire_and_see_it_quiet() {
    let promtool = newest("promtool");
    let mut unnoticed = Vec::new();
    for (file, text) in shipped::FILES {
        let folder = tempfile::tempdir().expect("a folder");
        let tests = folder.path().join("tests");
        std::fs::create_dir(&tests).expect("our folder");
        let tests = tests.join(file);
        std::fs::write(&tests, text_of(format!("alerts/tests/{file}"))).expect("our folder");
        let passes = |rules: &str| {
            std::fs::write(folder.path().join(file), rules).expect("our folder");
            let command = &mut Command::new(&promtool);
            let (code, said) = run_with_input(command.args(["test", "rules"]).arg(&tests), String::new());
            assert!(!said.contains("parse error"), "the altered file cannot be read: {said}\n{rules}");
            code == Some(0)
        };
        assert!(passes(text), "{file} passes as it is");
        for alert in names_of(text) {
            for (what, expression) in [
                ("never fires", "vector(1) > 1"),
                ("always fires", r#"label_replace(vector(1), "instance", "hot", "", "")"#),
            ] {
                if passes(&altered(text, alert, expression)) {
                    unnoticed.push(format!("{file}: nobody notices that {alert} {what}"));
                }
            }
        }
    }
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// The file with another expression for this alert, and without its `for`.
fn altered(text: &str, alert: &str, expression: &str) -> String {
    let (before, rest) = text.split_once(&format!("- alert: {alert}\n")).expect("the alert is there");
    let (rule, after) = rest.split_once("\n      - alert: ").map_or((rest, None), |(rule, after)| (rule, Some(after)));
    let mut altered = format!("{before}- alert: {alert}\n        expr: '{expression}'\n");
    let mut in_expression = false;
    for line in rule.lines() {
        // Of the keys of a rule: deeper lines belong to the key above.
        if let Some(key) = line.strip_prefix("        ").filter(|key| !key.starts_with(' ')) {
            in_expression = key.starts_with("expr:") || key.starts_with("for:");
        }
        if !in_expression {
            altered.extend([line, "\n"]);
        }
    }
    after.map_or_else(|| altered.clone(), |after| format!("{altered}      - alert: {after}"))
}

fn names_of(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

fn alerts() -> BTreeSet<String> {
    shipped::FILES.into_iter().flat_map(|(_, text)| names_of(text)).map(str::to_owned).collect()
}

/// Names of the files of a folder of the checkout that end so.
fn names_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(repository().join(folder)).expect("it is in the checkout");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(ending)).collect()
}

fn text_of(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(repository().join(path)).expect("it is in the checkout")
}
