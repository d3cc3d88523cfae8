//! Requests of our own to the engine: the stream of events, and a list beside it.
//!
//! In: an address and a path. Out: the answer's lines, or its whole body.
//!
//! Paths carry no version: each engine, Podman and the usual proxies answer them in the newest version they know, and the fields read here
//! are in all of them. Invariant: no line and no body is longer than its bound; the caller owns the time.

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{DATE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use crate::collect::dial::{Address, dial};
use crate::collect::error::chain;
use crate::model::Millis;
use crate::runtime::http_client::AGENT;
use crate::runtime::supervise::Supervisor;

use super::super::{CollectError, Reason};

/// A longer line is no event.
const MAX_LINE: usize = 1 << 20;
/// A longer list is refused.
const MAX_BODY: usize = 4 << 20;

/// Asks for a path; the answer's status is success.
pub(super) async fn get(
    address: &Address,
    path: &str,
    doing: &str,
    supervisor: &Supervisor,
) -> Result<Response<Incoming>, CollectError> {
    let failed = |reason, why: String| CollectError::new(reason, format!("cannot {doing}: {why}"));
    let broken = |error: hyper::Error| failed(Reason::Unreachable, chain(&error));
    let stream = dial(address).await.map_err(|error| error.reworded(|words| format!("cannot {doing}: {words}")))?;
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the answer's body, or when that is dropped.
    supervisor.spawn_once(async move {
        let _: Result<(), hyper::Error> = driver.await;
    });
    let host = match address {
        Address::Unix(_) => "localhost".to_owned(),
        Address::Tcp { .. } => address.to_string(),
    };
    let request = Request::get(path).header(HOST, host).header(USER_AGENT, AGENT).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| failed(Reason::Internal, error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let reason = match response.status() {
        status if status.is_success() => return Ok(response),
        StatusCode::UNAUTHORIZED => Reason::Auth,
        StatusCode::FORBIDDEN => Reason::Permission,
        _ => Reason::Status,
    };
    Err(failed(reason, format!("it answers {}", response.status())))
}

/// The whole body of an answer.
pub(super) async fn body(response: Response<Incoming>, doing: &str) -> Result<Bytes, CollectError> {
    let read = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let collected = read.map_err(|error| CollectError::new(Reason::Unreachable, format!("cannot {doing}: {error}")))?;
    Ok(collected.to_bytes())
}

/// When an answer was sent, by the engine's clock, in whole seconds.
pub(super) fn date(response: &Response<Incoming>) -> Option<Millis> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Millis(at.timestamp().as_millisecond()))
}

/// The lines of an answer that does not end.
pub(super) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// How far the buffer is known to hold no line end.
    searched: usize,
}

impl Lines {
    pub(super) fn of(response: Response<Incoming>) -> Self {
        Self { body: response.into_body(), buffer: BytesMut::new(), searched: 0 }
    }

    /// The next line without its end; `None` when the answer ended. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, CollectError> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(CollectError::new(Reason::TooLarge, "the engine sent an event longer than 1 MiB"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| self.buffer.extend_from_slice(data)),
                Some(Err(error)) => {
                    let why = format!("the stream of the engine's events broke: {}", chain(&error));
                    return Err(CollectError::new(Reason::Unreachable, why));
                }
            }
        }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + end).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Some(line)
    }
}
