//! `/proc/net/netstat`, `snmp` and `snmp6`: the network protocols' counters.

use crate::model::{Family, MetricKind};

use super::visit::{Found, Outcome, Visit};

/// `node_exporter`'s default of `--collector.netstat.fields`, by protocol. A `*` ends a name that goes on in any way.
/// Errors of receipt, `InErrors` and `InErrs`, are kept for every protocol.
const KEPT: [(&str, &[&str]); 9] = [
    ("Icmp", &["InMsgs", "OutMsgs"]),
    ("Icmp6", &["InMsgs", "OutMsgs"]),
    ("Ip", &["Forwarding"]),
    ("Ip6", &["InOctets", "OutOctets"]),
    ("IpExt", &["InOctets", "OutOctets"]),
    ("Tcp", &["ActiveOpens", "InSegs", "OutSegs", "OutRsts", "PassiveOpens", "RetransSegs", "CurrEstab"]),
    ("TcpExt", &["Listen*", "Syncookies*", "TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop"]),
    ("Udp", &["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"]),
    ("Udp6", &["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"]),
];

fn is_kept(protocol: &str, name: &str) -> bool {
    let matches = |kept: &&str| kept.strip_suffix('*').map_or(*kept == name, |start| name.starts_with(start));
    let of_protocol =
        || KEPT.iter().find(|(kept, _)| *kept == protocol).is_some_and(|(_, names)| names.iter().any(matches));
    name == "InErrors" || name == "InErrs" || of_protocol()
}

/// A counter with its protocol.
#[derive(Debug, PartialEq)]
struct Counter<'t> {
    protocol: &'t str,
    name: &'t str,
    value: f64,
}

impl Counter<'_> {
    fn family(&self) -> Family {
        let Self { protocol, name, .. } = self;
        let help = format!("The kernel's counter {name} of the protocol {protocol}.");
        Family::discovered(format!("node_netstat_{protocol}_{name}"), MetricKind::Unknown, help)
    }
}

/// Pairs of lines: `Tcp: InSegs OutSegs` and `Tcp: 5 7`.
fn parse_pairs(text: &str) -> impl Iterator<Item = Counter<'_>> {
    let mut lines = text.lines();
    let pairs = std::iter::from_fn(move || Some((lines.next()?.split_once(':')?, lines.next()?.split_once(':')?)));
    pairs.flat_map(|((protocol, names), (_, numbers))| {
        let named = names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace());
        named
            .filter(move |(name, _)| is_kept(protocol, name))
            .filter_map(move |(name, number)| Some(Counter { protocol, name, value: number.parse().ok()? }))
    })
}

/// Lines of `snmp6`: `Ip6InOctets 5`. The protocol ends at the `6`.
fn parse_snmp6(text: &str) -> impl Iterator<Item = Counter<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (name, number) = (words.next()?, words.next()?);
        let (protocol, name) = name.split_at(name.find('6')? + 1);
        is_kept(protocol, name).then_some(Counter { protocol, name, value: number.parse().ok()? })
    })
}

/// `node_netstat_*`, as `node_exporter`'s collector `netstat`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    for file in ["net/netstat", "net/snmp"] {
        parse_pairs(&visit.files.init_proc(file)?).for_each(|counter| show(&counter, visit));
    }
    // A kernel without IPv6 lacks it.
    let text = visit.files.optional_init_proc("net/snmp6")?.unwrap_or_default();
    parse_snmp6(&text).for_each(|counter| show(&counter, visit));
    Ok(Found::Seen)
}

fn show(counter: &Counter<'_>, visit: &mut Visit<'_>) {
    visit.discovered(counter.protocol, counter.name, |_| counter.family(), counter.value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_join_protocol_and_counter() {
        let text =
            "TcpExt: SyncookiesSent PruneCalled ListenDrops\nTcpExt: 1 2 3\nTcp: InSegs MaxConn InErrs\nTcp: 5 -1 6\n";
        let names = |counter: Counter<'_>| (counter.family().name.into_owned(), counter.value);
        let kept: Vec<_> = parse_pairs(text).map(names).collect();
        let expected = [
            ("node_netstat_TcpExt_SyncookiesSent".into(), 1.0),
            ("node_netstat_TcpExt_ListenDrops".into(), 3.0),
            ("node_netstat_Tcp_InSegs".into(), 5.0),
            ("node_netstat_Tcp_InErrs".into(), 6.0),
        ];
        assert_eq!(kept, expected);
        let text = "Ip6InOctets     \t12\nIp6InDelivers 3\nUdpLite6InErrors 4\n";
        let kept: Vec<_> = parse_snmp6(text).map(names).collect();
        assert_eq!(kept, [("node_netstat_Ip6_InOctets".into(), 12.0), ("node_netstat_UdpLite6_InErrors".into(), 4.0)]);
    }
}
