//! Probes, beside the newest `blackbox_exporter`: how both are told of the same target, and what is neither web nor names.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Difference, What, compare};
use crate::support::{Agent, GrpcServer, RealRedis, Running, free_port, peers, request, wait_until};

/// What differs on purpose, whatever is probed.
const DIFFERENCES: &[Difference] = &[
    Difference {
        family: "probe_*duration_seconds",
        what: What::Value,
        why: "each probe takes its own time; blackbox also forgets how long a connection took that came to nothing",
    },
    Difference { family: "probe_dns_lookup_time_seconds", what: What::Value, why: "each probe takes its own time" },
];

/// A probe as blackbox and the agent are told about it.
pub struct Case {
    name: &'static str,
    /// Blackbox' module, in YAML.
    module: String,
    /// What blackbox is asked to probe.
    target: String,
    /// The agent's URL and further keys, in YAML.
    url: String,
    keys: String,
    /// What both must say, where the test knows.
    success: Option<bool>,
    /// What else differs on purpose.
    differences: &'static [Difference],
}

impl Case {
    /// A probe by one of blackbox' probers, with the keys of its section.
    fn new(name: &'static str, prober: &str, module: &str, target: &str, url: &str) -> Self {
        let section = if prober == "tcp" { "" } else { "preferred_ip_protocol: ip4, " };
        let module = format!("prober: {prober}, timeout: 2s, {prober}: {{{section}{module}}}");
        let (target, url) = (target.to_owned(), url.to_owned());
        Self { name, module, target, url, keys: String::new(), success: None, differences: &[] }
    }

    pub fn http(name: &'static str, url: &str, module: &str, keys: &str) -> Self {
        Self::new(name, "http", module, url, url).with(keys)
    }

    pub fn dns(name: &'static str, server: &str, ask: &str, module: &str, keys: &str) -> Self {
        let (question, kind) = ask.split_once(' ').expect("a name and a type");
        let over = if module.contains("transport_protocol: tcp") { "&transport=tcp" } else { "" };
        let module = format!("query_name: {question}, query_type: {kind}, {module}");
        Self::new(name, "dns", &module, server, &format!("dns://{server}/{question}?type={kind}{over}")).with(keys)
    }

    /// With further keys for the agent.
    fn with(self, keys: &str) -> Self {
        Self { keys: keys.into(), ..self }
    }

    /// With the verdict that both must come to.
    fn is(self, success: bool) -> Self {
        Self { success: Some(success), ..self }
    }

    /// With further differences that are meant.
    pub fn but(self, differences: &'static [Difference]) -> Self {
        Self { differences, ..self }
    }

    /// As a target of the agent.
    fn target(&self) -> String {
        let comma = if self.keys.is_empty() { "" } else { ", " };
        format!("  - {{name: {0}, job: {0}, url: \"{1}\", timeout: 2s{comma}{2}}}\n", self.name, self.url, self.keys)
    }

    /// Looks with both; the complaint about what they say.
    fn complaint(&self, blackbox: u16, agent: &Agent) -> Option<String> {
        let target: String = url::form_urlencoded::byte_serialize(self.target.as_bytes()).collect();
        let path = format!("/probe?module={}&target={target}", self.name);
        let theirs = || request(blackbox, "GET", &path, &[], "").expect("a page of blackbox").body;
        let before = theirs();
        let verdict = |success| format!("\nprobe_success {}\n", u8::from(success));
        if self.success.is_some_and(|success| !before.contains(&verdict(success))) {
            return Some(format!("blackbox says\n{before}"));
        }
        let ours = agent.get(&format!("/metrics?job={}", self.name)).body;
        let differences: Vec<_> = DIFFERENCES.iter().chain(self.differences).copied().collect();
        let same = std::panic::AssertUnwindSafe(|| compare(&before, &ours, &theirs(), &differences));
        let panic = std::panic::catch_unwind(same).err()?;
        Some(panic.downcast_ref::<String>().cloned().unwrap_or_default())
    }
}

/// Probes each case with both and compares.
pub fn compare_all(cases: &[Case]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, _blackbox) = start_blackbox(folder.path(), cases);
    let agent = Agent::start(&format!("targets:\n{}", cases.iter().map(Case::target).collect::<String>()));
    let mut complaints = String::new();
    for case in cases {
        if let Some(words) = case.complaint(port, &agent) {
            let _ = writeln!(complaints, "{}: {words}", case.name);
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
}

/// Starts the exporter with a module for each case.
fn start_blackbox(folder: &Path, cases: &[Case]) -> (u16, Running) {
    let modules: Vec<_> = cases.iter().map(|case| format!("  {}: {{{}}}\n", case.name, case.module)).collect();
    let (file, port) = (folder.join("blackbox.yml"), free_port());
    std::fs::write(&file, format!("modules:\n{}", modules.concat())).expect("our folder");
    let mut command = Command::new(peers::newest("blackbox_exporter"));
    command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let process = Running::start(&mut command, &folder.join("log"));
    let ready = || request(port, "GET", "/-/healthy", &[], "").filter(|answer| answer.status == 200);
    wait_until("blackbox_exporter is there", Duration::from_secs(20), ready);
    (port, process)
}

#[test]
fn a_ping_is_seen_as_blackbox_sees_it() {
    let icmp = |name, host: &str| Case::new(name, "icmp", "", host, &format!("icmp://{host}"));
    compare_all(&[icmp("here", "127.0.0.1").is(true), icmp("nowhere", "no-such-host.invalid").is(false)]);
}

#[test]
fn a_port_and_its_banner_are_seen_as_blackbox_sees_them() {
    let redis = RealRedis::start();
    let tcp = |name, module: &str, at: &str| Case::new(name, "tcp", module, at, &format!("tcp://{at}"));
    let (redis, nobody) = (redis.instance(), format!("127.0.0.1:{}", free_port()));
    let pong = "query_response: [{send: PING}, {expect: '^\\+PONG'}]";
    let ready = "query_response: [{send: PING}, {send: QUIT}, {expect: '^READY'}]";
    compare_all(&[
        tcp("open", "", &redis).is(true),
        tcp("pong", pong, &redis).with(r#"send: PING, expect: {banner: "^\\+PONG"}"#).is(true),
        tcp("ready", ready, &redis).with(r#"send: "PING\r\nQUIT", expect: {banner: "^READY"}"#).is(false),
        tcp("closed", "", &nobody).is(false),
    ]);
}

#[test]
fn a_grpc_server_is_seen_as_blackbox_sees_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, secure) = (GrpcServer::start(), GrpcServer::start_tls(folder.path()));
    let ca = format!("ca_file: {}", folder.path().join("cert.pem").display());
    let at = format!("127.0.0.1:{}", plain.port());
    let of = |name, service: &str| {
        Case::new(name, "grpc", &format!("service: \"{service}\""), &at, &format!("grpc://{at}/{service}"))
    };
    let nobody = format!("127.0.0.1:{}", free_port());
    let at_tls = format!("localhost:{}", secure.port());
    let tls = format!("tls: true, tls_config: {{{ca}}}");
    compare_all(&[
        of("whole", "").is(true),
        of("serving", "shop.v1.Orders").is(true),
        of("down", "shop.v1.Search").is(false),
        of("unknown", "shop.v1.None").is(false),
        Case::new("closed", "grpc", "", &nobody, &format!("grpc://{nobody}")).is(false),
        Case::new("secure", "grpc", &tls, &at_tls, &format!("grpcs://{at_tls}"))
            .with(&format!("tls: {{{ca}}}"))
            .is(true),
    ]);
}
