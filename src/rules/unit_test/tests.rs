use super::*;

const RULES: &str = "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: x > 2\n    for: 2m\n    labels: {sev: page}\n    \
    annotations: {s: 'v {{ $value }}'}\n  - record: y\n    expr: x + 1\n";

/// What a test file says over [`RULES`]: failures, or problems.
fn run(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yml"), RULES).unwrap();
    let path = folder.path().join("t.yml");
    std::fs::write(&path, text).unwrap();
    match load(&path) {
        Ok(suite) => suite.run(None).iter().map(ToString::to_string).collect(),
        Err(problems) => {
            let folder = format!("{}/", folder.path().display());
            problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
        }
    }
}

const SERIES: &str = "rule_files: ['r*.yml']\ntests:\n- name: one\n  interval: 1m\n  input_series:\n  \
    - {series: 'x{a=\"1\"}', values: 0+1x10}\n";

#[test]
fn what_holds_gives_no_failure() {
    let text = "  alert_rule_test:\n  - {eval_time: 4m, alertname: A}\n  - eval_time: 5m30s\n    alertname: A\n    exp_alerts:\n    \
        - {exp_labels: {a: 1, sev: page}, exp_annotations: {s: v 5}}\n  promql_expr_test:\n  \
        - {expr: y, eval_time: 3m, exp_samples: [{labels: 'y{a=\"1\"}', value: 4}]}\n  - {expr: 1 + 1, exp_samples: [{value: 2}]}\n";
    assert_eq!(run(&format!("{SERIES}{text}")), Vec::<String>::new());
}

#[test]
fn what_does_not_hold_is_told_as_promtool_tells_it() {
    let text = "  alert_rule_test:\n  - {eval_time: 5m, alertname: A}\n  - {eval_time: 4m, alertname: A, exp_alerts: [{}]}\n  \
        promql_expr_test:\n  - {expr: y, eval_time: 3m}\n  - {expr: 'x[5m]', eval_time: 3m}\n  - {expr: 'x +', eval_time: 3m}\n  \
        - {expr: '0.1 + 0.2', exp_samples: [{value: 0.3}]}\n";
    assert_eq!(
        run(&format!("{SERIES}{text}")),
        [
            "    name: one,\n    alertname: A, time: 4m, \n        exp:[\n            0:\n              Labels:{alertname=\"A\"}\n              \
                Annotations:{}\n            ], \n        got:[]",
            "    name: one,\n    alertname: A, time: 5m, \n        exp:[], \n        got:[\n            0:\n              \
                Labels:{a=\"1\", alertname=\"A\", sev=\"page\"}\n              Annotations:{s=\"v 5\"}\n            ]",
            "    expr: \"y\", time: 3m,\n        exp: nil\n        got: {__name__=\"y\", a=\"1\"} 4E+00",
            "    expr: \"x[5m]\", time: 3m, err: rule result is not a vector or scalar",
            "    expr: \"x +\", time: 3m, err: 1:4: parse error: unexpected end of input",
            "    expr: \"0.1 + 0.2\", time: 0s,\n        exp: {} 3E-01\n        got: {} 3.0000000000000004E-01",
        ]
    );
    let fuzzy =
        run("fuzzy_compare: true\ntests: [{promql_expr_test: [{expr: '0.1 + 0.2', exp_samples: [{value: 0.3}]}]}]\n");
    assert_eq!(fuzzy, Vec::<String>::new());
}

#[test]
fn a_rule_that_cannot_be_evaluated_ends_its_test() {
    let text = "rule_files: [r.yml]\ntests:\n- input_series: [{series: 'x{a=\"1\"}', values: 1}, {series: 'y{a=\"1\"}', values: 1}]\n  \
        promql_expr_test: [{expr: 'x * on (b) group_right () y', exp_samples: []}]\n";
    assert!(run(text)[0].starts_with("    expr: "), "{:?}", run(text));
    let broken = "groups: [{name: g, rules: [{record: z, expr: 'x * on (b) x'}]}]";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yml"), broken).unwrap();
    std::fs::write(
        folder.path().join("t.yml"),
        "rule_files: [r.yml]\ntests: [{input_series: [{series: 'x{a=\"1\"}', values: 1}, {series: 'x{a=\"2\"}', values: 1}]}]",
    )
    .unwrap();
    let failures = load(&folder.path().join("t.yml")).unwrap().run(None);
    assert!(matches!(&failures[..], [Failure::Rule { rule, .. }] if rule == "z"), "{failures:?}");
}

#[test]
fn every_problem_of_a_test_file_comes_with_its_place() {
    let text = "rule_files: [r.yml]\nevaluation_intervall: 1m\ngroup_eval_order: [a, a]\ntests:\n- input_series:\n  \
        - {series: 'x{', values: 1}\n  - {series: x, values: '{{schema:1}}'}\n  - {series: '{}', values: 1}\n  alert_rule_test: [{eval_time: 5m}]\n  \
        promql_expr_test:\n  - {expr: x, exp_samples: [{value: NaN}, {histogram: '{{}}'}]}\n  start_timestamp: soon\n";
    insta::assert_snapshot!(run(text).join("\n"));
}

#[test]
fn only_what_was_there_at_the_last_evaluation_is_seen() {
    let text = "evaluation_interval: 5m\ntests:\n- interval: 1m\n  input_series: [{series: x, values: 0+1x10 stale}]\n  promql_expr_test:\n  \
        - {expr: x, eval_time: 7m, exp_samples: [{labels: x, value: 5}]}\n\
        - interval: 1m\n  start_timestamp: 2026-01-31T12:00:00Z\n  input_series: [{series: x, values: 1 2 stale}, {series: x, values: 3}]\n  promql_expr_test:\n  \
        - {expr: x, eval_time: 1m, exp_samples: []}\n  - {expr: 'hour(timestamp(last_over_time(x[1m])))', eval_time: 5m, exp_samples: []}\n  \
        - {expr: 'sum_over_time(x[10m])', eval_time: 5m, exp_samples: [{value: 3}]}\n";
    let failures = run(text);
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("got: {__name__=\"x\"} 3E+00"), "{failures:?}");
}

#[test]
fn groups_are_evaluated_in_the_order_that_is_asked_for() {
    let rules = "groups:\n- {name: a, rules: [{record: a, expr: x}]}\n- {name: b, rules: [{record: b, expr: a}]}\n";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("r.yml"), rules).unwrap();
    for (order, b) in [("[a, b]", 3), ("[b, a]", 2)] {
        let test = format!(
            "rule_files: [r.yml]\ngroup_eval_order: {order}\ntests:\n- interval: 1m\n  input_series: [{{series: x, values: 0+1x5}}]\n  \
             promql_expr_test: [{{expr: b, eval_time: 3m, exp_samples: [{{labels: b, value: {b}}}]}}]\n"
        );
        std::fs::write(folder.path().join("t.yml"), test).unwrap();
        assert_eq!(load(&folder.path().join("t.yml")).unwrap().run(None), [], "{order}");
    }
}
