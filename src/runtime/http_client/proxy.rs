//! The way over a proxy: which requests take it, and how an encrypted one gets through it.

use std::fmt;
use std::net::IpAddr;

use hyper::header::{HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use url::{Host, Url};

use crate::model::Secret;

use super::{AGENT, HttpError, credentials, sensitive};

/// The longest head of an answer to CONNECT.
const MAX_HEAD: usize = 16 << 10;

/// A proxy that is spoken to over plain HTTP.
#[derive(Clone, PartialEq)]
pub struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<HeaderValue>,
    /// Further headers for the proxy itself, in CONNECT only.
    connect_headers: Vec<(HeaderName, Secret)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

impl Proxy {
    /// Reads `http://user:password@host:port`; without a scheme it is `http`, without a port 80.
    ///
    /// # Errors
    /// What is wrong with it, without the URL.
    pub fn parse(text: &str, connect_headers: Vec<(HeaderName, Secret)>) -> Result<Self, String> {
        let text = text.trim();
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = Url::parse(&whole).map_err(|error| format!("the proxy's URL is not a URL: {error}"))?;
        if url.scheme() != "http" {
            return Err(format!("a proxy is spoken to over http:// here, not over {}://", url.scheme()));
        }
        let basic = credentials(&mut url).map(|(user, password)| super::basic(&user, &password));
        let authorization = basic.map(|basic| sensitive(&basic).ok_or("the proxy's password fits no header"));
        let host = url.host_str().ok_or("the proxy's URL has no host")?.to_owned();
        let port = url.port_or_known_default().unwrap_or(80);
        Ok(Self { host, port, authorization: authorization.transpose()?, connect_headers })
    }

    /// Has the proxy open a way to `host:port`. What follows on the stream is the other end's.
    pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        authority: &str,
    ) -> Result<(), HttpError> {
        let mut head =
            format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {AGENT}\r\n").into_bytes();
        let authorization = self.authorization.iter().map(|value| ("proxy-authorization", value.as_bytes()));
        let more = self.connect_headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_bytes()));
        for (name, value) in authorization.chain(more) {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let broken = |error: std::io::Error| HttpError::Proxy { detail: error.to_string() };
        stream.write_all(&head).await.map_err(broken)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            // One byte at a time: what comes behind the head belongs to TLS.
            let byte = stream.read_u8().await.map_err(broken)?;
            answer.push(byte);
            if answer.len() > MAX_HEAD {
                return Err(HttpError::Proxy { detail: "its answer has no end".into() });
            }
        }
        let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        let status = line.split(' ').nth(1).unwrap_or_default();
        if line.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2') {
            return Ok(());
        }
        let shown: String = line.chars().filter(|c| !c.is_control()).take(100).collect();
        Err(HttpError::Proxy { detail: format!("it answered {shown}") })
    }
}

/// Which proxy a request takes, if any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proxies {
    /// For `http://`.
    pub http: Option<Proxy>,
    /// For `https://`.
    pub https: Option<Proxy>,
    /// Who is asked without one.
    pub without: NoProxy,
}

impl Proxies {
    /// The proxy on the way to a URL.
    pub(super) fn on_the_way_to(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !self.without.takes(url))
    }
}

/// `NO_PROXY` as Go reads it: names (with all below them), `.names` (only what is below), addresses, networks, each with a port
/// or without, `*`. As soon as it is in use, the own machine is always asked directly.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NoProxy {
    in_use: bool,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    All,
    Network { address: IpAddr, bits: u8 },
    Address { address: IpAddr, port: Option<u16> },
    Name { name: String, below_only: bool, port: Option<u16> },
}

impl NoProxy {
    /// Reads the list. What is none of those matches nothing, as in Go.
    pub fn parse(list: &str) -> Self {
        Self { in_use: true, rules: list.split(',').filter_map(|item| rule(item.trim())).collect() }
    }

    fn takes(&self, url: &Url) -> bool {
        let host = url.host().map(|host| host.to_owned());
        let port = url.port_or_known_default();
        let address = match &host {
            Some(Host::Ipv4(address)) => Some(IpAddr::from(*address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::from(*address)),
            _ => None,
        };
        let name = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let own = name == "localhost" || address.is_some_and(|address| address.is_loopback());
        let fits = |wanted: Option<u16>| wanted.is_none() || wanted == port;
        self.in_use && own
            || self.rules.iter().any(|rule| match rule {
                Rule::All => true,
                Rule::Network { address: network, bits } => address.is_some_and(|a| within(a, *network, *bits)),
                Rule::Address { address: wanted, port } => address == Some(*wanted) && fits(*port),
                Rule::Name { name: wanted, below_only, port } => {
                    let below = name.strip_suffix(wanted.as_str()).is_some_and(|rest| rest.ends_with('.'));
                    (below || (!below_only && name == *wanted)) && fits(*port)
                }
            })
    }
}

fn rule(item: &str) -> Option<Rule> {
    if item == "*" {
        return Some(Rule::All);
    }
    if let Some((address, bits)) = item.split_once('/') {
        return Some(Rule::Network { address: address.parse().ok()?, bits: bits.parse().ok()? });
    }
    if let Ok(address) = item.trim_matches(['[', ']']).parse() {
        return Some(Rule::Address { address, port: None });
    }
    let (host, port) = match item.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (item, None),
    };
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Some(Rule::Address { address, port });
    }
    let name = host.to_ascii_lowercase();
    let below = name.strip_prefix("*.").or_else(|| name.strip_prefix('.'));
    let (name, below_only) = (below.unwrap_or(&name).to_owned(), below.is_some());
    (!name.is_empty()).then_some(Rule::Name { name, below_only, port })
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let Some(rest) = u32::checked_sub(width, bits.into()) else {
        return false;
    };
    address.checked_shr(rest).unwrap_or(0) == network.checked_shr(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    #[test]
    fn who_is_asked_directly_is_gos() {
        let list =
            NoProxy::parse("example.org, .below.net,*.star.net, 10.0.0.0/8, 192.0.2.7, h.test:8080, 2001:db8::/32");
        let direct = |url: &str| list.takes(&Url::parse(url).unwrap());
        for url in [
            "http://example.org/",
            "https://a.example.org/",
            "http://x.below.net/",
            "http://x.star.net/",
            "http://10.2.3.4:9/",
            "http://192.0.2.7/",
            "http://h.test:8080/",
            "http://[2001:db8::1]/",
            "http://localhost:1/",
            "http://127.0.0.2/",
        ] {
            assert!(direct(url), "{url}");
        }
        for url in ["http://anexample.org/", "http://below.net/", "http://11.0.0.1/", "http://h.test/", "http://[::2]/"]
        {
            assert!(!direct(url), "{url}");
        }
        assert!(NoProxy::parse("*").takes(&Url::parse("http://any/").unwrap()));
        assert!(!NoProxy::default().takes(&Url::parse("http://localhost/").unwrap()));
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let proxy = Proxy::parse("u:s3cret@proxy:3128", Vec::new()).unwrap();
        assert_eq!(format!("{proxy:?}"), "Proxy(proxy:3128)");
        assert_eq!(proxy.authorization.unwrap(), format!("Basic {}", BASE64_STANDARD.encode("u:s3cret")));
        let error = Proxy::parse("socks5://s3cret@h:1", Vec::new()).unwrap_err();
        assert_eq!(error, "a proxy is spoken to over http:// here, not over socks5://");
    }
}
