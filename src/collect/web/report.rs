//! An exchange as blackbox' `http` prober shows it.

use hyper::header::{CONTENT_LENGTH, LAST_MODIFIED};
use hyper::{StatusCode, Version};

use crate::collect::Look;
use crate::collect::probe::{report_address, report_tls};
use crate::model::Family;
use crate::runtime::http_client::Head;

use super::Journey;

static DURATION: Family =
    Family::gauge("probe_http_duration_seconds", "Duration of http request by phase, summed over all redirects");
static CONTENT_LENGTH_BYTES: Family = Family::gauge("probe_http_content_length", "Length of http content response");
static BODY_LENGTH: Family =
    Family::gauge("probe_http_uncompressed_body_length", "Length of uncompressed response body");
static REDIRECTS: Family = Family::gauge("probe_http_redirects", "The number of redirects");
static SSL: Family = Family::gauge("probe_http_ssl", "Indicates if SSL was used for the final redirect");
static STATUS_CODE: Family = Family::gauge("probe_http_status_code", "Response HTTP status code");
static HTTP_VERSION: Family = Family::gauge("probe_http_version", "Returns the version of HTTP of the probe response");
static MODIFIED: Family = Family::gauge(
    "probe_http_last_modified_timestamp_seconds",
    "Returns the Last-Modified HTTP response header in unixtime",
);

/// Tells all that does not depend on what was expected. Without an answer the numbers are 0, as blackbox has them.
pub fn report_exchange(look: &mut Look, journey: &Journey, verified: bool) {
    let first = &journey.first;
    if !first.unix {
        report_address(look, first.timings.resolve, first.peer);
    }
    let timings = &journey.timings;
    for (phase, took) in [
        ("resolve", timings.resolve),
        ("connect", timings.connect),
        ("tls", timings.tls),
        ("processing", timings.processing),
        ("transfer", timings.transfer),
    ] {
        // Without an address blackbox never makes a request, and shows no phase of one.
        if phase != "resolve" && first.peer.is_none() && !first.unix {
            break;
        }
        look.labeled(&DURATION, [("phase", phase)], took.as_secs_f64());
    }
    let head = journey.last.head.as_ref();
    look.value(&STATUS_CODE, head.map_or(0.0, |head| f64::from(head.status.as_u16())));
    look.value(&REDIRECTS, f64::from(journey.redirects));
    look.value(&CONTENT_LENGTH_BYTES, head.map_or(0.0, content_length));
    look.value(&HTTP_VERSION, head.map_or(0.0, version));
    look.value(&SSL, f64::from(u8::from(journey.last.tls.is_some())));
    if let Some(facts) = &journey.last.tls {
        report_tls(look, facts, verified);
    }
    if let Some(at) = head.and_then(last_modified) {
        look.value(&MODIFIED, at);
    }
}

/// Tells the decoded body's length in bytes.
pub fn report_length(look: &mut Look, length: u64) {
    look.value(&BODY_LENGTH, length as f64);
}

/// What rules rely on when a probe never came back.
pub fn report_no_answer(look: &mut Look) {
    look.value(&STATUS_CODE, 0.0);
}

/// The header's value; -1 when the server did not say, 0 where the status leaves no room for a body.
fn content_length(head: &Head) -> f64 {
    if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return 0.0;
    }
    let header = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    header.and_then(|text| text.trim().parse::<u64>().ok()).map_or(-1.0, |length| length as f64)
}

fn version(head: &Head) -> f64 {
    match head.version {
        Version::HTTP_09 => 0.9,
        Version::HTTP_10 => 1.0,
        Version::HTTP_2 => 2.0,
        Version::HTTP_3 => 3.0,
        _ => 1.1,
    }
}

fn last_modified(head: &Head) -> Option<f64> {
    let text = head.headers.get(LAST_MODIFIED)?.to_str().ok()?;
    // RFC 9110 writes the zone as GMT, which RFC 2822 knows as an obsolete name for +0000.
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(at.timestamp().as_second() as f64)
}
