//! Requests to the engine over connections that are kept.
//!
//! In: the engine's address, a version of its API, paths. Out: whole answers.
//!
//! Invariants: each request names the version of the API that was agreed on; no answer is longer than what [`dial`] lets through.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use crate::collect::dial::{Address, Stream, dial};

use super::api::ApiVersion;
use super::request::{failed, refusal};
use super::{CollectError, Reason};

/// Connections kept open between looks.
const MAX_IDLE: usize = 32;

/// Asks one engine, in one version of its API.
pub(super) struct Transport {
    client: Client<Connector, Empty<Bytes>>,
    /// Scheme, host and version. The host fills the header `Host` alone; the connector knows the way.
    base: String,
}

impl Transport {
    /// To an engine; nothing is sent yet.
    pub(super) fn new(address: &Address, version: ApiVersion) -> Self {
        let host = match address {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp { .. } => address.to_string(),
        };
        let mut builder = Client::builder(TokioExecutor::new());
        let client = builder.pool_max_idle_per_host(MAX_IDLE).build(Connector(address.clone()));
        Self { client, base: format!("http://{host}{version}") }
    }

    /// The whole answer to a path; `None` where what it names is not there. `doing` completes "cannot". The caller owns the time.
    pub(super) async fn get(&self, path: &str, doing: &str) -> Result<Option<Bytes>, CollectError> {
        let uri =
            format!("{}{path}", self.base).parse::<Uri>().map_err(|error| failed(doing, Reason::Internal, &error))?;
        let broken = |error: &(dyn StdError + 'static)| failed(doing, reason_of(error), error);
        let answer = self.client.get(uri).await.map_err(|error| broken(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(body)),
            status => Err(refusal(doing, status, &body)),
        }
    }
}

/// The connection's own error, or the I/O error that alone tells a refused connection from a forbidden one.
fn reason_of(error: &(dyn StdError + 'static)) -> Reason {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let known = |cause: &(dyn StdError + 'static)| match cause.downcast_ref::<CollectError>() {
        Some(error) => Some(error.reason()),
        None => cause.downcast_ref::<io::Error>().map(Reason::of_io),
    };
    causes.into_iter().find_map(known).unwrap_or(Reason::Unreachable)
}

#[derive(Clone)]
struct Connector(Address);

impl Service<Uri> for Connector {
    type Response = TokioIo<Kept>;
    type Error = CollectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, CollectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CollectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(Kept(dial(&address).await?))) })
    }
}

/// A connection that may be kept.
struct Kept(Stream);

impl Connection for Kept {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Kept {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Kept {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
