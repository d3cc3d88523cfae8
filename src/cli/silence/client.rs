//! Alertmanager's API v2, as far as silences go.

use hyper::Method;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::cli::server::{LIMIT, MAX_BODY, Server};
use crate::cli::shown;
use crate::notify::matcher::Matcher;
use crate::runtime::http_client::{Reply, Request};

/// The silences of a server.
pub struct Client(Server);

impl Client {
    /// For a server at this address; a path in front of the API is kept.
    pub fn new(address: &str) -> Result<Self, String> {
        Server::at(address).map(Self).map_err(|why| format!("{}: {why}", shown(address)))
    }

    /// All silences with these matchers.
    pub fn silences(&self, matchers: &[Matcher]) -> Result<Vec<Value>, String> {
        let mut url = self.url("silences")?;
        for matcher in matchers {
            url.query_pairs_mut().append_pair("filter", &matcher.to_string());
        }
        let reply = self.send(Request::get(url, Instant::now() + LIMIT))?;
        serde_json::from_slice(&reply.body).map_err(|_| "the answer is no list of silences: is this the agent?".into())
    }

    /// One silence.
    pub fn silence(&self, id: &str) -> Result<Value, String> {
        let reply = self.send(Request::get(self.silence_url(id)?, Instant::now() + LIMIT));
        let reply = reply.map_err(|why| format!("silence {id}: {why}"))?;
        serde_json::from_slice(&reply.body).map_err(|_| "the answer is no silence: is this the agent?".into())
    }

    /// Sets one and gives back its ID.
    pub fn set(&self, silence: &Value) -> Result<String, String> {
        let url = self.url("silences")?;
        let reply = self.send(Request::post_json(url, silence.to_string(), Instant::now() + LIMIT))?;
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        answer["silenceID"].as_str().map(str::to_owned).ok_or_else(|| "the answer names no silence".into())
    }

    /// Ends one.
    pub fn expire(&self, id: &str) -> Result<(), String> {
        let mut request = Request::get(self.silence_url(id)?, Instant::now() + LIMIT);
        request.method = Method::DELETE;
        self.send(request).map(drop).map_err(|why| format!("silence {id}: {why}"))
    }

    fn silence_url(&self, id: &str) -> Result<Url, String> {
        let mut url = self.url("silence/")?;
        url.path_segments_mut().map_err(|()| "this address has no paths")?.pop_if_empty().push(id);
        Ok(url)
    }

    fn url(&self, path: &str) -> Result<Url, String> {
        self.0.url(&format!("api/v2/{path}"))
    }

    fn send(&self, mut request: Request) -> Result<Reply, String> {
        request.max_body = MAX_BODY;
        let reply = self
            .0
            .send(request)
            .map_err(|why| self.url("").map_or_else(|_| why.clone(), |url| format!("{url}: {why}")))?;
        if reply.status.is_success() { Ok(reply) } else { Err(complaint(&reply)) }
    }
}

/// What the server says is wrong: a text, an object with a message, or nothing.
fn complaint(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body)
        .unwrap_or_else(|_| String::from_utf8_lossy(&reply.body).trim().to_owned().into());
    let said = body.as_str().or_else(|| body["message"].as_str()).unwrap_or_default();
    match (reply.status.as_u16(), said) {
        (404, "") => "silence not found".into(),
        (_, "") => format!("the server answered {}", reply.status),
        (_, said) => said.to_owned(),
    }
}
