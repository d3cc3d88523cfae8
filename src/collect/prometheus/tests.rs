use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::collect::test_target::read;
use crate::model::Secret;
use crate::runtime::http_client::basic;

/// A server that gives one answer after another and tells what it was asked. Ends with its last answer.
fn server(answers: Vec<Vec<u8>>) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            tell.send(head.join("\n")).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    (address, asked)
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut all =
        format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

async fn look(url: &str, yaml: &str) -> Look {
    let scraper = Prometheus::new(read(url, yaml).unwrap()).unwrap();
    scraper.look(Instant::now() + Duration::from_secs(5)).await
}

#[tokio::test]
async fn an_openmetrics_page_compressed_and_behind_credentials() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"# TYPE jobs counter\njobs_total{q=\"a\"} 4\n# EOF\n").unwrap();
    let head = "200 OK\r\nContent-Type: application/openmetrics-text; version=1.0.0\r\nContent-Encoding: gzip";
    let (address, asked) = server(vec![answer(head, &gzip.finish().unwrap())]);
    let url = format!("http://{address}/metrics?x=1");
    let look = look(&url, "basic_auth: {username: u, password: p}").await;
    assert_eq!(look.failures, []);
    assert!(look.up && look.healthy);
    assert_eq!(look.get("jobs_total", &[("q", "a")]), Some(4.0));
    let asked = asked.recv().unwrap();
    for part in
        ["GET /metrics?x=1 ", "authorization: Basic dTpw", "openmetrics-text;version=1.0.0", "accept-encoding: gzip"]
    {
        assert!(asked.contains(part), "{part} is missing in {asked}");
    }
}

#[tokio::test]
async fn redirects_are_followed_but_credentials_stay_behind() {
    let (other, asked_other) = server(vec![answer("200 OK", b"up 1\na 2\nup{app=\"x\"} 1\n")]);
    let away = answer(&format!("302 Found\r\nLocation: http://{other}/m"), b"");
    let (address, asked) = server(vec![answer("301 Moved Permanently\r\nLocation: /there", b""), away]);
    let look = look(&format!("http://{address}/"), "bearer_token: t0ken").await;
    assert_eq!(
        (look.get("a", &[]), look.get("up", &[]), look.get("up", &[("app", "x")])),
        (Some(2.0), None, Some(1.0))
    );
    assert!(asked.recv().unwrap().contains("authorization: Bearer t0ken"));
    assert!(asked.recv().unwrap().starts_with("GET /there "));
    assert!(!asked_other.recv().unwrap().contains("t0ken"));
}

#[tokio::test]
async fn a_failed_scrape_is_down_and_says_why() {
    let gzip_head = "200 OK\r\nContent-Encoding: gzip";
    let cases = [
        (answer("503 Service Unavailable", b""), "", Reason::Status, "status 503 Service Unavailable"),
        (answer("401 Unauthorized", b""), "", Reason::Auth, "status 401"),
        (answer("200 OK", b"<html>"), "", Reason::Malformed, "line 1: a metric's name must start the line"),
        (answer("200 OK", b"a 1\nb 1\n"), "sample_limit: 1", Reason::TooLarge, "more than 1 samples"),
        (answer("200 OK", b"\xff"), "", Reason::Malformed, "not UTF-8"),
        (answer(gzip_head, b"plain"), "", Reason::Malformed, "not gzip"),
        (answer("302 Found", b""), "", Reason::Status, "status 302 Found"),
    ];
    for (answer, yaml, reason, words) in cases {
        let (address, _asked) = server(vec![answer]);
        let look = look(&format!("http://u:s3cret@{address}/"), yaml).await;
        assert!(!look.up && !look.healthy && look.is_empty());
        assert_eq!(look.failures[0].reason(), reason);
        let said = look.failures[0].to_string();
        assert!(said.contains(words) && !said.contains("s3cret"), "{said}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(look(&format!("http://{closed}/"), "").await.failures[0].reason(), Reason::Refused);
}

#[test]
fn a_small_answer_cannot_fill_the_memory() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&vec![b'a'; 100_000]).unwrap();
    let compressed = gzip.finish().unwrap();
    assert!(compressed.len() < 1000);
    let reply = Reply {
        status: StatusCode::OK,
        version: hyper::Version::HTTP_11,
        headers: HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]),
        body: compressed.into(),
        peer: Some(([127, 0, 0, 1], 1).into()),
        tls: None,
    };
    assert_eq!(page(&reply, 99_999).unwrap_err().reason(), Reason::TooLarge);
    assert_eq!(page(&reply, 100_000).unwrap().len(), 100_000);
}

#[test]
fn settings_keep_credentials_out_of_the_url() {
    let settings = read::<Settings>("https://us%40er:p%3A&w+@app/metrics", "").unwrap();
    assert_eq!(settings.instance(), "app:443");
    assert_eq!(settings.url.as_str(), "https://app/metrics");
    assert_eq!(settings.authorization.as_ref().unwrap(), basic("us@er", &Secret::new("p:&w+")).expose());
    let shown = format!("{settings:?}");
    assert!(!shown.contains("p:") && !shown.contains("Basic"), "{shown}");
}

#[test]
fn wrong_settings_are_told() {
    let both = "bearer_token: t\nbasic_auth: {username: u, password: p}\n";
    let said = read::<Settings>("http://app/", both).unwrap_err().join("\n");
    assert!(said.contains("credentials are given twice"), "{said}");
    let said = read::<Settings>("http://u:s3cret@app/", "bearer_token: t").unwrap_err().join("\n");
    assert!(said.contains("credentials are given twice") && !said.contains("s3cret"), "{said}");
    let said = read::<Settings>("ftp://app/", "sample_limt: 3").unwrap_err().join("\n");
    assert!(said.contains("this is not an HTTP URL") && said.contains("did you mean `sample_limit`?"), "{said}");
    assert!(read::<Settings>("https://app/", "tls: {insecure_skip_verify: true}").unwrap().trust.insecure_skip_verify);
}

#[tokio::test]
async fn a_page_cut_off_is_unreachable_as_with_any_probe() {
    let (address, _asked) = server(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n".to_vec()]);
    let look = look(&format!("http://{address}/"), "").await;
    assert_eq!(look.failures[0].reason(), Reason::Unreachable, "{:?}", look.failures);
}

#[tokio::test]
async fn a_long_page_is_read_beside_the_runtime() {
    let lines: Vec<_> = (0..20_000).map(|at| format!("a_metric_with_a_name{{at=\"{at}\"}} 1\n")).collect();
    let page = lines.concat();
    assert!(page.len() > LONG_PAGE);
    let (address, _asked) = server(vec![answer("200 OK", page.as_bytes())]);
    let look = look(&format!("http://{address}/"), "").await;
    assert_eq!((look.failures.as_slice(), look.len()), (&[][..], 20_000));
}
