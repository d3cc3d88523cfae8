//! `sidewatch test route` beside `amtool config routes`: the same file, the same labels, the same answer.

use std::path::Path;
use std::process::Command;

use crate::support::{command, peers, try_run};

const ROUTES: &str = r#"
route:
  receiver: all
  group_by: [alertname, zone]
  routes:
  - matchers: [team="db", severity=~"critical|page"]
    receiver: db
    continue: true
    mute_time_intervals: [nights]
    routes:
    - {match: {b: '2'}, match_re: {a: 'x|y'}, group_wait: 1s}
    - {matchers: ['"a b"=c'], receiver: web}
  - {receiver: web, active_time_intervals: [nights], continue: true, matchers: [team="db"]}
  - {receiver: db, matchers: [team="db"]}
  - {receiver: never, matchers: [team="db"]}
receivers: [{name: all}, {name: db}, {name: web}, {name: never}]
time_intervals:
- {name: nights, time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}], location: Europe/Berlin}]}
"#;

fn amtool(folder: &Path, words: &[&str]) -> String {
    let file = folder.join("alertmanager.yml");
    let mut amtool = Command::new(peers::newest("amtool"));
    let output =
        amtool.args(["config", "routes"]).args(words).arg("--config.file").arg(file).output().expect("it runs");
    String::from_utf8(output.stdout).expect("text")
}

fn sidewatch(folder: &Path, words: &[&str]) -> (bool, String) {
    try_run(command().args(["test", "route"]).args(words).arg("--config").arg(folder.join("sidewatch.yml")))
}

#[test]
fn routes_are_shown_and_tested_as_amtool_does() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("alertmanager.yml"), ROUTES).expect("our folder");
    let config = "alerting: {config_file: alertmanager.yml}\n";
    std::fs::write(folder.path().join("sidewatch.yml"), config).expect("our folder");
    assert_eq!(sidewatch(folder.path(), &["--tree"]), (true, amtool(folder.path(), &["show"])));
    let alerts: [&[&str]; 5] = [
        &["x=y"],
        &["team=db", "severity=page", "a=x", "b=2"],
        &["team=db", "severity=critical"],
        &["team=\"db\"", "\"a b\"=c", "severity=page"],
        &["team=db"],
    ];
    for labels in alerts {
        let amtool = |words: &[&str]| amtool(folder.path(), &[&["test"], words, labels].concat());
        assert_eq!(sidewatch(folder.path(), labels), (true, amtool(&[])), "{labels:?}");
        let with_tree = [&["--tree"], labels].concat();
        assert_eq!(sidewatch(folder.path(), &with_tree), (true, amtool(&["--tree"])), "{labels:?}");
    }
    let verify = |receivers: &str| sidewatch(folder.path(), &["--verify.receivers", receivers, "team=db"]);
    assert_eq!(verify("web,db"), (true, "web,db\n".into()));
    assert!(!verify("web").0);
    assert!(sidewatch(folder.path(), &["team!=db"]).1.contains("LABEL=VALUE"));
}
