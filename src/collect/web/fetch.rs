//! A request and the redirects behind it, with the times of all of them.

use bytes::Bytes;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, LOCATION};
use hyper::{Method, StatusCode};
use url::Url;

use crate::collect::{CollectError, Reason};
use crate::runtime::http_client::{HttpClient, Overflow, Reply, Request, Timings, Trace};

use super::is_secret;

/// Redirects followed at most, as Go's client and so blackbox does.
const MOST_REDIRECTS: u32 = 10;

/// What to do about a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// Go where it leads.
    Redirects,
    /// It is the answer.
    Nothing,
}

/// All that a probe saw on its way.
#[derive(Debug, Clone, Default)]
pub struct Journey {
    /// Phases, summed over the redirects.
    pub timings: Timings,
    /// Redirects that were asked for: also the one that was not followed, as blackbox counts.
    pub redirects: u32,
    /// What was seen of the first exchange: its address is the target's.
    pub first: Trace,
    /// What was seen of the last exchange.
    pub last: Trace,
}

/// Asks, and follows redirects if told to. Credentials and other secret headers never go to another origin.
/// A redirect that is not followed, or that does not say where to, is the answer.
pub async fn fetch(
    client: &HttpClient,
    mut request: Request,
    follow: Follow,
    overflow: Overflow,
) -> (Result<Reply, CollectError>, Journey) {
    let mut journey = Journey::default();
    let target = request.url.origin();
    loop {
        let (outcome, trace) = client.trace(request.clone(), overflow).await;
        journey.timings += trace.timings;
        if journey.redirects == 0 {
            journey.first = trace.clone();
        }
        journey.last = trace;
        let reply = match outcome {
            Ok(reply) => reply,
            Err(error) => return (Err(CollectError::from(&error)), journey),
        };
        let next = match destination(&request.url, &reply) {
            Destination::Here => return (Ok(reply), journey),
            Destination::Elsewhere(next) => Some(next),
            Destination::Nowhere => None,
        };
        journey.redirects += 1;
        if follow == Follow::Nothing {
            return (Ok(reply), journey);
        }
        let Some(next) = next else {
            let message = format!("status {} with a Location that is no HTTP URL", reply.status.as_u16());
            return (Err(CollectError::new(Reason::Malformed, message)), journey);
        };
        if journey.redirects > MOST_REDIRECTS {
            let message = format!("more than {MOST_REDIRECTS} redirects");
            return (Err(CollectError::new(Reason::Status, message)), journey);
        }
        redirect(&mut request, reply.status, next.origin() == target);
        request.url = next;
    }
}

/// Where an answer sends us.
enum Destination {
    /// It is the answer.
    Here,
    Elsewhere(Url),
    /// Somewhere we cannot go.
    Nowhere,
}

fn destination(from: &Url, reply: &Reply) -> Destination {
    if !matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Destination::Here;
    }
    let Some(location) = reply.headers.get(LOCATION) else {
        return Destination::Here;
    };
    let to = std::str::from_utf8(location.as_bytes()).ok().and_then(|location| from.join(location).ok());
    match to.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        Some(url) => Destination::Elsewhere(url),
        None => Destination::Nowhere,
    }
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

/// Credentials are for one scheme, host and port: whoever answers there cannot hand them on.
fn drop_secrets(headers: &mut HeaderMap) {
    let secret: Vec<_> = headers.iter().filter(|(name, value)| value.is_sensitive() || is_secret(name)).collect();
    let names: Vec<_> = secret.into_iter().map(|(name, _)| name.clone()).chain([HOST]).collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_stays_behind_at_another_origin() {
        let mut request = Request::get(Url::parse("http://a/").unwrap(), tokio::time::Instant::now());
        for name in ["authorization", "cookie", "x-api-key", "host", "accept"] {
            request.headers.insert(name, "x".parse().unwrap());
        }
        redirect(&mut request, StatusCode::FOUND, true);
        assert_eq!(request.headers.len(), 5);
        redirect(&mut request, StatusCode::FOUND, false);
        assert_eq!(request.headers.keys().collect::<Vec<_>>(), ["accept"]);
    }

    #[test]
    fn a_post_becomes_a_get_except_where_the_status_forbids_it() {
        let url = Url::parse("http://a/").unwrap();
        let post = Request::post_json(url, "{}", tokio::time::Instant::now());
        let after = |status| {
            let mut request = post.clone();
            redirect(&mut request, status, true);
            (request.method, request.body.len())
        };
        assert_eq!(after(StatusCode::FOUND), (Method::GET, 0));
        assert_eq!(after(StatusCode::PERMANENT_REDIRECT), (Method::POST, 2));
    }
}
