//! What came back: the answer, how long it took, what TLS showed.

use std::net::SocketAddr;
use std::ops::AddAssign;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{StatusCode, Version};
use rustls::pki_types::CertificateDer;

/// How long each phase took, as `probe_http_duration_seconds` names them. A phase not reached stays zero.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timings {
    /// Name to address.
    pub resolve: Duration,
    /// TCP handshake.
    pub connect: Duration,
    /// TLS handshake; zero over plain HTTP.
    pub tls: Duration,
    /// Request sent until the head of the answer is there.
    pub processing: Duration,
    /// Reading the body.
    pub transfer: Duration,
}

impl Timings {
    /// All phases together.
    pub fn total(&self) -> Duration {
        self.resolve + self.connect + self.tls + self.processing + self.transfer
    }
}

impl AddAssign for Timings {
    fn add_assign(&mut self, other: Self) {
        self.resolve += other.resolve;
        self.connect += other.connect;
        self.tls += other.tls;
        self.processing += other.processing;
        self.transfer += other.transfer;
    }
}

/// What was seen of one exchange, whether or not it brought an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// How long each phase took.
    pub timings: Timings,
    /// The address used, or the first one found when no connection came about.
    pub peer: Option<SocketAddr>,
    /// Whether the way led to a Unix socket, which has no address.
    pub unix: bool,
    /// Present once a TLS handshake is through.
    pub tls: Option<TlsFacts>,
    /// Present once the head of the answer is there, also when its body never ends.
    pub head: Option<Head>,
    /// Bytes of the body as sent, also beyond what was kept.
    pub body_length: u64,
}

/// An answer without its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Any status is an answer.
    pub status: StatusCode,
    /// The protocol spoken.
    pub version: Version,
    /// As sent.
    pub headers: HeaderMap,
}

/// What the TLS handshake showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// "TLS 1.2", "TLS 1.3".
    pub version: &'static str,
    /// As IANA names it: `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// The chain as the server sent it, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
}

impl TlsFacts {
    /// Reads the facts off a finished handshake.
    pub fn of(connection: &rustls::ClientConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "unknown",
        };
        // Rustls sets its TLS 1.3 suites apart with `TLS13_`; IANA and Go do not.
        let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        let cipher = suite.unwrap_or_default().replacen("TLS13_", "TLS_", 1);
        let chain = connection.peer_certificates().unwrap_or_default().iter().map(|c| c.clone().into_owned()).collect();
        Self { version, cipher, chain }
    }
}

/// A whole answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Any status is an answer.
    pub status: StatusCode,
    /// The protocol spoken.
    pub version: Version,
    /// As sent.
    pub headers: HeaderMap,
    /// The body as sent: not decompressed.
    pub body: Bytes,
    /// The address that answered; none behind a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Present over https.
    pub tls: Option<TlsFacts>,
}
