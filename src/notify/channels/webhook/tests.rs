use std::sync::Arc;

use super::*;
use crate::notify::notification::Reason;

fn alert(labels: &[(&str, &str)]) -> Arc<Alert> {
    Arc::new(Alert {
        labels: Labels::new([("alertname", "PgPool"), ("severity", "critical")])
            .overlaid(&Labels::new(labels.iter().copied())),
        annotations: Labels::new([("summary", "pool <97%> & \"more\"")]),
        starts_at: Millis(1_795_230_245_120),
        ends_at: None,
        value: 97.0,
        generator_url: "http://agent:9000/g?x=1&y=2".into(),
    })
}

fn notification(alerts: Vec<Arc<Alert>>) -> Notification {
    Notification {
        receiver: "on.call".into(),
        integration: ("webhook", 0),
        group_key: r#"{}:{alertname="PgPool"}"#.into(),
        group_labels: Labels::new([("alertname", "PgPool")]),
        alerts,
        reason: Reason::First,
        external_url: "http://sidewatch:9640/x".into(),
        receipt: None,
        possible_duplicate: false,
        asides: crate::notify::Asides::default(),
        at: Millis(1_795_230_250_000),
    }
}

fn json(body: &[u8]) -> serde_json::Value {
    serde_json::from_slice(body).unwrap()
}

/// What an Alertmanager 0.25.0 sent for the same alerts with `max_alerts: 2`.
const ALERTMANAGERS: &str = r#"{"receiver":"on\\.call","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"PgPool","db":"a\"b\n\u0001é","instance":"a:1","severity":"critical"},"annotations":{"summary":"pool \u003c97%\u003e \u0026 \"more\""},"startsAt":"2026-11-21T03:04:05.12Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://agent:9000/g?x=1\u0026y=2","fingerprint":"ff1fc6a93a67e900"},{"status":"resolved","labels":{"alertname":"PgPool","db":"app","instance":"b:1","severity":"critical"},"annotations":{"summary":"pool \u003c97%\u003e \u0026 \"more\""},"startsAt":"2026-11-21T03:04:05.12Z","endsAt":"2026-11-21T07:10:13.538Z","generatorURL":"http://agent:9000/g?x=1\u0026y=2","fingerprint":"f5c507583261bb9a"}],"groupLabels":{"alertname":"PgPool"},"commonLabels":{"alertname":"PgPool","severity":"critical"},"commonAnnotations":{"summary":"pool \u003c97%\u003e \u0026 \"more\""},"externalURL":"http://sidewatch:9640/x","version":"4","groupKey":"{}:{alertname=\"PgPool\"}","truncatedAlerts":1}"#;

#[test]
fn the_body_is_alertmanagers() {
    let odd = alert(&[("db", "a\"b\n\u{1}é"), ("instance", "a:1")]);
    let ended = Alert {
        ends_at: Some(Millis(1_795_245_013_538)),
        ..Arc::unwrap_or_clone(alert(&[("db", "app"), ("instance", "b:1")]))
    };
    let ours = body(&notification(vec![odd, Arc::new(ended), alert(&[("db", "zz")])]), 2);
    let mut ours = json(&ours);
    assert_eq!(ours.as_object_mut().unwrap().remove("notification_reason").unwrap(), "first notification");
    assert_eq!(ours, json(ALERTMANAGERS.as_bytes()));
}

#[test]
fn the_body_as_it_is_written() {
    let text = String::from_utf8(body(&notification(vec![alert(&[("db", "app")])]), 0)).unwrap();
    insta::assert_snapshot!("webhook_v4", text);
}

#[test]
fn a_wrong_url_is_refused_without_being_shown() {
    use crate::model::Problems;
    for url in ["ftp://h/s3cret", "s3cret", "http://", "http://h:99999/s3cret"] {
        let problems = Problems::new();
        let node = crate::yaml::parse(&format!("url: '{url}'"), "f.yml").unwrap();
        let mut fields = Fields::of(&node, "a webhook", &problems).unwrap();
        assert_eq!(Settings::read(&mut fields, &(), &HttpSettings::default()), None);
        let said = problems.into_sorted()[0].to_string();
        assert!(said.starts_with("f.yml:1:6: the webhook's URL is") && !said.contains("s3cret"), "{said}");
    }
}

fn read(text: &str) -> (Option<Settings>, Vec<String>) {
    let problems = crate::model::Problems::new();
    let node = crate::yaml::parse(text, "f.yml").unwrap();
    let mut fields = Fields::of(&node, "a webhook", &problems).unwrap();
    let settings = Settings::read(&mut fields, &(), &HttpSettings::default());
    (settings, problems.into_sorted().iter().map(ToString::to_string).collect())
}

/// What an Alertmanager 0.33.1 sent for the same payloads.
#[test]
fn a_payload_of_the_users_is_alertmanagers() {
    for (payload, expected) in [
        ("'{{ toJson .GroupLabels }}'", r#"{"alertname":"PgPool"}"#),
        ("'just text {{ .Status }}'", r#""just text firing""#),
        (
            r#"{x: "{{ .Status }}", num: 5, b: true, z: null, f: 1.5, l: ["{{ len .Alerts }}", 2], "k{{ .Status }}": "true"}"#,
            r#"{"b":true,"f":1.5,"kfiring":true,"l":[1,2],"num":5,"x":"firing","z":null}"#,
        ),
        (
            r#"{j: "{{ toJson .CommonLabels }}", s: "1.0", t: "\"5\"", e: "", d: "2026-01-01", m: "a: b", ll: "[1, {{ .Status }}]"}"#,
            r#"{"d":"2026-01-01","e":null,"j":{"alertname":"PgPool","db":"app","severity":"critical"},"ll":[1,"firing"],"m":{"a":"b"},"s":1,"t":"\"5\""}"#,
        ),
        (r#"["{{ .Status }}"]"#, r#"["firing"]"#),
        ("5", "5"),
        (r#""[1,2""#, r#""[1,2""#),
        (r#""5""#, "5"),
        (r#"{h: "<&>"}"#, r#"{"h":"<&>"}"#),
        (r#""""#, "null"),
    ] {
        let (settings, problems) = read(&format!("url: http://h/\npayload: {payload}"));
        assert!(problems.is_empty(), "{payload}: {problems:?}");
        let webhook = Webhook::new(&settings.unwrap(), &Arc::new(Templates::new())).unwrap();
        let notification = notification(vec![alert(&[("db", "app")])]);
        let sent = webhook.body(&notification, &webhook.templates.of(&notification)).unwrap();
        assert_eq!(json(&sent), json(expected.as_bytes()), "{payload}");
    }
}

#[test]
fn labels_are_no_programs() {
    let odd = notification(vec![alert(&[("db", "[\"{{ .ExternalURL }}\"]")])]);
    let (settings, _) = read("url: http://h/\npayload: '{{ .CommonLabels.db }}'");
    let webhook = Webhook::new(&settings.unwrap(), &Arc::new(Templates::new())).unwrap();
    let sent = webhook.body(&odd, &webhook.templates.of(&odd)).unwrap();
    assert_eq!(json(&sent), serde_json::json!(["{{ .ExternalURL }}"]));
}

#[test]
fn what_cannot_be_sent_is_a_problem_that_shows_no_secret() {
    for (text, expected) in [
        (
            "url: http://h/\npayload: {a: ['{{ nope }}']}",
            "f.yml:2:15: `payload` is no template here: function \"nope\" not defined",
        ),
        (
            "url: http://h/\nsigning_secret: whsec_s3cret!",
            "f.yml:2:17: the signing secret is not base64 behind `whsec_`",
        ),
        ("url: 'http://h/s3cret/{{ nope }}'", "f.yml:1:6: the webhook's URL is no template"),
    ] {
        let (_, problems) = read(text);
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{text}: {problems:?}");
        assert!(!problems[0].contains("s3cret"), "{problems:?}");
    }
    assert!(read("url: 'http://h/{{ .GroupLabels.alertname }}'").1.is_empty());
}
