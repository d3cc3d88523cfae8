//! `/proc/net/udp` and `udp6`: how much waits in the sockets' queues.

use crate::model::Family;

use super::visit::{Outcome, Visit};

static QUEUES: Family = Family::gauge("node_udp_queues", "Bytes that wait in the queues of all UDP sockets.");

/// Bytes waiting to be sent, and received ones waiting to be read.
fn parse(text: &str) -> (u64, u64) {
    let queues = |line: &str| {
        let (sent, received) = line.split_ascii_whitespace().nth(4)?.split_once(':')?;
        Some((u64::from_str_radix(sent, 16).ok()?, u64::from_str_radix(received, 16).ok()?))
    };
    text.lines().skip(1).filter_map(queues).fold((0, 0), |sum, queues| (sum.0 + queues.0, sum.1 + queues.1))
}

/// `node_udp_queues`, as `node_exporter`'s collector `udp_queues`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let before = visit.len();
    for (ip, file) in [("v4", "net/udp"), ("v6", "net/udp6")] {
        let Some(text) = visit.files.optional_init_proc(file)? else { continue };
        let (sent, received) = parse(&text);
        visit.labeled(&QUEUES, &[("ip", ip), ("queue", "tx")], sent as f64);
        visit.labeled(&QUEUES, &[("ip", ip), ("queue", "rx")], received as f64);
    }
    Ok(visit.found_since(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_all_sockets_add_up() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            1: 0100007F:0035 00000000:0000 07 00000000:00000010 00:00000000 00000000 101 0 23301 2 0 0\n\
            2: 00000000:0044 00000000:0000 07 00000002:00000001 00:00000000 00000000 102 0 23302 2 0 0\n";
        assert_eq!(parse(text), (2, 17));
        assert_eq!(parse(""), (0, 0));
    }
}
