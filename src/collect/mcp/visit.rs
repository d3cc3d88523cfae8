//! One visit to a server, request by request.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::collect::probe::shortened;
use crate::collect::web::{Follow, fetch};
use crate::collect::{CollectError, Reason};
use crate::model::Secret;
use crate::runtime::http_client::{HttpClient, Overflow, Reply, Request};

use super::message::{self, Answer, WITHOUT_SESSIONS, envelope, initialize, is_answered};
use super::tools::Tools;
use super::{Seen, Settings};

/// The longest answer that is read.
const MOST_BODY: usize = 1 << 20;
/// Pages of tools that are asked for.
const MOST_PAGES: u32 = 20;
/// The longest name or version that becomes a label.
const MOST_LABEL: usize = 100;
/// What is kept back for ending the session when the server is slow.
const FAREWELL: Duration = Duration::from_millis(250);

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// A visit that is under way.
pub(super) struct Visit<'v> {
    settings: &'v Settings,
    client: &'v HttpClient,
    /// By when all but the farewell must be done.
    until: Instant,
    deadline: Instant,
    /// What every further request brings: the session and the version.
    agreed: HeaderMap,
    next_id: u32,
}

/// Why a request brought no result.
struct Refusal {
    error: CollectError,
    /// JSON-RPC's code, where the server gave one.
    code: Option<i64>,
}

impl From<CollectError> for Refusal {
    fn from(error: CollectError) -> Self {
        Self { error, code: None }
    }
}

impl From<Refusal> for CollectError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

impl<'v> Visit<'v> {
    pub(super) fn new(settings: &'v Settings, client: &'v HttpClient, deadline: Instant) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        let until = deadline - (left / 10).min(FAREWELL);
        Self { settings, client, until, deadline, agreed: HeaderMap::new(), next_id: 1 }
    }

    /// Visits, and leaves again; the complaints, none for a good server.
    pub(super) async fn run(mut self, seen: &mut Seen) -> Vec<CollectError> {
        let outcome = self.talk(seen).await;
        if self.agreed.contains_key(SESSION) {
            seen.rude_end = self.close(seen).await.err();
        }
        let mut complaints: Vec<_> = outcome.err().into_iter().collect();
        if let Some(tools) = &seen.tools {
            let missing = tools.missing(&self.settings.tools);
            seen.missing = (!self.settings.tools.is_empty()).then_some(missing.len());
            if !missing.is_empty() {
                let words = format!("the server does not offer the tools {}", missing.join(", "));
                complaints.push(CollectError::new(Reason::Expectation, words));
            }
        }
        complaints
    }

    async fn talk(&mut self, seen: &mut Seen) -> Result<(), CollectError> {
        let offers_tools = match self.initialize(seen).await {
            Ok(result) => {
                self.send("initialized", message::notification("notifications/initialized"), seen).await?;
                offers_tools(&result)
            }
            Err(refusal) if refusal.code.is_some_and(Answer::knows_no_sessions) => self.discover(seen).await?,
            Err(refusal) => return Err(refusal.error),
        };
        // A server that offers none may not be asked for them, and that is an answer too.
        seen.tools = Some(if offers_tools { self.list_tools(seen).await? } else { Tools::default() });
        Ok(())
    }

    async fn initialize(&mut self, seen: &mut Seen) -> Result<Value, Refusal> {
        let (result, reply) = self.ask("initialize", "initialize", initialize(), seen).await?;
        let version = text(&result, "/protocolVersion")
            .ok_or_else(|| CollectError::new(Reason::Malformed, "the answer to initialize has no protocolVersion"))?;
        if let Ok(value) = HeaderValue::from_str(&version) {
            self.agreed.insert(VERSION, value);
        }
        if let Some(session) = reply.headers.get(SESSION) {
            self.agreed.insert(SESSION, session.clone());
        }
        seen.session = Some(reply.headers.contains_key(SESSION));
        seen.protocol = Some(version);
        seen.server = server(&result, "/serverInfo");
        Ok(result)
    }

    /// Asks a server without sessions who it is; whether it offers tools.
    async fn discover(&mut self, seen: &mut Seen) -> Result<bool, CollectError> {
        self.agreed.insert(VERSION, HeaderValue::from_static(WITHOUT_SESSIONS));
        let (result, _) = self.ask("discover", "server/discover", json!({}), seen).await?;
        seen.session = Some(false);
        seen.protocol = Some(WITHOUT_SESSIONS.into());
        seen.server =
            server(&result, "/serverInfo").or_else(|| server(&result, "/_meta/io.modelcontextprotocol~1serverInfo"));
        Ok(offers_tools(&result))
    }

    async fn list_tools(&mut self, seen: &mut Seen) -> Result<Tools, CollectError> {
        let malformed = |words: String| CollectError::new(Reason::Malformed, words);
        let mut tools = Tools::default();
        let mut params = json!({});
        for _ in 0..MOST_PAGES {
            let (result, _) = self.ask("tools", "tools/list", params, seen).await?;
            match tools.add(&result).map_err(malformed)? {
                None => return Ok(tools.sorted()),
                Some(cursor) => params = json!({"cursor": cursor}),
            }
        }
        let words = format!("the list of tools has more than {MOST_PAGES} pages");
        Err(CollectError::new(Reason::TooLarge, words))
    }

    /// Ends the session. A server may leave that to itself (405), or have ended it already (404).
    async fn close(&mut self, seen: &mut Seen) -> Result<(), CollectError> {
        self.until = self.deadline;
        let reply = self.exchange("close", Method::DELETE, String::new(), seen).await?;
        match reply.status {
            status if status.is_success() => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_FOUND => Ok(()),
            status => Err(refused("the end of the session", status)),
        }
    }

    /// Sends a request and waits for its result.
    async fn ask(
        &mut self,
        phase: &'static str,
        method: &'static str,
        mut params: Value,
        seen: &mut Seen,
    ) -> Result<(Value, Reply), Refusal> {
        let id = self.next_id;
        self.next_id += 1;
        if self.agreed.get(VERSION).is_some_and(|version| version == WITHOUT_SESSIONS) {
            self.agreed.insert(METHOD, HeaderValue::from_static(method));
            params["_meta"] = envelope();
        }
        let reply = self.send(phase, message::request(id, method, &params), seen).await;
        let (reply, status) = match reply {
            Ok(reply) => (reply, None),
            Err(refusal) => match refusal.reply {
                Some(reply) => (reply, Some(refusal.error)),
                None => return Err(refusal.error.into()),
            },
        };
        match (Answer::parse(&reply.body), status) {
            (Ok(Answer::Error { code, message }), _) => {
                let words = format!("{method} is refused with {code}: {}", shortened(&message, 200));
                Err(Refusal { error: CollectError::new(Reason::Status, words), code: Some(code) })
            }
            (_, Some(error)) => Err(error.into()),
            (Ok(Answer::Result(result)), None) => Ok((result, reply)),
            (Err(complaint), None) => {
                Err(CollectError::new(Reason::Malformed, format!("{method}: {complaint}")).into())
            }
        }
    }

    /// Sends a message; an error for any status that is no success.
    async fn send(&mut self, phase: &'static str, message: String, seen: &mut Seen) -> Result<Reply, Unsuccessful> {
        let reply = self.exchange(phase, Method::POST, message, seen).await?;
        if reply.status.is_success() {
            return Ok(reply);
        }
        let error = refused(phase, reply.status);
        // Who is not let in is told so by the status; of other refusals the body may know more.
        let reply = (error.reason() == Reason::Status).then_some(reply);
        Err(Unsuccessful { error, reply })
    }

    async fn exchange(
        &mut self,
        phase: &'static str,
        method: Method,
        body: String,
        seen: &mut Seen,
    ) -> Result<Reply, CollectError> {
        let mut headers = self.settings.headers.clone();
        headers.extend(self.agreed.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = Request {
            method,
            headers,
            body: Bytes::from(body),
            max_body: MOST_BODY,
            enough: Some(is_answered),
            ..Request::get(self.settings.url.clone(), self.until)
        };
        let (reply, journey) = fetch(self.client, request, Follow::Redirects, Overflow::Fail).await;
        let took = journey.timings.total();
        match seen.phases.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, sum)) => *sum += took,
            None => seen.phases.push((phase, took)),
        }
        seen.journey.get_or_insert(journey);
        reply.map_err(|error| error.reworded(|words| format!("{phase}: {words}")))
    }
}

/// A request that failed, with the answer where it may say more.
struct Unsuccessful {
    error: CollectError,
    reply: Option<Reply>,
}

impl From<CollectError> for Unsuccessful {
    fn from(error: CollectError) -> Self {
        Self { error, reply: None }
    }
}

impl From<Unsuccessful> for CollectError {
    fn from(unsuccessful: Unsuccessful) -> Self {
        unsuccessful.error
    }
}

fn refused(what: &str, status: StatusCode) -> CollectError {
    let reason = match status {
        StatusCode::UNAUTHORIZED => Reason::Auth,
        StatusCode::FORBIDDEN => Reason::Permission,
        StatusCode::TOO_MANY_REQUESTS => Reason::Limit,
        _ => Reason::Status,
    };
    CollectError::new(reason, format!("{what} is answered with status {}", status.as_u16()))
}

fn offers_tools(result: &Value) -> bool {
    result.pointer("/capabilities/tools").is_some_and(|tools| !tools.is_null())
}

fn text(result: &Value, pointer: &str) -> Option<String> {
    Some(shortened(result.pointer(pointer)?.as_str()?, MOST_LABEL))
}

fn server(result: &Value, pointer: &str) -> Option<(String, String)> {
    let name = text(result, &format!("{pointer}/name"))?;
    Some((name, text(result, &format!("{pointer}/version")).unwrap_or_default()))
}

/// A server may echo what we sent; no message may.
pub(super) fn without_secrets(settings: &Settings, error: CollectError) -> CollectError {
    let secrets = settings.secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
    error.reworded(|words| secrets.fold(words.to_owned(), |words, secret| words.replace(secret, "***")))
}
