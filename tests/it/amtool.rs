//! `amtool` 0.33, its whole command set, against a real Alertmanager 0.33 and against the agent: what it prints and how it
//! exits must be the same. `sidewatch silence` beside it.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use tempfile::TempDir;

use crate::support::peers::newest;
use crate::support::{Agent, Running, command, free_port, request, wait_until};

/// What Alertmanager and the agent both take; with what amtool's parser looks at closely.
const ALERTING: &str = r#"
global: {smtp_smarthost: "127.0.0.1:1", smtp_from: a@example.org, smtp_auth_username: u, smtp_auth_password: hunter2, resolve_timeout: 10m}
route:
  receiver: on-call
  group_by: [alertname, node]
  group_wait: 1h
  routes:
  - {receiver: db, matchers: ['team="db"', 'severity=~"critical|page"'], continue: true}
  - {receiver: nobody, matchers: [severity="none"], group_by: ["..."]}
receivers:
- name: on-call
  webhook_configs: [{url: "http://127.0.0.1:1/t0ken", max_alerts: 3, http_config: {basic_auth: {username: u, password: s3cret}}}]
- name: db
  email_configs: [{to: db@example.org, headers: {Subject: "it's: # \"now\""}}]
- name: nobody
inhibit_rules:
- {source_matchers: [alertname=Root], target_matchers: [alertname=Leaf], equal: [node]}
"#;

/// A real Alertmanager.
struct Peer {
    port: u16,
    folder: TempDir,
    _process: Running,
}

impl Peer {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("am.yml"), ALERTING).expect("our folder");
        let port = free_port();
        let mut command = Command::new(newest("alertmanager"));
        command.current_dir(folder.path()).args(["--config.file=am.yml", "--storage.path=data"]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--cluster.listen-address=");
        let process = Running::start(&mut command, &folder.path().join("log"));
        wait_until("Alertmanager is ready", Duration::from_mins(1), || {
            request(port, "GET", "/-/ready", &[], "").filter(|answer| answer.status == 200)
        });
        Self { port, folder, _process: process }
    }
}

fn agent() -> Agent {
    let alerting = ALERTING.lines().map(|line| format!("  {line}\n")).collect::<Vec<_>>().concat();
    Agent::start(&format!("targets: []\nrule_files: []\nalerting:\n{alerting}"))
}

/// A program's sessions with one server, written down.
struct Session {
    url: String,
    folder: TempDir,
    written: Vec<String>,
}

impl Session {
    fn with(port: u16) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { url: format!("http://127.0.0.1:{port}"), folder, written: Vec::new() }
    }

    /// Runs amtool, writes down what it said, and gives back its output.
    fn amtool(&mut self, arguments: &[&str]) -> String {
        let mut amtool = Command::new(newest("amtool"));
        amtool.arg(format!("--alertmanager.url={}", self.url)).args(arguments);
        self.run("amtool", amtool, arguments)
    }

    /// Runs our own command.
    fn sidewatch(&mut self, arguments: &[&str]) -> String {
        let mut own = command();
        own.args(["silence", arguments[0], "--url", &self.url]).args(&arguments[1..]);
        self.run("sidewatch silence", own, arguments)
    }

    fn run(&mut self, name: &str, mut program: Command, arguments: &[&str]) -> String {
        let done = program.current_dir(self.folder.path()).env("HOME", self.folder.path()).output();
        let done = done.expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let code = done.status.code().unwrap_or(-1);
        self.written.push(format!("$ {name} {}\n{out}{err}[{code}]\n", arguments.join(" ")));
        out.trim().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("our folder");
    }

    /// What was written down, with names for IDs and without times.
    fn transcript(&self) -> String {
        let text = self.written.join("\n");
        let times = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?( UTC|Z)";
        let text = Regex::new(times).expect("a pattern").replace_all(&text, "<time>").into_owned();
        let ids = Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("a pattern");
        let mut known = HashMap::new();
        let named = ids.replace_all(&text, |found: &regex::Captures<'_>| {
            let next = known.len();
            format!("<ID {}>", known.entry(found[0].to_owned()).or_insert(next))
        });
        named.into_owned()
    }
}

fn both(script: impl Fn(&mut Session)) -> (String, String) {
    let (peer, agent) = (Peer::start(), agent());
    let transcript = |port: u16| {
        let mut session = Session::with(port);
        script(&mut session);
        session.transcript()
    };
    (transcript(peer.port), transcript(agent.port()))
}

#[track_caller]
fn same(script: impl Fn(&mut Session)) -> String {
    let (theirs, ours) = both(script);
    let differ = theirs.lines().zip(ours.lines()).find(|(theirs, ours)| theirs != ours);
    assert!(theirs == ours, "first difference, Alertmanager's above: {differ:#?}\n{theirs}\n=== and ours:\n{ours}");
    ours
}

#[test]
fn alerts_are_added_and_found() {
    let said = same(|at| {
        at.amtool(&["alert", "add", "disk_full", "severity=warning", "node=a", "--annotation=summary=It is full"]);
        at.amtool(&["alert", "add", "alertname=Root", "node=a", "--generator-url=http://g/graph"]);
        at.amtool(&["alert", "add", "alertname=Leaf", "node=a", "team=db", "severity=critical"]);
        at.amtool(&["alert", "add", "alertname=\"it's \\\"odd\\\"\"", "x=é"]);
        at.amtool(&["alert", "add", "alertname=Past", "--start=2020-01-01T00:00:00Z", "--end=2020-01-02T00:00:00Z"]);
        at.amtool(&["alert", "add", "alertname=Wrong", "--start=2020-01-02T00:00:00Z", "--end=2020-01-01T00:00:00Z"]);
        at.amtool(&["alert", "add", "alertname=Url", "--generator-url=:not a url"]);
        for form in ["simple", "extended", "json"] {
            at.amtool(&["-o", form, "alert", "query"]);
        }
        at.amtool(&["alert", "query", "disk_full"]);
        at.amtool(&["alert", "query", "severity=~warn.*|crit.*", "node!=b"]);
        at.amtool(&["alert", "query", "--inhibited"]);
        at.amtool(&["alert", "query", "--active"]);
        at.amtool(&["alert", "query", "--receiver=db", "--inhibited"]);
        at.amtool(&["alert", "query", "node=~("]);
        at.amtool(&["silence", "add", "disk_full", "-c", "known", "-a", "ann"]);
        at.amtool(&["alert", "query"]);
        at.amtool(&["alert", "query", "--silenced"]);
        at.amtool(&["alert", "query", "--unprocessed"]);
    });
    assert!(said.contains("It is full") && said.contains("suppressed"), "{said}");
}

#[test]
fn silences_are_set_changed_listed_ended_and_imported() {
    let said = same(|at| {
        at.amtool(&["silence", "add", "disk_full"]);
        let first = at.amtool(&["silence", "add", "disk_full", "-c", "work on it", "-a", "ann", "-d", "2h"]);
        at.amtool(&["silence", "add", "node=~a|b", "team!=db", "-c", "é \"quoted\"", "-a", "bob"]);
        at.amtool(&[
            "silence",
            "add",
            "x=1",
            "-c",
            "c",
            "-a",
            "bob",
            "--start=2099-01-01T00:00:00Z",
            "--end=2099-02-01T00:00:00Z",
        ]);
        at.amtool(&["silence", "add", "x=~.*", "-c", "all", "-a", "bob"]);
        at.amtool(&["silence", "add", "x=~(", "-c", "all", "-a", "bob"]);
        at.amtool(&["silence", "add", "x=1", "-c", "c", "-a", "bob", "--end=2020-02-01T00:00:00Z"]);
        for form in ["simple", "extended", "json"] {
            at.amtool(&["-o", form, "silence", "query"]);
        }
        at.amtool(&["silence", "query", "--quiet"]);
        at.amtool(&["silence", "query", "disk_full"]);
        at.amtool(&["silence", "query", "node=a"]);
        at.amtool(&["silence", "query", "--created-by=bob"]);
        at.amtool(&["silence", "query", "--within=90m"]);
        at.amtool(&["silence", "query", "--id", &first]);
        at.amtool(&["silence", "update", "-d", "3h", "-c", "more work", &first]);
        at.amtool(&["silence", "update"]);
        at.amtool(&["silence", "update", "-c", "x", "8a6b0a10-0a37-4f55-93a0-1b1c0a1c6a11"]);
        let list = at.amtool(&["-o", "json", "silence", "query", "--created-by=bob"]);
        at.write("silences.json", &list);
        at.amtool(&["silence", "expire", &first]);
        at.amtool(&["silence", "expire", &first]);
        at.amtool(&["silence", "expire", "nope"]);
        at.amtool(&["silence", "expire", "8a6b0a10-0a37-4f55-93a0-1b1c0a1c6a11"]);
        at.amtool(&["silence", "expire"]);
        at.amtool(&["silence", "query", "--expired"]);
        at.amtool(&["silence", "import", "--worker=1", "silences.json"]);
        at.amtool(&["silence", "import", "--worker=1", "--force", "silences.json"]);
        // Which of two that end at the same time comes first is chance.
        let left = at.amtool(&["silence", "query", "--created-by=bob", "--quiet"]).lines().count();
        at.written.pop();
        at.written.push(format!("{left} silences"));
    });
    assert!(said.contains("more work") && said.ends_with("6 silences"), "{said}");
}

#[test]
fn the_configuration_is_shown_in_a_way_that_amtool_reads() {
    let said = same(|at| {
        at.amtool(&["config", "routes", "show"]);
        at.amtool(&["config", "routes", "test", "team=db", "severity=page"]);
        at.amtool(&["config", "routes", "test", "severity=none"]);
        at.amtool(&["config", "routes", "test", "--tree", "team=db", "severity=critical"]);
        at.amtool(&["config", "routes", "test", "--verify.receivers=db,on-call", "team=db", "severity=page"]);
        at.amtool(&["config", "routes", "test", "--verify.receivers=nobody", "x=y"]);
        at.amtool(&["cluster", "show"]);
        at.amtool(&["cluster", "show", "-o", "json"]);
        at.amtool(&["--version-check", "alert", "query"]);
        at.write("texts.tmpl", r#"{{ define "t" }}{{ .Status | toUpper }} {{ len .Alerts }}{{ end }}"#);
        at.amtool(&["template", "render", "--template.glob=*.tmpl", "--template.text={{ template \"t\" . }}"]);
    });
    assert!(said.contains("Cluster Status:  disabled"), "{said}");

    let agent = agent();
    let mut session = Session::with(agent.port());
    let shown = session.amtool(&["config", "show"]);
    for secret in ["hunter2", "t0ken", "s3cret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("smtp_auth_password: <secret>"), "{shown}");
    session.write("shown.yml", &shown);
    let checked = session.amtool(&["check-config", "shown.yml"]);
    assert!(
        checked.contains("SUCCESS") && checked.contains("3 receivers") && checked.contains("1 inhibit rules"),
        "{checked}"
    );
}

#[test]
fn sidewatch_silence_does_what_amtool_does_on_either_server() {
    let (peer, agent) = (Peer::start(), agent());
    assert!(Path::new(peer.folder.path()).exists());
    for port in [peer.port, agent.port()] {
        let mut at = Session::with(port);
        let id = at.sidewatch(&["add", "disk_full", "node=~a|b", "-c", "work", "-a", "ann", "-d", "2h"]);
        at.sidewatch(&["add", "x!=y", "z=1", "-c", "odd", "-a", "bob"]);
        for form in ["simple", "extended"] {
            let theirs = at.amtool(&["-o", form, "silence", "query"]);
            assert_eq!(at.sidewatch(&["query", "-o", form]), theirs);
        }
        let list = at.sidewatch(&["list", "-o", "json", "--created-by", "bob"]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&list).expect("JSON")[0]["comment"], "odd");
        at.write("list.json", &list);
        let updated = at.sidewatch(&["update", "-d", "5h", "-c", "longer", &id]);
        assert!(updated.contains("longer"), "{updated}");
        at.sidewatch(&["expire", &id]);
        assert_eq!(at.sidewatch(&["query", "--expired", "--quiet"]), id);
        assert_ne!(at.sidewatch(&["import", "--force", "list.json"]), "");
        assert_eq!(at.sidewatch(&["query", "--quiet", "z=1"]).lines().count(), 2);
        at.sidewatch(&["expire", "8a6b0a10-0a37-4f55-93a0-1b1c0a1c6a11"]);
        at.sidewatch(&["add", "a=~.*", "-c", "c"]);
        let said = at.written.join("");
        assert!(said.contains("silence not found\n[1]"), "{said}");
        assert!(said.contains("at least one matcher must not match the empty string\n[1]"), "{said}");
    }
}
