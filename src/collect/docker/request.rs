//! Requests of our own to the engine, beside the client's: its version, the stream of events, and a list beside that.
//!
//! In: an address and a path. Out: an answer that began with success, or its whole body.
//!
//! Invariant: each has a connection of its own, which ends with the answer; no body is longer than its bound. The caller owns the time.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use crate::collect::dial::{Address, dial};
use crate::collect::error::chain;
use crate::runtime::http_client::AGENT;
use crate::runtime::supervise::Supervisor;

use super::{CollectError, Reason};

/// A longer answer is refused: a list of some eight thousand containers.
const MAX_BODY: usize = 16 << 20;
/// Of what an engine says about a refusal, so much is told, in bytes.
const MAX_WORDS: usize = 200;

/// Asks for a path; the answer's status is success.
pub(super) async fn get(
    address: &Address,
    path: &str,
    doing: &str,
    supervisor: &Supervisor,
) -> Result<Response<Incoming>, CollectError> {
    let broken = |error: hyper::Error| failed(doing, Reason::Unreachable, &error);
    let stream = dial(address).await.map_err(|error| error.reworded(|words| format!("cannot {doing}: {words}")))?;
    // Whoever reads the answer bounds it: that of the events never ends.
    let stream = stream.endless();
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
    let request = request.map_err(|error| failed(doing, Reason::Internal, &error))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status().is_success() { Ok(response) } else { Err(refusal(doing, response.status(), &[])) }
}

/// An error about what could not be done, with its whole chain of causes.
pub(super) fn failed(doing: &str, reason: Reason, why: &dyn std::error::Error) -> CollectError {
    CollectError::new(reason, format!("cannot {doing}: {}", chain(why)))
}

/// What an answer's status means, with what the engine says to it: `{"message": "…"}`.
pub(super) fn refusal(doing: &str, status: StatusCode, body: &[u8]) -> CollectError {
    #[derive(Deserialize)]
    struct Said {
        message: String,
    }
    let reason = match status {
        StatusCode::UNAUTHORIZED => Reason::Auth,
        StatusCode::FORBIDDEN => Reason::Permission,
        _ => Reason::Status,
    };
    let said = serde_json::from_slice(body).map(|Said { message }| {
        let cut = &message[..message.floor_char_boundary(MAX_WORDS)];
        format!(": {}", cut.replace(char::is_control, " "))
    });
    CollectError::new(reason, format!("cannot {doing}: it answers {status}{}", said.unwrap_or_default()))
}

/// The whole body of an answer.
pub(super) async fn body(response: Response<Incoming>, doing: &str) -> Result<Bytes, CollectError> {
    let read = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let collected = read.map_err(|error| {
        let reason = if error.is::<LengthLimitError>() { Reason::TooLarge } else { Reason::Unreachable };
        failed(doing, reason, &*error)
    })?;
    Ok(collected.to_bytes())
}
