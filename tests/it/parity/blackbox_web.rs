//! The newest `blackbox_exporter` and the agent on the same web and name servers.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record};
use tempfile::TempDir;

use super::blackbox::{Case, compare_all};
use super::{Difference, What};
use crate::support::{Running, free_port, request, run, wait_until};

/// A web server with and without TLS (`cert.pem` in its folder).
struct Nginx {
    plain: u16,
    tls: u16,
    folder: TempDir,
    _process: Running,
}

impl Nginx {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        make_certificate(folder.path());
        std::fs::write(at("page.html"), "welcome ".repeat(100)).expect("our folder");
        let (plain, tls) = (free_port(), free_port());
        std::fs::write(at("nginx.conf"), nginx_config(folder.path(), plain, tls)).expect("our folder");
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder.path()).arg("-c").arg(at("nginx.conf")).arg("-e").arg(at("error.log"));
        let process = Running::start(&mut command, &at("log"));
        let ready = || request(plain, "GET", "/empty", &[], "");
        wait_until("nginx answers", Duration::from_secs(20), ready);
        Self { plain, tls, folder, _process: process }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.plain)
    }

    fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.tls)
    }
}

fn nginx_config(folder: &Path, plain: u16, tls: u16) -> String {
    let root = folder.display();
    format!(
        "daemon off;\nuser root;\npid {root}/pid;\nworker_processes 1;\nevents {{}}\nhttp {{\n\
         access_log off;\ndefault_type text/plain;\ngzip on;\ngzip_types *;\ngzip_min_length 1;\n\
         client_body_temp_path {root}/a;\nproxy_temp_path {root}/b;\nfastcgi_temp_path {root}/c;\n\
         uwsgi_temp_path {root}/d;\nscgi_temp_path {root}/e;\n\
         server {{\nlisten 127.0.0.1:{plain};\nlisten 127.0.0.1:{tls} ssl http2;\n\
         ssl_prefer_server_ciphers on;\nssl_certificate {root}/cert.pem;\nssl_certificate_key {root}/key.pem;\nroot {root};\n\
         location = /down {{ return 503 'down for now'; }}\nlocation = /who {{ return 401; }}\n\
         location = /empty {{ return 204; }}\nlocation = /moved {{ return 302 /page.html; }}\n\
         location = /twice {{ return 301 /moved; }}\nlocation = /round {{ return 302 /round; }}\n}}\n}}\n"
    )
}

fn make_certificate(folder: &Path) {
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "30",
        "-subj",
        "/C=DE/O=Shop, Inc./CN=localhost",
    ]);
    command.args(["-addext", "subjectAltName=DNS:localhost,DNS:shop.test"]);
    command.arg("-keyout").arg(folder.join("key.pem")).arg("-out").arg(folder.join("cert.pem"));
    run(&mut command);
}

#[test]
fn web_servers_look_the_same() {
    let nginx = Nginx::start();
    let http = |name, path: &str, module: &str, keys: &str| Case::http(name, &nginx.url(path), module, keys);
    let https = |name, module: &str, keys: &str| Case::http(name, &nginx.tls_url("/page.html"), module, keys);
    let ca = nginx.folder.path().join("cert.pem");
    let cases = [
        http("good", "/page.html", "", ""),
        http("down", "/down", "", ""),
        http("unauthorized", "/who", "", ""),
        http("not_found", "/no", "", ""),
        http("empty", "/empty", "", ""),
        http("valid_status", "/down", "valid_status_codes: [503]", "expect: {status: [503]}"),
        http("posted", "/down", "method: POST, body: hello", "method: POST, body: hello"),
        http("redirected", "/twice", "", ""),
        http("round_and_round", "/round", "", ""),
        http(
            "not_followed",
            "/moved",
            "follow_redirects: false, valid_status_codes: [302]",
            "follow_redirects: false, expect: {status: [302]}",
        )
        .but(&[Difference {
            family: "probe_http_uncompressed_body_length",
            what: What::Value,
            why: "blackbox does not read the body of a redirect that it does not follow; we do",
        }]),
        http("body", "/page.html", "fail_if_body_not_matches_regexp: [welcome]", "expect: {body: welcome}"),
        http("body_fails", "/page.html", "fail_if_body_not_matches_regexp: [goodbye]", "expect: {body: goodbye}"),
        http("not_body_fails", "/page.html", "fail_if_body_matches_regexp: [welcome]", "expect: {not_body: welcome}"),
        http(
            "header_fails",
            "/page.html",
            "fail_if_header_not_matches: [{header: Content-Type, regexp: json}]",
            "expect: {headers: {Content-Type: json}}",
        ),
        http(
            "compressed",
            "/page.html",
            "compression: gzip, headers: {Accept-Encoding: gzip}",
            "headers: {Accept-Encoding: gzip}",
        ),
        https(
            "tls",
            &format!("tls_config: {{ca_file: {}}}", ca.display()),
            &format!("tls: {{ca_file: {}}}", ca.display()),
        ),
        https("tls_untrusted", "", ""),
        https("tls_unchecked", "tls_config: {insecure_skip_verify: true}", "tls: {insecure_skip_verify: true}").but(&[
            Difference {
                family: "probe_ssl_last_chain_expiry_timestamp_seconds",
                what: What::Missing,
                why: "blackbox says the year 1 of a chain that nobody checked; there is nothing to say",
            },
        ]),
        Case::http("tls_to_plain", &format!("https://127.0.0.1:{}/", nginx.plain), "", ""),
        Case::http("refused", &format!("http://127.0.0.1:{}/", free_port()), "", ""),
        Case::http("nowhere", "http://no-such-host.invalid/", "", ""),
    ];
    compare_all(&cases);
}

#[test]
fn name_servers_look_the_same() {
    let server = name_server();
    let dns = |name, ask: &str, module: &str, keys: &str| Case::dns(name, &server, ask, module, keys);
    let cases = [
        dns("good", "good.test A", "", ""),
        dns("zone", "zone.test SOA", "", ""),
        dns("by_tcp", "long.test A", "transport_protocol: tcp", ""),
        dns("unknown", "bad.test A", "", ""),
        dns("unknown_expected", "bad.test A", "valid_rcodes: [NXDOMAIN]", "expect: {rcode: [NXDOMAIN]}"),
        dns("empty_expected", "empty.test A", "", "expect: {rcode: [NOERROR]}"),
        dns(
            "other_answer",
            "good.test A",
            "validate_answer_rrs: {fail_if_none_matches_regexp: ['192\\.0\\.2\\.1']}",
            "expect: {answer: '192\\.0\\.2\\.1'}",
        ),
        dns("truncated", "long.test A", "", "").but(&[Difference {
            family: "probe_dns_answer_rrs",
            what: What::Value,
            why: "blackbox takes a truncated answer for the whole one; we fetch the whole one over TCP",
        }]),
        dns("empty", "empty.test A", "", ""),
        Case::dns("refused", &format!("127.0.0.1:{}", free_port()), "good.test A", "", ""),
    ];
    compare_all(&cases);
}

/// A name server on loopback, over UDP and TCP; its threads end with the test's process.
fn name_server() -> String {
    let port = free_port();
    let udp = UdpSocket::bind(("127.0.0.1", port)).expect("a free port");
    let tcp = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(&answer(&buffer[..length], false), peer);
        }
    });
    std::thread::spawn(move || {
        for mut stream in tcp.incoming().map_while(Result::ok) {
            let mut length = [0; 2];
            stream.read_exact(&mut length).expect("a question");
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).expect("a question");
            let answer = answer(&question, true);
            let length = u16::try_from(answer.len()).expect("a short answer").to_be_bytes();
            let _ = stream.write_all(&[&length, answer.as_slice()].concat());
        }
    });
    format!("127.0.0.1:{port}")
}

fn answer(question: &[u8], tcp: bool) -> Vec<u8> {
    let question = Message::from_vec(question).expect("a question");
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    let name = query.name.clone();
    answer.add_query(query);
    let address = |last: u8| RData::A(A([10, 1, 2, last].into()));
    match name.to_utf8().trim_end_matches('.') {
        "good.test" => {
            answer.add_answer(Record::from_rdata(name.clone(), 60, address(3)));
            answer.add_answer(Record::from_rdata(name, 60, address(4)));
        }
        "long.test" if !tcp => answer.metadata.truncation = true,
        "long.test" => {
            for last in 0..100 {
                answer.add_answer(Record::from_rdata(name.clone(), 60, address(last)));
            }
        }
        "zone.test" => {
            let soa = SOA::new(name.clone(), Name::root(), 2_026_112_101, 1, 1, 1, 1);
            answer.add_answer(Record::from_rdata(name, 60, RData::SOA(soa)));
        }
        "empty.test" => {}
        _ => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.to_vec().expect("an answer that can be written")
}
