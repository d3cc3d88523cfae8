//! `/proc/diskstats`: what the disks did.

use std::sync::LazyLock;

use regex::Regex;

use crate::model::Family;

use super::files::Files;
use super::{CollectError, Look};

/// `node_exporter`'s default of `--collector.diskstats.device-exclude`: RAM, loop and floppy disks, and partitions.
static EXCLUDED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$")
        .expect("the pattern is a constant, and a test uses it")
});

/// The file's unit, whatever the disk's own sectors are.
const SECTOR: f64 = 512.0;
const MILLIS: f64 = 1e-3;

static INFO: Family = Family::gauge("node_disk_info", "Info of /sys/block/<block_device>.");

/// The columns after the device's name, in their order, and the factor to the family's unit. Old kernels lack the last ones.
static COLUMNS: [(Family, f64); 17] = [
    (Family::counter("node_disk_reads_completed_total", "The total number of reads completed successfully."), 1.0),
    (Family::counter("node_disk_reads_merged_total", "The total number of reads merged."), 1.0),
    (Family::counter("node_disk_read_bytes_total", "The total number of bytes read successfully."), SECTOR),
    (Family::counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads."), MILLIS),
    (Family::counter("node_disk_writes_completed_total", "The total number of writes completed successfully."), 1.0),
    (Family::counter("node_disk_writes_merged_total", "The number of writes merged."), 1.0),
    (Family::counter("node_disk_written_bytes_total", "The total number of bytes written successfully."), SECTOR),
    (
        Family::counter(
            "node_disk_write_time_seconds_total",
            "This is the total number of seconds spent by all writes.",
        ),
        MILLIS,
    ),
    (Family::gauge("node_disk_io_now", "The number of I/Os currently in progress."), 1.0),
    (Family::counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."), MILLIS),
    (
        Family::counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."),
        MILLIS,
    ),
    (
        Family::counter("node_disk_discards_completed_total", "The total number of discards completed successfully."),
        1.0,
    ),
    (Family::counter("node_disk_discards_merged_total", "The total number of discards merged."), 1.0),
    (Family::counter("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully."), 1.0),
    (
        Family::counter(
            "node_disk_discard_time_seconds_total",
            "This is the total number of seconds spent by all discards.",
        ),
        MILLIS,
    ),
    (
        Family::counter("node_disk_flush_requests_total", "The total number of flush requests completed successfully"),
        1.0,
    ),
    (
        Family::counter(
            "node_disk_flush_requests_time_seconds_total",
            "This is the total number of seconds spent by all flush requests.",
        ),
        MILLIS,
    ),
];

#[derive(Debug, PartialEq)]
struct Disk<'t> {
    major: &'t str,
    minor: &'t str,
    device: &'t str,
    columns: Vec<f64>,
}

fn parse(text: &str) -> Vec<Disk<'_>> {
    let disk = |line| {
        let mut words = str::split_ascii_whitespace(line);
        let (major, minor, device) = (words.next()?, words.next()?, words.next()?);
        let columns = words.map_while(|word| word.parse().ok()).collect();
        (!EXCLUDED.is_match(device)).then_some(Disk { major, minor, device, columns })
    };
    text.lines().filter_map(disk).collect()
}

/// `node_disk_*`, as `node_exporter`'s collector `diskstats`.
pub(super) fn collect(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for Disk { major, minor, device, columns } in parse(&files.proc("diskstats")?) {
        let sys = |path: &str| files.sys_value(&format!("block/{device}/{path}")).unwrap_or_default();
        let (model, rotational) = (sys("device/model"), sys("queue/rotational"));
        let info =
            [("device", device), ("major", major), ("minor", minor), ("model", &model), ("rotational", &rotational)];
        look.labeled(&INFO, info, 1.0);
        for ((family, factor), value) in COLUMNS.iter().zip(columns) {
            look.labeled(family, [("device", device)], value * factor);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_read_and_partitions_left_out() {
        let text = " 254       0 vda 10 1 2048 500 20 2 4096 1000 0 300 1500 1 2 3 4 5 6\n \
                    254       1 vda1 1 1 1 1\n   7       0 loop0 1 1 1 1\n 259 0 nvme0n1 3 0 8\n";
        let disks = parse(text);
        assert_eq!(disks.iter().map(|disk| disk.device).collect::<Vec<_>>(), ["vda", "nvme0n1"]);
        assert_eq!((disks[0].major, disks[0].minor, disks[0].columns.len()), ("254", "0", COLUMNS.len()));
        assert_eq!(disks[1].columns, [3.0, 0.0, 8.0]);
    }
}
