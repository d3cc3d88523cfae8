//! `POST /api/v1/write`: the remote-write 1.0 receiver.
//!
//! Answers as the specification has them: 204, or 400 for what will never be taken (a body that cannot be read, samples out of
//! order), so that no sender comes again with it; 415 for another coding or for remote write 2.0, upon which senders of
//! that version go back to 1.0.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::time;

use crate::ingest::remote_write::{BodyError, MAX_PACKED, Outcome, take as take_body};
use crate::serve::Parts;

/// A sender has so long for its body, so that none keeps others waiting.
const BODY_LIMIT: Duration = Duration::from_secs(30);

/// Takes a request's samples into the store.
pub async fn take(parts: Parts, request: Request) -> Response {
    if let Err(why) = acceptable(request.headers()) {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response();
    }
    let place = match parts.asking.place_for_body().await {
        Ok(place) => place,
        Err(error) => return error.into_response(),
    };
    let Ok(read) = time::timeout(BODY_LIMIT, to_bytes(request.into_body(), MAX_PACKED)).await else {
        return (StatusCode::REQUEST_TIMEOUT, "the body took too long to come\n").into_response();
    };
    let Ok(body) = read else {
        let why = format!("the body is longer than {MAX_PACKED} bytes or broke off; send smaller requests\n");
        return (StatusCode::PAYLOAD_TOO_LARGE, why).into_response();
    };
    let store = parts.store.clone();
    let work = move || {
        let taken = take_body(&body, &store);
        drop((body, place));
        taken
    };
    let taken = match parts.asking.write(work).await {
        Ok(taken) => taken,
        Err(error) => return error.into_response(),
    };
    match taken {
        Ok(outcome) => {
            count(&parts, &outcome);
            if outcome.is_whole() {
                return StatusCode::NO_CONTENT.into_response();
            }
            (StatusCode::BAD_REQUEST, format!("{outcome}\n")).into_response()
        }
        Err(error @ BodyError::TooLarge(_)) => (StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n")).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

fn count(parts: &Parts, outcome: &Outcome) {
    for (word, samples) in outcome.counts() {
        parts.writes.count(word, samples);
    }
}

/// Whether the headers name what is taken: snappy, and the message of 1.0.
fn acceptable(headers: &HeaderMap) -> Result<(), String> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header(header::CONTENT_TYPE);
    let mut parts = kind.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    // A sender that says nothing is one of before the specification.
    if !media.is_empty() && !media.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(format!("expected application/x-protobuf as the first (media) part, got {kind} content-type\n"));
    }
    let proto = parts.find_map(|part| part.strip_prefix("proto="));
    if let Some(proto) = proto.filter(|proto| *proto != "prometheus.WriteRequest") {
        return Err(format!("{proto} is not taken; only prometheus.WriteRequest (remote write 1.0) is\n"));
    }
    let coding = header(header::CONTENT_ENCODING);
    if !coding.is_empty() && coding != "snappy" {
        return Err(format!(
            "{coding} encoding (compression) is not accepted by this server; only snappy is acceptable\n"
        ));
    }
    Ok(())
}
