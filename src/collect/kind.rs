//! The kinds of targets: how each is read from the configuration and built.
//!
//! A kind tells everything about itself in its own file, by [`TargetSettings`]; here stands one line for each.

use std::fmt::Debug;
use std::sync::Arc;

use crate::runtime::supervise::Supervisor;
use crate::yaml::Fields;

use super::{
    Collect, dns, docker, grpc, host, http, icmp, llm, mcp, oidc, pgbouncer, postgres, prometheus, redis, simulated,
    smtp, tcp, websocket,
};

/// What a target of one kind needs beyond the common keys, and what the kind is called.
pub trait TargetSettings: Debug + Clone + PartialEq + Sized {
    /// The word for `kind:`.
    const KIND: &'static str;
    /// URL schemes that mean this kind where no `kind:` is given.
    const SCHEMES: &'static [&'static str];
    /// The label `job` unless the target names one: what rules and dashboards hard-code.
    const JOB: &'static str;
    /// Whether a target of this kind cannot do without `url`.
    const NEEDS_URL: bool = true;

    /// Reads the kind's own keys. What is wrong goes to the fields' problems. `url` is empty where there is none.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self>;

    /// The job of the target of this name.
    fn job<'n>(&self, _target: &'n str) -> &'n str {
        Self::JOB
    }

    /// The label `instance` unless the target names one. It never holds a secret.
    fn instance(&self) -> String;

    /// Builds the collector. It does not look yet.
    ///
    /// # Errors
    /// What the settings name cannot be used: a CA file, an engine's address.
    fn build(self, supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String>;
}

macro_rules! kinds {
    (
        configured { $($(#[$doc:meta])* $kind:ident($settings:ty),)+ }
        internal { $($(#[$internal_doc:meta])* $internal:ident($internal_settings:ty),)* }
    ) => {
        /// What a target is, with the settings of its kind.
        #[allow(clippy::large_enum_variant, reason = "one for each target, made when the configuration is read")]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Kind {
            $($(#[$doc])* $kind($settings),)+
            $($(#[$internal_doc])* $internal($internal_settings),)*
        }

        impl Kind {
            /// The words for `kind:`.
            const WORDS: &'static [&'static str] = &[$(<$settings>::KIND),+];

            /// The kind that a URL's scheme means, if it means one.
            pub fn of_scheme(scheme: &str) -> Option<&'static str> {
                let scheme = scheme.to_ascii_lowercase();
                let means = |schemes: &[&str]| schemes.contains(&&*scheme);
                $(if means(<$settings>::SCHEMES) { return Some(<$settings>::KIND); })+
                None
            }

            /// Whether the kind cannot do without `url`.
            pub fn needs_url(word: &str) -> bool {
                $((word != <$settings>::KIND || <$settings>::NEEDS_URL))&&+
            }

            /// Reads the kind's own keys. What is wrong goes to the fields' problems.
            pub fn read(word: &str, url: &str, fields: &mut Fields<'_>) -> Option<Self> {
                $(if word == <$settings>::KIND { return <$settings>::read(url, fields).map(Self::$kind); })+
                refuse(word, fields);
                None
            }

            /// The label `job` unless the target names one.
            pub fn job<'n>(&self, target: &'n str) -> &'n str {
                match self {
                    $(Self::$kind(settings) => settings.job(target),)+
                    $(Self::$internal(settings) => settings.job(target),)*
                }
            }

            /// The word for `kind:`.
            pub fn word(&self) -> &'static str {
                match self {
                    $(Self::$kind(_) => <$settings>::KIND,)+
                    $(Self::$internal(_) => <$internal_settings>::KIND,)*
                }
            }

            /// The label `instance` unless the target names one.
            pub fn instance(&self) -> String {
                match self {
                    $(Self::$kind(settings) => settings.instance(),)+
                    $(Self::$internal(settings) => settings.instance(),)*
                }
            }

            /// Builds the collector. It does not look yet.
            ///
            /// # Errors
            /// What the settings name cannot be used: a CA file, an engine's address.
            pub fn build(&self, supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
                match self.clone() {
                    $(Self::$kind(settings) => settings.build(supervisor),)+
                    $(Self::$internal(settings) => settings.build(supervisor),)*
                }
            }
        }
    };
}

kinds! {
    configured {
        /// An HTTP or HTTPS address, as `blackbox_exporter` probes it.
        Http(http::Settings),
        /// A TCP port, with or without TLS.
        Tcp(tcp::Settings),
        /// A name server.
        Dns(dns::Settings),
        /// A host, by ping.
        Icmp(icmp::Settings),
        /// A gRPC server that answers health checks.
        Grpc(grpc::Settings),
        /// A mail server.
        Smtp(smtp::Settings),
        /// A WebSocket endpoint.
        WebSocket(websocket::Settings),
        /// An OpenID provider.
        Oidc(oidc::Settings),
        /// An MCP server.
        Mcp(mcp::Settings),
        /// A `PostgreSQL` server.
        Postgres(postgres::Settings),
        /// PgBouncer's admin console.
        PgBouncer(pgbouncer::Settings),
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
    }
    internal {
        /// A part of the demo's stack. No configuration names it.
        Simulated(simulated::Settings),
    }
}

fn refuse(word: &str, fields: &mut Fields<'_>) {
    let kinds = Kind::WORDS.join(", ");
    fields.wrong("kind", format!("`{word}` is no kind of target"), format!("kinds: {kinds}"));
}
