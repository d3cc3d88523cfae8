//! The HTTP under the client of the engine's API: connections that are kept, and answers of bounded size.
//!
//! In: the engine's address. Out: what the client sends its requests over.
//!
//! Invariants: each request names the version of the API that was agreed on; no answer longer than [`MAX_ANSWER`] is taken in, whatever the client would collect.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bollard::BollardRequest;
use bollard::errors::Error;
use futures_util::TryFutureExt as _;
use hyper::body::Incoming;
use hyper::http::uri::PathAndQuery;
use hyper::{Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower_service::Service;

use crate::collect::dial::{Address, Stream, dial};

use super::CollectError;
use super::api::ApiVersion;

/// The longest answer in bytes: a list of some eight thousand containers.
const MAX_ANSWER: usize = 16 << 20;
/// Connections kept open between looks.
const MAX_IDLE: usize = 32;

/// How an answer is waited for.
type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

/// Sends requests to the engine, whatever host they name, in a version of its API.
pub(super) fn transport(
    address: &Address,
    version: ApiVersion,
) -> impl Fn(BollardRequest) -> Answer + Send + Sync + 'static {
    let connector = Connector(address.clone());
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(MAX_IDLE).build(connector);
    move |mut request| {
        let uri = match versioned(request.uri(), version) {
            Ok(uri) => uri,
            Err(error) => return Box::pin(std::future::ready(Err(Error::from(error)))),
        };
        *request.uri_mut() = uri;
        Box::pin(client.request(request).map_err(Error::from))
    }
}

/// The same with the version before its path. The client (bollard 0.21) puts one there and then joins the path to it, which begins with
/// a slash and so replaces it.
fn versioned(uri: &Uri, version: ApiVersion) -> Result<Uri, hyper::http::Error> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let prefix = version.to_string();
    if path.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with('/')) {
        return Ok(uri.clone());
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(prefix + path)?);
    Ok(Uri::from_parts(parts)?)
}

#[derive(Clone)]
struct Connector(Address);

impl Service<Uri> for Connector {
    type Response = TokioIo<Bounded<Stream>>;
    type Error = CollectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, CollectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CollectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let address = self.0.clone();
        Box::pin(async move {
            let stream = dial(&address).await?;
            Ok(TokioIo::new(Bounded { stream, taken: 0, most: MAX_ANSWER }))
        })
    }
}

/// A connection that breaks when an answer grows too long. The client writes a request only after the answer before.
struct Bounded<S> {
    stream: S,
    /// Bytes read since the last write.
    taken: usize,
    most: usize,
}

impl<S> Connection for Bounded<S> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.taken += buf.filled().len() - before;
        if self.taken > self.most {
            let message = format!("the answer is longer than {} bytes", self.most);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, message)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.taken = 0;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn each_path_begins_with_the_version_once() {
        let versioned = |uri: &str| versioned(&uri.parse().unwrap(), "1.24".parse().unwrap()).unwrap().to_string();
        assert_eq!(versioned("http://engine/containers/json?all=true"), "http://engine/v1.24/containers/json?all=true");
        assert_eq!(versioned("http://engine/v1.24/info"), "http://engine/v1.24/info");
        assert_eq!(versioned("http://engine/v1.240/info"), "http://engine/v1.24/v1.240/info");
    }

    #[tokio::test]
    async fn each_answer_is_bounded_and_not_their_sum() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Bounded { stream: near, taken: 0, most: 10 };
        for _ in 0..3 {
            near.write_all(b"ask").await.unwrap();
            far.write_all(b"8 bytes.").await.unwrap();
            near.read_exact(&mut [0; 8]).await.unwrap();
        }
        far.write_all(b"and more").await.unwrap();
        assert_eq!(near.read(&mut [0; 8]).await.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
