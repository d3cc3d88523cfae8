//! The kinds of targets: how each is read from the configuration and built.

use std::sync::Arc;

use crate::runtime::supervise::Supervisor;
use crate::yaml::Fields;

use super::{Collect, dns, docker, host, http, llm, postgres, prometheus, redis, simulated, tcp};

/// What a target is, with the settings of its kind.
#[expect(clippy::large_enum_variant, reason = "one for each target, made when the configuration is read")]
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// An HTTP or HTTPS address, as `blackbox_exporter` probes it.
    Http(http::Settings),
    /// A TCP port, with or without TLS.
    Tcp(tcp::Settings),
    /// A name server.
    Dns(dns::Settings),
    /// A `PostgreSQL` server.
    Postgres(postgres::Settings),
    /// A Redis or Valkey server.
    Redis(redis::Settings),
    /// A Docker Engine.
    Docker(docker::Settings),
    /// The machine.
    Host(host::Settings),
    /// An LLM provider's API.
    Llm(llm::Settings),
    /// An application's own `/metrics`.
    Prometheus(prometheus::Settings),
    /// A part of the demo's stack. No configuration names it.
    Simulated(simulated::Settings),
}

/// The words for `kind:`, for messages.
pub const KINDS: &str = "http, tcp, dns, postgres, redis, docker, host, llm, prometheus";

/// Kinds that the contract names and that are still to come.
const NOT_BUILT: [&str; 9] = ["pgbouncer", "smtp", "grpc", "ws", "wss", "icmp", "oidc", "mcp", "ssh"];

impl Kind {
    /// The kind that a URL's scheme means, if it means one.
    pub fn of_scheme(scheme: &str) -> Option<&'static str> {
        Some(match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => "http",
            "tcp" | "tls" => "tcp",
            "dns" => "dns",
            "postgres" | "postgresql" => "postgres",
            "redis" | "rediss" | "redis+unix" | "valkey" | "valkeys" => "redis",
            other => NOT_BUILT.iter().find(|word| **word == other)?,
        })
    }

    /// Reads the kind's own keys. What is wrong goes to the fields' problems.
    pub fn read(word: &str, url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        match word {
            "http" => http::Settings::read(url, fields).map(Self::Http),
            "tcp" => tcp::Settings::read(url, fields).map(Self::Tcp),
            "dns" => dns::Settings::read(url, fields).map(Self::Dns),
            "postgres" => postgres::Settings::read(url, fields).map(Self::Postgres),
            "redis" => redis::Settings::read(url, fields).map(Self::Redis),
            "docker" => docker::Settings::read(url, fields).map(Self::Docker),
            "host" => host::Settings::read(url, fields).map(Self::Host),
            "llm" => llm::Settings::read(url, fields).map(Self::Llm),
            "prometheus" => prometheus::Settings::read(url, fields).map(Self::Prometheus),
            other if NOT_BUILT.contains(&other) => {
                let said_by = if fields.has("kind") { "kind" } else { "url" };
                fields.wrong(said_by, format!("targets of kind `{other}` are not built yet"), "remove the target");
                None
            }
            other => {
                fields.wrong("kind", format!("`{other}` is no kind of target"), format!("kinds: {KINDS}"));
                None
            }
        }
    }

    /// Whether the kind cannot do without `url`.
    pub fn needs_url(word: &str) -> bool {
        word != "host"
    }

    /// The label `job` unless the target names one: what rules and dashboards hard-code.
    pub fn job<'n>(&self, target: &'n str) -> &'n str {
        match self {
            Self::Http(_) => http::JOB,
            Self::Tcp(_) => tcp::JOB,
            Self::Dns(_) => dns::JOB,
            Self::Postgres(_) => postgres::JOB,
            Self::Redis(_) => redis::JOB,
            Self::Docker(_) => docker::JOB,
            Self::Host(_) => host::JOB,
            Self::Llm(_) => llm::JOB,
            Self::Prometheus(_) => target,
            Self::Simulated(settings) => settings.job(),
        }
    }

    /// The label `instance` unless the target names one.
    pub fn instance(&self) -> String {
        match self {
            Self::Http(settings) => settings.instance(),
            Self::Tcp(settings) => settings.instance(),
            Self::Dns(settings) => settings.instance(),
            Self::Postgres(settings) => settings.instance(),
            Self::Redis(settings) => settings.instance(),
            Self::Docker(settings) => settings.instance(),
            Self::Host(settings) => settings.instance(),
            Self::Llm(settings) => settings.instance(),
            Self::Prometheus(settings) => settings.instance(),
            Self::Simulated(settings) => settings.instance(),
        }
    }

    /// Builds the collector. It does not look yet.
    ///
    /// # Errors
    /// What the settings name cannot be used: a CA file, an engine's address.
    pub fn build(&self, supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(match self.clone() {
            Self::Http(settings) => Arc::new(http::Http::new(settings)?),
            Self::Tcp(settings) => Arc::new(tcp::Tcp::new(settings)?),
            Self::Dns(settings) => Arc::new(dns::Dns::new(settings)),
            Self::Postgres(settings) => Arc::new(postgres::Postgres::new(settings, supervisor)?),
            Self::Redis(settings) => Arc::new(redis::Redis::new(settings, supervisor)?),
            Self::Docker(settings) => Arc::new(docker::Docker::new(settings, supervisor)),
            Self::Host(settings) => Arc::new(host::Host::new(settings)),
            Self::Llm(settings) => Arc::new(llm::Llm::new(settings)?),
            Self::Prometheus(settings) => Arc::new(prometheus::Prometheus::new(settings)?),
            Self::Simulated(settings) => Arc::new(simulated::Simulated::new(settings)),
        })
    }
}
