//! `sidewatch health`: asks a running agent's `/healthz`.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::config::Source;
use crate::runtime::http_client::{HttpClient, Request};
use crate::runtime::tls::Trust;
use crate::serve::settings::DEFAULT_PORT;

use super::{complain, runtime, say, shown};

/// A health check that hangs is a failed one; Docker's own time-out is longer.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks; 0 when alive, 1 when not.
pub fn run(url: Option<String>) -> ExitCode {
    let address = url.unwrap_or_else(own_address);
    match ask(&address) {
        Ok(status) => {
            say(format_args!("{}: {status}", shown(&address)));
            ExitCode::SUCCESS
        }
        Err(why) => {
            complain(format_args!("{}: {why}", shown(&address)));
            ExitCode::FAILURE
        }
    }
}

/// Loopback on the configured port; a configuration that does not load leaves the default port.
pub(super) fn own_address() -> String {
    let port = Source::choose(None).load().map_or(DEFAULT_PORT, |config| config.server.listen.port());
    format!("http://127.0.0.1:{port}")
}

fn ask(address: &str) -> Result<String, String> {
    let address = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let url = Url::parse(&address).and_then(|url| url.join("/healthz")).map_err(|error| error.to_string())?;
    let client = HttpClient::new(&Trust::default())?;
    let reply = runtime().block_on(client.send(Request::get(url, Instant::now() + LIMIT))).0;
    let reply = reply.map_err(|error| error.to_string())?;
    if reply.status.is_success() { Ok("alive".into()) } else { Err(format!("answered {}", reply.status)) }
}
