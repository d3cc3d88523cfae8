//! Kinds `tcp` and `tls`: connects, shakes hands, reads a banner, as `blackbox_exporter`'s `tcp` prober.
//!
//! In: `tcp://host:port` or `tls://host:port`, what to send and which line to wait for. Out: that prober's families.
//!
//! A handshake alone says little: a frozen server's kernel still accepts. Where the protocol allows it, expect a line.

use crate::runtime::supervise::Supervisor;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{self, Instant};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::model::Family;
use crate::runtime::connect::connect;
use crate::runtime::http_client::TlsFacts;
use crate::runtime::resolve::resolve;
use crate::runtime::tls::{self, Trust};
use crate::yaml::Fields;

use super::probe::{self, Pattern, Watch, report_address, report_regex, report_tls, shortened};
use super::web::read_trust;
use super::{Collect, CollectError, Look, Reason, TargetSettings};

/// How much a server may say before the expected line.
const MOST_READ: usize = 64 << 10;

static FAILED_BYTES: Family = Family::gauge("probe_failed_due_to_bytes", "Indicates if probe failed due to bytes");

/// What a target of kind `tcp` or `tls` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    host: String,
    port: u16,
    /// Present for `tls://`.
    trust: Option<Trust>,
    /// Sent first, with a line end.
    send: Option<String>,
    /// A line that must come.
    banner: Option<Pattern>,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "tcp";
    const SCHEMES: &'static [&'static str] = &["tcp", "tls"];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `send`, `expect: {banner}`, and `tls` for `tls://`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let send = fields.text("send");
        let banner = fields.section("expect").and_then(|mut section| {
            let banner = section.parsed("banner", Pattern::parse);
            section.finish();
            banner
        });
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "tcp" | "tls"));
        let place = parsed.as_ref().and_then(|url| Some((url.host_str()?.to_owned(), url.port()?)));
        let secure = parsed.is_some_and(|url| url.scheme() == "tls");
        let trust = secure.then(|| read_trust(fields));
        let Some((host, port)) = place.filter(|(host, _)| !host.is_empty()) else {
            fields.wrong("url", "this URL names no host and port", "write tcp://host:port or tls://host:port");
            return None;
        };
        Some(Self { host, port, trust, send, banner })
    }

    /// `host:port`.
    fn instance(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(Tcp::new(self)?))
    }
}

/// A TCP probe.
pub struct Tcp {
    settings: Settings,
    tls: Option<TlsConnector>,
}

/// What the probe saw before it ended, well or not.
#[derive(Default)]
struct Seen {
    lookup: Duration,
    peer: Option<std::net::SocketAddr>,
    tls: Option<TlsFacts>,
    regex_failed: bool,
    phase: &'static str,
}

impl Tcp {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let mut tls = settings.trust.as_ref().map(tls::client_config).transpose()?;
        if let Some(config) = &mut tls {
            // A resumed session shows the certificate of the first one.
            config.resumption = Resumption::disabled();
        }
        Ok(Self { settings, tls: tls.map(|config| TlsConnector::from(Arc::new(config))) })
    }

    async fn visit(&self, seen: &mut Seen) -> Result<(), CollectError> {
        let stream = self.reach(seen).await?;
        let Some(connector) = &self.tls else {
            return self.converse(stream, seen).await;
        };
        seen.phase = "tls";
        let host = self.settings.host.trim_matches(['[', ']']).to_owned();
        let failed = |error: &dyn std::fmt::Display| {
            CollectError::new(Reason::Tls, format!("TLS with {} failed: {error}", self.settings.host))
        };
        let name = ServerName::try_from(host).map_err(|error| failed(&error))?;
        let stream = connector.connect(name, stream).await.map_err(|error| failed(&error))?;
        seen.tls = Some(TlsFacts::of(stream.get_ref().1));
        self.converse(stream, seen).await
    }

    async fn reach(&self, seen: &mut Seen) -> Result<TcpStream, CollectError> {
        let (host, port) = (&self.settings.host, self.settings.port);
        seen.phase = "resolve";
        let start = Instant::now();
        let peers = resolve(host, port).await;
        seen.lookup = start.elapsed();
        let peers =
            peers.map_err(|error| CollectError::new(Reason::Resolve, format!("cannot resolve {host}: {error}")))?;
        seen.peer = peers.first().copied();
        seen.phase = "connect";
        let (stream, peer) = connect(&peers).await.map_err(|(peer, error)| {
            CollectError::new(Reason::of_io(&error), format!("cannot connect to {peer}: {error}"))
        })?;
        seen.peer = Some(peer);
        Ok(stream)
    }

    /// Sends what is to be sent, then reads lines until one matches.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        seen: &mut Seen,
    ) -> Result<(), CollectError> {
        let broken =
            |error: std::io::Error| CollectError::new(Reason::of_io(&error), format!("the connection broke: {error}"));
        if let Some(text) = &self.settings.send {
            seen.phase = "send";
            let end = if text.ends_with('\n') { "" } else { "\n" };
            stream.write_all(format!("{text}{end}").as_bytes()).await.map_err(broken)?;
            stream.flush().await.map_err(broken)?;
        }
        let Some(wanted) = &self.settings.banner else {
            return Ok(());
        };
        seen.phase = "banner";
        let mut text = Vec::new();
        let mut from = 0;
        loop {
            let ended = stream.read_buf(&mut text).await.map_err(broken)? == 0;
            while let Some(length) = text[from..].iter().position(|byte| *byte == b'\n') {
                if wanted.is_match(&line(&text[from..from + length])) {
                    return Ok(());
                }
                from += length + 1;
            }
            if ended || text.len() > MOST_READ {
                // The last line may lack its end, as with Go's scanner.
                if wanted.is_match(&line(&text[from..])) && from < text.len() {
                    return Ok(());
                }
                seen.regex_failed = true;
                return Err(no_banner(&text, wanted));
            }
        }
    }
}

fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned()
}

fn no_banner(text: &[u8], wanted: &Pattern) -> CollectError {
    let got = match text.split(|byte| *byte == b'\n').next().map(line) {
        Some(first) if !text.is_empty() => format!("{:?}", shortened(&first, 80)),
        _ => "nothing".into(),
    };
    CollectError::new(
        Reason::Expectation,
        format!("the server said {got}, expected a line matching `{}`", wanted.as_str()),
    )
}

#[async_trait]
impl Collect for Tcp {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let mut seen = Seen::default();
        let outcome = time::timeout_at(watch.deadline(), self.visit(&mut seen)).await;
        let late = || CollectError::new(Reason::Timeout, format!("no answer in time ({})", seen.phase));
        if let Err(error) = outcome.unwrap_or_else(|_| Err(late())) {
            look.unhealthy(error);
        }
        report_address(&mut look, seen.lookup, seen.peer);
        report_regex(&mut look, seen.regex_failed);
        look.value(&FAILED_BYTES, 0.0);
        if let Some(facts) = &seen.tls {
            let verified = self.settings.trust.as_ref().is_some_and(|trust| !trust.insecure_skip_verify);
            report_tls(&mut look, facts, verified);
        }
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        probe::unanswered(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Problems;
    use crate::runtime::test_server;
    use crate::yaml::parse;

    fn probe(url: &str, keys: &str) -> Tcp {
        let node = parse(keys, "f.yml").unwrap();
        let problems = Problems::new();
        let mut fields = Fields::of(&node, "a target", &problems).unwrap();
        let settings = Settings::read(url, &mut fields).unwrap();
        fields.finish();
        assert!(problems.into_sorted().is_empty());
        Tcp::new(settings).unwrap()
    }

    async fn look(url: &str, keys: &str) -> Look {
        let look = probe(url, keys).look(Instant::now() + Duration::from_millis(500)).await;
        assert_eq!(look.get("probe_success", &[]), Some(f64::from(u8::from(look.healthy))));
        look
    }

    #[tokio::test]
    async fn a_port_that_accepts_is_a_success() {
        let address = test_server::silent().await;
        let look = look(&format!("tcp://{address}"), "").await;
        assert!(look.healthy);
        assert_eq!(look.get("probe_ip_protocol", &[]), Some(4.0));
        assert_eq!(look.get("probe_failed_due_to_regex", &[]), Some(0.0));
    }

    #[tokio::test]
    async fn a_closed_port_and_an_unknown_name_are_told_apart() {
        let closed = look(&format!("tcp://{}", test_server::closed().await), "").await;
        assert_eq!(closed.failures[0].reason(), Reason::Refused);
        let nowhere = look("tcp://no-such-host.invalid:1", "").await;
        assert_eq!(nowhere.failures[0].reason(), Reason::Resolve);
    }

    #[tokio::test]
    async fn a_banner_is_awaited_line_by_line() {
        let address = test_server::raw(false, b"hello\r\n220 mail ESMTP\r\n").await;
        assert!(look(&format!("tcp://{address}"), "expect: {banner: '^220 .*ESMTP$'}").await.healthy);
        let wrong = look(&format!("tcp://{address}"), "expect: {banner: ^250}").await;
        assert_eq!(
            wrong.failures[0].to_string(),
            "expectation: the server said \"hello\", expected a line matching `^250`"
        );
        assert_eq!(wrong.get("probe_failed_due_to_regex", &[]), Some(1.0));
    }

    #[tokio::test]
    async fn a_question_can_be_sent_first() {
        let address = test_server::raw(true, b"+PONG\r\n").await;
        assert!(look(&format!("tcp://{address}"), "{send: PING, expect: {banner: PONG}}").await.healthy);
    }

    #[tokio::test]
    async fn a_silent_server_that_should_speak_times_out() {
        let address = test_server::silent().await;
        let look = look(&format!("tcp://{address}"), "expect: {banner: x}").await;
        assert_eq!(look.failures[0].to_string(), "timeout: no answer in time (banner)");
    }

    #[tokio::test]
    async fn tls_shows_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let address = test_server::tls(dir.path(), b"hello\n").await;
        let url = format!("tls://localhost:{}", address.port());
        assert_eq!(look(&url, "").await.failures[0].reason(), Reason::Tls);
        let keys = format!(
            "{{send: hi, expect: {{banner: hello}}, tls: {{ca_file: {}}}}}",
            dir.path().join("cert.pem").display()
        );
        let seen = look(&url, &keys).await;
        assert!(seen.healthy, "{:?}", seen.failures);
        assert!(seen.get("probe_ssl_earliest_cert_expiry", &[]).is_some());
        assert_eq!(seen.get("probe_tls_version_info", &[("version", "TLS 1.3")]), Some(1.0));
    }

    #[test]
    fn a_url_without_port_is_refused() {
        let node = parse("url: tcp://x", "f.yml").unwrap();
        let problems = Problems::new();
        let mut fields = Fields::of(&node, "a target", &problems).unwrap();
        assert!(Settings::read("tcp://x", &mut fields).is_none());
        assert!(problems.into_sorted()[0].to_string().contains("names no host and port"));
    }
}
