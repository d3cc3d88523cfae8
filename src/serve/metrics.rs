//! `/metrics`: what every source showed last, in the format the scraper asks for.

use std::io::Write as _;
use std::sync::Arc;

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;

use crate::exposition::{Negotiated, Options, encode, negotiate};
use crate::model::Millis;

use super::Parts;

/// `?job=NAME` limits the page to one job; `?timestamps=1` adds the times of collection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    job: Option<String>,
    #[serde(default)]
    timestamps: Option<String>,
}

/// Writes the page.
pub async fn show(parts: Parts, Query(ask): Query<Ask>, headers: HeaderMap) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let wanted = negotiate(header(header::ACCEPT), header(header::ACCEPT_ENCODING));
    let own = Arc::new(parts.own.picture(Millis::now()).await);
    // The recorded own picture is as old as its last recording: the page shows a fresh one in its place.
    let mut pictures: Vec<_> =
        parts.store.current().into_iter().filter(|picture| picture.source != own.source).collect();
    pictures.push(own);
    let options =
        Options { format: wanted.format, job: ask.job.as_deref(), timestamps: ask.timestamps.as_deref() == Some("1") };
    let mut page = String::new();
    encode(&pictures, options, &mut page);
    let kind = [(header::CONTENT_TYPE, wanted.content_type()), (header::VARY, Negotiated::VARY)];
    if !wanted.gzip {
        return (kind, page).into_response();
    }
    match gzip(page.as_bytes()) {
        Ok(packed) => (kind, [(header::CONTENT_ENCODING, "gzip")], packed).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be compressed\n").into_response(),
    }
}

/// The fastest level: a page is packed anew for each scrape, and levels above it save little on text like this.
fn gzip(page: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(page.len() / 6), Compression::fast());
    packer.write_all(page)?;
    packer.finish()
}
