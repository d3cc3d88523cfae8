//! Messages' texts beside Alertmanager's: amtool 0.33 and our engine expand the same templates over the same data.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use sidewatch::model::{Alert, Labels, Millis};
use sidewatch::notify::{Notification, Reason, Templates};

use crate::support::peers;

/// Texts that both must expand alike, or both refuse.
const ALIKE: &[&str] = &[
    // The data.
    "{{ .Receiver }}|{{ .Status }}|{{ .ExternalURL }}|{{ .NotificationReason }}",
    "{{ .GroupLabels }} {{ .CommonLabels }} {{ .CommonAnnotations }}",
    "{{ .CommonLabels.alertname }}[{{ .CommonLabels.nope }}]{{ .CommonLabels.Nope }}",
    "{{ len .Alerts }} {{ .Alerts.Firing | len }} {{ len .Alerts.Resolved }}",
    "{{ range .Alerts }}{{ .Status }} {{ .Labels }} {{ .Annotations }} {{ .GeneratorURL }} {{ .Fingerprint }};{{ end }}",
    "{{ range $i, $a := .Alerts }}{{ $i }}:{{ $a.Labels.instance }} {{ end }}",
    "{{ (index .Alerts 0).Labels.instance }} {{ index (index .Alerts 1).Labels \"instance\" }}",
    "{{ .Alerts.Firing }}",
    "{{ toJson . }}",
    "{{ toJson .Alerts }} {{ toJson .CommonLabels.SortedPairs }} {{ toJson .CommonLabels.Names }}",
    "{{ . }}",
    // Sets of labels.
    "{{ .CommonLabels.SortedPairs }} {{ .CommonLabels.SortedPairs.Names }} {{ .CommonLabels.SortedPairs.Values }}",
    "{{ .CommonLabels.Names }} {{ .CommonLabels.Values | join \", \" }}",
    "{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}",
    "{{ range $k, $v := .CommonLabels }}{{ $k }}={{ $v }} {{ end }}",
    "{{ .CommonLabels.Remove .GroupLabels.Names }}|{{ (.CommonLabels.Remove (stringSlice \"job\" \"alertname\")).Values }}",
    "{{ with .CommonLabels.Remove .CommonLabels.Names }}some{{ else }}none{{ end }}",
    "{{ .GroupLabels.Names | .CommonLabels.Remove }}",
    "{{ if gt (len .CommonLabels) (len .GroupLabels) }}more{{ end }}",
    "{{ index .CommonLabels \"nope\" | printf \"%q\" }} {{ eq .CommonLabels.nope \"\" }} {{ index .CommonLabels \"job\" }}",
    "{{ printf \"%s %v %q\" .CommonLabels .CommonLabels.SortedPairs .CommonLabels.job }}",
    // Times.
    "{{ (index .Alerts 0).StartsAt }}|{{ (index .Alerts 0).EndsAt }}|{{ (index .Alerts 0).EndsAt.IsZero }}",
    "{{ (index .Alerts 1).StartsAt.Format \"Mon, 02 Jan 2006 15:04:05.000 -0700\" }} {{ (index .Alerts 1).EndsAt.Unix }}",
    "{{ range .Alerts }}{{ .StartsAt | date \"2006-01-02 3:04PM .999999 __2 _2 06 Monday January\" }} {{ end }}",
    "{{ (index .Alerts 0).StartsAt | tz \"Europe/Berlin\" | date \"15:04:05 MST -07:00 Z07:00\" }}",
    "{{ tz \"Asia/Kolkata\" (index .Alerts 0).StartsAt }} {{ (tz \"America/New_York\" (index .Alerts 0).StartsAt).Hour }}",
    "{{ (index .Alerts 0).StartsAt | tz \"No/Where\" }}",
    "{{ (index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt }} {{ ((index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt).Minutes }}",
    "{{ (index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt | humanizeDuration }}",
    "{{ ((index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt).Round 60000000000 }} {{ ((index .Alerts 1).EndsAt.Sub (index .Alerts 1).StartsAt).Truncate 3600000000000 }}",
    "{{ (index .Alerts 1).EndsAt.After (index .Alerts 1).StartsAt }} {{ (index .Alerts 1).EndsAt.Before (index .Alerts 1).StartsAt }}",
    "{{ with (index .Alerts 0).StartsAt }}{{ .Year }} {{ .Month }} {{ .Day }} {{ .Weekday }} {{ .YearDay }} {{ .Minute }} {{ .UnixMilli }}{{ end }}",
    "{{ (index .Alerts 0).StartsAt.Add 3600000000000 }} {{ (index .Alerts 0).StartsAt.Truncate 60000000000 }} {{ (index .Alerts 0).StartsAt.UTC }}",
    "{{ .StartsAt }}",
    // Functions.
    "{{ toUpper \"aé\" }} {{ toLower \"AÉ\" }} {{ title \"hELLO o'neil foo-bar 3abc a_b x.y élan\" }} {{ trimSpace \" \\ta \\n\" }}|",
    "{{ join \",\" (stringSlice \"a\" \"b\") }} {{ stringSlice \"a\" \"b\" }} {{ len (stringSlice) }}",
    "{{ match \"^Pg\" .CommonLabels.alertname }} {{ match \"(?i)^pg\" \"PG\" }} {{ match \"[\" \"a\" }}",
    "{{ reReplaceAll \"(.*):(.*)\" \"$2-${1}x\" \"db:5432\" }} {{ reReplaceAll \"a\" \"\" \"banana\" }}",
    "{{ urlUnescape \"a%20b+c%C3%A9\" }}",
    "{{ urlUnescape \"%zz\" }}",
    "{{ safeHtml \"<b>\" }} {{ safeUrl \"a b\" }}",
    "{{ humanizeDuration 3661 }} {{ humanizeDuration 12.5 }} {{ humanizeDuration \"90061\" }} {{ humanizeDuration 0.0015 }} {{ humanizeDuration 0 }}",
    "{{ list 1 \"a\" true }} {{ append (list 1) 2 \"x\" }} {{ len (list) }} {{ list }}",
    "{{ dict \"b\" 1 \"a\" (list 1 2) }} {{ (dict \"x\" (dict \"y\" 2)).x.y }} {{ len (dict) }}",
    "{{ $d := dict \"k\" \"v\" \"n\" 1 }}{{ range $k, $v := $d }}{{ $k }}:{{ $v }} {{ end }}{{ $d.k }}",
    "{{ dict \"a\" }}",
    "{{ dict 1 2 }}",
    "{{ toJson (dict \"b\" 1.5 \"a\" (list \"<&>\" true nil \"\\u2028\\t\\\"\")) }} {{ toJson 1e21 }} {{ toJson 1e-7 }} {{ toJson 100.0 }}",
    // Go's own.
    "{{ printf \"%d %5.2f|%-5s|%05d %x %t %c %U\" 7 3.14159 \"ab\" 42 255 true 65 65 }}",
    "{{ printf \"%v %v %q %T\" 1.5 (list 1 \"a\") \"q\\\"\" \"x\" }}",
    "{{ print 1 2 \"a\" \"b\" 3 nil }} {{ println 1 \"a\" }}",
    "{{ html \"<a href='x'>\" }} {{ js \"a'b\" }} {{ urlquery \"a b&c=é\" }}",
    "{{ eq 1 2 3 1 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ ge \"b\" \"a\" }} {{ and 1 0 }} {{ or \"\" \"x\" }} {{ not true }}",
    "{{ len \"aé\" }} {{ slice \"abcdef\" 1 3 }} {{ slice (list 1 2 3) 1 }} {{ index (list 1 2 3) 2 }}",
    "{{ 1.5e3 }} {{ 0x10 }} {{ 1e6 }} {{ 'a' }} {{ true }} {{ `r\\n` }} {{ \"a\\tb\" }}",
    "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}{{ range 3 }}{{ . }}{{ end }}",
    "{{ with $y := .Status }}{{ $y }}{{ else with .Receiver }}{{ . }}{{ end }}",
    "{{ range .Alerts }}{{ if eq .Status \"resolved\" }}{{ continue }}{{ end }}{{ .Status }}{{ break }}{{ else }}none{{ end }}",
    "{{ range .Alerts.Firing.Nope }}x{{ end }}",
    "a  {{- \" b \" -}}  c {{/* comment */}} {{- /* trimmed */ -}} d",
    "{{ define \"x\" }}<{{ . }}>{{ end }}{{ template \"x\" .Status }}{{ block \"y\" . }}{{ .Receiver }}{{ end }}",
    "{{ define \"shared\" }}mine{{ end }}{{ template \"shared\" . }}",
    "{{ template \"shared\" . }} {{ template \"nested\" .Alerts }}",
    // What is wrong.
    "{{ .Nope }}",
    "{{ .Alerts.Nope }}",
    "{{ .Status.a }}",
    "{{ .CommonLabels.a.b }}",
    "{{ .CommonLabels.Remove }}",
    "{{ .Status 1 }}",
    "{{ toUpper 5 }}",
    "{{ toUpper \"a\" \"b\" }}",
    "{{ join \",\" }}",
    "{{ nope }}",
    "{{ $nope }}",
    "{{ template \"nope\" }}",
    "{{ index .Alerts 5 }}",
    "{{ index .CommonLabels 5 }}",
    "{{ len 3 }}",
    "{{ range .Status }}{{ end }}",
    "{{ eq 1 1.0 }}",
    "{{ nil }}",
    "{{ if }}{{ end }}",
    "{{ end }}",
    "a {{ end }} b",
    "a\n{{ else }}\nb",
    "{{ if true }}a{{ end }}{{ end }}",
    "a {{- true -}} ",
    "{{ \"a }}",
    "{{ . ",
    "{{ break }}",
    "{{ not 1 2 }}",
];

/// Texts that we take and Alertmanager does not: its `join` knows a list of texts only if `stringSlice` made it.
const WANTED: [(&str, &str); 1] = [("{{ join \",\" (list \"a\" \"b\") }}", "a,b")];

/// The same as HTML.
const ALIKE_HTML: &[&str] = &[
    "<p>{{ .CommonAnnotations.summary }}</p>",
    "<p title=\"{{ .CommonAnnotations.summary }}\" class={{ .CommonAnnotations.summary }}>",
    "<a href=\"{{ .ExternalURL }}/x?a={{ .CommonAnnotations.summary }}\">",
    "<a href=\"{{ \"javascript:alert(1)\" }}\">{{ safeHtml \"<b>\" }}</a><a href=\"{{ safeUrl \"javascript:ok\" }}\">",
    "<script>var a = {{ .CommonAnnotations.summary }}; var n = {{ len .Alerts }}; var l = {{ .Alerts | len }}</script>",
    "<style>p { color: {{ .CommonAnnotations.summary }} }</style>",
    "<div style=\"width:{{ len .Alerts }}px\" onclick=\"f({{ .Status }})\">",
    "{{ range .Alerts }}<li>{{ .Labels }}</li>{{ end }}",
    "{{ define \"x\" }}<i>{{ . }}</i>{{ end }}{{ template \"x\" \"<\" }}",
    "<!-- {{ .Status }} --><b>{{ .CommonLabels.nope }}</b>",
    "{{ template \"shared\" . }}",
    "<a href=\"{{ if true }}\">{{ end }}",
    "{{ .Nope }}",
];

const FILE: &str = "{{ define \"shared\" }}[{{ .Status }}]{{ end }}\n\
    {{ define \"nested\" }}{{ range . }}{{ template \"one\" . }}{{ end }}{{ end }}\n\
    {{ define \"one\" }}{{ .Labels.instance }};{{ end }}";

fn notification() -> Notification {
    let alert = |instance: &str, ends_at| {
        Arc::new(Alert {
            labels: Labels::new([("alertname", "PgFull"), ("job", "postgres"), ("instance", instance)]),
            annotations: Labels::new([("summary", "97% <used> & \"more\" it's `é`")]),
            starts_at: Millis(1_795_230_245_120),
            ends_at,
            value: 0.97,
            generator_url: "http://sidewatch:9640/graph?g0.expr=used+%3E+0.9&g0.tab=1".into(),
        })
    };
    Notification {
        receiver: "on.call".into(),
        integration: ("webhook", 0),
        group_key: r#"{}:{alertname="PgFull"}"#.into(),
        group_labels: Labels::new([("alertname", "PgFull")]),
        alerts: vec![alert("db:5432", None), alert("db2:5432", Some(Millis(1_795_238_000_000)))],
        reason: Reason::First,
        external_url: "http://sidewatch:9640".into(),
        receipt: None,
        possible_duplicate: false,
        asides: sidewatch::notify::Asides::default(),
        at: Millis(1_795_241_045_120),
    }
}

fn amtool(folder: &Path, kind: &str, text: &str) -> Result<String, String> {
    let argument = |name: &str, value: &str| format!("--template.{name}={value}");
    let output = Command::new(peers::newest("amtool"))
        .args(["--no-version-check", "template", "render"])
        .arg(argument("glob", &folder.join("*.tmpl").display().to_string()))
        .arg(argument("data", &folder.join("data.json").display().to_string()))
        .args([argument("type", kind), argument("text", text)])
        .output()
        .expect("amtool runs");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("UTF-8"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

#[test]
fn templates_expand_as_in_alertmanager() {
    let folder = tempfile::tempdir().expect("a folder");
    let notification = notification();
    std::fs::write(folder.path().join("a.tmpl"), FILE).expect("written");
    let templates = Templates::with(&sidewatch::notify::TemplateFiles::of("a.tmpl", FILE));
    let data = templates.text("{{ toJson . }}", &notification).expect("data");
    std::fs::write(folder.path().join("data.json"), data).expect("written");
    let mut differences = Vec::new();
    let texts = ALIKE.iter().map(|text| ("text", text)).chain(ALIKE_HTML.iter().map(|text| ("html", text)));
    for (kind, text) in texts {
        let ours =
            if kind == "html" { templates.html(text, &notification) } else { templates.text(text, &notification) };
        let theirs = amtool(folder.path(), kind, text);
        // Errors are worded in two ways; that there is one must agree.
        if ours.as_ref().ok() != theirs.as_ref().ok() {
            differences.push(format!("{kind} {text}\n  ours:   {ours:?}\n  theirs: {theirs:?}"));
        }
    }
    for (text, expected) in WANTED {
        assert_eq!(templates.text(text, &notification).as_deref(), Ok(expected));
        assert!(amtool(folder.path(), "text", text).is_err(), "{text}: no difference any more");
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
