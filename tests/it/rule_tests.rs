//! Unit tests of rules: promtool and the agent judge the same files alike.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::peers::newest;
use crate::support::{RealPrometheus, binary, repository, run_with_input, try_run};

/// The files of a folder of the checkout, in order; none where it does not exist.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository().join(folder)).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    files
}

/// Whether a file passes, and all that is said of it.
fn judged(program: &Path, file: &Path) -> (bool, String) {
    let (code, text) = run_with_input(Command::new(program).args(["test", "rules"]).arg(file), String::new());
    assert!(matches!(code, Some(0 | 1)), "{}: {code:?}: {text}", file.display());
    (code == Some(0), text)
}

/// How many expectations did not hold. A problem with its place is one as well.
fn failures(text: &str) -> usize {
    let failure =
        |line: &&str| ["    expr: ", "    alertname: ", "    rule: "].iter().any(|head| line.starts_with(head));
    let problem = |line: &&str| line.split(':').nth(2).is_some_and(|column| column.parse::<u32>().is_ok());
    text.lines().filter(|line| failure(line) || problem(line)).count()
}

#[test]
fn every_rule_test_passes_here_as_in_promtool() {
    let shipped = files("alerts/tests");
    assert!(!shipped.is_empty());
    let mut wrong = Vec::new();
    for file in shipped.into_iter().chain(files("tests/rules")) {
        for program in [newest("promtool").as_path(), binary()] {
            let (passes, text) = judged(program, &file);
            if !passes {
                wrong.push(format!("{}: {}\n{text}", program.display(), file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_fails_in_promtool_fails_here_as_often() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("r.yml"), RULES).expect("our folder");
    let own = FAILING.iter().enumerate().map(|(number, text)| {
        let path = folder.path().join(format!("{number}.yml"));
        std::fs::write(&path, format!("rule_files: [r.yml]\n{text}")).expect("our folder");
        path
    });
    let mut wrong = Vec::new();
    for file in own.chain(files("tests/rules/failing")) {
        let (passes, theirs) = judged(&newest("promtool"), &file);
        assert!(!passes, "{} passes in promtool", file.display());
        let (passes, ours) = judged(binary(), &file);
        // Of a file that it cannot read, promtool says all in one.
        let as_often = failures(&theirs) == 0 || failures(&theirs) == failures(&ours);
        if passes || !as_often {
            wrong.push(format!("{}\nours:\n{ours}\npromtool:\n{theirs}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const RULES: &str = r"
groups:
  - name: g
    rules:
      - {alert: A, expr: x > 2, for: 2m, labels: {sev: page}, annotations: {s: 'v {{ $value }}'}}
      - {record: y, expr: sum(x) + 1}
";

const FAILING: [&str; 7] = [
    "tests: [{promql_expr_test: [{expr: '1 + 1', exp_samples: [{value: 3}]}, {expr: '1 +'}, {expr: 'x[5m]'}]}]",
    "tests: [{promql_expr_test: [{expr: 'vector(NaN)', exp_samples: [{value: .nan}]}]}]",
    "tests: [{alert_rule_test: [{eval_time: 1m, alertname: A, exp_alerts: [{}]}]}, {alert_rule_test: [{eval_time: 0, alertname: B, exp_alerts: [{}]}]}]",
    "tests: [{interval: 1m, input_series: [{series: x, values: 5x10}], alert_rule_test: [{eval_time: 3m, alertname: A}, {eval_time: 3m, alertname: A, exp_alerts: [{exp_labels: {sev: page}, exp_annotations: {s: v 6}}]}]}]",
    "test: []",
    "tests: [{input_series: [{series: x, values: 1 + 2}]}]",
    "group_eval_order: [g, g]\ntests: [{}]",
];

#[test]
fn rule_files_are_checked_as_promtool_checks_them() {
    let twice = "groups: [{name: g, rules: [{record: r, expr: x}, {record: r, expr: y}]}]";
    let broken = "groups: [{name: g, rules: [{record: r, expr: x +}]}]";
    let promtool = newest("promtool");
    for (text, arguments, expected) in [
        (RULES, &[][..], Some(0)),
        ("", &[], Some(0)),
        (twice, &[], Some(0)),
        (twice, &["--lint-fatal"], Some(3)),
        (twice, &["--lint-fatal", "--lint=none"], Some(0)),
        (broken, &["--lint-fatal"], Some(1)),
    ] {
        for program in [promtool.as_path(), binary()] {
            let command = &mut Command::new(program);
            let (code, said) = run_with_input(command.args(["check", "rules"]).args(arguments), text.to_owned());
            assert_eq!(code, expected, "{} {arguments:?} {text}: {said}", program.display());
        }
    }
}

#[test]
fn a_query_asks_whoever_speaks_prometheus_api() {
    let prometheus = RealPrometheus::start("");
    let query = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        try_run(command.arg("query").args(arguments).args(["--url", &prometheus.url()]))
    };
    assert_eq!(query(&["vector(1) + 1"]), (true, "{}  2\n".into()));
    assert_eq!(
        query(&["time()", "--time", "60", "--format", "csv"]).1,
        "series,time,value\n,1970-01-01T00:01:00.000Z,60\n"
    );
    let (_, range) = query(&["vector(time())", "--start", "0", "--end", "60", "--step", "30s"]);
    assert_eq!(range.lines().count(), 4, "{range}");
    assert!(query(&["vector(1)", "--format", "json"]).1.contains("\"resultType\":\"vector\""));
    let (success, error) = query(&["vector(1"]);
    assert!(!success && error.starts_with("bad_data: "), "{error}");
}
