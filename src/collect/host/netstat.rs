//! `/proc/net/netstat`, `snmp` and `snmp6`: the network protocols' counters.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::{Family, MetricKind};

use super::files::Files;
use super::{CollectError, Look};

/// `node_exporter`'s default of `--collector.netstat.fields`.
static KEPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)",
        "|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)",
        "|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)",
        "|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
    ))
    .expect("the pattern is a constant, and a test uses it")
});

/// Pairs of lines: `Tcp: InSegs OutSegs` and `Tcp: 5 7`.
fn parse_pairs(text: &str) -> Vec<(String, f64)> {
    let lines: Vec<_> = text.lines().collect();
    let mut values = Vec::new();
    for pair in lines.chunks_exact(2) {
        let (Some((protocol, names)), Some((_, numbers))) = (pair[0].split_once(':'), pair[1].split_once(':')) else {
            continue;
        };
        for (name, number) in names.split_ascii_whitespace().zip(numbers.split_ascii_whitespace()) {
            values.extend(number.parse().ok().map(|number| (format!("{protocol}_{name}"), number)));
        }
    }
    values
}

/// Lines of `snmp6`: `Ip6InOctets 5`. The protocol ends at the `6`.
fn parse_snmp6(text: &str) -> Vec<(String, f64)> {
    let value = |line: &str| {
        let (name, number) = line.split_once(char::is_whitespace)?;
        let (protocol, rest) = name.split_once('6')?;
        Some((format!("{protocol}6_{rest}"), number.trim().parse().ok()?))
    };
    text.lines().filter_map(value).collect()
}

/// `node_netstat_*`, as `node_exporter`'s collector `netstat`.
pub(super) fn collect(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    let mut values = parse_pairs(&files.init_proc("net/netstat")?);
    values.extend(parse_pairs(&files.init_proc("net/snmp")?));
    values.extend(parse_snmp6(&files.optional_init_proc("net/snmp6")?.unwrap_or_default()));
    for (name, value) in values.iter().filter(|(name, _)| KEPT.is_match(name)) {
        let help = format!("Statistic {}.", name.replace('_', ""));
        look.value(&Family::discovered(format!("node_netstat_{name}"), MetricKind::Unknown, help), *value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_join_protocol_and_counter() {
        assert_eq!(
            parse_pairs("Tcp: InSegs MaxConn\nTcp: 5 -1\n"),
            [("Tcp_InSegs".into(), 5.0), ("Tcp_MaxConn".into(), -1.0)]
        );
        assert_eq!(parse_snmp6("Ip6InOctets     \t12\n"), [("Ip6_InOctets".into(), 12.0)]);
        assert!(KEPT.is_match("Tcp_InSegs") && !KEPT.is_match("Tcp_MaxConn"));
    }
}
