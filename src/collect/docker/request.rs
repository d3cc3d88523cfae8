//! Requests of our own to the engine, beside the client's: its version, the stream of events, and a list beside that.
//!
//! In: an address and a path. Out: an answer that began with success, or its whole body.
//!
//! Invariant: each has a connection of its own, which ends with the answer; no body is longer than its bound. The caller owns the time.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use crate::collect::dial::{Address, dial};
use crate::collect::error::chain;
use crate::runtime::http_client::AGENT;
use crate::runtime::supervise::Supervisor;

use super::{CollectError, Reason};

/// A longer answer is refused.
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
