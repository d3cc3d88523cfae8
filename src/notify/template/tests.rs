use std::sync::Arc;

use super::*;
use crate::model::{Alert, Labels, Millis, Problems};
use crate::notify::notification::Reason;
use crate::notify::{Aside, Asides, Note};

fn alert(name: &str, labels: &[(&str, &str)], ends_at: Option<i64>) -> Arc<Alert> {
    Arc::new(Alert {
        labels: Labels::new([("alertname", name)]).overlaid(&Labels::new(labels.iter().copied())),
        annotations: Labels::new([("summary", "a <b> & \"c\""), ("runbook_url", "https://runbooks.example.org/a")]),
        starts_at: Millis(1_795_230_245_120),
        ends_at: ends_at.map(Millis),
        value: 0.97,
        generator_url: "http://sidewatch:9640/graph?g0.expr=used+%3E+0.9&g0.tab=1".into(),
    })
}

fn notification() -> Notification {
    Notification {
        receiver: "on.call".into(),
        integration: ("webhook", 0),
        group_key: r#"{}:{alertname="PgFull"}"#.into(),
        group_labels: Labels::new([("alertname", "PgFull")]),
        alerts: vec![
            alert("PgFull", &[("instance", "db:5432"), ("severity", "critical")], None),
            alert("PgFull", &[("instance", "db2:5432"), ("severity", "critical")], Some(1_795_230_900_000)),
        ],
        reason: Reason::First,
        external_url: "http://sidewatch:9640".into(),
        receipt: None,
        possible_duplicate: false,
        asides: Asides::default(),
        at: Millis(1_795_241_045_120),
    }
}

#[test]
fn texts_expand_as_alertmanager_expands_them() {
    let templates = Templates::new();
    for (text, expected) in [
        ("{{ .Status }} {{ .Receiver }} {{ .ExternalURL }}", r"firing on\.call http://sidewatch:9640"),
        ("{{ len .Alerts }} {{ .Alerts.Firing | len }} {{ len .Alerts.Resolved }}", "2 1 1"),
        ("{{ .CommonLabels }}", "alertname=PgFull, severity=critical"),
        ("{{ .CommonLabels.SortedPairs.Names | join \",\" }}", "alertname,severity"),
        ("{{ (.CommonLabels.Remove .GroupLabels.Names).Values }}", "[critical]"),
        ("{{ with .CommonLabels.Remove (stringSlice \"severity\") }}{{ . }}{{ end }}", "alertname=PgFull"),
        ("{{ range .Alerts }}{{ .Labels.instance }} {{ .EndsAt.IsZero }} {{ end }}", "db:5432 true db2:5432 false "),
        ("{{ (index .Alerts 0).StartsAt.Format \"15:04:05.000\" }}", "03:04:05.120"),
        ("{{ (index .Alerts 0).StartsAt }}", "2026-11-21 03:04:05.12 +0000 UTC"),
        ("{{ (index .Alerts 0).EndsAt }}", "0001-01-01 00:00:00 +0000 UTC"),
        ("{{ (index .Alerts 0).StartsAt | tz \"Europe/Berlin\" | date \"15:04 MST\" }}", "04:04 CET"),
        (
            "{{ since (index .Alerts 0).StartsAt }} {{ since (index .Alerts 0).StartsAt | humanizeDuration }}",
            "3h0m0s 3h 0m 0s",
        ),
        ("{{ if gt (since (index .Alerts 0).StartsAt).Minutes 10.0 }}long{{ end }}", "long"),
        ("[{{ .CommonLabels.nope }}] {{ index .CommonLabels \"nope\" | printf \"%q\" }}", "[] \"\""),
        ("{{ range $k, $v := .CommonLabels }}{{ $k }}={{ $v }};{{ end }}", "alertname=PgFull;severity=critical;"),
        (
            "{{ toJson .CommonLabels.SortedPairs }}",
            r#"[{"Name":"alertname","Value":"PgFull"},{"Name":"severity","Value":"critical"}]"#,
        ),
        (
            "{{ toJson (dict \"b\" 1.5 \"a\" (list \"<&>\" true nil)) }}",
            r#"{"a":["\u003c\u0026\u003e",true,null],"b":1.5}"#,
        ),
        ("{{ append (list 1) 2 \"x\" }} {{ dict \"b\" 1 \"a\" 2 }}", "[1 2 x] map[a:2 b:1]"),
        ("{{ title \"hELLO wORLD\" }} {{ trimSpace \" a \" }} {{ urlUnescape \"a%20b+c\" }}", "Hello World a a b c"),
        ("{{ safeHtml \"<b>\" }}{{ safeUrl \"x\" }}", "<b>x"),
        ("{{ define \"mine\" }}<{{ . }}>{{ end }}{{ template \"mine\" .Status }}", "<firing>"),
        ("{{ template \"__subject\" . }}", "[FIRING:1] PgFull (critical)"),
        ("{{ .NotificationReason }} {{ .GroupKey }}", r#"first notification {}:{alertname="PgFull"}"#),
        (
            "{{ (index .Alerts 0).ValueString }} {{ (index .Alerts 0).Limit }} {{ (index .Alerts 1).Lasting }}",
            "0.97 > 0.9 10 min 54 s",
        ),
    ] {
        assert_eq!(templates.text(text, &notification()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_wrong_says_where() {
    let templates = Templates::new();
    for (text, expected) in [
        ("\n{{ .Nope }}", "2: at <.Nope>: can't evaluate field Nope in type *template.Data"),
        ("{{ .Alerts.Nope }}", "1: at <.Alerts.Nope>: can't evaluate field Nope in type template.Alerts"),
        ("{{ .Status.a }}", "1: at <.Status.a>: can't evaluate field a in type string"),
        ("{{ toUpper 5 }}", "wrong type for value; expected string; got int"),
        ("{{ toUpper \"a\" \"b\" }}", "wrong number of args for toUpper: want 1 got 2"),
        ("{{ template \"nope\" }}", "template \"nope\" not defined"),
        ("{{ nope }}", "function \"nope\" not defined"),
        ("{{ dict \"a\" }}", "dict requires an even number of arguments"),
        ("{{ now | tz \"No/Where\" }}", "unknown time zone No/Where"),
        ("{{ join \",\" (list 1) }}", "wrong type for value; expected []string; got []interface {}"),
    ] {
        assert_eq!(templates.text(text, &notification()), Err(expected.into()), "{text}");
    }
    assert!(templates.text("{{ .Status", &notification()).unwrap_err().contains("unclosed"));
}

#[test]
fn a_template_that_never_ends_ends() {
    let templates = Templates::new();
    for text in [
        "{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}",
        "{{ range 1000000000 }}x{{ end }}",
        "{{ $s := \"x\" }}{{ range 64 }}{{ $s = print $s $s }}{{ end }}{{ $s }}",
        "{{ $l := list 1 }}{{ range 64 }}{{ $l = list $l $l }}{{ end }}{{ $l }}",
        "{{ $l := list 1 }}{{ range 64 }}{{ $l = list $l $l }}{{ end }}{{ toJson $l }}",
        "{{ $s := \"a\" }}{{ range 19 }}{{ $s = print $s $s }}{{ end }}{{ range 1000 }}{{ $s }}{{ end }}",
        "{{ $s := \"a\" }}{{ range 19 }}{{ $s = print $s $s }}{{ end }}{{ reReplaceAll \"\" $s $s }}",
    ] {
        assert!(templates.text(text, &notification()).is_err(), "{text}");
        assert!(templates.html(text, &notification()).is_err(), "{text}");
    }
}

#[test]
fn html_is_escaped_where_it_stands() {
    let templates = Templates::new();
    for (text, expected) in [
        ("<p>{{ .CommonAnnotations.summary }}</p>", "<p>a &lt;b&gt; &amp; &#34;c&#34;</p>"),
        ("<p title=\"{{ .CommonAnnotations.summary }}\">", "<p title=\"a &lt;b&gt; &amp; &#34;c&#34;\">"),
        ("<a href=\"{{ \"javascript:alert(1)\" }}\">", "<a href=\"#ZgotmplZ\">"),
        ("<a href=\"/x?q={{ \"a b&c\" }}\">", "<a href=\"/x?q=a%20b%26c\">"),
        ("{{ safeHtml \"<b>\" }}{{ \"<b>\" }}", "<b>&lt;b&gt;"),
        ("{{ define \"x\" }}{{ . }}{{ end }}<i>{{ template \"x\" \"<\" }}</i>", "<i>&lt;</i>"),
        ("{{ .CommonLabels }}", "alertname=PgFull, severity=critical"),
    ] {
        assert_eq!(templates.html(text, &notification()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn an_alert_without_a_number_has_no_line_for_it() {
    let (templates, mut posted) = (Templates::new(), notification());
    for alert in &mut posted.alerts {
        *alert = Arc::new(Alert { value: f64::NAN, ..Alert::clone(alert) });
    }
    for name in ["__text_alerts", "__text_alerts_markdown", "__slack_alert"] {
        let of = if name == "__slack_alert" { "(index .Alerts 0)" } else { "." };
        let text = format!("{{{{ template \"{name}\" {of} }}}}");
        let [usual, posted] = [&notification(), &posted].map(|of| templates.text(&text, of).unwrap());
        assert!(usual.contains("value:"), "{usual}");
        assert!(!posted.contains("value:") && !posted.contains("NaN"), "{posted}");
    }
    assert!(!templates.html("{{ template \"email.default.html\" . }}", &posted).unwrap().contains("NaN"));
}

#[test]
fn the_default_texts() {
    let templates = Templates::new();
    let mut reminder = notification();
    reminder.reason = Reason::Repeat;
    reminder.possible_duplicate = true;
    let held = reminder.alerts[0].annotations.with("held", "no data since 3 o'clock, as <db> refuses");
    reminder.alerts[0] = Arc::new(Alert { annotations: held, ..(*reminder.alerts[0]).clone() });
    let url = || Some("http://sidewatch:9640/acknowledge?alert=1&since=2&signature=3".to_owned());
    let flapped = Aside { flapped: 3, acknowledge_url: url(), ..Aside::default() };
    let taken_on = Aside { flapped: 1, acknowledged: Some(Note { by: "a_b".into(), at: 0 }), ..Aside::default() };
    reminder.asides = Asides { acknowledge_url: url(), alerts: vec![flapped, taken_on] };
    for (name, notification) in [
        ("__text_alerts", notification()),
        ("discord.default.message", reminder.clone()),
        ("slack.default.text", reminder.clone()),
        ("__text_alerts_reminder", reminder.clone()),
        ("pagerduty.default.description", notification()),
    ] {
        let template = name.trim_end_matches("_reminder");
        let text = templates.text(&format!("{{{{ template {template:?} . }}}}"), &notification).unwrap();
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn every_default_of_alertmanagers_expands() {
    let templates = Templates::new();
    let names = defaults::names();
    assert!(names.len() > 70, "{names:?}");
    for name in names {
        let data = if name.contains("alert_list") || name.ends_with("instances") || name == "__html_alerts" {
            ".Alerts"
        } else if name.contains("_alert")
            && !name.ends_with('s')
            && !name.contains("_alerts")
            && name != "__alertmanagerURL"
            && name != "__alertmanager"
            || matches!(&*name, "__period" | "__value" | "__flapped")
        {
            "(index .Alerts 0)"
        } else if matches!(&*name, "__markdown" | "__slack") {
            ".Status"
        } else if name == "__html_link" {
            "(dict \"url\" \"u\" \"name\" \"n\")"
        } else {
            "."
        };
        let text = format!("{{{{ template {name:?} {data} }}}}");
        let outcome = if name.contains("html") {
            templates.html(&text, &notification())
        } else {
            templates.text(&text, &notification())
        };
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn the_users_files_replace_and_add() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.tmpl"), "{{ define \"mine\" }}m{{ template \"__subject\" . }}{{ end }}")
        .unwrap();
    std::fs::write(folder.path().join("a.tmpl"), "{{ define \"__subject\" }}{{ .Status }}!{{ end }}").unwrap();
    let problems = Problems::new();
    let patterns = crate::yaml::parse("[\"*.tmpl\", \"none/*.tmpl\"]", "f.yml").unwrap();
    let crate::yaml::Value::List(patterns) = &patterns.value else { panic!("a list") };
    let files = Files::read(patterns, folder.path(), &problems);
    assert!(problems.into_sorted().is_empty());
    assert_eq!(Templates::with(&files).text("{{ template \"mine\" . }}", &notification()).unwrap(), "mfiring!");
}

#[test]
fn what_is_wrong_with_the_users_files_is_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("{{ define \"a\" }}\n{{ if }}{{ end }}{{ end }}", ":2:"),
        ("x\n{{ define \"a\" }}{{ template \"gone\" }}{{ end }}", ":2:1: there is no template \"gone\""),
        ("{{ define \"a\" }}{{ nope }}{{ end }}", "function \"nope\" not defined"),
        ("{{ define \"a\" }}1{{ end }}\n{{ define \"a\" }}2{{ end }}", ":2:1: multiple definition of template \"a\""),
    ] {
        std::fs::write(folder.path().join("a.tmpl"), text).unwrap();
        let problems = Problems::new();
        let patterns = crate::yaml::parse("[a.tmpl, gone.tmpl]", "f.yml").unwrap();
        let crate::yaml::Value::List(patterns) = &patterns.value else { panic!("a list") };
        Files::read(patterns, folder.path(), &problems);
        let said: Vec<_> = problems.into_sorted().iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|said| said.contains(expected)), "{text}: {said:?}");
        assert!(said.iter().any(|said| said.contains("f.yml:1:10: cannot read")), "{said:?}");
    }
}
