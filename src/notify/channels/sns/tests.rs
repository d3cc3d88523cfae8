use super::*;
use crate::notify::channels::recorder::{Play, Recorder, channel};
use crate::notify::channels::testing::{firing, read, resolved, settings};

const PUBLISHED: Play = Play::Answer(
    200,
    &[],
    "<PublishResponse><PublishResult><MessageId>94f20ce6</MessageId></PublishResult></PublishResponse>",
);

fn yaml(recorder: &Recorder, to: &str, message: &str) -> String {
    let url = recorder.url("/");
    format!(
        "api_url: {url}\nsigv4: {{region: eu-central-1, access_key: AKIDEXAMPLE, secret_key: s3cret/key}}\n{to}\n\
         subject: '{{{{ .Status }}}} {{{{ .GroupLabels.alertname }}}}'\nmessage: '{message}'\n\
         attributes: {{severity: '{{{{ .CommonLabels.severity }}}}', team: db}}\n"
    )
}

fn value<'f>(form: &'f [(String, String)], name: &str) -> Option<&'f str> {
    form.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn a_topic_gets_a_signed_form() {
    let recorder = Recorder::playing([PUBLISHED]).await;
    let topic = "topic_arn: arn:aws:sns:eu-central-1:123456789012:alerts";
    let sns = channel::<Settings>(&yaml(&recorder, topic, "{{ .CommonAnnotations.summary }}"));
    assert!(!sns.is_idempotent());
    sns.send(&firing("a&b=ü")).await.unwrap();
    let request = recorder.request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/"));
    assert_eq!(request.header("content-type"), Some(FORM));
    let authorization = request.header("authorization").unwrap();
    let day = &request.header("x-amz-date").unwrap()[..8];
    let begin = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{day}/eu-central-1/sns/aws4_request, ");
    assert!(authorization.starts_with(&begin), "{authorization}");
    assert!(authorization.contains("SignedHeaders=content-type;host;x-amz-date, Signature="), "{authorization}");
    let form: Vec<_> = request.form().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    insta::assert_snapshot!("sns_topic", form.join("\n"));
}

#[tokio::test]
async fn a_fifo_topic_drops_a_repeated_attempt_and_no_end() {
    let recorder = Recorder::playing([PUBLISHED, PUBLISHED, PUBLISHED]).await;
    let sns = channel::<Settings>(&yaml(&recorder, "topic_arn: arn:aws:sns:eu-central-1:1:alerts.fifo", "x"));
    assert!(sns.is_idempotent());
    for notification in [firing("app"), firing("app"), resolved("app")] {
        sns.send(&notification).await.unwrap();
    }
    let forms: Vec<_> = recorder.requests().iter().map(super::super::recorder::Recorded::form).collect();
    let ids: Vec<_> = forms.iter().map(|form| value(form, "MessageDeduplicationId").unwrap()).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    let groups: Vec<_> = forms.iter().map(|form| value(form, "MessageGroupId").unwrap()).collect();
    assert!(groups.iter().all(|group| *group == groups[0] && group.len() <= 128), "{groups:?}");
}

#[tokio::test]
async fn what_is_cut_is_marked() {
    let recorder = Recorder::playing([PUBLISHED, PUBLISHED, PUBLISHED]).await;
    let long = "ü".repeat(140_000);
    let phone = channel::<Settings>(&yaml(&recorder, "phone_number: '+49151'", &long));
    phone.send(&firing("app")).await.unwrap();
    let topic = channel::<Settings>(&yaml(&recorder, "topic_arn: arn:aws:sns:eu-central-1:1:a", &long));
    topic.send(&firing("app")).await.unwrap();
    let whole = channel::<Settings>(&yaml(&recorder, "topic_arn: arn:aws:sns:eu-central-1:1:a", ""));
    whole.send(&firing("app")).await.unwrap();
    let forms: Vec<_> = recorder.requests().iter().map(super::super::recorder::Recorded::form).collect();
    let marked = |form| value(form, "MessageAttributes.entry.3.Name");
    let message = |form| value(form, "Message").unwrap();
    assert_eq!((message(&forms[0]).chars().count(), value(&forms[0], "PhoneNumber")), (SMS, Some("+49151")));
    assert!(message(&forms[1]).len() < MESSAGE && message(&forms[1]).len() > MESSAGE - 200);
    assert_eq!((marked(&forms[0]), marked(&forms[1]), marked(&forms[2])), (Some("truncated"), Some("truncated"), None));
    assert_eq!(message(&forms[2]), NOTHING);
}

#[tokio::test]
async fn refusals_are_told_in_awss_words() {
    let script = [
        Play::Answer(
            403,
            &[],
            "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code>\
             <Message>The security token &quot;s3cret/key&quot; is invalid.</Message></Error></ErrorResponse>",
        ),
        Play::Answer(400, &[], "<Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error>"),
        Play::Answer(200, &[], "<html>Welcome</html>"),
    ];
    let recorder = Recorder::playing(script).await;
    let sns = channel::<Settings>(&yaml(&recorder, "target_arn: arn:aws:sns:eu-central-1:1:endpoint/x", "x"));
    let mut told = Vec::new();
    for _ in 0..3 {
        let error = sns.send(&firing("app")).await.unwrap_err();
        told.push((error.what, error.retry, error.reason));
    }
    let what = r#"answered 403 Forbidden: InvalidClientTokenId: The security token "***" is invalid."#;
    assert_eq!(told[0], (what.into(), Retry::Never, FailureReason::AuthError));
    let what = "answered 400 Bad Request: Throttling: Rate exceeded";
    assert_eq!(told[1], (what.into(), Retry::Backoff, FailureReason::RateLimited));
    assert_eq!((told[2].1, told[2].2), (Retry::Backoff, FailureReason::Other));
}

#[test]
fn where_to_and_who_are_checked() {
    let of = |yaml: &str| read::<Settings>(yaml, "").1.join("\n");
    let keys = "sigv4: {region: eu-central-1, access_key: A, secret_key: s3cret}";
    assert!(of(&format!("{{{keys}}}")).contains("exactly one of `topic_arn`"));
    assert!(of(&format!("{{{keys}, topic_arn: a, phone_number: b}}")).contains("exactly one of"));
    assert!(of("{sigv4: {region: x, access_key: A}, topic_arn: a}").contains("one half of the AWS keys is missing"));
    assert!(of("{sigv4: {region: x, role_arn: r}, topic_arn: a}").contains("`role_arn` is not built yet"));
    assert!(of(&format!("{{{keys}, topic_arn: a, api_url: 'http://h/{{{{ x }}}}'}}")).contains("a plain URL"));
    let shown = format!("{:?}", settings::<Settings>(&format!("{{{keys}, topic_arn: a}}")));
    assert!(!shown.contains("s3cret"), "{shown}");
}
