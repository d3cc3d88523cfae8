//! The envelope around every answer, `{"status":"success","data":…}`, and the errors with their status codes.

use std::io::{self, Write as _};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use tokio::time::Instant;

use crate::exposition::negotiate;
use crate::promql::{EvalError, Notes, ParseError};

use super::json::{write_strings, write_text};
use super::room::Room;

/// How long a piece of an answer grows before it is handed on, but for an element that is longer by itself.
const PIECE: usize = 32 << 10;

/// A reader has so long to take an answer. One that takes nothing at all is cut by the kernel long before that.
const SENDING_LIMIT: Duration = Duration::from_mins(5);

/// What is wrong with a request, in Prometheus' words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The request itself: 400.
    BadData(String),
    /// The data do not fit the query: 422.
    Execution(String),
    /// The time is over: 503.
    Timeout(String),
    /// The agent stops: 503.
    Unavailable(String),
    /// A bug: 500.
    Internal(String),
}

impl ApiError {
    /// What is wrong with one parameter.
    pub fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::BadData(format!("invalid parameter \"{name}\": {why}"))
    }

    /// The word for `errorType` and for metrics.
    pub fn kind(&self) -> &'static str {
        self.parts().1
    }

    fn parts(&self) -> (StatusCode, &'static str, &str) {
        match self {
            Self::BadData(why) => (StatusCode::BAD_REQUEST, "bad_data", why),
            Self::Execution(why) => (StatusCode::UNPROCESSABLE_ENTITY, "execution", why),
            Self::Timeout(why) => (StatusCode::SERVICE_UNAVAILABLE, "timeout", why),
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", why),
            Self::Internal(why) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", why),
        }
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.parts().2)
    }
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        // An empty text has no place; Prometheus says so.
        Self::BadData(error.to_string())
    }
}

impl From<EvalError> for ApiError {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Data(_) | EvalError::TooMuch(_) => Self::Execution(error.to_string()),
            EvalError::Cancelled => Self::Timeout("query timed out in expression evaluation".into()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (code, kind, why) = self.parts();
        let mut body = format!(r#"{{"status":"error","errorType":"{kind}","error":"#);
        write_text(&mut body, why);
        body.push('}');
        (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

/// A list as JSON, whose elements are written while it is sent: a large result need not stand in memory twice.
pub struct Listed<I> {
    /// What stands before the list, `[` among it.
    pub before: String,
    /// The elements, each with how it is written.
    pub items: I,
    /// What stands behind it, `]` among it.
    pub after: String,
}

/// How a list is sent.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// What stands between two elements.
    pub separator: &'static str,
}

/// Elements of a JSON list.
const JSON: Form = Form { content_type: "application/json", separator: "," };

/// A good answer around `data`, which is JSON.
pub fn success(headers: &HeaderMap, data: &str, notes: &Notes) -> Response {
    let body = format!(r#"{{"status":"success","data":{data}{}"#, behind_data(notes));
    Listed { before: body, items: std::iter::empty::<fn(&mut String)>(), after: String::new() }
        .respond(headers, Room::default())
}

/// `,"warnings":[…],"infos":[…]}` with what there is of it.
pub fn behind_data(notes: &Notes) -> String {
    let mut out = String::new();
    for (name, texts) in [("warnings", &notes.warnings), ("infos", &notes.infos)] {
        if !texts.is_empty() {
            out.extend([",\"", name, "\":"]);
            write_strings(&mut out, texts.iter().map(String::as_str));
        }
    }
    out.push('}');
    out
}

/// The warning where `limit` cut something off.
pub const TRUNCATED: &str = "results truncated due to limit";

impl<I, W> Listed<I>
where
    I: Iterator<Item = W> + Send + 'static,
    W: FnOnce(&mut String),
{
    /// The answer as JSON.
    pub fn respond(self, headers: &HeaderMap, room: Room) -> Response {
        self.respond_as(JSON, headers, room)
    }

    /// The answer, packed if the client takes that. What is short goes in one piece, with its length; what is not holds
    /// its room until it is sent or its reader has gone.
    pub fn respond_as(self, form: Form, headers: &HeaderMap, room: Room) -> Response {
        let encodings = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
        let head = [(header::CONTENT_TYPE, form.content_type), (header::VARY, "Accept-Encoding")];
        let pieces =
            Pieces { before: Some(self.before), items: self.items, after: Some(self.after), between: "", form };
        if negotiate(None, encodings).gzip {
            let packed = Packed { pieces, packer: Some(GzEncoder::new(Vec::new(), Compression::fast())) };
            return (head, [(header::CONTENT_ENCODING, "gzip")], body(packed, room)).into_response();
        }
        (head, body(pieces.map(Bytes::from), room)).into_response()
    }
}

/// A body out of pieces that are made when they are asked for.
fn body(mut pieces: impl Iterator<Item = Bytes> + Send + 'static, room: Room) -> Body {
    let Some(first) = pieces.next() else { return Body::empty() };
    match pieces.next() {
        None => Body::from(first),
        Some(second) => {
            let end = Instant::now() + SENDING_LIMIT;
            let all = [first, second].into_iter().chain(pieces).map(move |piece| {
                let _held = &room;
                // The error ends the connection: what was sent is no whole answer.
                if Instant::now() < end { Ok(piece) } else { Err(io::Error::from(io::ErrorKind::TimedOut)) }
            });
            Body::from_stream(stream::iter(all))
        }
    }
}

struct Pieces<I> {
    before: Option<String>,
    items: I,
    after: Option<String>,
    /// What stands before the next element.
    between: &'static str,
    form: Form,
}

impl<I: Iterator<Item = W>, W: FnOnce(&mut String)> Iterator for Pieces<I> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        self.after.as_ref()?;
        let mut piece = self.before.take().unwrap_or_default();
        while piece.len() < PIECE {
            let Some(write) = self.items.next() else {
                piece.push_str(&self.after.take().unwrap_or_default());
                break;
            };
            piece.push_str(std::mem::replace(&mut self.between, self.form.separator));
            write(&mut piece);
        }
        Some(piece)
    }
}

/// The same, through gzip. The fastest level: an answer is packed anew for each question.
struct Packed<P> {
    pieces: P,
    packer: Option<GzEncoder<Vec<u8>>>,
}

impl<P: Iterator<Item = String>> Iterator for Packed<P> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let packer = self.packer.as_mut()?;
        // Writing into memory does not fail.
        for piece in self.pieces.by_ref() {
            let _ = packer.write_all(piece.as_bytes());
            if packer.get_ref().len() >= PIECE / 4 {
                return Some(std::mem::take(packer.get_mut()).into());
            }
        }
        let rest = self.packer.take()?.finish().unwrap_or_default();
        Some(rest.into())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;
    use crate::serve::prometheus_api::room::Rooms;

    fn listed(count: usize) -> Listed<impl Iterator<Item = impl FnOnce(&mut String)> + Send + 'static> {
        let items = (0..count).map(|n| move |out: &mut String| out.push_str(&n.to_string()));
        Listed { before: "[".into(), items, after: "]".into() }
    }

    async fn sent(response: Response) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_list_is_the_same_in_one_piece_in_many_and_packed() {
        for count in [0, 1, 2, 50_000] {
            let wanted = serde_json::to_vec(&(0..count).collect::<Vec<_>>()).unwrap();
            assert_eq!(sent(listed(count).respond(&HeaderMap::new(), Room::default())).await, wanted);
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static("gzip"));
            let packed = sent(listed(count).respond(&headers, Room::default())).await;
            let mut plain = Vec::new();
            io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut plain).unwrap();
            assert_eq!(plain, wanted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_taken_in_time_breaks_off_and_gives_its_room_back() {
        let rooms = Rooms::new();
        let room = rooms.take(1 << 20).await.unwrap();
        let free = rooms.free();
        let mut sending = listed(50_000).respond(&HeaderMap::new(), room).into_body().into_data_stream();
        assert!(sending.next().await.unwrap().is_ok());
        tokio::time::advance(SENDING_LIMIT).await;
        assert!(sending.next().await.unwrap().is_err());
        assert_eq!(rooms.free(), free);
        drop(sending);
        assert!(rooms.free() > free);
    }

    #[tokio::test]
    async fn an_error_says_what_kind_it_is() {
        let response = ApiError::parameter("time", "cannot parse \"x\"").into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let said = String::from_utf8(sent(response).await).unwrap();
        assert_eq!(
            said,
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": cannot parse \"x\""}"#
        );
    }

    #[tokio::test]
    async fn what_is_to_be_said_stands_behind_the_data() {
        let notes = Notes { warnings: vec![TRUNCATED.into()], infos: vec!["a \"b\"".into()] };
        let said = String::from_utf8(sent(success(&HeaderMap::new(), "[]", &notes)).await).unwrap();
        assert_eq!(
            said,
            r#"{"status":"success","data":[],"warnings":["results truncated due to limit"],"infos":["a \"b\""]}"#
        );
    }
}
