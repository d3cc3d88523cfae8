use super::*;
use crate::notify::channels::recorder::{Play, Recorder, channel};
use crate::notify::channels::testing::{firing, read, resolved};

#[tokio::test]
async fn a_group_is_one_thread() {
    let recorder = Recorder::playing([]).await;
    let url = recorder.url("/v1/spaces/A/messages?key=s3cret-k&token=s3cret-t");
    let chat =
        channel::<Settings>(&format!("url: '{url}'\ntext: '*{{{{ .Status }}}}* {{{{ .CommonAnnotations.summary }}}}'"));
    chat.send(&firing("app")).await.unwrap();
    chat.send(&resolved("app")).await.unwrap();
    let [alarm, end] = &recorder.requests()[..] else { panic!("two requests") };
    assert_eq!(
        alarm.target,
        "/v1/spaces/A/messages?key=s3cret-k&token=s3cret-t&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"
    );
    insta::assert_snapshot!("googlechat_firing", format!("{:#}", alarm.json()));
    assert_eq!(alarm.json()["thread"], end.json()["thread"]);
    assert!(end.json()["text"].as_str().unwrap().starts_with("*resolved*"));
}

#[tokio::test]
async fn neither_a_long_text_nor_a_told_token_gets_through() {
    let script = [Play::Answer(403, &[], r#"{"error":{"message":"token s3cret-t is not valid"}}"#)];
    let recorder = Recorder::playing(script).await;
    let url = recorder.url("/v1/spaces/A/messages?key=s3cret-k&token=s3cret-t");
    let chat = channel::<Settings>(&format!("url: '{url}'\nthreading: false\ntext: {}", "ü".repeat(20_000)));
    let error = chat.send(&firing("app")).await.unwrap_err();
    assert_eq!(error.what, r#"answered 403 Forbidden: {"error":{"message":"token *** is not valid"}}"#);
    let request = recorder.request();
    assert!(request.body.len() < 32_000 && request.body.ends_with("…\"}"), "{}", request.body.len());
    assert!(!request.target.contains("messageReplyOption"));
}

#[test]
fn a_url_is_needed() {
    assert_eq!(
        read::<Settings>("text: x", "").1,
        ["f.yml:1:1: there is no `url`; add `url: https://…` or `url_file: …`"]
    );
}

#[test]
fn a_label_calls_nobody_up() {
    assert_eq!(harmless("a <users/all> <b>"), "a <\u{200b}users/all> <b>");
}
