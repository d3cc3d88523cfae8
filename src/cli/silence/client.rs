//! Alertmanager's API v2, as far as silences go.

use std::time::Duration;

use hyper::Method;
use hyper::header::AUTHORIZATION;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::cli::runtime;
use crate::notify::matcher::Matcher;
use crate::runtime::http_client::{HttpClient, Reply, Request, basic, credentials, sensitive};
use crate::runtime::tls::Trust;

/// As `amtool`'s `--timeout`.
const LIMIT: Duration = Duration::from_secs(30);
/// Answers may be this long.
const MAX_BODY: usize = 64 << 20;

/// A server's address and the way to it.
pub struct Client {
    /// Without credentials; ends with a slash.
    base: Url,
    authorization: Option<hyper::header::HeaderValue>,
    http: HttpClient,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// For a server at this address; a path in front of the API is kept.
    pub fn new(address: &str) -> Result<Self, String> {
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut base = Url::parse(&address).map_err(|error| format!("{address}: {error}"))?;
        let authorization = credentials(&mut base).and_then(|(user, password)| sensitive(&basic(&user, &password)));
        base.set_path(&format!("{}/api/v2/", base.path().trim_end_matches('/')));
        Ok(Self { base, authorization, http: HttpClient::new(&Trust::default())?, runtime: runtime() })
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
        self.base.join(path).map_err(|error| error.to_string())
    }

    fn send(&self, mut request: Request) -> Result<Reply, String> {
        request.max_body = MAX_BODY;
        if let Some(authorization) = &self.authorization {
            request.headers.insert(AUTHORIZATION, authorization.clone());
        }
        let reply = self.runtime.block_on(async { self.http.send(request).await }).0;
        let reply = reply.map_err(|error| format!("{}: {error}", self.base))?;
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
