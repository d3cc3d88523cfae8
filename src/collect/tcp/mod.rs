//! Kind `tcp`: connects, shakes hands, reads a banner, as `blackbox_exporter`'s `tcp` prober.
//!
//! In: `tcp://host:port`, `tls://host:port`, `ssh://host` or `unix:///path`; what to send and which line to wait for.
//! Out: that prober's families.
//!
//! A handshake alone says little: a frozen server's kernel still accepts. Where the protocol allows it, expect a line.

mod settings;

pub use settings::Settings;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{self, Instant};

use crate::model::Family;

use super::probe::{self, Pattern, Route, Stream, Trip, Watch, broken, report_regex, shortened};
use super::{Collect, CollectError, Look, Reason};

/// How much a server may say before the expected line.
const MOST_READ: usize = 64 << 10;

static FAILED_BYTES: Family = Family::gauge("probe_failed_due_to_bytes", "Indicates if probe failed due to bytes");

/// A TCP probe.
pub struct Tcp {
    settings: Settings,
    route: Route,
}

/// What the probe saw before it ended, well or not.
#[derive(Default)]
struct Seen {
    trip: Trip,
    regex_failed: bool,
}

impl Tcp {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let route = Route::new(settings.address.clone(), settings.trust.as_ref(), &[])?;
        Ok(Self { settings, route })
    }

    /// Connects, sends what is to be sent, then reads lines until one matches.
    async fn visit(&self, seen: &mut Seen) -> Result<(), CollectError> {
        let mut stream = self.route.enter(&mut seen.trip).await?;
        let broken = |error| broken(&error);
        if let Some(text) = &self.settings.send {
            seen.trip.begin("send");
            let end = if text.ends_with('\n') { "" } else { "\n" };
            stream.write_all(format!("{text}{end}").as_bytes()).await.map_err(broken)?;
            stream.flush().await.map_err(broken)?;
        }
        let Some(wanted) = &self.settings.banner else {
            return Ok(());
        };
        seen.trip.begin("banner");
        let found = await_line(&mut stream, wanted).await?;
        seen.regex_failed = found.is_err();
        if let Some(answer) = self.settings.answer.filter(|_| found.is_ok()) {
            // A courtesy: whether it arrives does not matter any more.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
        found
    }
}

/// Reads until a line matches. The inner error is the one that the pattern is to blame for.
async fn await_line(stream: &mut Stream, wanted: &Pattern) -> Result<Result<(), CollectError>, CollectError> {
    let mut text = Vec::new();
    let mut from = 0;
    loop {
        let ended = stream.read_buf(&mut text).await.map_err(|error| broken(&error))? == 0;
        while let Some(length) = text[from..].iter().position(|byte| *byte == b'\n') {
            if wanted.is_match(&line(&text[from..from + length])) {
                return Ok(Ok(()));
            }
            from += length + 1;
        }
        if ended || text.len() > MOST_READ {
            // The last line may lack its end, as with Go's scanner.
            if wanted.is_match(&line(&text[from..])) && from < text.len() {
                return Ok(Ok(()));
            }
            return Ok(Err(no_banner(&text, wanted)));
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
        if let Err(error) = outcome.unwrap_or_else(|_| Err(seen.trip.late())) {
            look.unhealthy(error);
        }
        report_regex(&mut look, seen.regex_failed);
        look.value(&FAILED_BYTES, 0.0);
        seen.trip.report(&mut look);
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
    use crate::collect::test_target::read;
    use std::time::Duration;

    use crate::runtime::test_server;

    fn probe(url: &str, keys: &str) -> Tcp {
        Tcp::new(read(url, keys).unwrap()).unwrap()
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

    #[tokio::test]
    async fn a_unix_socket_is_a_port_without_address() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.sock");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let greeting = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"READY\n").await.unwrap();
        };
        let url = format!("unix://{}", path.display());
        let look = futures_util::future::join(look(&url, "expect: {banner: ^READY$}"), greeting).await.0;
        assert!(look.healthy, "{:?}", look.failures);
        assert_eq!(look.get("probe_ip_protocol", &[]), None);
        drop(listener);
        assert_eq!(self::look(&url, "").await.failures[0].reason(), Reason::Refused);
    }

    #[tokio::test]
    async fn an_ssh_server_greets_and_any_other_does_not() {
        let address = test_server::raw(false, b"Authorised use only.\r\nSSH-2.0-OpenSSH_9.2p1 Debian-2\r\n").await;
        assert!(look(&format!("ssh://{address}"), "").await.healthy);
        let address = test_server::raw(false, b"220 mail ESMTP\r\n").await;
        let other = look(&format!("ssh://{address}"), "").await;
        assert_eq!(other.failures[0].reason(), Reason::Expectation);
    }
}
