use super::*;
use crate::notify::channels::recorder::{Play, Recorder, channel};
use crate::notify::channels::testing::{firing, read, resolved};

fn settings(recorder: &Recorder) -> String {
    format!(
        "url: {}\ntopic: s3cret-topic\ntoken: tk_s3cret\ntitle: '{{{{ .Status }}}} {{{{ .GroupLabels.alertname }}}}'\n\
         message: '{{{{ range .Alerts }}}}{{{{ .Annotations.summary }}}}{{{{ end }}}}'\ntags: [warning, '{{{{ .Status }}}}']\n",
        recorder.url("/ntfy")
    )
}

#[tokio::test]
async fn the_end_replaces_the_alarm() {
    let recorder = Recorder::playing([]).await;
    let ntfy = channel::<Settings>(&settings(&recorder));
    let url = Some("http://sidewatch:9640/acknowledge?alert=1".to_owned());
    let asides = crate::notify::Asides { acknowledge_url: url, ..Default::default() };
    ntfy.send(&Notification { asides, ..firing("app") }).await.unwrap();
    ntfy.send(&resolved("app")).await.unwrap();
    let [alarm, end] = &recorder.requests()[..] else { panic!("two requests") };
    assert_eq!((alarm.method.as_str(), alarm.target.as_str()), ("POST", "/ntfy/"));
    assert_eq!(alarm.header("authorization"), Some("Bearer tk_s3cret"));
    insta::assert_snapshot!("ntfy_firing", format!("{:#}", alarm.json()));
    let (alarm, end) = (alarm.json(), end.json());
    assert_eq!(alarm["sequence_id"], end["sequence_id"]);
    assert_eq!((&end["title"], &end["priority"]), (&"resolved PgPool".into(), &3.into()));
}

#[tokio::test]
async fn a_long_message_is_cut_and_cut_again_where_the_server_takes_less() {
    let recorder =
        Recorder::playing([Play::Answer(413, &[], r#"{"code":41303,"http":413,"error":"too large"}"#)]).await;
    let long = "ä".repeat(5000);
    let ntfy = channel::<Settings>(&format!("url: {}\ntopic: t\ntitle: x\nmessage: {long}", recorder.url("/")));
    ntfy.send(&firing("app")).await.unwrap();
    let lengths: Vec<_> = recorder.requests().iter().map(|r| r.json()["message"].as_str().unwrap().len()).collect();
    assert_eq!(lengths, [4095, 1023]);
}

#[tokio::test]
async fn a_spent_quota_is_not_knocked_at() {
    let script = [
        Play::Answer(
            429,
            &[],
            r#"{"code":42901,"http":429,"error":"limit reached: too many requests to s3cret-topic"}"#,
        ),
        Play::Answer(429, &[], r#"{"code":42908,"http":429,"error":"limit reached: daily message quota"}"#),
        Play::Answer(429, &[], r#"{"code":42909,"http":429,"error":"limit reached: too many auth failures"}"#),
    ];
    let recorder = Recorder::playing(script).await;
    let ntfy = channel::<Settings>(&settings(&recorder));
    let mut told = Vec::new();
    for _ in 0..3 {
        let error = ntfy.send(&firing("app")).await.unwrap_err();
        assert!(!error.what.contains("s3cret"), "{error}");
        told.push((error.retry, error.reason));
    }
    assert_eq!(
        told,
        [
            (Retry::Backoff, FailureReason::RateLimited),
            (Retry::Never, FailureReason::RateLimited),
            (Retry::Never, FailureReason::AuthError)
        ]
    );
}

#[tokio::test]
async fn a_priority_is_a_number_a_name_or_by_severity() {
    let said = |said: &str| priority(said, &firing("app")).map_err(|error| error.what);
    assert_eq!((said(""), said("2"), said("max")), (Ok(5), Ok(2), Ok(5)));
    assert_eq!(said("6").unwrap_err(), "the priority `6` is none of ntfy's 1 to 5");
    assert_eq!(priority("", &resolved("app")).unwrap(), 3);
}

#[test]
fn what_is_missing_or_given_twice_is_told() {
    assert_eq!(read::<Settings>("url: http://h", "").1.len(), 1);
    let twice = read::<Settings>("{topic: t, token: x, http_config: {authorization: {credentials: y}}}", "").1;
    assert!(twice[0].contains("credentials are given twice"), "{twice:?}");
    let twice = read::<Settings>("{topic: t, url: 'http://u:s3cret@h/', token: x}", "").1;
    assert!(twice[0].contains("credentials are given twice") && !twice[0].contains("s3cret"), "{twice:?}");
}
