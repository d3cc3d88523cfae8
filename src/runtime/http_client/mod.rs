//! One HTTP request over a fresh connection, with the time of each phase.
//!
//! Used wherever the agent itself asks: probes, provider checks, scrapes, webhooks. Redirects are the caller's to follow.
//! [`HttpClient::send`] brings the answer or the error; [`HttpClient::trace`] also what was seen on the way to an error.

mod credentials;
mod error;
mod exchange;
mod proxy;
mod reply;
mod request;

pub use credentials::{basic, bearer, credentials, sensitive};
pub use error::HttpError;
pub use proxy::{NoProxy, Proxies, Proxy};
pub use reply::{Head, Reply, Timings, TlsFacts, Trace};
pub use request::{Overflow, Request};

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::PROXY_AUTHORIZATION;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::time::{self, Instant};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::connect;
use super::resolve::resolve;
use super::tls::{self, Trust};

use request::Form;

/// How the agent names itself to servers.
pub const AGENT: &str = concat!("sidewatch/", env!("CARGO_PKG_VERSION"));

/// Makes requests. Cheap to clone; the trust store is shared.
#[derive(Clone)]
pub struct HttpClient {
    tls: TlsConnector,
    /// The name that certificates must have, instead of the host's.
    server_name: Option<Arc<str>>,
    proxies: Arc<Proxies>,
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// A client that trusts as told. HTTP/2 is offered over TLS.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(trust: &Trust) -> Result<Self, String> {
        let mut config = tls::client_config(trust)?;
        // A resumed session shows the certificate of the first one, and a handshake shorter than a user's.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let server_name = trust.server_name.as_deref().map(Arc::from);
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), server_name, proxies: Arc::default() })
    }

    /// The same client without the offer of HTTP/2.
    #[must_use]
    pub fn without_http2(&self) -> Self {
        let mut config = ClientConfig::clone(self.tls.config());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self { tls: TlsConnector::from(Arc::new(config)), ..self.clone() }
    }

    /// The same client, over proxies.
    #[must_use]
    pub fn over(&self, proxies: Proxies) -> Self {
        Self { proxies: Arc::new(proxies), ..self.clone() }
    }

    /// Asks once. The timings are there also when the answer is not.
    pub async fn send(&self, request: Request) -> (Result<Reply, HttpError>, Timings) {
        let mut trace = Trace::default();
        let outcome = Box::pin(self.exchange(request, Overflow::Fail, &mut trace)).await;
        (outcome, trace.timings)
    }

    /// Asks once and notes all that was seen, also when there is no answer.
    pub async fn trace(&self, request: Request, overflow: Overflow) -> (Result<Reply, HttpError>, Trace) {
        let mut trace = Trace::default();
        // On the heap: hyper's state machines are too large for every caller's own.
        let outcome = Box::pin(self.exchange(request, overflow, &mut trace)).await;
        (outcome, trace)
    }

    async fn exchange(&self, request: Request, overflow: Overflow, trace: &mut Trace) -> Result<Reply, HttpError> {
        let deadline = request.deadline;
        let host = request.url.host_str().ok_or_else(|| HttpError::Request("the URL has no host".into()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = request.url.port_or_known_default().unwrap_or(80);
        if let Some(path) = request.unix_socket.clone() {
            trace.unix = true;
            let stream = within("connect", deadline, &mut trace.timings.connect, async {
                UnixStream::connect(&path).await.map_err(|source| HttpError::ConnectUnix { path, source })
            })
            .await?;
            return Box::pin(self.converse(stream, &host, request, None, overflow, trace)).await;
        }
        let proxy = self.proxies.on_the_way_to(&request.url);
        let (first, first_port) = proxy.map_or((host.as_str(), port), |proxy| (&proxy.host, proxy.port));
        let peers = within("resolve", deadline, &mut trace.timings.resolve, async {
            resolve(first, first_port).await.map_err(|source| HttpError::Resolve { host: first.to_owned(), source })
        })
        .await?;
        trace.peer = peers.first().copied();
        let authority = format!("{}:{port}", request.url.host_str().unwrap_or_default());
        let encrypted = request.url.scheme() == "https";
        let (stream, peer) = within("connect", deadline, &mut trace.timings.connect, async {
            let (mut stream, peer) =
                connect(&peers).await.map_err(|(peer, source)| HttpError::Connect { peer, source })?;
            if let Some(proxy) = proxy.filter(|_| encrypted) {
                proxy.tunnel(&mut stream, &authority).await?;
            }
            Ok((stream, peer))
        })
        .await?;
        trace.peer = Some(peer);
        Box::pin(self.converse(stream, &host, request, proxy, overflow, trace)).await
    }

    /// Puts TLS over the connection where the URL asks for it, and asks.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        host: &str,
        mut request: Request,
        proxy: Option<&Proxy>,
        overflow: Overflow,
        trace: &mut Trace,
    ) -> Result<Reply, HttpError> {
        if request.url.scheme() != "https" {
            let form = if proxy.is_some() { Form::Absolute } else { Form::Origin };
            if let Some(authorization) = proxy.and_then(|proxy| proxy.authorization.clone()) {
                request.headers.insert(PROXY_AUTHORIZATION, authorization);
            }
            return exchange::talk(stream, request, overflow, form, trace).await;
        }
        let stream = self.secure(host, stream, request.deadline, &mut trace.timings.tls).await?;
        let connection = stream.get_ref().1;
        trace.tls = Some(TlsFacts::of(connection));
        let form = if connection.alpn_protocol() == Some(b"h2") { Form::Http2 } else { Form::Origin };
        exchange::talk(stream, request, overflow, form, trace).await
    }

    async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        stream: S,
        deadline: Instant,
        took: &mut Duration,
    ) -> Result<TlsStream<S>, HttpError> {
        let host = self.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| HttpError::Request(format!("{host} is no TLS server name")))?;
        within("tls", deadline, took, async {
            self.tls.connect(name, stream).await.map_err(|source| HttpError::Tls { host: host.to_owned(), source })
        })
        .await
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

#[cfg(test)]
mod tests;
