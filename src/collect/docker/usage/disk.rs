//! What was read from and written to block devices.

use std::collections::HashMap;

use crate::collect::{CollectError, Reason};
use crate::model::Family;

use super::super::families::{FS_READS, FS_WRITES};
use super::Adder;

/// Block devices of one container beyond this are left out.
const MAX_DEVICES: usize = 64;

static DEVICE_USAGE: Family =
    Family::counter("container_blkio_device_usage_total", "Bytes moved to or from the block device, per operation.");

type Value = fn(&Transfer) -> Option<f64>;
static VALUES: [(Family, Value); 8] = [
    (Family::counter("container_fs_reads_bytes_total", "Bytes that the container read from the device."), |t| {
        t.read_bytes.map(|bytes| bytes as f64)
    }),
    (Family::counter("container_fs_writes_bytes_total", "Bytes that the container wrote to the device."), |t| {
        t.write_bytes.map(|bytes| bytes as f64)
    }),
    (FS_READS, |t| t.reads.map(|count| count as f64)),
    (FS_WRITES, |t| t.writes.map(|count| count as f64)),
    (
        Family::counter(
            "container_fs_io_cost_usage_seconds_total",
            "Time of the device that the container's requests cost, by the kernel's cost model, in seconds.",
        ),
        |t| t.cost[0].map(micros),
    ),
    (
        Family::counter(
            "container_fs_io_cost_wait_seconds_total",
            "How long the container's requests waited for their share of the device, in seconds.",
        ),
        |t| t.cost[1].map(micros),
    ),
    (
        Family::counter(
            "container_fs_io_cost_indebt_seconds_total",
            "How long the container owed the device time for requests that could not wait, in seconds.",
        ),
        |t| t.cost[2].map(micros),
    ),
    (
        Family::counter(
            "container_fs_io_cost_indelay_seconds_total",
            "How long the container was held back for what it owed, in seconds.",
        ),
        |t| t.cost[3].map(micros),
    ),
];

fn micros(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// What went between a container and a block device.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in crate::collect::docker) struct Transfer {
    /// Major and minor number.
    pub(in crate::collect::docker) device: (u64, u64),
    pub(in crate::collect::docker) read_bytes: Option<u64>,
    pub(in crate::collect::docker) write_bytes: Option<u64>,
    pub(in crate::collect::docker) reads: Option<u64>,
    pub(in crate::collect::docker) writes: Option<u64>,
    /// Version 2's cost model: usage, wait, debt, delay, in microseconds.
    pub(in crate::collect::docker) cost: [Option<u64>; 4],
}

/// The transfer of a device in a list; the first time it is mentioned, a new one.
pub(in crate::collect::docker) fn transfer(list: &mut Vec<Transfer>, device: (u64, u64)) -> &mut Transfer {
    let at = list.iter().position(|transfer| transfer.device == device).unwrap_or_else(|| {
        list.push(Transfer { device, ..Transfer::default() });
        list.len() - 1
    });
    &mut list[at]
}

pub(super) fn fill(transfers: &[Transfer], devices: &Devices, add: &mut Adder<'_>) {
    if transfers.len() > MAX_DEVICES {
        let (left, name) = (transfers.len() - MAX_DEVICES, add.labels.base.get("name").unwrap_or("/"));
        let message = format!("{left} block devices of {name} beyond {MAX_DEVICES}");
        add.look.missed(CollectError::new(Reason::Limit, message));
    }
    for transfer in transfers.iter().take(MAX_DEVICES) {
        let name = devices.name(transfer.device);
        let labels = add.labels.and([("device", &name)]);
        for (family, value) in &VALUES {
            add.point(family, labels.clone(), value(transfer));
        }
        let (major, minor) = (transfer.device.0.to_string(), transfer.device.1.to_string());
        for (operation, bytes) in [("Read", transfer.read_bytes), ("Write", transfer.write_bytes)] {
            let more = [("device", name.as_str()), ("major", &major), ("minor", &minor), ("operation", operation)];
            add.labeled(&DEVICE_USAGE, more, bytes.map(|bytes| bytes as f64));
        }
    }
}

/// The names of block devices: `/dev/vda` where the engine's machine is ours, else `major:minor`.
#[derive(Debug, Default)]
pub(in crate::collect::docker) struct Devices(HashMap<(u64, u64), String>);

impl Devices {
    /// From our machine's `/proc/diskstats`: `253 0 vda …`. It writes `!` for the `/` of `cciss/c0d0`.
    pub(in crate::collect::docker) fn of(diskstats: &str) -> Self {
        let device = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let (major, minor, name) = (words.next()?, words.next()?, words.next()?);
            Some(((major.parse().ok()?, minor.parse().ok()?), format!("/dev/{}", name.replace('!', "/"))))
        };
        Self(diskstats.lines().filter_map(device).collect())
    }

    fn name(&self, device: (u64, u64)) -> String {
        self.0.get(&device).cloned().unwrap_or_else(|| format!("{}:{}", device.0, device.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_devices_have_names() {
        let devices = Devices::of("   8       0 sda 1 2 3\n 104 0 cciss!c0d0 1\nnonsense\n");
        assert_eq!(devices.name((8, 0)), "/dev/sda");
        assert_eq!(devices.name((104, 0)), "/dev/cciss/c0d0");
        assert_eq!(devices.name((8, 16)), "8:16");
    }
}
