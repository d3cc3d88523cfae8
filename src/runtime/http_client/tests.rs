use std::time::Duration;

use axum::routing::{get, post};
use hyper::{StatusCode, Version};
use url::Url;

use super::*;
use crate::runtime::test_server;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn client() -> HttpClient {
    HttpClient::new(&Trust::default()).unwrap()
}

fn url(address: std::net::SocketAddr, path: &str) -> Url {
    Url::parse(&format!("http://{address}{path}")).unwrap()
}

#[tokio::test]
async fn a_get_brings_status_headers_body_and_times() {
    let router = axum::Router::new().route("/a", get(|| async { ([("x-one", "1")], "hello") }));
    let address = test_server::http(router).await;
    let (reply, timings) = client().send(Request::get(url(address, "/a?b=c"), soon())).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.version, reply.peer), (StatusCode::OK, Version::HTTP_11, Some(address)));
    assert_eq!(
        (&reply.headers["x-one"], &reply.body[..]),
        (&hyper::header::HeaderValue::from_static("1"), &b"hello"[..])
    );
    assert!(timings.connect > Duration::ZERO && timings.processing > Duration::ZERO && timings.tls == Duration::ZERO);
}

#[tokio::test]
async fn a_post_carries_its_json() {
    let router = axum::Router::new().route("/", post(|body: String| async move { body }));
    let address = test_server::http(router).await;
    let (reply, _) = client().send(Request::post_json(url(address, "/"), "{\"a\":1}", soon())).await;
    assert_eq!(&reply.unwrap().body[..], b"{\"a\":1}");
}

#[tokio::test]
async fn a_long_body_is_an_error_or_counted() {
    let address = test_server::http(axum::Router::new().route("/", get(|| async { vec![b'x'; 300_000] }))).await;
    let request = Request { max_body: 1000, ..Request::get(url(address, "/"), soon()) };
    let (refused, _) = client().send(request.clone()).await;
    assert!(matches!(refused, Err(HttpError::TooLarge { limit: 1000 })));
    let (kept, trace) = client().trace(request, Overflow::Discard).await;
    assert_eq!((kept.unwrap().body.len(), trace.body_length), (1000, 300_000));
}

#[tokio::test]
async fn a_silent_server_costs_only_the_deadline() {
    let address = test_server::silent().await;
    let start = Instant::now();
    let (reply, timings) = client().send(Request::get(url(address, "/"), start + Duration::from_millis(100))).await;
    assert!(matches!(reply, Err(HttpError::Timeout { phase: "processing" })));
    assert!(start.elapsed() < Duration::from_secs(1) && timings.processing > Duration::ZERO);
}

#[tokio::test]
async fn a_closed_port_and_a_rude_server_are_told_apart() {
    let (refused, _) = client().send(Request::get(url(test_server::closed().await, "/"), soon())).await;
    assert!(
        matches!(refused, Err(HttpError::Connect { source, .. }) if source.kind() == std::io::ErrorKind::ConnectionRefused)
    );
    let address = test_server::raw(true, b"SSH-2.0-OpenSSH\r\n").await;
    let (rude, _) = client().send(Request::get(url(address, "/"), soon())).await;
    assert!(matches!(rude, Err(HttpError::Protocol { source, .. }) if source.is_parse()));
}

#[tokio::test]
async fn a_body_cut_short_is_a_failed_transfer_with_a_status() {
    let address = test_server::raw(true, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc").await;
    let (reply, trace) = client().trace(Request::get(url(address, "/"), soon()), Overflow::Discard).await;
    assert!(matches!(reply, Err(HttpError::Protocol { phase: "transfer", .. })));
    assert_eq!((trace.head.map(|head| head.status), trace.body_length), (Some(StatusCode::OK), 3));
}

#[tokio::test]
async fn a_stream_without_end_is_left_once_enough_is_there() {
    let address = test_server::serve(|mut stream| async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let _ = stream.read(&mut [0; 4096]).await;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head).await;
        while stream.write_all(b"3\r\nabc\r\n").await.is_ok() {
            time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let request = Request { enough: Some(|body| body.len() >= 9), ..Request::get(url(address, "/"), soon()) };
    assert!(client().send(request).await.0.unwrap().body.starts_with(b"abcabcabc"));
}

#[tokio::test]
async fn tls_is_checked_against_the_ca_file() {
    let dir = tempfile::tempdir().unwrap();
    let address = test_server::tls(dir.path(), b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = Url::parse(&format!("https://localhost:{}/", address.port())).unwrap();
    let (refused, _) = client().send(Request::get(url.clone(), soon())).await;
    assert!(matches!(refused, Err(HttpError::Tls { .. })), "{refused:?}");

    let ca_file = Some(dir.path().join("cert.pem").to_string_lossy().into_owned());
    let trusting = HttpClient::new(&Trust { ca_file, insecure_skip_verify: false, ..Trust::default() }).unwrap();
    let (reply, timings) = trusting.send(Request::get(url.clone(), soon())).await;
    let facts = reply.unwrap().tls.unwrap();
    assert_eq!((facts.version, facts.chain.len()), ("TLS 1.3", 1));
    assert!(facts.cipher.starts_with("TLS_AES_"), "{}", facts.cipher);
    assert!(timings.tls > Duration::ZERO);

    let careless = HttpClient::new(&Trust { ca_file: None, insecure_skip_verify: true, ..Trust::default() }).unwrap();
    assert!(careless.send(Request::get(url, soon())).await.0.is_ok());
}
