use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Redirect;
use axum::routing::{get, post};

use super::*;
use crate::collect::test_target::read;
use crate::runtime::test_server;

fn probe(url: &str, keys: &str) -> Http {
    Http::new(read(url, keys).unwrap()).unwrap()
}

async fn look(url: &str, keys: &str) -> Look {
    let look = probe(url, keys).look(Instant::now() + Duration::from_secs(5)).await;
    assert!(look.up, "a probe's exporter always answers");
    assert_eq!(look.get("probe_success", &[]), Some(f64::from(u8::from(look.healthy))));
    look
}

async fn app() -> SocketAddr {
    let health = || async { (StatusCode::SERVICE_UNAVAILABLE, r#"{"checks":{"database":"down"}}"#) };
    let echo = |headers: HeaderMap, body: String| async move {
        format!("{} {body}", headers.get("authorization").map_or("nobody", |value| value.to_str().unwrap()))
    };
    let router = Router::new()
        .route("/", get(|| async { ([("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT")], "welcome") }))
        .route("/health", get(health))
        .route("/echo", post(echo).get(echo))
        .route("/long", get(|| async { vec![b'x'; 3 << 20] }))
        .route("/gzip", get(|| async { ([("content-encoding", "gzip")], gzip(b"{\"a\": \"unpacked\"}")) }))
        .route("/once", get(|| async { Redirect::temporary("/") }))
        .route("/loop", get(|| async { Redirect::temporary("/loop") }));
    test_server::http(router).await
}

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_good_answer_shows_what_blackbox_shows() {
    let app = app().await;
    let look = look(&format!("http://{app}/"), "").await;
    assert!(look.healthy, "{:?}", look.failures);
    for (family, value) in [
        ("probe_http_status_code", 200.0),
        ("probe_http_content_length", 7.0),
        ("probe_http_uncompressed_body_length", 7.0),
        ("probe_http_redirects", 0.0),
        ("probe_http_ssl", 0.0),
        ("probe_http_version", 1.1),
        ("probe_http_last_modified_timestamp_seconds", 1_445_412_480.0),
        ("probe_failed_due_to_regex", 0.0),
        ("probe_ip_protocol", 4.0),
    ] {
        assert_eq!(look.get(family, &[]), Some(value), "{family}");
    }
    for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
        assert!(look.get("probe_http_duration_seconds", &[("phase", phase)]).is_some(), "{phase}");
    }
}

#[tokio::test]
async fn a_wrong_status_says_what_was_wanted() {
    let app = app().await;
    let keys = "expect: {status: [200], json: {\"$.checks.database\": ok}}";
    let look = look(&format!("http://{app}/health"), keys).await;
    let said: Vec<_> = look.failures.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["status: status 503, expected 200", "expectation: $.checks.database is \"down\", expected \"ok\""]
    );
    assert_eq!(look.get("probe_http_status_code", &[]), Some(503.0));
}

#[tokio::test]
async fn a_regex_that_fails_is_to_blame() {
    let app = app().await;
    let look = look(&format!("http://{app}/"), "expect: {body: goodbye}").await;
    assert_eq!(look.failures[0].reason(), Reason::Expectation);
    assert_eq!(look.get("probe_failed_due_to_regex", &[]), Some(1.0));
}

#[tokio::test]
async fn a_redirect_is_followed_unless_told_not_to() {
    let app = app().await;
    let followed = look(&format!("http://{app}/once"), "").await;
    assert_eq!((followed.healthy, followed.get("probe_http_redirects", &[])), (true, Some(1.0)));
    let stayed = look(&format!("http://{app}/once"), "{follow_redirects: false, expect: {status: [307]}}").await;
    assert_eq!((stayed.healthy, stayed.get("probe_http_status_code", &[])), (true, Some(307.0)));
    let lost = look(&format!("http://{app}/loop"), "").await;
    assert_eq!(lost.failures[0].to_string(), "status: more than 10 redirects");
    // The one too many was asked for too, and so was the one that was not followed.
    assert_eq!(lost.get("probe_http_redirects", &[]), Some(11.0));
    assert_eq!(stayed.get("probe_http_redirects", &[]), Some(1.0));
}

#[tokio::test]
async fn credentials_stay_with_their_host_and_out_of_messages() {
    let app = app().await;
    let url = format!("http://{app}/echo");
    let sent =
        look(&url, "{method: POST, body: hi, bearer_token: hunter2, expect: {body: '^Bearer hunter2 hi$'}}").await;
    assert!(sent.healthy, "{:?}", sent.failures);
    let elsewhere = test_server::http(
        Router::new().route("/", get(move || async move { Redirect::temporary(&format!("http://{app}/echo")) })),
    )
    .await;
    let moved = look(&format!("http://{elsewhere}/"), "{bearer_token: hunter2, expect: {body: ^nobody}}").await;
    assert!(moved.healthy, "{:?}", moved.failures);
    let echo = test_server::http(Router::new().route("/", get(|| async { r#"{"a": "hunter2"}"# }))).await;
    let failed = look(&format!("http://{echo}/"), "{bearer_token: hunter2, expect: {json: {$.a: b}}}").await;
    assert_eq!(failed.failures[0].to_string(), "expectation: $.a is \"***\", expected \"b\"");
}

#[tokio::test]
async fn a_long_body_is_fine_where_only_the_status_counts() {
    let app = app().await;
    let counted = look(&format!("http://{app}/long"), "").await;
    assert!(counted.healthy);
    assert_eq!(counted.get("probe_http_uncompressed_body_length", &[]), Some(f64::from(3 << 20)));
    let searched = look(&format!("http://{app}/long"), "expect: {body: y}").await;
    assert_eq!(searched.failures[0].reason(), Reason::TooLarge);
}

#[tokio::test]
async fn gzip_is_undone_before_looking() {
    let app = app().await;
    let look = look(&format!("http://{app}/gzip"), "expect: {json: {$.a: unpacked}}").await;
    assert!(look.healthy, "{:?}", look.failures);
    assert_eq!(look.get("probe_http_uncompressed_body_length", &[]), Some(17.0));
    assert!(look.get("probe_http_content_length", &[]) > Some(17.0));
}

#[tokio::test]
async fn no_answer_is_status_zero_with_its_reason() {
    let closed = look(&format!("http://{}/", test_server::closed().await), "").await;
    assert_eq!(closed.failures[0].reason(), Reason::Refused);
    assert_eq!(closed.get("probe_http_status_code", &[]), Some(0.0));
    assert_eq!(closed.get("probe_ip_protocol", &[]), Some(4.0));
    let nowhere = look("http://no-such-host.invalid/", "").await;
    assert_eq!(nowhere.failures[0].reason(), Reason::Resolve);
    let rude = look(&format!("http://{}/", test_server::raw(true, b"hello\n\n").await), "").await;
    assert_eq!(rude.failures[0].reason(), Reason::Malformed);
    let gone = look(&format!("http://{}/", test_server::raw(true, b"").await), "").await;
    assert_eq!(gone.failures[0].reason(), Reason::Unreachable);
}

#[tokio::test]
async fn a_body_cut_short_still_shows_its_head() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc";
    let cut = look(&format!("http://{}/", test_server::raw(true, answer).await), "").await;
    assert_eq!(cut.failures[0].reason(), Reason::Unreachable);
    for (family, value) in [
        ("probe_http_status_code", 200.0),
        ("probe_http_content_length", 100.0),
        ("probe_http_uncompressed_body_length", 3.0),
        ("probe_http_version", 1.1),
    ] {
        assert_eq!(cut.get(family, &[]), Some(value), "{family}");
    }
    let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
    let empty = look(&format!("http://{}/", test_server::raw(true, empty).await), "").await;
    assert_eq!(empty.get("probe_http_content_length", &[]), Some(0.0));
}

#[tokio::test]
async fn a_silent_target_costs_the_deadline_and_no_more() {
    let silent = test_server::silent().await;
    let deadline = Instant::now() + Duration::from_millis(200);
    let look = probe(&format!("http://{silent}/"), "").look(deadline).await;
    assert!(Instant::now() <= deadline, "the look came back too late");
    assert_eq!(look.failures[0].to_string(), "timeout: no answer in time (processing)");
    assert_eq!(look.get("probe_success", &[]), Some(0.0));
}

#[tokio::test]
async fn https_shows_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let address = test_server::tls(dir.path(), b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let url = format!("https://localhost:{}/", address.port());
    let refused = look(&url, "").await;
    assert_eq!(refused.failures[0].reason(), Reason::Tls);
    assert_eq!(refused.get("probe_ssl_earliest_cert_expiry", &[]), None);

    let seen = look(&url, &format!("tls: {{ca_file: {}}}", dir.path().join("cert.pem").display())).await;
    assert!(seen.healthy, "{:?}", seen.failures);
    assert_eq!(seen.get("probe_http_ssl", &[]), Some(1.0));
    assert_eq!(seen.get("probe_tls_version_info", &[("version", "TLS 1.3")]), Some(1.0));
    assert_eq!(
        seen.get("probe_ssl_earliest_cert_expiry", &[]),
        seen.get("probe_ssl_last_chain_expiry_timestamp_seconds", &[])
    );
    let info = seen.blocks().iter().find(|block| block.family.name == "probe_ssl_last_chain_info").unwrap();
    let labels = &info.points[0].labels;
    assert_eq!(labels.get("subject"), Some("CN=localhost,OU=a,O=Shop\\, Inc.,C=DE"));
    assert_eq!(
        (labels.get("serialnumber"), labels.get("subjectalternative")),
        (Some("0a1b"), Some("localhost,shop.test"))
    );
    assert_eq!(labels.get("fingerprint_sha256").map(str::len), Some(64));
}

#[tokio::test]
async fn a_unix_socket_answers_for_the_urls_host() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let host = |headers: HeaderMap| async move { headers["host"].to_str().unwrap().to_owned() };
    let serving = async { axum::serve(listener, Router::new().route("/health", get(host))).await.unwrap() };
    let keys = format!("{{unix_socket: {}, expect: {{body: ^shop$}}}}", path.display());
    let seen = tokio::select! { seen = look("http://shop/health", &keys) => seen, () = serving => panic!("it ended") };
    assert!(seen.healthy, "{:?}", seen.failures);
    assert_eq!(seen.get("probe_http_status_code", &[]), Some(200.0));
    assert_eq!(seen.get("probe_ip_protocol", &[]), None, "a socket file has no address");
    assert!(seen.get("probe_http_duration_seconds", &[("phase", "processing")]).is_some());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(look("http://shop/health", &keys).await.failures[0].reason(), Reason::Refused);
}
