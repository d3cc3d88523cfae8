//! The HTTP conversation over a connection that is already there.

use std::future::Future;
use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::http::response::Parts;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, Instant};

use super::request::outgoing;
use super::{HttpError, Overflow, Reply, Request, Trace, within};

/// Sends the request and reads the answer.
pub(super) async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request,
    overflow: Overflow,
    h2: bool,
    trace: &mut Trace,
) -> Result<Reply, HttpError> {
    let reading = Reading { deadline: request.deadline, limit: request.max_body, overflow, start: Instant::now() };
    let outgoing = outgoing(request, h2)?;
    let failed = |source| HttpError::Protocol { phase: "processing", source };
    let io = TokioIo::new(stream);
    // The sender is kept until the body is read: dropping it would close the connection.
    let (head, body) = if h2 {
        let hello = http2::handshake(TokioExecutor::new(), io);
        let (mut sender, connection) = reading.in_time(hello).await?.map_err(failed)?;
        let answer = async move { sender.send_request(outgoing).await.map(|response| (response, sender)) };
        alongside(connection, reading.read(answer, trace)).await?
    } else {
        let (mut sender, connection) = reading.in_time(http1::handshake(io)).await?.map_err(failed)?;
        let answer = async move { sender.send_request(outgoing).await.map(|response| (response, sender)) };
        alongside(connection, reading.read(answer, trace)).await?
    };
    let peer = trace.peer.ok_or_else(|| HttpError::Request("there is no connection".into()))?;
    let tls = trace.tls.clone();
    Ok(Reply { status: head.status, version: head.version, headers: head.headers, body, peer, tls })
}

/// How an answer is read.
struct Reading {
    deadline: Instant,
    limit: usize,
    overflow: Overflow,
    start: Instant,
}

impl Reading {
    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, HttpError> {
        time::timeout_at(self.deadline, work).await.map_err(|_| HttpError::Timeout { phase: "processing" })
    }

    /// Waits for the head, then reads the body. `K` is what must live until then.
    async fn read<K>(
        &self,
        answer: impl Future<Output = Result<(Response<Incoming>, K), hyper::Error>>,
        trace: &mut Trace,
    ) -> Result<(Parts, Bytes), HttpError> {
        let answered = self.in_time(answer).await;
        trace.timings.processing = self.start.elapsed();
        let (response, _kept) = answered?.map_err(|source| HttpError::Protocol { phase: "processing", source })?;
        let (head, incoming) = response.into_parts();
        trace.status = Some(head.status);
        let Trace { timings, body_length, .. } = trace;
        let body = within("transfer", self.deadline, &mut timings.transfer, self.body(incoming, body_length)).await?;
        Ok((head, body))
    }

    async fn body(&self, mut incoming: Incoming, length: &mut u64) -> Result<Bytes, HttpError> {
        let mut body = BytesMut::new();
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|source| HttpError::Protocol { phase: "transfer", source })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            *length += data.len() as u64;
            let room = self.limit - body.len();
            if data.len() > room && self.overflow == Overflow::Fail {
                return Err(HttpError::TooLarge { limit: self.limit });
            }
            body.extend_from_slice(&data[..data.len().min(room)]);
        }
        Ok(body.freeze())
    }
}

/// Drives a connection while `work` uses it, without a task of its own.
async fn alongside<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    match select(pin!(connection), pin!(work)).await {
        Either::Left((_, work)) => work.await,
        Either::Right((outcome, _)) => outcome,
    }
}
