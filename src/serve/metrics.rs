//! `/metrics`: what every source showed last, in the format the scraper asks for.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;

use crate::exposition::{Negotiated, Options, encode, negotiate};
use crate::model::Millis;
use crate::store::Picture;

use super::Parts;

/// Writes the page. `?job=NAME` limits it to one job; `?timestamps=1` adds the times of collection. Other parameters mean
/// nothing here, as with every exporter: scrape configurations carry what they were written for.
pub async fn show(parts: Parts, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let asked = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.into_owned())
    };
    let (job, timestamps) = (asked("job"), asked("timestamps"));
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wanted = negotiate(header(header::ACCEPT), header(header::ACCEPT_ENCODING));
    let own = Arc::new(parts.own.picture(Millis::now()));
    // The recorded own picture is as old as its last recording: the page shows a fresh one in its place.
    let mut pictures: Vec<_> =
        parts.store.current().into_iter().filter(|picture| picture.source != own.source).collect();
    pictures.push(own);
    let options =
        Options { format: wanted.format, job: job.as_deref(), timestamps: timestamps.as_deref() == Some("1") };
    let kind = [(header::CONTENT_TYPE, wanted.content_type()), (header::VARY, Negotiated::VARY)];
    if !wanted.gzip {
        let mut pieces = Vec::new();
        encode(&pictures, options, |piece| pieces.push(Bytes::copy_from_slice(piece.as_bytes())));
        return (kind, in_pieces(pieces)).into_response();
    }
    match gzip(&pictures, options) {
        Ok(packed) => (kind, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be compressed\n").into_response(),
    }
}

/// A body of known length.
fn in_pieces(pieces: Vec<Bytes>) -> ([(header::HeaderName, usize); 1], Body) {
    let length = pieces.iter().map(Bytes::len).sum();
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    ([(header::CONTENT_LENGTH, length)], body)
}

/// The fastest level: a page is packed anew for each scrape, and levels above it save little on text like this.
fn gzip(pictures: &[Arc<Picture>], options: Options<'_>) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    let mut written = Ok(());
    encode(pictures, options, |piece| {
        if written.is_ok() {
            written = packer.write_all(piece.as_bytes());
        }
    });
    written?;
    packer.finish()
}
