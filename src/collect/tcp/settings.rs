//! What a target of kind `tcp` needs beyond the common keys.

use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use crate::collect::dial::Address;
use crate::collect::probe::{self, Pattern, read_address, read_expected};
use crate::collect::web::read_trust;
use crate::collect::{Collect, TargetSettings};
use crate::model::percent_decode;
use crate::runtime::supervise::Supervisor;
use crate::runtime::tls::Trust;
use crate::yaml::Fields;

/// An SSH server's first line; lines of another kind may come before it (RFC 4253, 4.2). `1.99` is a server that still takes
/// the old version too.
const SSH_BANNER: &str = r"^SSH-(2\.0|1\.99)-";
/// Ours, so that the server's log says who asked instead of complaining about a client that said nothing.
const SSH_GREETING: &str = "SSH-2.0-sidewatch\r\n";

/// What a target of kind `tcp` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The port, or the socket.
    pub address: Address,
    /// Present for `tls://`.
    pub(super) trust: Option<Trust>,
    /// Sent first, with a line end.
    pub(super) send: Option<String>,
    /// A line that must come.
    pub(super) banner: Option<Pattern>,
    /// Sent when the line has come.
    pub(super) answer: Option<&'static str>,
}

impl TargetSettings for Settings {
    const KIND: &'static str = "tcp";
    const SCHEMES: &'static [&'static str] = &["tcp", "tls", "ssh", "unix"];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `send`, `expect: {banner}`, and `tls` for `tls://`. `ssh://` knows its
    /// banner, which may be narrowed.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let send = fields.text("send");
        let banner = read_expected(fields, "banner");
        let parsed = Url::parse(url).ok().filter(|url| Self::SCHEMES.contains(&url.scheme()));
        let scheme = parsed.as_ref().map(Url::scheme).unwrap_or_default();
        let trust = (scheme == "tls").then(|| read_trust(fields));
        let Some(address) = parsed.as_ref().and_then(address) else {
            let way_out = "write tcp://host:port, tls://host:port, ssh://host or unix:///path";
            fields.wrong("url", "this URL names no host and port", way_out);
            return None;
        };
        if scheme != "ssh" {
            return Some(Self { address, trust, send, banner, answer: None });
        }
        let banner = banner.or_else(|| Pattern::parse(SSH_BANNER).ok());
        Some(Self { address, trust, send, banner, answer: Some(SSH_GREETING) })
    }

    /// `host:port`, or the socket's path.
    fn instance(&self) -> String {
        self.address.to_string()
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Tcp::new(self)?))
    }
}

fn address(url: &Url) -> Option<Address> {
    if url.scheme() != "unix" {
        return read_address(url, (url.scheme() == "ssh").then_some(22));
    }
    let path = percent_decode(url.path());
    let is_path = url.host_str().is_none_or(str::is_empty) && path.len() > 1;
    is_path.then(|| Address::Unix(PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::test_target;

    fn read(url: &str) -> Result<Settings, String> {
        test_target::read(url, "").map_err(|said| said.concat())
    }

    #[test]
    fn each_scheme_has_its_form() {
        for (url, instance) in [
            ("tcp://db:5432", "db:5432"),
            ("tls://[::1]:993", "[::1]:993"),
            ("ssh://bastion", "bastion:22"),
            ("ssh://bastion:2222", "bastion:2222"),
            ("unix:///run/app.sock", "/run/app.sock"),
        ] {
            assert_eq!(read(url).unwrap().instance(), instance);
        }
    }

    #[test]
    fn a_url_without_port_is_refused() {
        for url in ["tcp://x", "tls://", "unix://run/app.sock", "unix:///", "http://x:1"] {
            assert!(read(url).unwrap_err().contains("names no host and port"), "{url}");
        }
    }
}
