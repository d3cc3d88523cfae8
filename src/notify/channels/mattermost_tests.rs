use serde_json::{Value, json};

use super::*;
use crate::notify::channels::recorder::{Play, Recorder, channel};
use crate::notify::channels::testing::{firing, read};

/// What stands for the default texts, as in the templates that the Alertmanager had whose messages are quoted below.
const TEXTS: &str = "username: U\ncolor: C\ntitle: TITLE\ntitle_link: LINK\nfallback: FB\n";

async fn sent(yaml: &str) -> Value {
    let recorder = Recorder::playing([]).await;
    let yaml = format!("webhook_url: {}\n{yaml}", recorder.url("/hooks/s3cret"));
    channel::<Settings>(&yaml).send(&firing("app")).await.unwrap();
    recorder.request().json()
}

/// The messages are those of an Alertmanager 0.33.1 for the same configuration.
#[tokio::test]
async fn the_message_is_alertmanagers() {
    assert_eq!(
        sent(&format!("{TEXTS}text: TEXT")).await,
        json!({"username":"U","attachments":[{"fallback":"FB","color":"C","text":"TEXT","title":"TITLE","title_link":"LINK"}]})
    );
    let yaml = "fields: [{title: a, value: b}, {title: c, value: d, short: true}]\npretext: p\ntext: tt\nicon_emoji: x\n\
                priority: {priority: urgent, requested_ack: true}\nprops: {card: c}\n";
    assert_eq!(
        sent(&format!("{TEXTS}{yaml}")).await,
        json!({"username":"U","icon_emoji":"x","attachments":[{"fallback":"FB","color":"C","pretext":"p","text":"tt","title":"TITLE","title_link":"LINK","fields":[{"title":"a","value":"b"},{"title":"c","value":"d","short":true}]}],"props":{"card":"c"},"priority":{"priority":"urgent","requested_ack":true}})
    );
    let yaml = "text: hello\nattachments: [{title: ATT, text: T2, fields: [{title: a, value: b}]}]";
    assert_eq!(
        sent(&format!("{TEXTS}{yaml}")).await,
        json!({"text":"hello","username":"U","attachments":[{"text":"T2","title":"ATT","fields":[{"title":"a","value":"b"}]}]})
    );
}

#[tokio::test]
async fn a_wish_counts_at_its_urgency_only() {
    let wishes = "requested_ack: true, persistent_notifications: true";
    let of = |word: &str| format!("{TEXTS}text: x\npriority: {{priority: '{word}', {wishes}}}");
    let sent = [sent(&of("Important")).await, sent(&of("panic")).await, sent(&of("")).await];
    assert_eq!(sent[0]["priority"], json!({"priority":"important","requested_ack":true}));
    assert_eq!(sent[1]["priority"], json!({"priority":"standard"}));
    assert_eq!(sent[2]["priority"], Value::Null);
}

#[tokio::test]
async fn a_page_is_no_success_and_too_much_is_cut() {
    let script = [Play::Answer(200, &[], " <!DOCTYPE html>"), Play::Answer(413, &[], "")];
    let recorder = Recorder::playing(script).await;
    let text = format!("```{}", "ü".repeat(20_000));
    let yaml = format!("webhook_url: {}\n{TEXTS}text: '{text}'", recorder.url("/hooks/s3cret"));
    let mattermost = channel::<Settings>(&yaml);
    let error = mattermost.send(&firing("app")).await.unwrap_err();
    assert!(error.retry == crate::notify::channels::Retry::Backoff && !error.what.contains("s3cret"), "{error}");
    mattermost.send(&Notification { possible_duplicate: true, ..firing("app") }).await.unwrap();
    let sent: Vec<_> = recorder.requests().iter().map(super::super::recorder::Recorded::json).collect();
    let text = |at: usize| sent[at]["attachments"][0]["text"].as_str().unwrap();
    assert_eq!(text(0).chars().count(), TEXT);
    assert!(text(0).ends_with("…\n```") && text(2).chars().count() <= TEXT / 4);
    assert_eq!((&sent[0]["text"], &sent[2]["text"]), (&Value::Null, &POSSIBLE_DUPLICATE.into()));
}

#[tokio::test]
async fn an_alert_calls_up_nobody_but_the_configuration_may() {
    let recorder = Recorder::playing([]).await;
    let yaml =
        format!("webhook_url: {}\n{TEXTS}text: '@here: {{{{ .CommonLabels.db }}}}'", recorder.url("/hooks/s3cret"));
    channel::<Settings>(&yaml).send(&firing("@channel")).await.unwrap();
    assert_eq!(recorder.request().json()["attachments"][0]["text"], "@here: @\u{200b}channel");
}

#[test]
fn the_url_may_be_the_globals() {
    assert!(read::<Settings>("text: x", "").1[0].contains("there is no `webhook_url`"));
    let (settings, problems) = read::<Settings>("text: x", "mattermost_webhook_url: http://h/s3cret");
    assert_eq!(problems, [""; 0]);
    let settings = settings.unwrap();
    assert_eq!(settings.webhook_url.expose(), "http://h/s3cret");
    assert!(!format!("{settings:?}").contains("s3cret"));
    let problems = read::<Settings>("{webhook_url: 'http://h/', fields: [{title: x}], colour: y}", "").1.join("\n");
    assert!(problems.contains("a field has no `value`"), "{problems}");
    assert!(problems.contains("colour"), "{problems}");
}
