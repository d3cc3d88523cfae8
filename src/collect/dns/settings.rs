//! What a target of kind `dns` needs beyond the common keys.

use crate::collect::{Collect, TargetSettings, probe};
use crate::runtime::supervise::Supervisor;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RecordType};
use url::Url;

use crate::collect::probe::Pattern;
use crate::yaml::Fields;

use super::{RCODES, answer_text, rcode_name};

/// What a target of kind `dns` needs beyond the common keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The name server; the system's first one when absent.
    pub(super) server: Option<String>,
    pub(super) port: u16,
    pub(super) name: Name,
    pub(super) kind: RecordType,
    pub(super) transport: Transport,
    pub(super) expect: Expect,
}

/// What the question goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// UDP, and TCP only for an answer that does not fit.
    Udp,
    Tcp,
}

/// What an answer must be like.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Expect {
    /// Codes that are good; empty for NOERROR alone.
    rcodes: Vec<&'static str>,
    /// At least one answer must match.
    answer: Option<Pattern>,
}

const WAY_OUT: &str = "write dns://server/name?type=A";

impl TargetSettings for Settings {
    const KIND: &'static str = "dns";
    const SCHEMES: &'static [&'static str] = &["dns"];
    const JOB: &'static str = probe::JOB;

    /// Reads the kind's own keys: `expect: {rcode: [NXDOMAIN], answer: REGEX}`.
    fn read(url: &str, fields: &mut Fields<'_>) -> Option<Self> {
        let expect = fields.section("expect").map(Expect::read).unwrap_or_default();
        let parsed = Url::parse(url).map_err(|error| format!("this is not a URL: {error}"));
        match parsed.and_then(|url| Self::of(&url, expect)) {
            Ok(settings) => Some(settings),
            Err(complaint) => {
                fields.wrong("url", complaint, WAY_OUT);
                None
            }
        }
    }

    /// `host:port` of the name server; `system:53` for the system's.
    fn instance(&self) -> String {
        format!("{}:{}", self.server.as_deref().unwrap_or("system"), self.port)
    }

    fn build(self, _supervisor: &Supervisor) -> Result<Arc<dyn Collect>, String> {
        Ok(Arc::new(super::Dns::new(self)))
    }
}

impl Settings {
    fn of(url: &Url, expect: Expect) -> Result<Self, String> {
        let server = url.host_str().filter(|host| !host.is_empty()).map(ToOwned::to_owned);
        let name = url.path().trim_matches('/');
        if name.is_empty() {
            return Err("this URL names nothing to ask for".into());
        }
        let mut parsed = Name::from_utf8(name).map_err(|error| format!("`{name}` is no domain name: {error}"))?;
        parsed.set_fqdn(true);
        let (mut kind, mut transport) = (RecordType::A, Transport::Udp);
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("type", _) => {
                    kind = value.to_uppercase().parse().map_err(|_| format!("`{value}` is no DNS record type"))?;
                }
                ("transport", "udp") => transport = Transport::Udp,
                ("transport", "tcp") => transport = Transport::Tcp,
                ("transport", _) => return Err(format!("`{value}` is neither udp nor tcp")),
                _ => return Err(format!("`{key}` is not known in a dns URL")),
            }
        }
        Ok(Self { server, port: url.port().unwrap_or(53), name: parsed, kind, transport, expect })
    }
}

impl Expect {
    fn read(mut fields: Fields<'_>) -> Self {
        let mut rcodes = Vec::new();
        for text in fields.texts("rcode") {
            let code = text.to_uppercase();
            if let Some(known) = RCODES.iter().find(|known| **known == code) {
                rcodes.push(*known);
            } else {
                fields.wrong(
                    "rcode",
                    format!("`{text}` is no DNS response code"),
                    format!("known: {}", RCODES.join(", ")),
                );
            }
        }
        let answer = fields.parsed("answer", Pattern::parse);
        fields.finish();
        Self { rcodes, answer }
    }

    /// Judges an answer; the complaint in words.
    pub(super) fn check(&self, answer: &Message) -> Result<(), String> {
        let code = rcode_name(answer.metadata.response_code);
        let wanted = if self.rcodes.is_empty() { &["NOERROR"][..] } else { &self.rcodes };
        if !wanted.contains(&code.as_ref()) {
            return Err(format!("the server answers {code}, expected {}", wanted.join(" or ")));
        }
        let Some(pattern) = &self.answer else {
            return Ok(());
        };
        if answer_text(answer).any(|text| pattern.is_match(&text)) {
            return Ok(());
        }
        let first = answer_text(answer).next().map_or_else(|| "nothing".into(), |text| format!("`{text}`"));
        Err(format!("the first answer is {first}, expected one matching `{}`", pattern.as_str()))
    }
}

/// The first server of a `resolv.conf`.
pub(super) fn first_nameserver(text: &str) -> Option<IpAddr> {
    let mut servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers.find_map(|rest| rest.split_whitespace().next()?.split('%').next()?.parse().ok())
}
