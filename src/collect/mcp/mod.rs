//! Kind `mcp`: whether a Model Context Protocol server can be used, and which tools it offers.
//!
//! In: the URL of its streamable HTTP endpoint. Out: `probe_*` as blackbox' `http` prober has them for the first request,
//! and `probe_mcp_*`. No tool is called.
//!
//! A look is a whole visit as a client makes it: `initialize`, `notifications/initialized`, `tools/list` page by page, and the
//! session's end by `DELETE`, so that no look leaves a session behind. A server that has given up sessions (protocol
//! 2026-07-28) is asked by `server/discover` instead.

mod message;
mod settings;
mod tools;
mod visit;

pub use settings::Settings;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::Family;
use crate::runtime::http_client::HttpClient;

use super::probe::{self, Watch};
use super::web::{Journey, report_exchange, report_no_answer};
use super::{Collect, CollectError, Look};
use visit::{Visit, without_secrets};

static DURATION: Family = Family::gauge(
    "probe_mcp_duration_seconds",
    "Seconds that each phase of the visit to the MCP server took: initialize, initialized, discover, tools, close.",
);
static PROTOCOL: Family =
    Family::gauge("probe_mcp_protocol_info", "The protocol version that the MCP server speaks with us, in a label.");
static SERVER: Family = Family::gauge("probe_mcp_server_info", "The MCP server's own name and version, in labels.");
static SESSION: Family =
    Family::gauge("probe_mcp_session", "Whether the MCP server keeps a session for its clients (1) or not (0).");
static TOOLS: Family = Family::gauge("probe_mcp_tools", "Tools that the MCP server offers.");
static TOOLS_HASH: Family = Family::gauge(
    "probe_mcp_tools_hash",
    "A hash of the MCP server's tools: it changes with any name, description or schema of theirs.",
);
static MISSING: Family =
    Family::gauge("probe_mcp_expected_tools_missing", "Expected tools that the MCP server does not offer.");

/// An MCP server's probe.
#[derive(Debug)]
pub struct Mcp {
    settings: Settings,
    client: HttpClient,
}

impl Mcp {
    /// Prepares the probe.
    ///
    /// # Errors
    /// The CA file is unusable.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let client = HttpClient::new(&settings.trust)?;
        Ok(Self { settings, client })
    }
}

/// What the visit showed before it ended, well or not.
#[derive(Debug, Default)]
struct Seen {
    /// The first request.
    journey: Option<Journey>,
    phases: Vec<(&'static str, Duration)>,
    protocol: Option<String>,
    server: Option<(String, String)>,
    session: Option<bool>,
    tools: Option<tools::Tools>,
    missing: Option<usize>,
    /// What went wrong after all that counts.
    rude_end: Option<CollectError>,
}

impl Seen {
    fn report(self, verified: bool, look: &mut Look) {
        match &self.journey {
            Some(journey) => report_exchange(look, journey, verified),
            None => report_no_answer(look),
        }
        for (phase, took) in &self.phases {
            look.labeled(&DURATION, [("phase", phase)], took.as_secs_f64());
        }
        if let Some(version) = &self.protocol {
            look.labeled(&PROTOCOL, [("version", version)], 1.0);
        }
        if let Some((name, version)) = &self.server {
            look.labeled(&SERVER, [("name", name), ("version", version)], 1.0);
        }
        if let Some(session) = self.session {
            look.value(&SESSION, f64::from(u8::from(session)));
        }
        if let Some(tools) = &self.tools {
            look.value(&TOOLS, tools.len() as f64);
            look.value(&TOOLS_HASH, f64::from(tools.hash()));
        }
        if let Some(missing) = self.missing {
            look.value(&MISSING, missing as f64);
        }
        if let Some(error) = self.rude_end {
            look.missed(error);
        }
    }
}

#[async_trait]
impl Collect for Mcp {
    async fn look(&self, deadline: Instant) -> Look {
        let watch = Watch::start(deadline);
        let mut look = Look::new();
        let mut seen = Seen::default();
        let visit = Visit::new(&self.settings, &self.client, watch.deadline());
        for error in visit.run(&mut seen).await {
            look.unhealthy(without_secrets(&self.settings, error));
        }
        seen.report(!self.settings.trust.insecure_skip_verify, &mut look);
        watch.finish(&mut look);
        look
    }

    fn unanswered(&self, error: CollectError) -> Look {
        let mut look = probe::unanswered(error);
        report_no_answer(&mut look);
        look
    }
}

#[cfg(test)]
mod tests;
