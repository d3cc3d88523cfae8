//! `/sys/class/net`: what the network devices are, and how they are set.

use crate::model::Family;

use super::folder::{Folder, number};
use super::visit::{Found, Outcome, Visit};

/// The files of a device that hold a number, and their families.
static NUMBERS: [(&str, Family); 16] = [
    (
        "addr_assign_type",
        Family::gauge(
            "node_network_address_assign_type",
            "How the device got its address: 0 permanent, 1 random, 2 stolen, 3 set.",
        ),
    ),
    (
        "carrier",
        Family::gauge(
            "node_network_carrier",
            "Whether the link is there (1) or not (0); absent while the device is down.",
        ),
    ),
    ("carrier_changes", Family::counter("node_network_carrier_changes_total", "How often the link came or went.")),
    ("carrier_up_count", Family::counter("node_network_carrier_up_changes_total", "How often the link came.")),
    ("carrier_down_count", Family::counter("node_network_carrier_down_changes_total", "How often the link went.")),
    ("dev_id", Family::gauge("node_network_device_id", "Tells apart devices that share one address.")),
    (
        "dormant",
        Family::gauge("node_network_dormant", "Whether the device waits for something outside, such as a log-in (1)."),
    ),
    ("ifindex", Family::gauge("node_network_iface_id", "The kernel's number of the device.")),
    (
        "iflink",
        Family::gauge(
            "node_network_iface_link",
            "The kernel's number of the device below this one; its own where there is none.",
        ),
    ),
    (
        "link_mode",
        Family::gauge("node_network_iface_link_mode", "How the link comes up: 0 by itself, 1 after waiting."),
    ),
    ("mtu", Family::gauge("node_network_mtu_bytes", "The longest packet in bytes.")),
    (
        "name_assign_type",
        Family::gauge(
            "node_network_name_assign_type",
            "Who named the device: 1 kernel, 2 predictably, 3 user, 4 renamed.",
        ),
    ),
    ("netdev_group", Family::gauge("node_network_net_dev_group", "The device's group; 0 unless set.")),
    (
        "type",
        Family::gauge(
            "node_network_protocol_type",
            "The hardware's protocol, as the kernel numbers them: 1 Ethernet, 772 loopback.",
        ),
    ),
    ("tx_queue_len", Family::gauge("node_network_transmit_queue_length", "How many packets may wait to be sent.")),
    // Last: the driver is asked for it.
    ("speed", SPEED),
];
/// The kernel's unit is the megabit; for an unknown speed it says -1, which is passed on as `node_exporter` does.
const SPEED: Family =
    Family::gauge("node_network_speed_bytes", "The link's speed in bytes per second; negative where unknown.");
const BYTES_PER_MEGABIT: f64 = 125_000.0;

static FLAGS: Family =
    Family::gauge("node_network_flags", "The device's flags, as in the kernel's if.h: 1 up, 2 broadcast, 8 loopback.");
static UP: Family = Family::gauge("node_network_up", "Whether the device's state is `up` (1) or another (0).");
static INFO: Family =
    Family::gauge("node_network_info", "1, with the device's addresses, state and duplex in the labels.");

/// `IFF_UP`, the first of the flags.
const IFF_UP: u64 = 1;

/// `node_network_*`, as `node_exporter`'s collector `netclass`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(devices) = visit.files.sys("class/net") else {
        return Ok(Found::NotThere);
    };
    for device in devices.names() {
        // Some entries are no devices: `bonding_masters` is a file.
        if let Some(folder) = devices.folder(&device) {
            show(&device, &folder, visit);
        }
    }
    Ok(Found::Seen)
}

fn show(device: &str, folder: &Folder, visit: &mut Visit<'_>) {
    let labels = visit.labels(&[("device", device)]);
    for (file, family) in &NUMBERS {
        if let Some(value) = folder.number(file) {
            visit.point(family, &labels, if *file == "speed" { value * BYTES_PER_MEGABIT } else { value });
        }
    }
    let flags = folder.text("flags").as_deref().and_then(number);
    if let Some(flags) = flags {
        visit.point(&FLAGS, &labels, flags);
    }
    let state = folder.text("operstate").unwrap_or_default();
    visit.point(&UP, &labels, f64::from(state == "up"));
    let text = |file| folder.text(file).unwrap_or_default();
    let info = [
        ("device", device),
        ("address", &*text("address")),
        ("adminstate", if flags.unwrap_or_default() as u64 & IFF_UP == IFF_UP { "up" } else { "down" }),
        ("broadcast", &*text("broadcast")),
        ("duplex", &*text("duplex")),
        ("ifalias", &*text("ifalias")),
        ("operstate", &*state),
    ];
    visit.labeled(&INFO, &info, 1.0);
}
