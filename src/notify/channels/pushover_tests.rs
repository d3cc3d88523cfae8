use super::*;
use crate::notify::channels::recorder::{Play, Recorder, channel};
use crate::notify::channels::testing::{firing, read, resolved};

const RINGS: Play = Play::Answer(200, &[], r#"{"status":1,"request":"q","receipt":"r1"}"#);

fn yaml(recorder: &Recorder, more: &str) -> String {
    format!(
        "api_url: {}\nuser_key: s3cret-user\ntoken: s3cret-token\ntitle: '{{{{ .Status }}}} {{{{ .GroupLabels.alertname }}}}'\n\
         url: '{{{{ .ExternalURL }}}}'\nmessage: '{{{{ .CommonAnnotations.summary }}}}'\n{more}",
        recorder.url("/")
    )
}

fn value(form: &[(String, String)], name: &str) -> Option<String> {
    form.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone())
}

#[tokio::test]
async fn an_emergency_rings_until_the_end() {
    let recorder = Recorder::playing([RINGS]).await;
    let pushover = channel::<Settings>(&yaml(&recorder, ""));
    let receipt = pushover.send(&firing("a&b=ü")).await.unwrap();
    assert_eq!(receipt.as_deref(), Some("r1"));
    let over = pushover.send(&Notification { receipt, ..resolved("a&b=ü") }).await.unwrap();
    assert_eq!(over, None);
    let [alarm, cancel, end] = &recorder.requests()[..] else { panic!("three requests") };
    assert_eq!((alarm.target.as_str(), alarm.header("content-type")), ("/1/messages.json", Some(FORM)));
    let form: Vec<_> = alarm.form().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    insta::assert_snapshot!("pushover_firing", form.join("\n"));
    assert_eq!((cancel.target.as_str(), cancel.body.as_str()), ("/1/receipts/r1/cancel.json", "token=s3cret-token"));
    assert_eq!((value(&end.form(), "priority"), value(&end.form(), "retry")), (Some("0".into()), None));
}

#[tokio::test]
async fn a_newer_emergency_takes_over_the_ringing() {
    let recorder = Recorder::playing([RINGS, Play::Answer(500, &[], "")]).await;
    let pushover = channel::<Settings>(&yaml(&recorder, ""));
    let before = Some("r0".into());
    let receipt = pushover.send(&Notification { receipt: before, ..firing("app") }).await.unwrap();
    assert_eq!(receipt.as_deref(), Some("r1"), "a cancel that fails is no reason to tell it again");
    let targets: Vec<_> = recorder.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(targets, ["/1/messages.json", "/1/receipts/r0/cancel.json"]);
}

#[tokio::test]
async fn an_end_waits_until_the_ringing_can_be_ended() {
    let recorder = Recorder::playing([Play::Answer(503, &[], ""), Play::Answer(404, &[], "{\"status\":0}")]).await;
    let pushover = channel::<Settings>(&yaml(&recorder, ""));
    let end = Notification { receipt: Some("r1".into()), ..resolved("app") };
    assert_eq!(pushover.send(&end).await.unwrap_err().retry, Retry::After(AFTER_FAILURE));
    pushover.send(&end).await.unwrap();
    let targets: Vec<_> = recorder.requests().into_iter().map(|request| request.target).collect();
    let cancel = "/1/receipts/r1/cancel.json";
    assert_eq!(targets, [cancel, cancel, "/1/messages.json"]);
}

#[tokio::test]
async fn limits_are_kept() {
    let recorder = Recorder::playing([]).await;
    let long = "ü".repeat(2000);
    let yaml = yaml(&recorder, "priority: '-1'\nttl: 1h\nmonospace: true\n")
        .replace("{{ .CommonAnnotations.summary }}", &long)
        .replace("{{ .ExternalURL }}", &format!("http://h/{long}"))
        .replace("{{ .Status }}", &long);
    channel::<Settings>(&yaml).send(&firing("app")).await.unwrap();
    let form = recorder.request().form();
    let length = |name| value(&form, name).map(|value| value.chars().count());
    assert_eq!((length("title"), length("message"), length("url")), (Some(TITLE), Some(MESSAGE), None));
    assert_eq!((value(&form, "ttl"), value(&form, "retry")), (Some("3600".into()), None));
}

#[tokio::test]
async fn refusals_say_whether_to_come_back() {
    let script = [
        Play::Answer(400, &[], r#"{"user":"invalid","errors":["token s3cret-token is invalid"],"status":0}"#),
        Play::Answer(429, &[("X-Limit-App-Remaining", "0")], r#"{"errors":["limit"],"status":0}"#),
        Play::Answer(200, &[], r#"{"errors":["message cannot be blank"],"status":0}"#),
        Play::Answer(200, &[], "<html>"),
    ];
    let recorder = Recorder::playing(script).await;
    let pushover = channel::<Settings>(&yaml(&recorder, ""));
    let mut told = Vec::new();
    for _ in 0..4 {
        let error = pushover.send(&firing("app")).await.unwrap_err();
        assert!(!error.what.contains("s3cret"), "{error}");
        told.push((error.retry, error.reason));
    }
    assert_eq!(
        told,
        [
            (Retry::Never, FailureReason::ClientError),
            (Retry::Never, FailureReason::RateLimited),
            (Retry::Never, FailureReason::ClientError),
            (Retry::Backoff, FailureReason::Other)
        ]
    );
}

#[test]
fn what_pushover_would_refuse_is_refused_before() {
    let of = |yaml: &str| read::<Settings>(yaml, "").1.join("\n");
    assert!(of("token: x").contains("there is no `user_key`"));
    assert!(of("{token: x, user_key: y, retry: 10s}").contains("every 30 seconds at most"));
    assert!(of("{token: x, user_key: y, expire: 4h}").contains("three hours at most"));
}
