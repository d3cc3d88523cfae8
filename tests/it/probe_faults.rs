//! What every kind of probe says of a target that is not there, is silent, is lost or froze, and that it sees it come back.
//! These are `blackbox_exporter`'s rows of the exporters' failure table.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{
    Agent, Answer, BlackHole, HttpServer, Running, Silent, SmtpSink, binary, free_port, request, try_run, wait_until,
};

/// Kinds that probe over a connection: a name, and a target without name and time.
const PROBES: [(&str, &str); 7] = [
    ("http", r#"url: "http://127.0.0.1:PORT/""#),
    ("https", r#"url: "https://127.0.0.1:PORT/""#),
    ("tcp", r#"url: "tcp://127.0.0.1:PORT", send: PING, expect: {banner: PONG}"#),
    ("smtp", r#"url: "smtp://127.0.0.1:PORT""#),
    ("ws", r#"url: "ws://127.0.0.1:PORT/""#),
    ("oidc", r#"kind: oidc, url: "http://127.0.0.1:PORT/""#),
    ("mcp", r#"kind: mcp, url: "http://127.0.0.1:PORT/mcp""#),
];

#[test]
fn each_probe_tells_refused_silent_and_lost_targets_apart() {
    let (silent, hole, closed) = (Silent::start(), BlackHole::start(), free_port());
    let faults =
        [("refused", closed, "refused"), ("silent", silent.port(), "timeout"), ("lost", hole.port(), "timeout")];
    let mut config = String::from("global: {scrape_interval: 1s, scrape_timeout: 500ms}\ntargets:\n");
    for (fault, port, _) in faults {
        for (probe, target) in PROBES {
            let target = target.replace("PORT", &port.to_string());
            let _ = writeln!(config, "  - {{name: {probe}-{fault}, job: {probe}, {target}}}");
        }
    }
    let agent = Agent::start(&config);
    let (status, health) = agent.health();
    assert_eq!(status, 503);
    let page = agent.metrics();
    for (fault, _, reason) in faults {
        for (probe, _) in PROBES {
            let told = health["checks"][format!("{probe}-{fault}")].as_str().unwrap_or_default();
            assert!(told.starts_with(reason), "{probe} of a {fault} target: {told}");
        }
    }
    let all: Vec<_> = page.find("probe_success", &[]).collect();
    assert_eq!(all.len(), faults.len() * PROBES.len());
    assert!(all.iter().all(|line| line.value == 0.0), "a probe calls a dead target good");
    let longest = page.find("probe_duration_seconds", &[]).map(|line| line.value).fold(0.0, f64::max);
    assert!(longest < 0.6, "a look with a time-out of 500 ms took {longest} s");
}

/// Whether the kernel gives ping sockets to the group `nogroup` (65534).
fn anybody_may_ping() -> bool {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").expect("Linux has it");
    let ends: Vec<u32> = range.split_whitespace().map(|end| end.parse().expect("a group")).collect();
    (ends[0]..=ends[1]).contains(&65534)
}

#[test]
fn a_ping_without_privileges_works_or_says_what_would_make_it_work() {
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]);
    // From a folder that others may enter, which a checkout's may not be.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("our folder");
    let program = folder.path().join("sidewatch");
    std::fs::copy(binary(), &program).expect("it was built");
    nobody.arg(program).args(["probe", "icmp://127.0.0.1"]);
    let (success, said) = try_run(&mut nobody);
    if anybody_may_ping() {
        assert!(success && said.contains("probe_success 1"), "{said}");
    } else {
        let ways_out = ["permission: ", "net.ipv4.ping_group_range", "CAP_NET_RAW", "probe_success 0"];
        assert!(!success && ways_out.iter().all(|words| said.contains(words)), "{said}");
    }
}

#[test]
fn a_frozen_server_is_seen_and_so_is_its_return() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let mut command = Command::new("python3");
    command.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]).current_dir(folder.path());
    let web = Running::start(&mut command, &folder.path().join("log"));
    wait_until("the web server answers", Duration::from_secs(20), || request(port, "GET", "/", &[], ""));
    let redis_port = free_port();
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--port", &redis_port.to_string()]).current_dir(folder.path());
    let redis = Running::start(&mut command, &folder.path().join("log"));
    wait_until("Redis answers", Duration::from_secs(20), || {
        std::net::TcpStream::connect(("127.0.0.1", redis_port)).ok()
    });
    let agent = Agent::start(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 500ms}}\ntargets:\n  \
         - {{name: web, url: \"http://127.0.0.1:{port}/\"}}\n  \
         - {{name: ping, url: \"tcp://127.0.0.1:{redis_port}\", send: PING, expect: {{banner: PONG}}}}\n"
    ));
    let all_are = |value: f64| {
        let all: Vec<_> = agent.metrics().find("probe_success", &[]).map(|line| line.value).collect();
        (all == [value; 2]).then_some(())
    };
    assert!(all_are(1.0).is_some(), "both are healthy at first: {}", agent.health().1);
    web.signal("STOP");
    redis.signal("STOP");
    let since = Instant::now();
    wait_until("both are frozen", Duration::from_secs(5), || all_are(0.0));
    let (_, health) = agent.health();
    for name in ["web", "ping"] {
        assert!(health["checks"][name].as_str().unwrap_or_default().starts_with("timeout"), "{health}");
    }
    assert!(since.elapsed() < Duration::from_secs(4), "it took {:?} to see that", since.elapsed());
    web.signal("CONT");
    redis.signal("CONT");
    wait_until("both are back", Duration::from_secs(5), || all_are(1.0));
}

#[test]
fn a_mail_server_and_an_mcp_server_are_watched() {
    let (mail, mcp) = (SmtpSink::start(), mcp_server());
    let agent = Agent::start(&format!(
        "targets:\n  - {{name: mail, url: \"smtp://{}\"}}\n  \
         - {{name: tools, kind: mcp, url: \"{}\", expect: {{tools: [search, pay]}}}}\n",
        mail.smarthost(),
        mcp.url("/mcp"),
    ));
    let page = agent.metrics();
    assert_eq!(page.value("probe_smtp_status_code", &[]), Some(250.0));
    assert_eq!(page.value("probe_mcp_tools", &[]), Some(1.0));
    let (_, health) = agent.health();
    assert_eq!(health["checks"]["mail"], "ok");
    assert_eq!(health["checks"]["tools"], "expectation: the server does not offer the tools pay");
}

/// As much of an MCP server as lists one tool.
fn mcp_server() -> HttpServer {
    HttpServer::start(|asked| {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(&asked.body) else {
            return Answer::new(405, "text/plain", "");
        };
        let result = match message["method"].as_str() {
            Some("initialize") => {
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"shop","version":"1"}}"#
            }
            Some("tools/list") => r#"{"tools":[{"name":"search","inputSchema":{"type":"object"}}]}"#,
            _ => return Answer::new(202, "text/plain", ""),
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, message["id"]);
        Answer::new(200, "application/json", body)
    })
}
