//! `/proc/diskstats`: what the disks did; with udev's files, what they are.

use crate::model::Family;

use super::udev::Properties;
use super::visit::{Found, Outcome, Visit};

/// The file's unit, whatever the disk's own sectors are.
const SECTOR: f64 = 512.0;
const MILLIS: f64 = 1e-3;

static INFO: Family = Family::gauge("node_disk_info", "1, with what the disk is in the labels.");
static FILESYSTEM: Family =
    Family::gauge("node_disk_filesystem_info", "1, with the file system on the disk in the labels.");
static MAPPER: Family =
    Family::gauge("node_disk_device_mapper_info", "1, with the mapped device's volume in the labels.");

/// Properties of ATA disks.
static ATA: [(&str, Family); 3] = [
    ("ID_ATA_WRITE_CACHE", Family::gauge("node_disk_ata_write_cache", "Whether the disk has a write cache (1).")),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        Family::gauge("node_disk_ata_write_cache_enabled", "Whether the disk's write cache is on (1)."),
    ),
    (
        "ID_ATA_ROTATION_RATE_RPM",
        Family::gauge("node_disk_ata_rotation_rate_rpm", "Turns per minute; 0 for a disk that does not turn."),
    ),
];

/// The columns after the device's name, in their order, and the factor to the family's unit. Old kernels lack the last ones.
static COLUMNS: [(Family, f64); 17] = [
    (Family::counter("node_disk_reads_completed_total", "Reads that were done."), 1.0),
    (Family::counter("node_disk_reads_merged_total", "Reads that were done as part of a neighbouring one."), 1.0),
    (Family::counter("node_disk_read_bytes_total", "Bytes that were read."), SECTOR),
    (Family::counter("node_disk_read_time_seconds_total", "Seconds that reads took, all added up."), MILLIS),
    (Family::counter("node_disk_writes_completed_total", "Writes that were done."), 1.0),
    (Family::counter("node_disk_writes_merged_total", "Writes that were done as part of a neighbouring one."), 1.0),
    (Family::counter("node_disk_written_bytes_total", "Bytes that were written."), SECTOR),
    (Family::counter("node_disk_write_time_seconds_total", "Seconds that writes took, all added up."), MILLIS),
    (Family::gauge("node_disk_io_now", "Requests that the disk is working on."), 1.0),
    (Family::counter("node_disk_io_time_seconds_total", "Seconds in which the disk had something to do."), MILLIS),
    (
        Family::counter(
            "node_disk_io_time_weighted_seconds_total",
            "Seconds with something to do, times the requests at work.",
        ),
        MILLIS,
    ),
    (Family::counter("node_disk_discards_completed_total", "Discards that were done."), 1.0),
    (Family::counter("node_disk_discards_merged_total", "Discards that were done as part of a neighbouring one."), 1.0),
    (Family::counter("node_disk_discarded_sectors_total", "Sectors of 512 bytes that were discarded."), 1.0),
    (Family::counter("node_disk_discard_time_seconds_total", "Seconds that discards took, all added up."), MILLIS),
    (Family::counter("node_disk_flush_requests_total", "Flushes that were done."), 1.0),
    (
        Family::counter("node_disk_flush_requests_time_seconds_total", "Seconds that flushes took, all added up."),
        MILLIS,
    ),
];

/// `node_exporter`'s default of `--collector.diskstats.device-exclude`: RAM, loop and floppy disks, and partitions.
fn is_excluded(device: &str) -> bool {
    let stem = device.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let is_numbered = stem.len() < device.len();
    let ide_or_scsi = ["h", "s", "v", "xv"].iter().any(|kind| {
        let letter = stem.strip_prefix(kind).and_then(|rest| rest.strip_prefix('d')).map(str::as_bytes);
        matches!(letter, Some([b'a'..=b'z']))
    });
    let flash = stem.strip_prefix("nvme").and_then(|rest| rest.strip_suffix('p')).is_some_and(|rest| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        rest.split_once('n').is_some_and(|(controller, space)| digits(controller) && digits(space))
    });
    is_numbered && (matches!(stem, "ram" | "zram" | "loop" | "fd") || ide_or_scsi || flash)
}

#[derive(Debug, PartialEq)]
struct Disk<'t> {
    major: &'t str,
    minor: &'t str,
    device: &'t str,
    columns: &'t str,
}

fn parse(text: &str) -> impl Iterator<Item = Disk<'_>> {
    text.lines().filter_map(|line| {
        let (major, rest) = line.trim_start().split_once(' ')?;
        let (minor, rest) = rest.trim_start().split_once(' ')?;
        let (device, columns) = rest.trim_start().split_once(' ')?;
        (!is_excluded(device)).then_some(Disk { major, minor, device, columns })
    })
}

/// `node_disk_*`, as `node_exporter`'s collector `diskstats`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let text = visit.files.proc("diskstats")?;
    for disk in parse(&text) {
        let udev = Properties::of(visit.files.root(&format!("run/udev/data/b{}:{}", disk.major, disk.minor)));
        describe(&disk, &udev, visit);
        let labels = visit.labels(&[("device", disk.device)]);
        let columns = disk.columns.split_ascii_whitespace().map_while(|word| word.parse::<f64>().ok());
        for ((family, factor), value) in COLUMNS.iter().zip(columns) {
            visit.point(family, &labels, value * factor);
        }
        for (name, family) in ATA.iter().filter(|_| udev.get("ID_ATA").is_some()) {
            if let Some(value) = udev.get(name).and_then(|text| text.parse().ok()) {
                visit.point(family, &labels, value);
            }
        }
    }
    Ok(Found::Seen)
}

/// The info metrics of a disk.
fn describe(disk: &Disk<'_>, udev: &Properties, visit: &mut Visit<'_>) {
    let device = ("device", disk.device);
    let rotational = visit.files.sys("block").and_then(|all| all.text(&format!("{}/queue/rotational", disk.device)));
    let serial = udev.get("SCSI_IDENT_SERIAL").unwrap_or_else(|| udev.label("ID_SERIAL_SHORT"));
    let info = [
        device,
        ("major", disk.major),
        ("minor", disk.minor),
        ("path", udev.label("ID_PATH")),
        ("wwn", udev.label("ID_WWN")),
        ("model", udev.label("ID_MODEL")),
        ("serial", serial),
        ("revision", udev.label("ID_REVISION")),
        ("rotational", rotational.as_deref().unwrap_or_default()),
    ];
    visit.labeled(&INFO, &info, 1.0);
    if let Some(kind) = udev.get("ID_FS_TYPE") {
        let [usage, uuid, version] = ["ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION"].map(|name| udev.label(name));
        let labels = [device, ("type", kind), ("usage", usage), ("uuid", uuid), ("version", version)];
        visit.labeled(&FILESYSTEM, &labels, 1.0);
    }
    if let Some(name) = udev.get("DM_NAME") {
        let [uuid, group, volume, layer] =
            ["DM_UUID", "DM_VG_NAME", "DM_LV_NAME", "DM_LV_LAYER"].map(|name| udev.label(name));
        let labels =
            [device, ("name", name), ("uuid", uuid), ("vg_name", group), ("lv_name", volume), ("lv_layer", layer)];
        visit.labeled(&MAPPER, &labels, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read_and_partitions_left_out() {
        let text = " 254       0 vda 10 1 2048 500 20 2 4096 1000 0 300 1500 1 2 3 4 5 6\n \
                    254       1 vda1 1 1 1 1\n   7       0 loop0 1 1 1 1\n 259 0 nvme0n1 3 0 8\n";
        let disks: Vec<_> = parse(text).collect();
        assert_eq!(disks.iter().map(|disk| disk.device).collect::<Vec<_>>(), ["vda", "nvme0n1"]);
        assert_eq!((disks[0].major, disks[0].minor), ("254", "0"));
        assert_eq!(disks[1].columns, "3 0 8");
    }

    #[test]
    fn the_excluded_are_node_exporters() {
        for device in ["ram0", "zram1", "loop7", "fd0", "hda1", "sdb12", "vdz3", "xvda1", "nvme0n1p2", "nvme10n2p15"] {
            assert!(is_excluded(device), "{device}");
        }
        for device in ["sda", "sdaa1", "xvda", "nvme0n1", "dm-0", "md127", "sr0", "mmcblk0p1", "bcache0"] {
            assert!(!is_excluded(device), "{device}");
        }
    }
}
