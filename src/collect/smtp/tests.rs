use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::*;
use crate::collect::Reason;
use crate::collect::test_target::{probe_once, read, said};
use crate::runtime::test_server;

/// What a made-up server answers to the commands that start so; anything else gets 500.
type Script = &'static [(&'static str, &'static str)];

const HELLO: (&str, &str) = ("EHLO", "250-mail.test\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n");
const HELLO_OVER_TLS: (&str, &str) = ("EHLO", "250-mail.test\r\n250-SIZE 2000\r\n250 AUTH PLAIN\r\n");
const QUIT: (&str, &str) = ("QUIT", "221 bye\r\n");

/// Speaks a script until the client leaves; true when STARTTLS was agreed upon.
async fn speak(stream: &mut BufReader<impl probe::Duplex>, script: Script) -> bool {
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        let answer = script.iter().find(|(start, _)| line.starts_with(start)).map_or("500 what?\r\n", |(_, text)| text);
        if stream.write_all(answer.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return false;
        }
        if line.starts_with("STARTTLS") && answer.starts_with("220") {
            return true;
        }
        line.clear();
    }
    false
}

async fn server(greeting: &'static str, script: Script) -> SocketAddr {
    test_server::serve(move |mut stream| async move {
        stream.write_all(greeting.as_bytes()).await.unwrap();
        speak(&mut BufReader::new(stream), script).await;
    })
    .await
}

async fn look(url: &str, keys: &str) -> Look {
    probe_once(&Smtp::new(read(url, keys).unwrap()).unwrap(), Duration::from_secs(1)).await
}

#[tokio::test]
async fn a_good_server_is_visited_without_sending_mail() {
    let address = server("220 mail.test ESMTP\r\n", &[HELLO, QUIT]).await;
    let look = look(&format!("smtp://{address}"), "expect: {banner: ESMTP$}").await;
    assert!(look.healthy, "{:?}", look.failures);
    for (family, value) in [
        ("probe_smtp_status_code", 250.0),
        ("probe_smtp_ssl", 0.0),
        ("probe_smtp_starttls", 1.0),
        ("probe_smtp_max_message_bytes", 1000.0),
        ("probe_ip_protocol", 4.0),
        ("probe_failed_due_to_regex", 0.0),
    ] {
        assert_eq!(look.get(family, &[]), Some(value), "{family}");
    }
    assert_eq!(look.get("probe_smtp_authenticated", &[]), None);
    for phase in ["resolve", "connect", "greeting", "ehlo", "quit"] {
        assert!(look.get("probe_smtp_duration_seconds", &[("phase", phase)]).is_some(), "{phase}");
    }
}

#[tokio::test]
async fn a_login_is_tried_as_the_server_offers_it() {
    let plain = server("220 x\r\n", &[HELLO, ("AUTH PLAIN AHUAcA==\r\n", "235 welcome\r\n"), QUIT]).await;
    let seen = look(&format!("smtp://u:p@{plain}?tls=off"), "").await;
    assert!(seen.healthy, "{:?}", seen.failures);
    assert_eq!(seen.get("probe_smtp_authenticated", &[]), Some(1.0));
    assert_eq!(seen.get("probe_smtp_status_code", &[]), Some(235.0));
    let script: Script = &[
        ("EHLO", "250-x\r\n250 AUTH LOGIN\r\n"),
        ("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n"),
        ("dQ==\r\n", "334 UGFzc3dvcmQ6\r\n"),
        ("cA==\r\n", "235 welcome\r\n"),
    ];
    let login = server("220 x\r\n", script).await;
    assert!(look(&format!("smtp://u:p@{login}?tls=off"), "").await.healthy);
}

#[tokio::test]
async fn a_refused_login_does_not_repeat_what_was_sent() {
    let address = server("220 x\r\n", &[HELLO, ("AUTH", "535 no such AHUAcA==\r\n")]).await;
    let seen = look(&format!("smtp://u:p@{address}?tls=off"), "").await;
    assert_eq!(said(&seen), ["auth: the mail server refuses the login (535)"]);
    assert_eq!(seen.get("probe_smtp_authenticated", &[]), Some(0.0));
    let busy = server("220 x\r\n", &[HELLO, ("AUTH", "454 later\r\n")]).await;
    assert_eq!(look(&format!("smtp://u:p@{busy}?tls=off"), "").await.failures[0].reason(), Reason::Status);
    let nothing = server("220 x\r\n", &[("EHLO", "250 x\r\n")]).await;
    assert_eq!(look(&format!("smtp://u:p@{nothing}?tls=off"), "").await.failures[0].reason(), Reason::Auth);
}

#[tokio::test]
async fn starttls_shows_the_certificate_and_what_is_offered_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let acceptor = test_server::acceptor(dir.path());
    let address = test_server::serve(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            stream.write_all(b"220 x\r\n").await.unwrap();
            let mut stream = BufReader::new(stream);
            if speak(&mut stream, &[HELLO, ("STARTTLS", "220 go\r\n")]).await {
                let Ok(stream) = acceptor.accept(stream.into_inner()).await else { return };
                speak(&mut BufReader::new(stream), &[HELLO_OVER_TLS, ("AUTH", "235 ok\r\n"), QUIT]).await;
            }
        }
    })
    .await;
    let url = format!("smtp://u:p@localhost:{}", address.port());
    assert_eq!(look(&url, "").await.failures[0].reason(), Reason::Tls);
    let ca_file = dir.path().join("cert.pem");
    let seen = look(&url, &format!("tls: {{ca_file: {}}}", ca_file.display())).await;
    assert!(seen.healthy, "{:?}", seen.failures);
    assert_eq!(seen.get("probe_smtp_ssl", &[]), Some(1.0));
    assert_eq!(seen.get("probe_smtp_starttls", &[]), Some(1.0));
    assert_eq!(seen.get("probe_smtp_max_message_bytes", &[]), Some(2000.0));
    assert_eq!(seen.get("probe_tls_version_info", &[("version", "TLS 1.3")]), Some(1.0));
    assert!(seen.get("probe_ssl_earliest_cert_expiry", &[]).is_some());
}

#[tokio::test]
async fn starttls_is_not_done_without() {
    let none = server("220 x\r\n", &[("EHLO", "250 x\r\n")]).await;
    let seen = look(&format!("smtp://{none}"), "starttls: true").await;
    assert_eq!(said(&seen), ["tls: the mail server offers no STARTTLS"]);
    assert_eq!(seen.get("probe_smtp_starttls", &[]), Some(0.0));
    let refused = server("220 x\r\n", &[HELLO, ("STARTTLS", "454 not now\r\n")]).await;
    let seen = look(&format!("smtp://{refused}"), "starttls: true").await;
    assert_eq!(said(&seen), ["tls: the mail server refuses STARTTLS: 454 not now"]);
    let injected = server("220 x\r\n", &[HELLO, ("STARTTLS", "220 go\r\n250 injected\r\n")]).await;
    let seen = look(&format!("smtp://{injected}"), "starttls: true").await;
    assert_eq!(seen.failures[0].reason(), Reason::Malformed);
}

#[tokio::test]
async fn what_is_no_mail_server_gets_its_own_reason() {
    for (greeting, reason) in [
        ("SSH-2.0-x\r\n", Reason::Malformed),
        ("554 no service\r\n", Reason::Status),
        ("421 too many connections\r\n", Reason::Limit),
    ] {
        let address = server(greeting, &[]).await;
        assert_eq!(look(&format!("smtp://{address}"), "").await.failures[0].reason(), reason, "{greeting}");
    }
    let other = server("220 mail.test\r\n", &[HELLO]).await;
    let seen = look(&format!("smtp://{other}"), "expect: {banner: ^shop}").await;
    assert_eq!(said(&seen), ["expectation: the greeting is \"220 mail.test\", expected a match of `^shop`"]);
    assert_eq!(seen.get("probe_failed_due_to_regex", &[]), Some(1.0));
    let closed = look(&format!("smtp://{}", test_server::closed().await), "").await;
    assert_eq!(closed.failures[0].reason(), Reason::Refused);
    let silent = look(&format!("smtp://{}", test_server::silent().await), "").await;
    assert_eq!(said(&silent), ["timeout: no answer in time (greeting)"]);
    assert_eq!(silent.get("probe_smtp_status_code", &[]), None);
    let gone = look(&format!("smtp://{}", test_server::raw(false, b"").await), "").await;
    assert_eq!(gone.failures[0].reason(), Reason::Unreachable);
}
