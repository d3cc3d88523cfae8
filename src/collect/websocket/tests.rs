use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::collect::test_target::{probe_once, read, said};
use crate::runtime::test_server;

/// What a made-up server does once it is asked for the upgrade.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Greets in two pieces with a ping between them, echoes messages, answers pings and the close.
    Good,
    /// Answers pings, but not the close.
    Rude,
    /// Says nothing more.
    Frozen,
    /// Closes with 1008.
    Refuses,
}

/// The head of the request.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn answer(head: &str, more: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
    let mixed = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64_STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, mixed.as_bytes()));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    )
}

/// A client's short frame: its first byte and its payload without the mask.
async fn read_frame(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let (first, length) = (stream.read_u8().await.ok()?, stream.read_u8().await.ok()?);
    assert!((0x80..0xfe).contains(&length), "a client's frame is masked");
    let mut rest = vec![0; 4 + usize::from(length - 0x80)];
    stream.read_exact(&mut rest).await.ok()?;
    let payload = rest[4..].iter().zip(rest[..4].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some((first, payload))
}

async fn serve(mut stream: TcpStream, manner: Manner, more: &str) -> Option<()> {
    let head = read_head(&mut stream).await;
    stream.write_all(answer(&head, more).as_bytes()).await.ok()?;
    match manner {
        Manner::Good => stream.write_all(b"\x01\x03hel\x89\x02yo\x80\x02lo").await.ok()?,
        Manner::Refuses => stream.write_all(b"\x88\x09\x03\xf0go away").await.ok()?,
        Manner::Rude | Manner::Frozen => {}
    }
    loop {
        let (first, payload) = read_frame(&mut stream).await?;
        let answer = match (first, manner) {
            (0x8a, _) => {
                assert_eq!(payload, b"yo");
                continue;
            }
            (_, Manner::Frozen | Manner::Refuses) | (0x88, Manner::Rude) => continue,
            (0x89, _) => 0x8a,
            (other, _) => other,
        };
        stream.write_all(&[&[answer, u8::try_from(payload.len()).unwrap()], payload.as_slice()].concat()).await.ok()?;
    }
}

async fn server(manner: Manner, more: &'static str) -> SocketAddr {
    test_server::serve(move |stream| async move {
        serve(stream, manner, more).await;
    })
    .await
}

async fn look(url: &str, keys: &str) -> Look {
    probe_once(&WebSocket::new(read(url, keys).unwrap()).unwrap(), Duration::from_secs(1)).await
}

#[tokio::test]
async fn a_websocket_is_opened_pinged_and_closed() {
    let address = server(Manner::Good, "").await;
    let look = look(&format!("ws://{address}/chat?room=1"), "").await;
    assert_eq!((look.healthy, said(&look)), (true, vec![]));
    assert_eq!(look.get("probe_websocket_status_code", &[]), Some(101.0));
    assert_eq!(look.get("probe_websocket_connection_upgraded", &[]), Some(1.0));
    assert_eq!(look.get("probe_websocket_failed_due_to_regex", &[]), None);
    for phase in ["resolve", "connect", "upgrade", "ping", "close"] {
        assert!(look.get("probe_websocket_duration_seconds", &[("phase", phase)]).is_some(), "{phase}");
    }
}

#[tokio::test]
async fn a_message_is_sent_and_one_awaited() {
    let address = server(Manner::Good, "").await;
    let greeted = look(&format!("ws://{address}/"), "expect: {message: ^hello$}").await;
    assert_eq!((greeted.healthy, said(&greeted)), (true, vec![]));
    let echoed = look(&format!("ws://{address}/"), "{send: knock, expect: {message: ^knock}}").await;
    assert_eq!((echoed.healthy, said(&echoed)), (true, vec![]));
    assert_eq!(echoed.get("probe_websocket_failed_due_to_regex", &[]), Some(0.0));
    let other = look(&format!("ws://{address}/"), "expect: {message: goodbye}").await;
    assert_eq!(said(&other), ["expectation: the last message is \"hello\", expected one matching `goodbye`"]);
    assert_eq!(other.get("probe_websocket_failed_due_to_regex", &[]), Some(1.0));
    assert_eq!(other.get("probe_failed_due_to_regex", &[]), Some(1.0));
}

#[tokio::test]
async fn who_does_not_pong_is_not_healthy() {
    let frozen = look(&format!("ws://{}/", server(Manner::Frozen, "").await), "").await;
    assert_eq!(said(&frozen), ["timeout: no answer in time (ping)"]);
    let refuses = look(&format!("ws://{}/", server(Manner::Refuses, "").await), "").await;
    assert_eq!(said(&refuses), ["status: the server closed the WebSocket with 1008 go away"]);
}

#[tokio::test]
async fn who_does_not_close_is_healthy_but_told() {
    let rude = look(&format!("ws://{}/", server(Manner::Rude, "").await), "").await;
    assert_eq!((rude.healthy, said(&rude)), (true, vec!["timeout: the server does not answer the close".to_owned()]));
}

#[tokio::test]
async fn only_a_true_upgrade_counts() {
    for (answer, complaint) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..],
            "status: status 200, expected 101 (Switching Protocols)",
        ),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "auth: status 401, expected 101 (Switching Protocols)"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "permission: status 403, expected 101 (Switching Protocols)"),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3p=\r\n\r\n",
            "malformed: the answer's Sec-WebSocket-Accept does not belong to our key",
        ),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            "malformed: the upgrade is to \"h2c\", not to websocket",
        ),
    ] {
        let seen = look(&format!("ws://{}/", test_server::raw(true, answer).await), "").await;
        assert_eq!(said(&seen), [complaint]);
        assert_eq!(seen.get("probe_websocket_connection_upgraded", &[]), Some(0.0));
    }
    let rude = look(&format!("ws://{}/", test_server::raw(true, b"hello\n\n").await), "").await;
    assert_eq!(rude.failures[0].reason(), Reason::Malformed);
    assert_eq!(rude.get("probe_websocket_status_code", &[]), Some(0.0));
    let gone = look(&format!("ws://{}/", test_server::raw(true, b"").await), "").await;
    assert_eq!(gone.failures[0].reason(), Reason::Unreachable);
    let closed = look(&format!("ws://{}/", test_server::closed().await), "").await;
    assert_eq!(closed.failures[0].reason(), Reason::Refused);
    let silent = look(&format!("ws://{}/", test_server::silent().await), "").await;
    assert_eq!(said(&silent), ["timeout: no answer in time (upgrade)"]);
}

#[tokio::test]
async fn a_subprotocol_must_be_chosen() {
    let address = server(Manner::Good, "Sec-WebSocket-Protocol: graphql-ws\r\n").await;
    let url = format!("ws://{address}/");
    assert!(look(&url, "subprotocols: [chat, graphql-ws]").await.healthy);
    let other = look(&url, "subprotocols: [chat]").await;
    assert_eq!(said(&other), ["malformed: the server chooses the subprotocol \"graphql-ws\", we speak [chat]"]);
    assert_eq!(look(&url, "").await.failures[0].reason(), Reason::Malformed);
}

#[tokio::test]
async fn tls_shows_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let address = test_server::tls(dir.path(), b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("wss://localhost:{}/", address.port());
    assert_eq!(look(&url, "").await.failures[0].reason(), Reason::Tls);
    let seen = look(&url, &format!("tls: {{ca_file: {}}}", dir.path().join("cert.pem").display())).await;
    assert_eq!(seen.failures[0].reason(), Reason::Status);
    assert!(seen.get("probe_ssl_earliest_cert_expiry", &[]).is_some());
}

#[test]
fn what_is_no_websocket_is_refused_without_repeating_it() {
    for (url, keys, complaint) in [
        ("http://u:hunter2@x/", "url: x", "this is not a WebSocket's URL"),
        ("ws://x/", "{subprotocols: [a b]}", "`a b` is no name of a subprotocol"),
    ] {
        let said = read::<Settings>(url, keys).unwrap_err().concat();
        assert!(said.contains(complaint) && !said.contains("hunter2"), "{said}");
    }
}
