//! The opening handshake (RFC 6455, section 4): an HTTP request that turns the connection into a WebSocket.

use std::pin::pin;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode, upgrade};
use hyper_util::rt::TokioIo;
use ring::digest;
use url::Position;

use crate::collect::error::{chain, io_cause};
use crate::collect::probe::{Stream, broken};
use crate::collect::{CollectError, Reason};
use crate::runtime::http_client::AGENT;

use super::frame::random;
use super::{Seen, Settings};

/// What a server mixes with the key to show that it knows the protocol.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The longest head of an answer.
const MOST_HEAD: usize = 64 << 10;

/// The connection once it is a WebSocket.
pub(super) type Socket = TokioIo<Upgraded>;

/// Asks for the upgrade and checks the answer.
pub(super) async fn upgrade(settings: &Settings, stream: Stream, seen: &mut Seen) -> Result<Socket, CollectError> {
    let key = BASE64_STANDARD.encode(random::<16>().map_err(|error| broken(&error))?);
    let request = request(settings, &key)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MOST_HEAD)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let work = pin!(async move {
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        seen.status = Some(response.status().as_u16());
        judge(settings, &key, &response)?;
        upgrade::on(response).await.map_err(|error| failed(&error))
    });
    // The connection has to be driven until it hands the stream over, and ends then.
    let connection = pin!(connection.with_upgrades());
    let socket = match futures_util::future::select(connection, work).await {
        futures_util::future::Either::Left((_, work)) => work.await,
        futures_util::future::Either::Right((done, _)) => done,
    };
    socket.map(TokioIo::new)
}

fn request(settings: &Settings, key: &str) -> Result<Request<Empty<Bytes>>, CollectError> {
    let unsendable = |what: &str| CollectError::new(Reason::Internal, format!("{what} cannot be sent in a request"));
    let url = &settings.url;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() =
        url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| unsendable("the URL's path"))?;
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| unsendable("a header"));
    let headers = request.headers_mut();
    headers.insert(HOST, value(&url[Position::BeforeHost..Position::AfterPort])?);
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.extend(settings.headers.clone());
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, value(key)?);
    if !settings.subprotocols.is_empty() {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value(&settings.subprotocols.join(", "))?);
    }
    Ok(request)
}

fn failed(error: &hyper::Error) -> CollectError {
    let reason = match io_cause(error) {
        _ if error.is_parse() => Reason::Malformed,
        Some(cause) => Reason::of_io(cause),
        None => Reason::Unreachable,
    };
    CollectError::new(reason, format!("the upgrade failed: {}", chain(error)))
}

fn judge(settings: &Settings, key: &str, response: &Response<Incoming>) -> Result<(), CollectError> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let reason = match response.status() {
            StatusCode::UNAUTHORIZED => Reason::Auth,
            StatusCode::FORBIDDEN => Reason::Permission,
            StatusCode::TOO_MANY_REQUESTS => Reason::Limit,
            _ => Reason::Status,
        };
        let words = format!("status {}, expected 101 (Switching Protocols)", response.status().as_u16());
        return Err(CollectError::new(reason, words));
    }
    check_headers(settings, key, response.headers()).map_err(|words| CollectError::new(Reason::Malformed, words))
}

/// What a server must answer with besides the status.
fn check_headers(settings: &Settings, key: &str, headers: &HeaderMap) -> Result<(), String> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("").trim();
    if !text(UPGRADE).eq_ignore_ascii_case("websocket") {
        return Err(format!("the upgrade is to {:?}, not to websocket", text(UPGRADE)));
    }
    if !text(CONNECTION).split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade")) {
        return Err("the answer's header Connection has no Upgrade".into());
    }
    if text(SEC_WEBSOCKET_ACCEPT) != accept(key) {
        return Err("the answer's Sec-WebSocket-Accept does not belong to our key".into());
    }
    if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err("the server uses extensions that were not offered".into());
    }
    let chosen = text(SEC_WEBSOCKET_PROTOCOL);
    let ours = &settings.subprotocols;
    if ours.is_empty() && chosen.is_empty() || ours.iter().any(|protocol| protocol == chosen) {
        return Ok(());
    }
    Err(format!("the server chooses the subprotocol {chosen:?}, we speak [{}]", ours.join(", ")))
}

/// The answer to a key (section 4.2.2).
fn accept(key: &str) -> String {
    let mixed = format!("{key}{MAGIC}");
    BASE64_STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, mixed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_answer() {
        // The example of RFC 6455, section 1.3.
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
