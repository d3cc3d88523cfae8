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

/// Asks, and follows redirects if told to. Credentials and other secret headers go only where they were meant to go.
/// A redirect that is not followed is the answer.
pub async fn fetch(client: &HttpClient, mut request: Request, follow: bool) -> (Result<Reply, CollectError>, Journey) {
    let mut journey = Journey::default();
    let target = request.url.clone();
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
            Destination::Elsewhere(next) if follow => next,
            Destination::Nowhere if follow => {
                let message = format!("status {} with a Location that is no HTTP URL", reply.status.as_u16());
                return (Err(CollectError::new(Reason::Malformed, message)), journey);
            }
            _ => return (Ok(reply), journey),
        };
        if journey.redirects == MOST_REDIRECTS {
            let message = format!("more than {MOST_REDIRECTS} redirects");
            return (Err(CollectError::new(Reason::Status, message)), journey);
        }
        journey.redirects += 1;
        redirect(&mut request, reply.status, is_same_place(&target, &next));
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

/// Whether credentials for one place may go to the other: the same origin, or the same host found to want https.
fn is_same_place(target: &Url, next: &Url) -> bool {
    let to_https = target.scheme() == "http" && next.scheme() == "https" && target.host() == next.host();
    target.origin() == next.origin() || to_https
}

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
    fn credentials_follow_to_https_but_not_to_another_host_or_port() {
        let same = |a: &str, b: &str| is_same_place(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
        assert!(same("http://a/x", "http://a/y") && same("http://a/", "https://a/"));
        assert!(!same("https://a/", "http://a/"));
        assert!(!same("https://a/", "https://b/") && !same("http://a:1/", "http://a:2/"));
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
