use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::*;
use crate::model::Problems;
use crate::notify::channels::recorder::{Play, Recorded, Recorder};
use crate::runtime::test_server;
use crate::yaml::{Fields, parse};

fn settings(yaml: &str) -> (HttpSettings, Vec<String>) {
    let problems = Problems::new();
    let node = parse(yaml, "f.yml").unwrap();
    let settings = HttpSettings::read(Fields::of(&node, "`http_config`", &problems).unwrap());
    (settings, problems.into_sorted().iter().map(ToString::to_string).collect())
}

fn endpoint(url: &str, yaml: &str) -> Endpoint {
    let (settings, problems) = settings(yaml);
    assert_eq!(problems, [""; 0]);
    Endpoint::new(Url::parse(url).unwrap(), &settings, Duration::from_secs(5)).unwrap()
}

fn header(requests: &[Recorded], name: &str) -> Vec<Option<String>> {
    requests.iter().map(|request| request.header(name).map(ToOwned::to_owned)).collect()
}

#[tokio::test]
async fn headers_go_along_and_stay_out_of_errors() {
    let recorder = Recorder::playing([Play::Answer(400, &[], "no X-Key s3cret")]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("header");
    std::fs::write(&file, "from file\n").unwrap();
    let yaml = format!("http_headers: {{X-Key: {{values: [a], secrets: [s3cret], files: ['{}']}}}}", file.display());
    let endpoint = endpoint(&recorder.url("/"), &yaml);
    let error = endpoint.post(b"{}".to_vec(), &[]).await.unwrap_err();
    assert_eq!(error.what, "answered 400 Bad Request: no X-Key ***");
    let sent: Vec<_> = recorder.request().headers.into_iter().filter(|(name, _)| name == "x-key").collect();
    assert_eq!(sent.iter().map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a", "s3cret", "from file"]);
}

#[tokio::test]
async fn a_redirect_is_followed_where_the_message_arrives_by_it() {
    let other = Recorder::playing([]).await;
    let location: &'static str = other.url("/there").leak();
    let moved: &'static [(&str, &str)] = vec![("Location", location)].leak();
    let here: &'static [(&str, &str)] = &[("Location", "/here")];
    let script = [Play::Answer(307, here, ""), Play::Answer(308, moved, ""), Play::Answer(302, here, "moved")];
    let recorder = Recorder::playing(script).await;
    let yaml = "{authorization: {credentials: s3cret}, http_headers: {X-Key: {values: [s3cret]}}}";
    let endpoint = endpoint(&recorder.url("/"), yaml);
    endpoint.post(b"{\"a\":1}".to_vec(), &[]).await.unwrap();
    let arrived = other.request();
    assert_eq!(
        (arrived.method.as_str(), arrived.target.as_str(), arrived.body.as_str()),
        ("POST", "/there", "{\"a\":1}")
    );
    assert_eq!((arrived.header("authorization"), arrived.header("x-key")), (None, None), "they are another host's");
    let within = header(&recorder.requests(), "authorization");
    assert_eq!(within, [Some("Bearer s3cret".to_owned()), Some("Bearer s3cret".to_owned())]);
    // A POST that becomes a GET loses the message: no success.
    assert_eq!(endpoint.post(b"{}".to_vec(), &[]).await.unwrap_err().retry, Retry::Never);
}

#[tokio::test]
async fn redirects_end() {
    let here: &'static [(&str, &str)] = &[("Location", "/")];
    let recorder = Recorder::playing(vec![Play::Answer(307, here, ""); 30]).await;
    let error = endpoint(&recorder.url("/"), "{}").post(Vec::new(), &[]).await.unwrap_err();
    assert_eq!((error.what.as_str(), error.retry), ("redirected more than 10 times", Retry::Never));
    assert_eq!(recorder.requests().len(), 11);
    let recorder = Recorder::playing([Play::Answer(307, here, "")]).await;
    let error = endpoint(&recorder.url("/"), "follow_redirects: false").post(Vec::new(), &[]).await.unwrap_err();
    assert_eq!((error.retry, recorder.requests().len()), (Retry::Never, 1));
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_url() {
    let proxy = Recorder::playing([]).await;
    let yaml = format!("{{proxy_url: '{}', no_proxy: direct.test}}", proxy.url("").replace("//", "//u:s3cret@"));
    endpoint("http://service.test/hook?x=1", &yaml).post(b"{}".to_vec(), &[]).await.unwrap();
    let request = proxy.request();
    assert_eq!(request.target, "http://service.test/hook?x=1");
    assert_eq!(request.header("host"), Some("service.test"));
    assert_eq!(request.header("proxy-authorization"), Some("Basic dTpzM2NyZXQ="));
}

/// A proxy that opens every way to the one server there is, and remembers what it was asked.
async fn tunnel(to: std::net::SocketAddr, asked: tokio::sync::mpsc::UnboundedSender<String>) -> String {
    let address = test_server::serve(move |mut stream| {
        let asked = asked.clone();
        async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap());
            }
            asked.send(String::from_utf8(head).unwrap()).unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            let mut server = TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        }
    })
    .await;
    format!("http://{address}")
}

#[tokio::test]
async fn an_encrypted_request_goes_through_a_tunnel() {
    let dir = tempfile::tempdir().unwrap();
    let server = test_server::tls(dir.path(), b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let (asked, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let proxy = tunnel(server, asked).await;
    let ca = dir.path().join("cert.pem");
    let tls = format!("tls_config: {{ca_file: '{}', server_name: shop.test, min_version: TLS13}}", ca.display());
    let yaml = format!("{{proxy_url: '{proxy}', proxy_connect_header: {{X-Way: [out]}}, {tls}}}");
    endpoint("https://service.test/", &yaml).post(b"{}".to_vec(), &[]).await.unwrap();
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("CONNECT service.test:443 HTTP/1.1\r\nHost: service.test:443\r\n"), "{head}");
    assert!(head.contains("\r\nx-way: out\r\n"), "{head}");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_of() {
    let proxy = Recorder::playing([Play::Answer(407, &[], "")]).await;
    let endpoint = endpoint("https://service.test/s3cret", &format!("proxy_url: '{}'", proxy.url("")));
    let error = endpoint.post(Vec::new(), &[]).await.unwrap_err();
    assert_eq!(error.what, "the proxy does not open the way: it answered HTTP/1.1 407 X");
    assert!(!error.may_have_arrived && error.retry == Retry::Backoff);
}

#[tokio::test]
async fn a_token_is_fetched_kept_and_replaced_when_it_is_refused() {
    let token: fn(&'static str) -> Play = |body| Play::Answer(200, &[], body);
    let script = [
        token(r#"{"access_token":"one","token_type":"Bearer","expires_in":3600}"#),
        token(r#"{"access_token":"two","token_type":"Bearer"}"#),
    ];
    let server = Recorder::playing(script).await;
    let recorder = Recorder::playing([token("{}"), token("{}"), Play::Answer(401, &[], "")]).await;
    let oauth2 = format!(
        "{{oauth2: {{client_id: 'a b', client_secret: s3cret, scopes: [x, y], token_url: '{}', endpoint_params: {{p: q}}}}}}",
        server.url("/token")
    );
    let endpoint = endpoint(&recorder.url("/"), &oauth2);
    for _ in 0..3 {
        endpoint.post(b"{}".to_vec(), &[]).await.unwrap();
    }
    let sent = header(&recorder.requests(), "authorization");
    let [one, two] = ["Bearer one", "Bearer two"].map(|token| Some(token.to_owned()));
    assert_eq!(sent, [one.clone(), one.clone(), one, two]);
    let asked = server.requests();
    assert_eq!((asked.len(), asked[0].body.as_str()), (2, "grant_type=client_credentials&scope=x+y&p=q"));
    assert_eq!(asked[0].header("authorization"), Some("Basic YStiOnMzY3JldA=="));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let refused: &'static str = r#"{"error":"invalid_client s3cret"}"#;
    let server = Recorder::playing([Play::Answer(401, &[], refused), Play::Answer(401, &[], refused)]).await;
    let recorder = Recorder::playing([]).await;
    let oauth2 = format!("oauth2: {{client_id: a, client_secret: s3cret, token_url: '{}'}}", server.url("/"));
    let error = endpoint(&recorder.url("/"), &oauth2).post(Vec::new(), &[]).await.unwrap_err();
    let what = r#"no OAuth 2.0 token: answered 401 Unauthorized: {"error":"invalid_client ***"}"#;
    assert_eq!((error.what.as_str(), error.retry, error.reason), (what, Retry::Never, FailureReason::AuthError));
    assert_eq!(server.requests()[1].body, "grant_type=client_credentials&client_id=a&client_secret=s3cret");
    assert!(recorder.requests().is_empty());
}

#[test]
fn what_cannot_be_is_told() {
    for (yaml, complaint) in [
        ("{basic_auth: {username: a}, oauth2: {client_id: a, token_url: 'http://h/'}}", "more than one way"),
        ("oauth2: {client_id: a}", "has no `token_url`"),
        ("{proxy_url: 'socks5://h:1'}", "over http:// here, not over socks5://"),
        ("{no_proxy: h}", "of no use without `proxy_url`"),
        ("{proxy_url: 'http://h', proxy_from_environment: true}", "leaves no room"),
        ("http_headers: {Authorization: {values: [a]}}", "no header that may be set here"),
        ("tls_config: {cert_file: a}", "a client certificate has a key"),
        ("tls_config: {max_version: TLS11}", "TLS11 is not spoken"),
        ("tls_config: {min_version: 1.3}", "no version of TLS"),
    ] {
        let problems = settings(yaml).1;
        assert!(problems.iter().any(|problem| problem.contains(complaint)), "{yaml}: {problems:?}");
    }
}
