//! A running agent, or whatever else speaks Prometheus' and Alertmanager's APIs, as commands ask it.

use std::time::Duration;

use hyper::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::runtime::http_client::{HttpClient, Reply, Request, basic, credentials, sensitive};
use crate::runtime::tls::Trust;

use super::runtime;

/// As `amtool`'s `--timeout`.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Answers may be this long.
pub const MAX_BODY: usize = 64 << 20;

/// A server's address and the way to it.
pub struct Server {
    /// Without credentials; ends with a slash.
    base: Url,
    authorization: Option<HeaderValue>,
    http: HttpClient,
    runtime: tokio::runtime::Runtime,
}

impl Server {
    /// A server at this address; a path in front of its APIs is kept.
    pub fn at(address: &str) -> Result<Self, String> {
        let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut base = Url::parse(&address).map_err(|error| error.to_string())?;
        let authorization = credentials(&mut base).and_then(|(user, password)| sensitive(&basic(&user, &password)));
        base.set_path(&format!("{}/", base.path().trim_end_matches('/')));
        Ok(Self { base, authorization, http: HttpClient::new(&Trust::default())?, runtime: runtime() })
    }

    /// The URL of a path below the address.
    pub fn url(&self, path: &str) -> Result<Url, String> {
        self.base.join(path).map_err(|error| error.to_string())
    }

    /// The answer to a request, whatever its status.
    pub fn send(&self, mut request: Request) -> Result<Reply, String> {
        if let Some(authorization) = &self.authorization {
            request.headers.insert(AUTHORIZATION, authorization.clone());
        }
        let reply = self.runtime.block_on(async { self.http.send(request).await }).0;
        reply.map_err(|error| error.to_string())
    }

    /// The JSON behind a path.
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let mut url = self.url(path)?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let mut request = Request::get(url, Instant::now() + LIMIT);
        request.max_body = MAX_BODY;
        let reply = self.send(request)?;
        let no_json = |_| format!("answered {} and no JSON: is this the agent?", reply.status);
        serde_json::from_slice(&reply.body).map_err(no_json)
    }
}

/// A text as it is, anything else as JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
