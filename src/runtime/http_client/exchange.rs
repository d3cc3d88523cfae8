//! The HTTP conversation over a connection that is already there. No part of it outlives the future of [`talk`].

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::{Either, join, poll_fn, select};
use futures_util::stream::FuturesUnordered;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::http::response::Parts;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{self, Instant};

use super::request::{Form, outgoing};
use super::{Head, HttpError, Overflow, Reply, Request, Trace, within};

/// Sends the request and reads the answer.
pub(super) async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request,
    overflow: Overflow,
    form: Form,
    trace: &mut Trace,
) -> Result<Reply, HttpError> {
    let Request { deadline, max_body: limit, enough, .. } = request;
    let reading = Reading { deadline, limit, overflow, enough, start: Instant::now() };
    let outgoing = outgoing(request, form)?;
    let failed = |source| HttpError::Protocol { phase: "processing", source };
    let io = TokioIo::new(stream);
    // The sender is kept until the body is read: dropping it would close the connection.
    let (head, body) = if form == Form::Http2 {
        let (spawner, mut side_tasks) = side_tasks();
        let hello = http2::handshake(spawner, io);
        let (mut sender, connection) = reading.in_time(hello).await?.map_err(failed)?;
        let answer = async move { sender.send_request(outgoing).await.map(|response| (response, sender)) };
        let background = join(connection, poll_fn(|cx| side_tasks.poll(cx)));
        alongside(background, reading.read(answer, trace)).await?
    } else {
        let (mut sender, connection) =
            reading.in_time(http1::Builder::new().max_buf_size(MAX_HEAD).handshake(io)).await?.map_err(failed)?;
        let answer = async move { sender.send_request(outgoing).await.map(|response| (response, sender)) };
        alongside(connection, reading.read(answer, trace)).await?
    };
    let peer = trace.peer;
    let tls = trace.tls.clone();
    Ok(Reply { status: head.status, version: head.version, headers: head.headers, body, peer, tls })
}

/// The longest head of an answer, and the most that is parsed before others get their turn: a server that sends interim
/// answers (1xx) without end costs its own deadline only.
const MAX_HEAD: usize = 64 << 10;

/// How an answer is read.
struct Reading {
    deadline: Instant,
    limit: usize,
    overflow: Overflow,
    enough: Option<fn(&[u8]) -> bool>,
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
        trace.head = Some(Head { status: head.status, version: head.version, headers: head.headers.clone() });
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
            if self.enough.is_some_and(|enough| enough(&body)) {
                break;
            }
        }
        Ok(body.freeze())
    }
}

type SideTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes what hyper would spawn for HTTP/2: the connection itself and the pipes of its streams. A task of the runtime could
/// outlive the deadline, the look and the agent's stop; here they are polled beside the exchange and dropped with it.
#[derive(Clone)]
struct Spawner(UnboundedSender<SideTask>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        // Fails when the exchange is over, and then nobody waits for the task.
        let _ = self.0.send(Box::pin(task));
    }
}

/// The tasks of one exchange, as many as hyper makes for one request.
struct SideTasks {
    arriving: UnboundedReceiver<SideTask>,
    running: FuturesUnordered<SideTask>,
}

fn side_tasks() -> (Spawner, SideTasks) {
    let (sender, arriving) = unbounded_channel();
    (Spawner(sender), SideTasks { arriving, running: FuturesUnordered::new() })
}

impl SideTasks {
    /// Drives the tasks; never ends by itself.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(task)) = self.arriving.poll_recv(cx) {
            self.running.push(task);
        }
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx) {}
        Poll::Pending
    }
}

/// Drives a connection while `work` uses it, without a task of its own.
async fn alongside<T>(connection: impl Future, work: impl Future<Output = T>) -> T {
    match select(pin!(connection), pin!(work)).await {
        Either::Left((_, work)) => work.await,
        Either::Right((outcome, _)) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
    use tokio::runtime::Handle;

    use super::*;
    use crate::runtime::http_client::Overflow;

    async fn ask(stream: DuplexStream, patience: Duration) -> (Result<Reply, HttpError>, Trace) {
        let url = url::Url::parse("https://a/").unwrap();
        let mut trace = Trace { peer: Some(([127, 0, 0, 1], 1).into()), ..Trace::default() };
        let request = Request::get(url, Instant::now() + patience);
        (talk(stream, request, Overflow::Fail, Form::Http2, &mut trace).await, trace)
    }

    #[tokio::test]
    async fn an_http2_answer_is_read_whole() {
        let (ours, theirs) = duplex(1 << 16);
        let body = Bytes::from(vec![b'x'; 300_000]);
        let answer = service_fn(move |_| {
            let body = body.clone();
            async move { Ok::<_, std::convert::Infallible>(Response::new(Full::new(body))) }
        });
        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let serving = http2.serve_connection(TokioIo::new(theirs), answer);
        let ((reply, _), _) = join(ask(ours, Duration::from_secs(5)), serving).await;
        assert_eq!(reply.unwrap().body.len(), 300_000);
    }

    #[tokio::test]
    async fn an_http2_connection_ends_with_its_exchange() {
        let (ours, mut theirs) = duplex(1 << 16);
        let (reply, _) = ask(ours, Duration::from_millis(50)).await;
        assert!(matches!(reply, Err(HttpError::Timeout { phase: "processing" })), "{reply:?}");
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
        let mut sent = Vec::new();
        let closed = time::timeout(Duration::from_secs(1), theirs.read_to_end(&mut sent)).await;
        assert!(closed.is_ok_and(|read| read.is_ok()), "the connection is still open");
        assert!(sent.starts_with(b"PRI * HTTP/2.0"));
    }
}
