//! `/proc/net/arp`: how many neighbours each network device knows.

use std::collections::BTreeMap;

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

static ENTRIES: Family = Family::gauge("node_arp_entries", "Neighbours that the device has in its ARP table.");

/// Lines after the heading end with the device.
fn parse(text: &str) -> BTreeMap<&str, u32> {
    let mut devices = BTreeMap::new();
    for device in text.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().nth(5)) {
        *devices.entry(device).or_default() += 1;
    }
    devices
}

/// `node_arp_entries`, as `node_exporter`'s collector `arp`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    for (device, count) in parse(&visit.files.init_proc("net/arp")?) {
        visit.labeled(&ENTRIES, &[("device", device)], f64::from(count));
    }
    Ok(Found::Seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_counted_by_device() {
        let text = "IP address       HW type     Flags       HW address            Mask     Device\n\
            192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0\n\
            192.0.2.7        0x1         0x0         00:00:00:00:00:00     *        eth0\n\
            172.17.0.2       0x1         0x2         02:42:ac:11:00:02     *        docker0\n";
        assert_eq!(parse(text), [("docker0", 1), ("eth0", 2)].into());
        assert_eq!(parse(""), BTreeMap::new());
    }
}
