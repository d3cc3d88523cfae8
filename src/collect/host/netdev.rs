//! `/proc/net/dev`: what the network devices carried.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

/// The columns of `/proc/net/dev`: eight received, eight transmitted.
static TRAFFIC: [Family; 16] = [
    Family::counter("node_network_receive_bytes_total", "Bytes that the device received."),
    Family::counter("node_network_receive_packets_total", "Packets that the device received."),
    Family::counter("node_network_receive_errs_total", "Packets that the device received broken."),
    Family::counter("node_network_receive_drop_total", "Packets received and dropped for lack of room or of a taker."),
    Family::counter("node_network_receive_fifo_total", "Packets lost because the device's receive buffer was full."),
    Family::counter("node_network_receive_frame_total", "Packets received with a wrong frame."),
    Family::counter("node_network_receive_compressed_total", "Compressed packets that the device received."),
    Family::counter("node_network_receive_multicast_total", "Multicast packets that the device received."),
    Family::counter("node_network_transmit_bytes_total", "Bytes that the device sent."),
    Family::counter("node_network_transmit_packets_total", "Packets that the device sent."),
    Family::counter("node_network_transmit_errs_total", "Packets that the device could not send."),
    Family::counter("node_network_transmit_drop_total", "Packets dropped before they were sent."),
    Family::counter(
        "node_network_transmit_fifo_total",
        "Packets lost because the device's send buffer was empty or full.",
    ),
    Family::counter("node_network_transmit_colls_total", "Collisions while sending."),
    Family::counter("node_network_transmit_carrier_total", "Packets not sent for loss of the carrier."),
    Family::counter("node_network_transmit_compressed_total", "Compressed packets that the device sent."),
];
static NO_HANDLER: Family =
    Family::counter("node_network_receive_nohandler_total", "Packets received that no protocol wanted.");

/// The devices of `/proc/net/dev` and their columns.
fn parse(text: &str) -> impl Iterator<Item = (&str, [f64; TRAFFIC.len()])> {
    text.lines().filter_map(|line| {
        let (device, rest) = line.rsplit_once(':')?;
        let mut columns = [0.0; TRAFFIC.len()];
        let mut words = rest.split_ascii_whitespace();
        for column in &mut columns {
            *column = words.next()?.parse().ok()?;
        }
        Some((device.trim(), columns))
    })
}

/// `node_network_{receive,transmit}_*`, as `node_exporter`'s collector `netdev`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let text = visit.files.init_proc("net/dev")?;
    let devices = visit.files.sys("class/net");
    for (device, columns) in parse(&text) {
        let labels = visit.labels(&[("device", device)]);
        for (family, value) in TRAFFIC.iter().zip(columns) {
            visit.point(family, &labels, value);
        }
        let unhandled = devices.as_ref().and_then(|all| all.number(&format!("{device}/statistics/rx_nohandler")));
        if let Some(count) = unhandled {
            visit.point(&NO_HANDLER, &labels, count);
        }
    }
    Ok(Found::Seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_and_headings_left_out() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\neth0:100 2 0 0 0 0 0 0 900 10 0 0 0 0 0 0\n";
        let devices: Vec<_> = parse(text).collect();
        assert_eq!(devices.len(), 2);
        assert_eq!((devices[0].0, devices[0].1[15]), ("lo", 16.0));
        assert_eq!((devices[1].0, devices[1].1[0], devices[1].1[8]), ("eth0", 100.0, 900.0));
    }
}
