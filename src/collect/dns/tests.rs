use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use std::time::Duration;

use super::*;
use crate::collect::TargetSettings as _;
use crate::collect::test_target::read;
use crate::runtime::supervise::Supervisor;
use crate::runtime::test_server;

/// Answers `good.test` with an address, `long.test` truncated over UDP, `zone.test` with an SOA, and else NXDOMAIN.
fn answer(question: &[u8], tcp: bool) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
    let name = query.name.clone();
    answer.add_query(query);
    let address = RData::A(A(Ipv4Addr::new(10, 1, 2, 3)));
    match name.to_utf8().as_str() {
        "good.test." => drop(answer.add_answer(Record::from_rdata(name, 60, address))),
        "long.test." if !tcp => answer.metadata.truncation = true,
        "long.test." => {
            for _ in 0..100 {
                answer.add_answer(Record::from_rdata(name.clone(), 60, address.clone()));
            }
        }
        "zone.test." => {
            let soa = SOA::new(name.clone(), Name::root(), 2_026_112_101, 1, 1, 1, 1);
            answer.add_answer(Record::from_rdata(name, 60, RData::SOA(soa)));
        }
        "empty.test." => {}
        _ => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer.to_vec().unwrap()
}

async fn name_server() -> SocketAddr {
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).await.unwrap();
    let supervisor = Supervisor::new();
    supervisor.spawn_once(async move {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer).await {
            udp.send_to(b"\0\0not for you", peer).await.unwrap();
            udp.send_to(&answer(&buffer[..length], false), peer).await.unwrap();
        }
    });
    supervisor.spawn_once(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut question = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut question).await.unwrap();
            let answer = answer(&question, true);
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    address
}

async fn look(url: &str, keys: &str) -> Look {
    let probe = Dns::new(read(url, keys).unwrap());
    let look = probe.look(Instant::now() + Duration::from_millis(500)).await;
    assert_eq!(look.get("probe_success", &[]), Some(f64::from(u8::from(look.healthy))));
    look
}

#[tokio::test]
async fn an_answer_is_counted() {
    let server = name_server().await;
    let look = look(&format!("dns://{server}/good.test"), "expect: {answer: ^10\\.1\\.2\\.3$}").await;
    assert!(look.healthy, "{:?}", look.failures);
    assert_eq!(look.get("probe_dns_answer_rrs", &[]), Some(1.0));
    assert_eq!(look.get("probe_dns_query_succeeded", &[]), Some(1.0));
    assert!(look.get("probe_dns_duration_seconds", &[("phase", "request")]) > Some(0.0));
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    let server = name_server().await;
    let look = look(&format!("dns://{server}/long.test"), "").await;
    assert!(look.healthy, "{:?}", look.failures);
    assert_eq!(look.get("probe_dns_answer_rrs", &[]), Some(100.0));
    assert!(look.get("probe_dns_duration_seconds", &[("phase", "connect")]) > Some(0.0));
    let by_tcp = self::look(&format!("dns://{server}/long.test?transport=tcp"), "").await;
    assert_eq!(by_tcp.get("probe_dns_answer_rrs", &[]), Some(100.0));
}

#[tokio::test]
async fn a_zone_shows_its_serial() {
    let server = name_server().await;
    let look = look(&format!("dns://{server}/zone.test?type=soa"), "").await;
    assert_eq!(look.get("probe_dns_serial", &[]), Some(2_026_112_101.0));
}

#[tokio::test]
async fn an_unwanted_answer_says_what_was_wanted() {
    let server = name_server().await;
    let unknown = look(&format!("dns://{server}/bad.test"), "").await;
    assert_eq!(unknown.failures[0].to_string(), "expectation: the server answers NXDOMAIN, expected NOERROR");
    assert_eq!(unknown.get("probe_dns_query_succeeded", &[]), Some(1.0));
    assert!(look(&format!("dns://{server}/bad.test"), "expect: {rcode: [nxdomain]}").await.healthy);
    // A name that exists without such a record is a good answer, as in blackbox, unless one must match.
    assert!(look(&format!("dns://{server}/empty.test"), "").await.healthy);
    let empty = look(&format!("dns://{server}/empty.test"), "expect: {answer: .}").await;
    assert!(empty.failures[0].to_string().contains("the first answer is nothing"), "{:?}", empty.failures);
    let other = look(&format!("dns://{server}/good.test"), "expect: {answer: ^9}").await;
    assert!(other.failures[0].to_string().ends_with("is `10.1.2.3`, expected one matching `^9`"));
}

#[tokio::test]
async fn a_closed_port_refuses_and_a_silent_one_times_out() {
    let closed = look(&format!("dns://{}/good.test", test_server::closed().await), "").await;
    assert_eq!(closed.failures[0].reason(), Reason::Refused);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = look(&format!("dns://{}/good.test", socket.local_addr().unwrap()), "").await;
    assert_eq!(silent.failures[0].to_string(), "timeout: no answer in time (request)");
    assert_eq!(silent.get("probe_dns_query_succeeded", &[]), Some(0.0));
}

#[test]
fn urls_are_read_and_complaints_say_a_way_out() {
    assert_eq!(read::<Settings>("dns://ns/a.b?type=MX", "").unwrap().instance(), "ns:53");
    assert_eq!(read::<Settings>("dns:///a.b", "").unwrap().instance(), "system:53");
    for (url, complaint) in [
        ("dns://ns", "names nothing to ask for"),
        ("dns://ns/a?type=B", "`B` is no DNS record type"),
        ("dns://ns/a?transport=tls", "`tls` is neither udp nor tcp"),
        ("dns://ns/a?kind=A", "`kind` is not known in a dns URL"),
    ] {
        let said = read::<Settings>(url, "url: x").unwrap_err();
        assert!(said.concat().contains(&format!("{complaint}; write dns://server/name?type=A")), "{said:?}");
    }
    assert!(
        read::<Settings>("dns://ns/a", "expect: {rcode: [OK]}").unwrap_err()[0]
            .contains("`OK` is no DNS response code")
    );
}

#[test]
fn codes_have_the_names_of_the_dns_world() {
    for (code, name) in [
        (ResponseCode::NoError, "NOERROR"),
        (ResponseCode::ServFail, "SERVFAIL"),
        (ResponseCode::NXDomain, "NXDOMAIN"),
        (ResponseCode::Refused, "REFUSED"),
        (ResponseCode::NotZone, "NOTZONE"),
        (ResponseCode::Unknown(13), "RCODE13"),
    ] {
        assert_eq!(rcode_name(code), name);
    }
}

#[test]
fn the_systems_first_server_is_found() {
    let text = "# nameserver 9.9.9.9\nsearch x\nnameserver\t127.0.0.11\nnameserver 8.8.8.8\n";
    assert_eq!(settings::first_nameserver(text), Some(IpAddr::from([127, 0, 0, 11])));
    assert_eq!(settings::first_nameserver("search x"), None);
}
