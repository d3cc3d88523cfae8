use super::super::testing::{firing, json, read, resolved, settings};
use super::*;

const WHOLE: &str = r#"
api_url: https://hooks.slack.com/services/T0/B0/s3cret
channel: '#ops-{{ .GroupLabels.alertname }}'
username: Sidewatch
icon_emoji: ':rotating_light:'
icon_url: ''
link_names: true
message_text: 'look at {{ .GroupLabels.alertname }}'
color: '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}'
title: '{{ .Status }} {{ (index .Alerts 0).Labels.db }}'
title_link: '{{ (index .Alerts 0).GeneratorURL }}'
pretext: ''
text: '{{ range .Alerts }}*{{ .Labels.db }}*: {{ .Annotations.summary }} <{{ .GeneratorURL }}|graph>{{ end }}'
fallback: '{{ .Status }}'
callback_id: pool
footer: Sidewatch
short_fields: true
fields: [{title: database, value: '{{ (index .Alerts 0).Labels.db }}'}, {title: long, value: x, short: false}]
actions:
- {type: button, text: 'Runbook', url: '{{ .ExternalURL }}/r?a=1&b=2', name: dropped}
- {type: button, text: Ack, name: ack, value: '1', style: danger, confirm: {text: 'Sure?', ok_text: 'Yes'}}
"#;

/// Every text literal.
const SHORT: &str = "username: '', icon_emoji: '', icon_url: '', color: '', title_link: '', pretext: '', fallback: '', \
                     callback_id: '', footer: ''";

fn message(text: &str, notification: &Notification, size: Size) -> Message {
    Message::of(&settings(text), &Templates::new(), notification, size).unwrap()
}

#[test]
fn a_message_as_it_is_sent() {
    let odd = "<!channel> a&b";
    insta::assert_snapshot!("slack_firing", json(&message(WHOLE, &firing(odd), Size::Whole)));
    let again = Notification { possible_duplicate: true, ..resolved("app") };
    insta::assert_snapshot!("slack_resolved", json(&message(WHOLE, &again, Size::Whole)));
}

#[test]
fn texts_are_cut_to_slacks_limits() {
    let config = format!(
        "{{api_url: 'http://h/', {SHORT}, title: '{{{{ (index .Alerts 0).Labels.db }}}}', text: '{{{{ (index .Alerts 0).Labels.db }}}}'}}"
    );
    let lengths = |size| {
        let sent = serde_json::to_value(message(&config, &firing(&"<".repeat(20_000)), size)).unwrap();
        ["title", "text"].map(|key| {
            let text = sent["attachments"][0][key].as_str().unwrap();
            assert!(text.ends_with("&lt;…"));
            text.chars().count()
        })
    };
    // 255 and 3,999 whole `&lt;` and the ellipsis.
    assert_eq!(lengths(Size::Whole), [255 * 4 + 1, 3999 * 4 + 1]);
    assert_eq!(lengths(Size::Short), [63 * 4 + 1, 999 * 4 + 1]);
}

#[test]
fn an_app_asks_the_web_api_with_its_token() {
    let app: Settings = settings("app_token: xoxb-s3cret");
    assert_eq!((app.url.expose(), app.is_api), ("https://slack.com/api/chat.postMessage", true));
    assert_eq!(app.http.authorization.as_ref().unwrap().expose(), "Bearer xoxb-s3cret");
    let endpoint = Endpoint::new(Url::parse(app.url.expose()).unwrap(), &app.http, app.timeout).unwrap();
    let slack = Slack { settings: app, endpoint, templates: Arc::new(Templates::new()) };
    assert_eq!(slack.update_url().as_str(), "https://slack.com/api/chat.update");
    let (both, problems) =
        read::<Settings>("{}", "{slack_app_token: t, slack_app_url: 'http://h/api/chat.postMessage'}");
    assert_eq!((both.unwrap().url.expose(), problems), ("http://h/api/chat.postMessage", vec![]));
    let hook: Settings = settings("api_url: https://slack.com/api/chat.postMessage");
    assert!(hook.is_api, "as Alertmanager's documentation has it, with the token under `http_config`");
}

#[test]
fn what_is_wrong_is_said_without_the_secret() {
    let said = |text: &str, global: &str| read::<Settings>(text, global).1.join("\n");
    assert_eq!(
        said("{}", "{}"),
        "f.yml:1:1: there is neither an `api_url` nor an `app_token`; add one of them here, or `slack_api_url` to `global`"
    );
    assert_eq!(said("{}", "slack_api_url: http://h/"), "");
    assert_eq!(
        said("{api_url: 'http://h/s3cret', app_token: s3cret}", "{}"),
        "f.yml:1:1: both `api_url` and `app_token` are given; keep one of them"
    );
    assert_eq!(
        said("{api_url: 'http://h/s3cret', update_message: true}", "{}"),
        "f.yml:1:46: `update_message` cannot be had from an incoming webhook; use `app_token`, or write `api_url: https://slack.com/api/chat.postMessage`"
    );
    assert_eq!(
        said("{app_token: t, http_config: {authorization: {credentials: s3cret}}}", "{}"),
        "f.yml:1:1: credentials are given twice; keep `app_token` or those of `http_config`"
    );
    assert_eq!(
        said("{app_token: t, fields: [{title: x}], actions: [{type: button}]}", "{}"),
        "f.yml:1:25: there is no `value`; add `value: …`\n\
         f.yml:1:48: a button has neither `url` nor `name`; add `url: https://…`\n\
         f.yml:1:48: there is no `text`; add `text: …`"
    );
}

#[test]
fn the_default_text_escapes_an_alerts_texts_once_and_says_once_that_it_may_be_a_second() {
    let url = Some("http://sidewatch:9640/acknowledge?alert=1&since=2".to_owned());
    let asides = crate::notify::Asides { acknowledge_url: url, ..Default::default() };
    let again = Notification { possible_duplicate: true, asides, ..firing("a&b <c>") };
    let sent = json(&message("{api_url: 'http://h/', channel: '#a'}", &again, Size::Whole));
    assert!(sent.contains("db=a&amp;b &lt;c&gt;") && sent.contains("pool &lt;97%&gt; &amp; "), "{sent}");
    assert!(sent.contains("<http://sidewatch:9640/acknowledge?alert=1&amp;since=2|acknowledge>"), "{sent}");
    assert_eq!(sent.matches("uplicate").count() + sent.matches("twice").count(), 1, "{sent}");
}
