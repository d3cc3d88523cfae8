//! Probes, beside `blackbox_exporter`.

use std::process::Command;
use std::time::Duration;

use super::{Difference, What, compare};
use crate::support::{Agent, GrpcServer, RealRedis, Running, free_port, get, peers, request, wait_until};

const DIFFERENCES: &[Difference] = &[
    Difference { family: "probe_*duration_seconds", what: What::Value, why: "each measures its own probe" },
    Difference { family: "probe_dns_lookup_time_seconds", what: What::Value, why: "as above" },
];

/// A `blackbox_exporter` with modules of its own.
struct Blackbox {
    port: u16,
    _process: Running,
    _folder: tempfile::TempDir,
}

impl Blackbox {
    /// Starts it with the modules, in the words of its configuration.
    fn start(modules: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let file = folder.path().join("blackbox.yml");
        std::fs::write(&file, format!("modules:\n{modules}")).expect("our folder");
        let mut command = Command::new(peers::newest("blackbox_exporter"));
        command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let process = Running::start(&mut command, &folder.path().join("log"));
        wait_until("blackbox_exporter answers", Duration::from_secs(20), || {
            request(port, "GET", "/-/healthy", &[], "").filter(|answer| answer.status == 200)
        });
        Self { port, _process: process, _folder: folder }
    }

    fn probe(&self, module: &str, target: &str) -> String {
        get(self.port, &format!("/probe?module={module}&target={target}")).body
    }
}

/// One target as both are told of it.
struct Case {
    module: &'static str,
    /// As blackbox takes it.
    target: String,
    /// As we take it, with further keys.
    url: String,
    keys: &'static str,
    /// What both must say.
    success: bool,
    also: &'static [Difference],
}

/// Looks at every target with both, and compares.
fn compare_all(blackbox: &Blackbox, cases: &[Case]) {
    let lines = cases.iter().enumerate().map(|(number, case)| {
        let Case { module, url, keys, .. } = case;
        format!("  - {{name: case-{number}, job: {module}, instance: case-{number}, url: \"{url}\"{keys}}}\n")
    });
    let config =
        format!("global: {{scrape_interval: 1h, scrape_timeout: 5s}}\ntargets:\n{}", lines.collect::<String>());
    let agent = Agent::start(&config);
    for (number, case) in cases.iter().enumerate() {
        let Case { module, target, success, also, .. } = case;
        let theirs = || blackbox.probe(module, target);
        let before = theirs();
        let ours = of_instance(&agent.get("/metrics").body, &format!("case-{number}"));
        let verdict = format!("\nprobe_success {}\n", u8::from(*success));
        assert!(before.contains(&verdict), "{module} {target}: blackbox says\n{before}");
        let all: Vec<_> = DIFFERENCES.iter().chain(*also).map(|d| Difference { ..*d }).collect();
        let told = std::panic::catch_unwind(|| compare(&before, &ours, &theirs(), &all));
        assert!(told.is_ok(), "{module} {target} differs; ours:\n{ours}");
    }
}

/// The part of a page that belongs to one target.
fn of_instance(page: &str, instance: &str) -> String {
    let label = format!("instance=\"{instance}\"");
    page.split_inclusive('\n').filter(|line| line.starts_with('#') || line.contains(&label)).collect()
}

#[test]
fn a_ping_is_seen_as_blackbox_sees_it() {
    let blackbox = Blackbox::start("  icmp: {prober: icmp, timeout: 2s, icmp: {preferred_ip_protocol: ip4}}\n");
    let case = |target: &str, success| Case {
        module: "icmp",
        target: target.into(),
        url: format!("icmp://{target}"),
        keys: "",
        success,
        also: &[],
    };
    compare_all(&blackbox, &[case("127.0.0.1", true), case("no-such-host.invalid", false)]);
}

#[test]
fn a_port_and_its_banner_are_seen_as_blackbox_sees_them() {
    let redis = RealRedis::start();
    let modules = "  tcp: {prober: tcp, timeout: 2s}\n  \
                   pong: {prober: tcp, timeout: 2s, tcp: {query_response: [{send: PING}, {expect: '^\\+PONG'}]}}\n  \
                   ready: {prober: tcp, timeout: 2s, tcp: {query_response: [{send: PING}, {send: QUIT}, {expect: '^READY'}]}}\n";
    let blackbox = Blackbox::start(modules);
    let case = |module, keys, success| Case {
        module,
        target: redis.instance(),
        url: format!("tcp://{}", redis.instance()),
        keys,
        success,
        also: &[],
    };
    let nobody = free_port();
    let closed = Case {
        module: "tcp",
        target: format!("127.0.0.1:{nobody}"),
        url: format!("tcp://127.0.0.1:{nobody}"),
        keys: "",
        success: false,
        also: &[],
    };
    let ready = r#", send: "PING\r\nQUIT", expect: {banner: "^READY"}"#;
    let cases = [
        case("tcp", "", true),
        case("pong", r#", send: PING, expect: {banner: "^\\+PONG"}"#, true),
        case("ready", ready, false),
        closed,
    ];
    compare_all(&blackbox, &cases);
}

#[test]
fn a_grpc_server_is_seen_as_blackbox_sees_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (plain, secure) = (GrpcServer::start(), GrpcServer::start_tls(folder.path()));
    let ca = folder.path().join("cert.pem");
    let module = |name: &str, keys: &str| {
        format!("  {name}: {{prober: grpc, timeout: 2s, grpc: {{preferred_ip_protocol: ip4{keys}}}}}\n")
    };
    let tls = format!(", tls: true, tls_config: {{ca_file: {}}}", ca.display());
    let modules = module("whole", "")
        + &module("serving", ", service: shop.v1.Orders")
        + &module("down", ", service: shop.v1.Search")
        + &module("unknown", ", service: shop.v1.None")
        + &module("tls", &tls);
    let blackbox = Blackbox::start(&modules);
    let case = |module, port: u16, service: &str, success| Case {
        module,
        target: format!("127.0.0.1:{port}"),
        url: format!("grpc://127.0.0.1:{port}{service}"),
        keys: "",
        success,
        also: &[],
    };
    let keys: &'static str = Box::leak(format!(", tls: {{ca_file: {}}}", ca.display()).into_boxed_str());
    let over_tls = Case {
        target: format!("localhost:{}", secure.port()),
        url: format!("grpcs://localhost:{}", secure.port()),
        keys,
        ..case("tls", 0, "", true)
    };
    let cases = [
        case("whole", plain.port(), "", true),
        case("serving", plain.port(), "/shop.v1.Orders", true),
        case("down", plain.port(), "/shop.v1.Search", false),
        case("unknown", plain.port(), "/shop.v1.None", false),
        case("whole", free_port(), "", false),
        over_tls,
    ];
    compare_all(&blackbox, &cases);
}
