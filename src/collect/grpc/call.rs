//! One call over a connection that is already there: HTTP/2 by `h2`, whose answers end in trailers.
//!
//! Invariant: no task of its own; the connection is driven beside the call and ends with it.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use h2::client;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::{Method, Request};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::collect::probe::shortened;
use crate::collect::{CollectError, Reason};
use crate::runtime::http_client::AGENT;

use super::health::{self, Code, Serving};

/// A health answer has seven bytes; whoever sends more than this is no health service.
const MOST_BODY: usize = 4 << 10;
const MOST_HEADERS: u32 = 16 << 10;

/// What the server said.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// How the call ended.
    pub code: Code,
    /// The server's own words for it.
    pub message: String,
    /// The health, where the call went well.
    pub serving: Option<Serving>,
}

/// Why there is no answer: the error, and the status that gRPC's own clients give it.
pub type Failed = (CollectError, Code);

/// Asks for the health of a service. `origin` is `http://host:port` or `https://host:port`.
pub async fn check(stream: impl AsyncRead + AsyncWrite + Unpin, origin: &str, service: &str) -> Result<Answer, Failed> {
    let mut builder = client::Builder::new();
    builder.max_header_list_size(MOST_HEADERS).enable_push(false);
    let (sender, connection) = builder.handshake::<_, Bytes>(stream).await.map_err(|error| broken(&error))?;
    let call = pin!(call(sender, origin, service));
    match select(pin!(connection), call).await {
        Either::Right((answer, _)) => answer,
        // An answer that came before the end is still there to be read.
        Either::Left((ended, call)) => match (call.await, ended) {
            (Err(_), Err(error)) => Err(broken(&error)),
            (answer, _) => answer,
        },
    }
}

async fn call(sender: client::SendRequest<Bytes>, origin: &str, service: &str) -> Result<Answer, Failed> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{origin}{}", health::PATH))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(());
    let request = request.map_err(|error| {
        (CollectError::new(Reason::Internal, format!("the request cannot be made: {error}")), Code::INTERNAL)
    })?;
    let mut sender = sender.ready().await.map_err(|error| broken(&error))?;
    let (response, mut body) = sender.send_request(request, false).map_err(|error| broken(&error))?;
    body.send_data(health::request(service).into(), true).map_err(|error| broken(&error))?;
    let (head, mut incoming) = response.await.map_err(|error| broken(&error))?.into_parts();
    let body = read(&mut incoming).await?;
    let trailers = incoming.trailers().await.map_err(|error| broken(&error))?;
    // A call that brings nothing ends in its only headers.
    let end = trailers.as_ref().unwrap_or(&head.headers);
    let code = status(end).unwrap_or_else(|| Code::of_http(head.status.as_u16()));
    judge(code, message(end), &body)
}

async fn read(incoming: &mut h2::RecvStream) -> Result<BytesMut, Failed> {
    let mut body = BytesMut::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece.map_err(|error| broken(&error))?;
        if body.len() + piece.len() > MOST_BODY {
            let what = format!("the answer is longer than {MOST_BODY} bytes");
            return Err((CollectError::new(Reason::TooLarge, what), Code(8)));
        }
        body.extend_from_slice(&piece);
        let _ = incoming.flow_control().release_capacity(piece.len());
    }
    Ok(body)
}

fn judge(code: Code, message: String, body: &[u8]) -> Result<Answer, Failed> {
    if code != Code::OK {
        return Ok(Answer { code, message, serving: None });
    }
    let serving = health::response(body);
    let serving = serving.map_err(|what| (CollectError::new(Reason::Malformed, what), Code::INTERNAL))?;
    Ok(Answer { code, message, serving: Some(serving) })
}

fn status(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok().map(Code)
}

/// The server's words, percent-encoded on the wire.
fn message(headers: &HeaderMap) -> String {
    let text = headers.get("grpc-message").and_then(|value| value.to_str().ok()).unwrap_or_default();
    shortened(&crate::model::percent_decode(text), 200)
}

/// The connection broke, or its other end does not speak HTTP/2.
fn broken(error: &h2::Error) -> Failed {
    let reason = match error.get_io() {
        // What is no frame of HTTP/2 ends the connection like any other end.
        Some(io) => Reason::of_io(io),
        None if error.is_remote() => Reason::Unreachable,
        None => Reason::Malformed,
    };
    (CollectError::new(reason, format!("the call broke off: {error}")), Code::UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    use futures_util::future::join;
    use hyper::Response;
    use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};

    /// Serves one call as told.
    async fn serve(stream: DuplexStream, http: u16, body: Option<&'static [u8]>, end: &[(&'static str, &'static str)]) {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        assert_eq!((request.uri().path(), &request.headers()["te"]), (health::PATH, &"trailers".parse().unwrap()));
        let headers: HeaderMap =
            end.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let mut response = Response::builder().status(http).body(()).unwrap();
        match body {
            None => {
                *response.headers_mut() = headers;
                respond.send_response(response, true).unwrap();
            }
            Some(body) => {
                let mut sending = respond.send_response(response, false).unwrap();
                sending.send_data(Bytes::from_static(body), false).unwrap();
                sending.send_trailers(headers).unwrap();
            }
        }
        while connection.accept().await.is_some() {}
    }

    static LONG: [u8; MOST_BODY + 1] = [0; MOST_BODY + 1];

    async fn ask(
        http: u16,
        body: Option<&'static [u8]>,
        end: &[(&'static str, &'static str)],
    ) -> Result<Answer, Failed> {
        let (ours, theirs) = duplex(1 << 16);
        join(check(ours, "http://a:1", "shop"), serve(theirs, http, body, end)).await.0
    }

    #[tokio::test]
    async fn the_trailers_tell_how_the_call_ended() {
        let answer = ask(200, Some(&[0, 0, 0, 0, 2, 8, 1]), &[("grpc-status", "0")]).await.unwrap();
        assert_eq!(answer, Answer { code: Code::OK, message: String::new(), serving: Some(Serving::Serving) });
        let late = ask(200, Some(b""), &[("grpc-status", "8"), ("grpc-message", "no%20room")]).await.unwrap();
        assert_eq!((late.code.name(), late.message.as_str()), ("RESOURCE_EXHAUSTED", "no room"));
    }

    #[tokio::test]
    async fn a_refusal_comes_in_the_headers() {
        let unknown = ask(200, None, &[("grpc-status", "5"), ("grpc-message", "unknown service")]).await.unwrap();
        assert_eq!((unknown.code.name(), unknown.serving), ("NOT_FOUND", None));
        let proxy = ask(503, None, &[]).await.unwrap();
        assert_eq!(proxy.code, Code::UNAVAILABLE);
    }

    #[tokio::test]
    async fn an_answer_that_is_no_health_is_malformed() {
        let (error, code) = ask(200, Some(b"hello"), &[("grpc-status", "0")]).await.unwrap_err();
        assert_eq!((error.reason(), code), (Reason::Malformed, Code::INTERNAL));
        let (error, _) = ask(200, Some(&LONG), &[("grpc-status", "0")]).await.unwrap_err();
        assert_eq!(error.reason(), Reason::TooLarge);
    }

    #[tokio::test]
    async fn a_server_that_speaks_something_else_is_told() {
        let (ours, mut theirs) = duplex(1 << 16);
        let answering = async {
            theirs.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            theirs.shutdown().await.unwrap();
        };
        let (error, code) = join(check(ours, "http://a:1", ""), answering).await.0.unwrap_err();
        assert_eq!(code, Code::UNAVAILABLE);
        assert!(matches!(error.reason(), Reason::Malformed | Reason::Unreachable | Reason::TooLarge), "{error}");
    }
}
