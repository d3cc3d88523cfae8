//! A request and the redirects behind it, with the times of all of them.

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, LOCATION};
use hyper::{Method, StatusCode};
use url::Url;

use crate::collect::probe::http_failure;
use crate::collect::{CollectError, Reason};
use crate::runtime::http_client::{HttpClient, Overflow, Reply, Request, Timings, Trace};

use super::settings::is_secret;

/// Redirects followed at most, as Go's client and so blackbox does.
const MOST_REDIRECTS: u32 = 10;

/// All that a probe saw on its way.
#[derive(Debug, Clone, Default)]
pub struct Journey {
    /// Phases, summed over the redirects.
    pub timings: Timings,
    /// Redirects followed.
    pub redirects: u32,
    /// What was seen of the first exchange: its address is the target's.
    pub first: Trace,
    /// What was seen of the last exchange.
    pub last: Trace,
}

/// Asks, and follows redirects if told to. Credentials and other secret headers go only to the origin they were meant for.
/// A redirect that is not followed is the answer.
pub async fn fetch(client: &HttpClient, mut request: Request, follow: bool) -> (Result<Reply, CollectError>, Journey) {
    let mut journey = Journey::default();
    let origin = request.url.origin();
    loop {
        let (outcome, trace) = client.trace(request.clone(), Overflow::Discard).await;
        journey.timings += trace.timings;
        if journey.redirects == 0 {
            journey.first = trace.clone();
        }
        journey.last = trace;
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => return (Err(http_failure(&error)), journey),
        };
        let next = match destination(&request.url, &reply) {
            Some(next) if follow => next,
            _ => return (Ok(reply), journey),
        };
        let Some(next) = next else {
            let message = format!("status {} with a Location that is no HTTP URL", reply.status.as_u16());
            return (Err(CollectError::new(Reason::Malformed, message)), journey);
        };
        if journey.redirects == MOST_REDIRECTS {
            let message = format!("more than {MOST_REDIRECTS} redirects");
            return (Err(CollectError::new(Reason::Status, message)), journey);
        }
        journey.redirects += 1;
        redirect(&mut request, reply.status, next.origin() == origin);
        request.url = next;
    }
}

/// Where an answer sends us: `None` when it does not, `Some(None)` when it is nowhere to go.
fn destination(from: &Url, reply: &Reply) -> Option<Option<Url>> {
    if !matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = reply.headers.get(LOCATION)?;
    let to = std::str::from_utf8(location.as_bytes()).ok().and_then(|location| from.join(location).ok());
    Some(to.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()))
}

/// Makes the request what it becomes behind a redirect: a POST turns into a GET as in browsers, except with 307 and 308.
fn redirect(request: &mut Request, status: StatusCode, same_origin: bool) {
    let kept = matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if !kept && request.method != Method::GET && request.method != Method::HEAD {
        request.method = Method::GET;
        request.body = Bytes::new();
        request.headers.remove(CONTENT_TYPE);
        request.headers.remove(CONTENT_LENGTH);
    }
    if !same_origin {
        drop_secrets(&mut request.headers);
    }
}

fn drop_secrets(headers: &mut HeaderMap) {
    let secret: Vec<_> = headers.iter().filter(|(name, value)| value.is_sensitive() || is_secret(name)).collect();
    let names: Vec<_> = secret.into_iter().map(|(name, _)| name.clone()).chain([HOST]).collect();
    for name in names {
        headers.remove(name);
    }
}
