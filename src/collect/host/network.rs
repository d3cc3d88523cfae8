//! `/proc/net/dev`, `/sys/class/net` and connection tracking: the network's devices.

use crate::model::Family;

use super::files::Files;
use super::{CollectError, Look};

/// The columns of `/proc/net/dev`: eight received, eight transmitted.
static TRAFFIC: [Family; 16] = [
    Family::counter("node_network_receive_bytes_total", "Network device statistic receive_bytes."),
    Family::counter("node_network_receive_packets_total", "Network device statistic receive_packets."),
    Family::counter("node_network_receive_errs_total", "Network device statistic receive_errs."),
    Family::counter("node_network_receive_drop_total", "Network device statistic receive_drop."),
    Family::counter("node_network_receive_fifo_total", "Network device statistic receive_fifo."),
    Family::counter("node_network_receive_frame_total", "Network device statistic receive_frame."),
    Family::counter("node_network_receive_compressed_total", "Network device statistic receive_compressed."),
    Family::counter("node_network_receive_multicast_total", "Network device statistic receive_multicast."),
    Family::counter("node_network_transmit_bytes_total", "Network device statistic transmit_bytes."),
    Family::counter("node_network_transmit_packets_total", "Network device statistic transmit_packets."),
    Family::counter("node_network_transmit_errs_total", "Network device statistic transmit_errs."),
    Family::counter("node_network_transmit_drop_total", "Network device statistic transmit_drop."),
    Family::counter("node_network_transmit_fifo_total", "Network device statistic transmit_fifo."),
    Family::counter("node_network_transmit_colls_total", "Network device statistic transmit_colls."),
    Family::counter("node_network_transmit_carrier_total", "Network device statistic transmit_carrier."),
    Family::counter("node_network_transmit_compressed_total", "Network device statistic transmit_compressed."),
];
static NO_HANDLER: Family =
    Family::counter("node_network_receive_nohandler_total", "Network device statistic receive_nohandler.");

/// The files of a device in `/sys/class/net` that hold a number, and their families.
static NUMBERS: [(&str, Family); 15] = [
    (
        "addr_assign_type",
        Family::gauge("node_network_address_assign_type", "Network device property: address_assign_type"),
    ),
    ("carrier", Family::gauge("node_network_carrier", "Network device property: carrier")),
    (
        "carrier_changes",
        Family::counter("node_network_carrier_changes_total", "Network device property: carrier_changes_total"),
    ),
    (
        "carrier_up_count",
        Family::counter("node_network_carrier_up_changes_total", "Network device property: carrier_up_changes_total"),
    ),
    (
        "carrier_down_count",
        Family::counter(
            "node_network_carrier_down_changes_total",
            "Network device property: carrier_down_changes_total",
        ),
    ),
    ("dev_id", Family::gauge("node_network_device_id", "Network device property: device_id")),
    ("dormant", Family::gauge("node_network_dormant", "Network device property: dormant")),
    ("flags", Family::gauge("node_network_flags", "Network device property: flags")),
    ("ifindex", Family::gauge("node_network_iface_id", "Network device property: iface_id")),
    ("iflink", Family::gauge("node_network_iface_link", "Network device property: iface_link")),
    ("link_mode", Family::gauge("node_network_iface_link_mode", "Network device property: iface_link_mode")),
    ("mtu", Family::gauge("node_network_mtu_bytes", "Network device property: mtu_bytes")),
    ("name_assign_type", Family::gauge("node_network_name_assign_type", "Network device property: name_assign_type")),
    ("netdev_group", Family::gauge("node_network_net_dev_group", "Network device property: net_dev_group")),
    ("type", Family::gauge("node_network_protocol_type", "Network device property: protocol_type")),
];
static QUEUE_LENGTH: Family =
    Family::gauge("node_network_transmit_queue_length", "Network device property: transmit_queue_length");
static SPEED: Family = Family::gauge("node_network_speed_bytes", "Network device property: speed_bytes");
static UP: Family = Family::gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.");
static INFO: Family =
    Family::gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.");

static CONNTRACK: [(&str, Family); 2] = [
    (
        "nf_conntrack_count",
        Family::gauge(
            "node_nf_conntrack_entries",
            "Number of currently allocated flow entries for connection tracking.",
        ),
    ),
    (
        "nf_conntrack_max",
        Family::gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table."),
    ),
];

/// The devices of `/proc/net/dev` and their columns.
fn parse(text: &str) -> impl Iterator<Item = (&str, Vec<f64>)> {
    text.lines().filter_map(|line| {
        let (device, rest) = line.rsplit_once(':')?;
        let columns: Vec<f64> = rest.split_ascii_whitespace().map_while(|word| word.parse().ok()).collect();
        (columns.len() == TRAFFIC.len()).then_some((device.trim(), columns))
    })
}

/// Traffic, as `node_exporter`'s collector `netdev`.
pub(super) fn traffic(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for (device, columns) in parse(&files.init_proc("net/dev")?) {
        for (family, value) in TRAFFIC.iter().zip(columns) {
            look.labeled(family, [("device", device)], value);
        }
        let unhandled = files.sys_value(&format!("class/net/{device}/statistics/rx_nohandler"));
        if let Some(count) = unhandled.and_then(|text| text.parse().ok()) {
            look.labeled(&NO_HANDLER, [("device", device)], count);
        }
    }
    Ok(())
}

/// Properties, as `node_exporter`'s collector `netclass`.
#[expect(clippy::unnecessary_wraps, reason = "one of the collectors, which may fail")]
pub(super) fn class(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for device in files.sys_folder("class/net") {
        let sys = |file: &str| files.sys_value(&format!("class/net/{device}/{file}"));
        // Some entries are no devices: `bonding_masters` is a file.
        let Some(state) = sys("operstate") else {
            continue;
        };
        for (file, family) in &NUMBERS {
            if let Some(value) = sys(file).as_deref().and_then(number) {
                look.labeled(family, [("device", &device)], value);
            }
        }
        if let Some(length) = sys("tx_queue_len").as_deref().and_then(number) {
            look.labeled(&QUEUE_LENGTH, [("device", &device)], length);
        }
        if let Some(megabits) = sys("speed").as_deref().and_then(number).filter(|megabits| *megabits >= 0.0) {
            look.labeled(&SPEED, [("device", &device)], megabits * 1e6 / 8.0);
        }
        look.labeled(&UP, [("device", &device)], f64::from(state == "up"));
        info(&device, &state, sys, look);
    }
    Ok(())
}

fn info(device: &str, state: &str, sys: impl Fn(&str) -> Option<String>, look: &mut Look) {
    let text = |file: &str| sys(file).unwrap_or_default();
    let flags = sys("flags").as_deref().and_then(number).unwrap_or_default() as u64;
    let labels = [
        ("device", device),
        ("address", &*text("address")),
        // IFF_UP, the first of the flags.
        ("adminstate", if flags & 1 == 1 { "up" } else { "down" }),
        ("broadcast", &*text("broadcast")),
        ("duplex", &*text("duplex")),
        ("ifalias", &*text("ifalias")),
        ("operstate", state),
    ];
    look.labeled(&INFO, labels, 1.0);
}

/// A number, written in decimal or as `0x1003`.
fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|value| value as f64),
        None => text.parse().ok(),
    }
}

/// Connection tracking, as `node_exporter`'s collector `conntrack`. Absent while nothing is tracked.
pub(super) fn conntrack(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for (file, family) in &CONNTRACK {
        let text = files.optional_proc(&format!("sys/net/netfilter/{file}"))?;
        if let Some(count) = text.and_then(|text| text.trim().parse().ok()) {
            look.value(family, count);
        }
    }
    Ok(())
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

    #[test]
    fn flags_are_hexadecimal() {
        assert_eq!((number("0x1003"), number("1500"), number("unknown")), (Some(4099.0), Some(1500.0), None));
    }
}
