use super::super::testing::{firing, json, read, resolved, settings};
use super::*;

const WHOLE: &str = r#"
routing_key: s3cret
client: Sidewatch
client_url: '{{ .ExternalURL }}'
description: '{{ .GroupLabels.alertname }} {{ (index .Alerts 0).Labels.db }}'
source: '{{ (index .Alerts 0).Labels.db }}'
severity: '{{ (index .Alerts 0).Labels.severity }}'
class: pool
component: postgres
group: shop
details: {firing: '[1, {"a": "b"}]', resolved: '"x"', num_firing: '{{ .Alerts | len }}', num_resolved: x, more: {deep: ['{{ .Status }}']}}
images: [{src: 'https://h/i.png', alt: graph, href: 'https://h/'}, {src: '', alt: none}]
links: [{href: '{{ .ExternalURL }}/r', text: Runbook}, {text: none}]
"#;

fn channel(text: &str) -> PagerDuty {
    let settings: Settings = settings(text);
    let endpoint = Endpoint::new(parse_url(&settings.url).unwrap(), &settings.http, settings.timeout).unwrap();
    PagerDuty { settings, endpoint, templates: Arc::new(Templates::new()) }
}

fn short(more: &str) -> PagerDuty {
    let details =
        "details: {firing: '{{ (index .Alerts 0).Labels.db }}', resolved: '', num_firing: '', num_resolved: ''}";
    channel(&format!("{{routing_key: k, client: c, client_url: '', description: '', {details}{more}}}"))
}

#[test]
fn an_event_as_it_is_sent() {
    let channel = channel(WHOLE);
    insta::assert_snapshot!("pagerduty_trigger", json(&channel.event(&firing("app"), Size::Whole).unwrap()));
    insta::assert_snapshot!("pagerduty_resolve", json(&channel.event(&resolved("app"), Size::Whole).unwrap()));
}

#[test]
fn reminders_can_be_ended_from_an_incident() {
    let asides = crate::notify::Asides { acknowledge_url: Some("http://sidewatch/a".into()), ..Default::default() };
    let event = short("").event(&Notification { asides, ..firing("app") }, Size::Whole).unwrap();
    assert_eq!(event.links.iter().map(|link| link.href.as_str()).collect::<Vec<_>>(), ["http://sidewatch/a"]);
}

#[test]
fn what_pagerduty_would_refuse_is_never_empty() {
    let event = short(", severity: page, source: ' '").event(&firing("app"), Size::Whole).unwrap();
    assert_eq!(
        (event.payload.summary.as_str(), event.payload.source.as_str(), event.payload.severity),
        (r#"{}:{alertname="PgPool"}"#, "sidewatch", "error")
    );
    let empty = channel("{routing_key: '{{ .GroupLabels.none }}', description: x, client: x, client_url: x}");
    let error = empty.event(&firing("app"), Size::Whole).err().unwrap();
    assert_eq!(
        (error.what.as_str(), error.retry),
        ("the `routing_key` is empty once filled in", super::super::Retry::Never)
    );
}

#[test]
fn an_event_that_is_too_large_goes_without_its_details() {
    let length = |event: &Event| serde_json::to_vec(event).unwrap().len();
    let event = short("").event(&firing(&"x".repeat(500_000)), Size::Whole).unwrap();
    assert!(length(&event) > 500_000 && event.payload.custom_details.len() == 4);
    let event = short("").event(&firing(&"x".repeat(600_000)), Size::Whole).unwrap();
    assert!(length(&event) < 1000);
    assert!(event.payload.custom_details["error"].as_str().unwrap().contains("larger than PagerDuty takes"));
    let refused = short("").event(&firing("x"), Size::Short).unwrap();
    assert_eq!(refused.payload.custom_details.len(), 1, "it was too large for PagerDuty");
}

#[test]
fn what_is_wrong_is_said() {
    let said = |text: &str| read::<Settings>(text, "").1.join("\n");
    assert_eq!(said("{}"), "f.yml:1:1: there is no `routing_key`; add `routing_key: …`");
    assert!(
        said("service_key: s3cret")
            .starts_with("f.yml:1:14: `service_key` is for PagerDuty's Events API v1, which is not built")
    );
    assert!(said("{routing_key: k, details: [1]}").starts_with("f.yml:1:27: `details` is no mapping"));
    assert!(said("{routing_key: k, details: {a: '{{ .X'}}").starts_with("f.yml:1:31: not a template"));
}
