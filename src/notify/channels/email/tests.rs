use std::sync::Arc;

use super::*;
use crate::model::{Alert, Labels, Millis, Problems};
use crate::notify::channels::{ChannelSettings as _, HttpSettings, Retry};
use crate::notify::notification::Reason;
use crate::yaml::{Fields, parse};

fn settings(text: &str) -> Settings {
    let text =
        format!("{{to: 'oncall@example.org', from: 'Sidewatch <s@example.org>', smarthost: 'mail:587', {text}}}");
    let node = parse(&text, "f.yml").unwrap();
    let problems = Problems::new();
    let settings = Settings::read(
        &mut Fields::of(&node, "an email config", &problems).unwrap(),
        &Defaults::default(),
        &HttpSettings::default(),
    );
    assert!(problems.is_empty(), "{problems:?}");
    settings.unwrap()
}

fn alert(name: &str, instance: &str, ends_at: Option<i64>) -> Arc<Alert> {
    Arc::new(Alert {
        labels: Labels::new([
            ("alertname", name),
            ("instance", instance),
            ("job", "postgres"),
            ("severity", "critical"),
        ]),
        annotations: Labels::new([
            ("summary", format!("{instance} refuses <logins> & \"more\"").as_str()),
            ("description", "All 100 connections are taken.\nWho holds them: pg_stat_activity."),
            ("runbook_url", "https://runbooks.example.org/pg?a=1&b=2"),
            ("impact", "orders fail"),
        ]),
        starts_at: Millis(1_795_230_245_120),
        ends_at: ends_at.map(Millis),
        value: 0.97,
        generator_url: "http://sidewatch:9640/graph?g0.expr=pg_up+%3D%3D+0".into(),
    })
}

fn notification(alerts: Vec<Arc<Alert>>) -> Notification {
    Notification {
        receiver: "on-call".into(),
        integration: ("email", 0),
        group_key: r#"{}:{alertname="PgFull"}"#.into(),
        group_labels: Labels::new([("alertname", "PgFull")]),
        alerts,
        reason: Reason::First,
        external_url: "http://sidewatch:9640".into(),
        receipt: None,
        possible_duplicate: false,
        asides: crate::notify::Asides::default(),
        at: Millis(1_795_231_000_000),
    }
}

fn both() -> Notification {
    notification(vec![alert("PgFull", "db:5432", None), alert("PgFull", "db2:5432", Some(1_795_230_900_000))])
}

fn compose(settings: &Settings, notification: &Notification) -> lettre::Message {
    message::compose(settings, &Templates::new(), notification).unwrap()
}

fn html(notification: &Notification) -> String {
    Templates::new().html(&settings("").html, notification).unwrap()
}

#[test]
fn the_plain_part_reads_at_night() {
    insta::assert_snapshot!("email_text", Templates::new().text(&settings("").text, &both()).unwrap());
}

#[test]
fn the_html_part_is_escaped_and_fetches_nothing() {
    let html = html(&both());
    assert!(!html.contains("<logins>") && !html.contains("<img") && !html.contains("src="));
    insta::assert_snapshot!("email_html", html);
}

#[test]
fn a_link_that_a_browser_should_not_follow_is_text() {
    let mut odd = Arc::unwrap_or_clone(alert("PgFull", "db", None));
    odd.generator_url = "javascript:alert(1)".into();
    assert!(!html(&notification(vec![Arc::new(odd)])).contains("href=\"javascript"));
}

#[test]
fn subjects_are_alertmanagers() {
    let subject = |alerts| Templates::new().text(&settings("").subject, &notification(alerts)).unwrap();
    assert_eq!(subject(vec![alert("PgFull", "db:5432", None)]), "[FIRING:1] PgFull (db:5432 postgres critical)");
    assert_eq!(
        subject(vec![alert("PgFull", "a", Some(1)), alert("PgFull", "b", None)]),
        "[FIRING:1] PgFull (postgres critical)"
    );
    assert_eq!(subject(vec![alert("PgFull", "a", Some(1))]), "[RESOLVED] PgFull (a postgres critical)");
}

/// A server that says these lines, each after a line or a mail of the client's, and then hangs up. Before a line that begins with
/// `…` a minute goes by.
async fn server(lines: &'static [&'static str]) -> u16 {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[expect(clippy::disallowed_methods, reason = "a test's own server")]
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.split();
        let mut read = BufReader::new(read).lines();
        for (at, line) in lines.iter().enumerate() {
            if line.starts_with('…') {
                tokio::time::pause();
                tokio::time::advance(Duration::from_mins(1)).await;
                tokio::time::resume();
            }
            let line = line.trim_start_matches('…');
            write.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
            let mail = line.starts_with("354");
            while let Some(said) = read.next_line().await.unwrap_or(None) {
                if !mail || said == "." {
                    break;
                }
            }
            assert!(at < 10);
        }
    });
    port
}

/// The channel to this server, without TLS.
async fn email_to(lines: &'static [&'static str], text: &str) -> Email {
    let settings = settings(&format!("require_tls: false, {text}"));
    let smarthost = Smarthost { host: "127.0.0.1".into(), port: server(lines).await };
    let settings = Settings { smarthost, security: Security::Plain, ..settings };
    Email::new(&settings, &Arc::new(Templates::new())).unwrap()
}

#[tokio::test]
async fn a_server_that_thinks_for_a_minute_has_the_mail_once() {
    let lines = &["220 sink", "250 sink", "250 from", "250 to", "354 go on", "…250 taken"];
    email_to(lines, "").await.send(&both()).await.unwrap();
}

const LOGIN: &str = "auth_username: ann, auth_password: 's3cret words'";

#[tokio::test]
async fn a_server_without_login_gets_the_mail_without() {
    let lines = &["220 sink", "250 sink", "250 from", "250 to", "354 go on", "250 taken"];
    email_to(lines, LOGIN).await.send(&both()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_repeats_the_password_tells_nobody() {
    for lines in [
        &["220 sink", "250-sink\r\n250 AUTH PLAIN", "535 no: AGFubgBzM2NyZXQgd29yZHM= s3cret words"][..],
        &["220 sink", "250-sink\r\n250 AUTH LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "535 no: czNjcmV0IHdvcmRz"],
    ] {
        let error = email_to(lines, LOGIN).await.send(&both()).await.unwrap_err();
        assert!(error.what.contains("no: ***"), "{error}");
        for secret in ["AGFubgBzM2NyZXQgd29yZHM=", "czNjcmV0IHdvcmRz", "s3cret"] {
            assert!(!error.what.contains(secret), "{error}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_after_the_mail_may_have_delivered_it() {
    const READY: [&str; 5] = ["220 sink", "250 sink", "250 from", "250 to", "354 go on"];
    for (lines, expected) in [
        (&READY[..], true),
        (&READY[..4], false),
        (&["220 sink", "250 sink", "250 from", "250 to", "354 go on", "452 full"], false),
    ] {
        let error = email_to(lines, "").await.send(&both()).await.unwrap_err();
        assert_eq!((error.may_have_arrived, error.retry), (expected, Retry::Backoff), "{lines:?}: {error}");
    }
}

#[test]
fn a_second_that_may_be_one_says_so_once_for_people_and_once_for_programs() {
    let again = Notification { possible_duplicate: true, ..both() };
    let text = String::from_utf8(compose(&settings("html: ''"), &again).formatted()).unwrap();
    assert!(text.contains("X-Possible-Duplicate: true\r\n"), "{text}");
    assert_eq!(text.matches("Possible duplicate:").count(), 1, "{text}");
    assert_eq!(html(&again).matches("Possible duplicate:").count(), 1);
}

#[test]
fn headers_thread_the_group_and_name_the_message() {
    let message = compose(&settings("headers: {X-Team: '{{ .GroupLabels.alertname }} of shop'}"), &both());
    let text = String::from_utf8(message.formatted()).unwrap();
    let head = text.split("\r\n\r\n").next().unwrap();
    let head = head.lines().filter(|line| !line.contains("boundary=")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("email_head", head);
    assert!(text.contains("multipart/alternative") && text.find("text/plain") < text.find("text/html"));
}

#[test]
fn a_resolve_is_another_message_of_the_same_thread() {
    let header = |message: &lettre::Message, name| message.headers().get_raw(name).unwrap().to_owned();
    let mail = |alerts| compose(&settings(""), &notification(alerts));
    let (first, again) = (mail(vec![alert("PgFull", "a", None)]), mail(vec![alert("PgFull", "a", None)]));
    let over = mail(vec![alert("PgFull", "a", Some(1_795_230_900_000))]);
    assert_eq!(header(&first, "Message-ID"), header(&again, "Message-ID"), "an attempt repeats its id");
    assert_ne!(header(&first, "Message-ID"), header(&over, "Message-ID"));
    assert_eq!(header(&first, "References"), header(&over, "References"));
}

#[test]
fn labels_cannot_start_a_header() {
    let mut odd = Arc::unwrap_or_clone(alert("PgFull", "x\r\nBcc: thief@example.org\r\n\r\nbody", None));
    odd.annotations = Labels::empty();
    let message = compose(&settings(""), &notification(vec![Arc::new(odd)]));
    let text = String::from_utf8(message.formatted()).unwrap();
    assert!(!text.split("\r\n\r\n").next().unwrap().contains("\r\nBcc"), "{text}");
}

#[test]
fn a_subject_beyond_ascii_is_encoded() {
    let mut odd = notification(vec![alert("PgFull", "db", None)]);
    odd.group_labels = Labels::new([("alertname", "Störung")]);
    let message = compose(&settings(""), &odd);
    let text = String::from_utf8(message.formatted()).unwrap();
    assert!(text.is_ascii() && text.contains("Subject: [FIRING:1] =?utf-8?b?"), "{text}");
}

fn complaints(text: &str) -> Vec<String> {
    let text = format!("{{to: 'a@example.org', from: 'b@example.org', smarthost: 'mail:587', {text}}}");
    let node = parse(&text, "f.yml").unwrap();
    let problems = Problems::new();
    let mut fields = Fields::of(&node, "an email config", &problems).unwrap();
    let _ = Settings::read(&mut fields, &Defaults::default(), &HttpSettings::default());
    problems.into_sorted().iter().map(ToString::to_string).collect()
}

#[test]
fn all_that_is_told_may_be_a_template() {
    let settings = settings(
        "headers: {subject: '{{ .Status }}!', X-Mailer: 'noné'}, text: '{{ .Receiver }}', \
         html: '<b>{{ .CommonAnnotations.summary }}</b>'",
    );
    let settings = Settings { to: "{{ .CommonLabels.job }}@example.org, b@example.org".into(), ..settings };
    let message = compose(&settings, &both());
    let text = String::from_utf8(message.formatted()).unwrap();
    assert!(text.contains("Subject: firing!\r\n") && text.contains("X-Mailer: =?utf-8?b?"), "{text}");
    assert!(text.contains("To: postgres@example.org, b@example.org\r\n"), "{text}");
    assert_eq!(message.envelope().to().len(), 2);
    let only_text = Settings { html: String::new(), ..settings };
    let text = String::from_utf8(compose(&only_text, &both()).formatted()).unwrap();
    assert!(text.contains("text/plain") && !text.contains("multipart") && !text.contains("text/html"), "{text}");
}

#[test]
fn conversations_are_as_the_user_wants_them() {
    let thread = |text: &str| compose(&settings(text), &both()).headers().get_raw("References").map(str::to_owned);
    let one = thread("").unwrap();
    assert_eq!(thread("threading: {enabled: true, thread_by_date: none}").unwrap(), one);
    let daily = thread("threading: {enabled: true, thread_by_date: daily}").unwrap();
    assert_eq!(daily, one.replace('@', "-2026-11-21@"));
    assert_eq!(thread("threading: {enabled: false}"), None);
    assert_eq!(thread("headers: {References: '<mine@x>'}").unwrap(), "<mine@x>");
}

#[test]
fn what_cannot_be_meant_is_a_problem() {
    for (text, expected) in [
        ("text: '', html: ''", "the mail has neither"),
        ("html: '{{ nope }}'", "`html` is no template: function \"nope\" not defined"),
        ("headers: {a: x, A: y}", "the header `A` is given twice"),
        ("headers: {In-Reply-To: x}, threading: {enabled: true}", "contradicts `threading`"),
        ("threading: {enabled: true, thread_by_date: weekly}", "either none or daily"),
        ("auth_username: u, auth_password: p, auth_secret: s3cret", "CRAM-MD5"),
        ("auth_username: u, auth_password: p, auth_identity: v", "cannot act as another"),
    ] {
        let said = complaints(text);
        assert!(said.len() == 1 && said[0].contains(expected) && !said[0].contains("s3cret"), "{text}: {said:?}");
    }
}
