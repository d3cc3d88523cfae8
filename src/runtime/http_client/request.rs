//! What is asked.

use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::header::{ACCEPT_ENCODING, HOST, HeaderMap, HeaderValue, USER_AGENT};
use tokio::time::Instant;
use url::Url;

use super::{AGENT, HttpError};

/// One request. `Host`, `User-Agent` and `Accept-Encoding: identity` are added where missing.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET, POST, …
    pub method: Method,
    /// `http://` or `https://`. User and password in it are ignored: [`credentials`](super::credentials) takes them out, for `headers`.
    pub url: Url,
    /// Further headers.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// Answer or failure comes by then.
    pub deadline: Instant,
    /// Connect there instead of to the URL's host, which then is a name only (curl's `--unix-socket`).
    pub unix_socket: Option<PathBuf>,
    /// How much of the answer's body is kept; [`HttpClient::send`](super::HttpClient::send) fails on a longer one.
    pub max_body: usize,
    /// Says of the body so far whether it is all that is wanted: a stream of events that never ends is then not waited for.
    pub enough: Option<fn(&[u8]) -> bool>,
}

/// What becomes of the part of a body that is longer than [`Request::max_body`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The answer is an error.
    Fail,
    /// It is read, counted in [`Trace::body_length`](super::Trace::body_length) and dropped; the body ends at the limit.
    Discard,
}

impl Request {
    /// A GET without special headers, for answers of up to 16 MiB.
    pub fn get(url: Url, deadline: Instant) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method: Method::GET, url, headers, body, deadline, unix_socket: None, max_body: 16 << 20, enough: None }
    }

    /// A POST of JSON, for answers of up to 1 MiB.
    pub fn post_json(url: Url, body: impl Into<Bytes>, deadline: Instant) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(hyper::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method: Method::POST, headers, body: body.into(), max_body: 1 << 20, ..Self::get(url, deadline) }
    }
}

/// How the first line names what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Path and query: for the server itself.
    Origin,
    /// The whole URL: for a proxy.
    Absolute,
    /// As HTTP/2 says it.
    Http2,
}

/// The request in hyper's form.
pub(super) fn outgoing(request: Request, form: Form) -> Result<hyper::Request<Full<Bytes>>, HttpError> {
    let h2 = form == Form::Http2;
    let url = &request.url;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    // HTTP/2 says the host in the address; a `Host` of the caller's own counts as in HTTP/1.1.
    let asked = request.headers.get(HOST).and_then(|host| host.to_str().ok());
    let uri = match form {
        Form::Origin => path.to_owned(),
        Form::Absolute => format!("{}://{authority}{path}", url.scheme()),
        Form::Http2 => format!("https://{}{path}", asked.unwrap_or(authority)),
    };
    let mut outgoing = hyper::Request::new(Full::new(request.body));
    *outgoing.method_mut() = request.method;
    *outgoing.uri_mut() =
        uri.parse().map_err(|_| HttpError::Request("the URL's path or the Host header cannot be sent".into()))?;
    let headers = outgoing.headers_mut();
    if !h2 {
        let host = HeaderValue::from_str(authority)
            .map_err(|_| HttpError::Request("the URL's host is no header value".into()))?;
        headers.insert(HOST, host);
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let given = || request.headers.iter().filter(|(name, _)| !(h2 && **name == HOST));
    for (name, _) in given() {
        headers.remove(name);
    }
    // A header may have several values.
    for (name, value) in given() {
        headers.append(name.clone(), value.clone());
    }
    Ok(outgoing)
}
