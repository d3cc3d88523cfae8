//! The paths and who answers them.

use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::watch;
use tokio::time::Instant;

use super::access::{Neighbourhood, refusal};
use super::{Parts, alertmanager_api, events, health, metrics, page, prometheus_api, usage};

/// The longest request body: a thousand usage events fit in it.
pub const MAX_BODY: usize = 1 << 20;
/// A reload reads files and builds collectors; it must not hold a client for ever.
const RELOAD_LIMIT: Duration = Duration::from_secs(30);

/// A request that arrives while the parts are being built waits so long for them. It takes milliseconds.
const OPENING_LIMIT: Duration = Duration::from_secs(5);

/// The longest that a request may take, reading its body among it. A reload is allowed as much.
const ANSWER_LIMIT: Duration = RELOAD_LIMIT.saturating_add(Duration::from_secs(1));

/// What handlers see: the parts, once they are built. The listener is open before that.
#[derive(Clone)]
pub struct Door(watch::Sender<Option<Parts>>);

impl Door {
    /// A closed door: requests wait before it.
    pub fn closed() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Opens it.
    pub fn open(&self, parts: Parts) {
        self.0.send_replace(Some(parts));
    }

    fn parts(&self) -> Option<Parts> {
        self.0.borrow().clone()
    }

    async fn opened(&self) -> Option<Parts> {
        let mut seen = self.0.subscribe();
        let opened = tokio::time::timeout(OPENING_LIMIT, seen.wait_for(Option::is_some)).await;
        opened.ok()?.ok()?.clone()
    }
}

/// The whole router.
pub fn router(door: Door) -> Router {
    let open = Router::new()
        .route("/", get(page::show))
        .route("/metrics", get(metrics::show))
        .route("/health", get(health::health))
        .route("/healthz", get(alive))
        .route("/-/healthy", get(alive))
        .route("/readyz", get(health::ready))
        .route("/-/ready", get(health::ready))
        .route("/v1/events", get(events::show))
        .route("/v1/usage", get(usage::totals))
        .merge(prometheus_api::router())
        .merge(alertmanager_api::router());
    let changing = Router::new()
        .route("/-/reload", post(reload))
        .route("/v1/usage", post(usage::take))
        .merge(prometheus_api::changing())
        .merge(alertmanager_api::changing())
        .merge(page::changing())
        .route_layer(from_fn_with_state(door.clone(), only_near));
    open.merge(changing)
        .fallback(|| async { (StatusCode::NOT_FOUND, "nothing is here; / lists what there is\n") })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(door.clone(), watch))
        .with_state(door)
}

impl axum::extract::FromRequestParts<Door> for Parts {
    type Rejection = Response;

    async fn from_request_parts(_: &mut axum::http::request::Parts, door: &Door) -> Result<Self, Response> {
        let starting = || (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], "starting\n").into_response();
        door.opened().await.ok_or_else(starting)
    }
}

/// The agent itself is alive as soon as it can say so.
async fn alive() -> &'static str {
    "Sidewatch is alive.\n"
}

async fn reload(parts: Parts) -> Response {
    match tokio::time::timeout(RELOAD_LIMIT, (parts.reload)()).await {
        Ok(Ok(())) => (StatusCode::OK, "reloaded\n").into_response(),
        Ok(Err(why)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("not reloaded, the old configuration goes on:\n{why}\n"))
                .into_response()
        }
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the reload takes long and goes on; the log will say how it ends\n")
            .into_response(),
    }
}

/// Lets changing requests pass only from where they may come.
async fn only_near(
    State(door): State<Door>,
    ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let external = door.parts().map(|parts| parts.settings.external_url.clone()).unwrap_or_default();
    match refusal(peer, request.headers(), &external, &Neighbourhood::recent()) {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    }
}

/// Times every answer and adds the headers that keep browsers strict.
async fn watch(State(door): State<Door>, matched: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let handler = matched.as_ref().map_or("unknown", MatchedPath::as_str);
    let limit = if handler.starts_with("/api/v1/") || handler == "/federate" {
        prometheus_api::ANSWER_LIMIT
    } else {
        ANSWER_LIMIT
    };
    let answered = tokio::time::timeout(limit, next.run(request)).await;
    let mut response =
        answered.unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response());
    if let Some(parts) = door.parts() {
        parts.metrics.observe(handler, response.status().as_u16(), started.elapsed());
    }
    harden(response.headers_mut());
    response
}

fn harden(headers: &mut HeaderMap) {
    let policy = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.entry(name).or_insert(header::HeaderValue::from_static(value));
    }
}
