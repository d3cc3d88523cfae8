//! One HTTP request over a fresh connection, with the time of each phase.
//!
//! Used wherever the agent itself asks: probes, provider checks, scrapes, webhooks. Redirects are the caller's to follow.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Full};
use hyper::header::{ACCEPT_ENCODING, HOST, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{self, Instant};
use tokio_rustls::TlsConnector;
use url::Url;

use super::tls::{self, Trust};

/// How the agent names itself to servers.
pub const AGENT: &str = concat!("sidewatch/", env!("CARGO_PKG_VERSION"));

/// Makes requests. Cheap to clone; the trust store is shared.
#[derive(Debug, Clone)]
pub struct HttpClient {
    tls: TlsSetup,
}

#[derive(Clone)]
struct TlsSetup(TlsConnector);

impl std::fmt::Debug for TlsSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsSetup")
    }
}

/// One request. `Host`, `User-Agent` and `Accept-Encoding: identity` are added where missing.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET, POST, …
    pub method: Method,
    /// `http://` or `https://`. User and password in it are ignored: say them in `headers`.
    pub url: Url,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Answer or failure comes by then.
    pub deadline: Instant,
    /// A longer answer is an error.
    pub max_body: usize,
}

impl Request {
    /// A GET without special headers, for answers of up to 16 MiB.
    pub fn get(url: Url, deadline: Instant) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), deadline, max_body: 16 << 20 }
    }

    /// A POST of JSON, for answers of up to 1 MiB.
    pub fn post_json(url: Url, body: impl Into<Bytes>, deadline: Instant) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, url, headers, body: body.into(), deadline, max_body: 1 << 20 }
    }
}

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

/// What the TLS handshake showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFacts {
    /// "TLS 1.2", "TLS 1.3".
    pub version: &'static str,
    /// As IANA names it.
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
        let cipher =
            connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
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
    /// The address that answered.
    pub peer: SocketAddr,
    /// Present over https.
    pub tls: Option<TlsFacts>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The name has no address.
    #[error("cannot resolve {host}: {source}")]
    Resolve {
        /// The name asked for.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// TCP failed.
    #[error("cannot connect to {peer}: {source}")]
    Connect {
        /// The address tried last.
        peer: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// TLS failed.
    #[error("TLS with {host} failed: {source}")]
    Tls {
        /// The name expected in the certificate.
        host: String,
        /// Rustls' words.
        source: io::Error,
    },
    /// The deadline passed in this phase.
    #[error("no answer in time ({phase})")]
    Timeout {
        /// resolve, connect, tls, processing or transfer.
        phase: &'static str,
    },
    /// The peer does not speak HTTP, or hung up in the middle.
    #[error("{phase} failed: {source}")]
    Protocol {
        /// processing or transfer.
        phase: &'static str,
        /// Hyper's error.
        source: hyper::Error,
    },
    /// The body is longer than `max_body`.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The URL cannot be asked.
    #[error("{0}")]
    Request(String),
}

impl HttpClient {
    /// A client that trusts as told. HTTP/2 is offered over TLS.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(trust: &Trust) -> Result<Self, String> {
        let mut config = tls::client_config(trust)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: TlsSetup(TlsConnector::from(Arc::new(config))) })
    }

    /// Asks once. The timings are there also when the answer is not.
    pub async fn send(&self, request: Request) -> (Result<Reply, HttpError>, Timings) {
        let mut timings = Timings::default();
        let outcome = self.exchange(request, &mut timings).await;
        (outcome, timings)
    }

    async fn exchange(&self, request: Request, timings: &mut Timings) -> Result<Reply, HttpError> {
        let deadline = request.deadline;
        let host = request.url.host_str().ok_or_else(|| HttpError::Request("the URL has no host".into()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = request.url.port_or_known_default().unwrap_or(80);
        let peers = within("resolve", deadline, &mut timings.resolve, async {
            let found = lookup_host((host.as_str(), port)).await.map(Iterator::collect::<Vec<_>>);
            found.map_err(|source| HttpError::Resolve { host: host.clone(), source })
        })
        .await?;
        let (stream, peer) = within("connect", deadline, &mut timings.connect, connect_any(&host, peers)).await?;
        if request.url.scheme() != "https" {
            let head = handshake(stream, request, peer, None, false, timings);
            return head.await;
        }
        let name = ServerName::try_from(host.clone())
            .map_err(|_| HttpError::Request(format!("{host} is no TLS server name")))?;
        let stream = within("tls", deadline, &mut timings.tls, async {
            self.tls.0.connect(name, stream).await.map_err(|source| HttpError::Tls { host: host.clone(), source })
        })
        .await?;
        let connection = stream.get_ref().1;
        let h2 = connection.alpn_protocol() == Some(b"h2");
        let facts = TlsFacts::of(connection);
        handshake(stream, request, peer, Some(facts), h2, timings).await
    }
}

/// Runs one phase against the deadline and notes how long it took.
async fn within<T>(
    phase: &'static str,
    deadline: Instant,
    took: &mut Duration,
    work: impl Future<Output = Result<T, HttpError>>,
) -> Result<T, HttpError> {
    let start = Instant::now();
    let outcome = time::timeout_at(deadline, work).await;
    *took = start.elapsed();
    outcome.unwrap_or(Err(HttpError::Timeout { phase }))
}

async fn connect_any(host: &str, peers: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), HttpError> {
    let nothing = || HttpError::Resolve { host: host.to_owned(), source: io::Error::from(io::ErrorKind::NotFound) };
    let mut last = nothing();
    for peer in peers {
        match TcpStream::connect(peer).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok((stream, peer));
            }
            Err(source) => last = HttpError::Connect { peer, source },
        }
    }
    Err(last)
}

async fn handshake<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request,
    peer: SocketAddr,
    tls: Option<TlsFacts>,
    h2: bool,
    timings: &mut Timings,
) -> Result<Reply, HttpError> {
    let (deadline, limit) = (request.deadline, request.max_body);
    let outgoing = outgoing(request, h2)?;
    let failed = |source| HttpError::Protocol { phase: "processing", source };
    let Timings { processing, transfer, .. } = timings;
    let io = TokioIo::new(stream);
    let start = Instant::now();
    let talk = async {
        if h2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
            let answer = async move { sender.send_request(outgoing).await.map(|response| (response, Some(sender))) };
            let talk = read(answer, deadline, limit, start, processing, transfer);
            alongside(connection, talk).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(failed)?;
            let answer = async move { sender.send_request(outgoing).await.map(|response| (response, Some(sender))) };
            let talk = read(answer, deadline, limit, start, processing, transfer);
            alongside(connection, talk).await
        }
    };
    let (head, body) = talk.await?;
    Ok(Reply { status: head.status, version: head.version, headers: head.headers, body, peer, tls })
}

/// Sends, then reads the body. `K` keeps the connection's sender alive while the body is read.
async fn read<K>(
    answer: impl Future<Output = Result<(Response<hyper::body::Incoming>, K), hyper::Error>>,
    deadline: Instant,
    limit: usize,
    start: Instant,
    processing: &mut Duration,
    transfer: &mut Duration,
) -> Result<(hyper::http::response::Parts, Bytes), HttpError> {
    let answered = time::timeout_at(deadline, answer).await;
    *processing = start.elapsed();
    let (response, _sender) = answered
        .map_err(|_| HttpError::Timeout { phase: "processing" })?
        .map_err(|source| HttpError::Protocol { phase: "processing", source })?;
    let (head, mut incoming) = response.into_parts();
    let body = within("transfer", deadline, transfer, async {
        let mut body = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|source| HttpError::Protocol { phase: "transfer", source })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if body.len() + data.len() > limit {
                return Err(HttpError::TooLarge { limit });
            }
            body.extend_from_slice(&data);
        }
        Ok(body.freeze())
    })
    .await?;
    Ok((head, body))
}

/// Drives a connection while `work` uses it, without a task of its own.
async fn alongside<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    match select(pin!(connection), pin!(work)).await {
        Either::Left((_, work)) => work.await,
        Either::Right((outcome, _)) => outcome,
    }
}

fn outgoing(request: Request, h2: bool) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
    let url = &request.url;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let uri = if h2 { format!("https://{authority}{path}") } else { path.to_owned() };
    let mut outgoing = hyper::Request::new(Full::new(request.body));
    *outgoing.method_mut() = request.method;
    *outgoing.uri_mut() = uri.parse().map_err(|_| HttpError::Request(format!("`{path}` is no request path")))?;
    let headers = outgoing.headers_mut();
    if !h2 {
        let host = HeaderValue::from_str(authority)
            .map_err(|_| HttpError::Request("the URL's host is no header value".into()))?;
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &request.headers {
        headers.insert(name.clone(), value.clone());
    }
    Ok(outgoing)
}
