use serde_json::json;

use super::*;
use crate::notify::channels::Retry;
use crate::notify::channels::recorder::{Play, Recorder, channel};
use crate::notify::channels::testing::{firing, read};

const TEXTS: &str = "title: TITLE\ntext: TEXT\ntitle_link: LINK\nemoji: E\nicon_url: I\n";

fn yaml(recorder: &Recorder, more: &str) -> String {
    format!("api_url: {}\ntoken: s3cret-token\ntoken_id: i\n{TEXTS}{more}", recorder.url("/chat/"))
}

/// The message is that of an Alertmanager 0.33.1 for the same configuration.
#[tokio::test]
async fn the_message_is_alertmanagers() {
    let recorder = Recorder::playing([]).await;
    let more = "channel: '#x'\nfields: [{title: a, value: b}]\nlink_names: true\nshort_fields: true\n\
                actions: [{type: button, text: go, url: 'http://h/', msg: m}]\n";
    channel::<Settings>(&yaml(&recorder, more)).send(&firing("app")).await.unwrap();
    let request = recorder.request();
    assert_eq!(request.target, "/chat/api/v1/chat.postMessage");
    assert_eq!((request.header("x-auth-token"), request.header("x-user-id")), (Some("s3cret-token"), Some("i")));
    assert_eq!(
        request.json(),
        json!({"channel":"#x","emoji":"E","avatar":"I","attachments":[{"title":"TITLE","title_link":"LINK","text":"TEXT","color":"red","fields":[{"short":true,"title":"a","value":"b"}],"actions":[{"type":"button","text":"go","url":"http://h/","is_webview":false,"msg":"m","msg_in_chat_window":false}]}]})
    );
}

#[tokio::test]
async fn an_alert_calls_up_nobody() {
    let recorder = Recorder::playing([]).await;
    let yaml = yaml(&recorder, "").replace("text: TEXT", "text: '{{ .CommonLabels.db }}'");
    channel::<Settings>(&yaml).send(&firing("@all")).await.unwrap();
    assert_eq!(recorder.request().json()["attachments"][0]["text"], "@\u{200b}all");
}

#[tokio::test]
async fn a_refusal_within_a_success_is_one() {
    let script = [
        Play::Answer(200, &[], r#"{"success":false,"error":"[error-not-allowed] s3cret-token"}"#),
        Play::Answer(200, &[], "<html>"),
        Play::Answer(429, &[("Retry-After", "7")], r#"{"success":false}"#),
    ];
    let recorder = Recorder::playing(script).await;
    let rocketchat = channel::<Settings>(&yaml(&recorder, ""));
    let mut told = Vec::new();
    for _ in 0..3 {
        let error = rocketchat.send(&firing("app")).await.unwrap_err();
        assert!(!error.what.contains("s3cret"), "{error}");
        told.push(error.retry);
    }
    assert_eq!(told, [Retry::Never, Retry::Backoff, Retry::After(Duration::from_secs(7))]);
}

#[test]
fn tokens_may_be_the_globals() {
    let problems = read::<Settings>("channel: x", "").1.join("\n");
    assert!(problems.contains("there is no `token`") && problems.contains("there is no `token_id`"), "{problems}");
    let (settings, problems) = read::<Settings>("channel: x", "{rocketchat_token: s3cret, rocketchat_token_id: i}");
    assert_eq!(problems, [""; 0]);
    assert_eq!(settings.unwrap().api_url.expose(), PUBLIC);
}
