//! Traffic per network interface.

use crate::collect::{CollectError, Reason};
use crate::model::Family;

use super::Adder;

/// Interfaces of one container beyond this are left out: a container in the host's network has those of all others.
const MAX_INTERFACES: usize = 64;

/// In the order of [`Interface::counts`].
static FAMILIES: [Family; 8] = [
    Family::counter("container_network_receive_bytes_total", "Bytes received on the interface."),
    Family::counter("container_network_receive_packets_total", "Packets received on the interface."),
    Family::counter("container_network_receive_errors_total", "Packets that arrived broken on the interface."),
    Family::counter(
        "container_network_receive_packets_dropped_total",
        "Packets that arrived on the interface and were thrown away for want of room or a taker.",
    ),
    Family::counter("container_network_transmit_bytes_total", "Bytes sent on the interface."),
    Family::counter("container_network_transmit_packets_total", "Packets sent on the interface."),
    Family::counter("container_network_transmit_errors_total", "Packets that the interface failed to send."),
    Family::counter(
        "container_network_transmit_packets_dropped_total",
        "Packets to be sent on the interface that were thrown away.",
    ),
];

/// An interface as its container sees it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::collect::docker) struct Interface {
    /// `eth0`
    pub(in crate::collect::docker) name: String,
    /// Received: bytes, packets, errors, dropped; then sent likewise.
    pub(in crate::collect::docker) counts: [Option<u64>; 8],
}

pub(super) fn fill(interfaces: &[Interface], add: &mut Adder<'_>) {
    if interfaces.len() > MAX_INTERFACES {
        let (left, name) = (interfaces.len() - MAX_INTERFACES, add.labels.base.get("name").unwrap_or("/"));
        let message = format!("{left} network interfaces of {name} beyond {MAX_INTERFACES}");
        add.look.missed(CollectError::new(Reason::Limit, message));
    }
    for interface in interfaces.iter().take(MAX_INTERFACES) {
        let labels = add.labels.and([("interface", &interface.name)]);
        for (family, count) in FAMILIES.iter().zip(interface.counts) {
            add.point(family, labels.clone(), count.map(|count| count as f64));
        }
    }
}
