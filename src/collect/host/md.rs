//! `/proc/mdstat`: arrays of disks, and how many of their disks still work.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

static STATE: Family = Family::gauge("node_md_state", "1 for the state that the array is in, 0 for the others.");
static DISKS: Family = Family::gauge("node_md_disks", "Disks of the array in the state.");
static REQUIRED: Family = Family::gauge("node_md_disks_required", "Disks that the array is to have.");
static BLOCKS: Family = Family::gauge("node_md_blocks", "Blocks of the array.");
static SYNCED: Family =
    Family::gauge("node_md_blocks_synced", "Blocks that are in step; while it is repaired or checked, those done.");
static RAID_DISKS: Family =
    Family::gauge("node_md_raid_disks", "Disks that hold the array's data, as the kernel was told.");
static DEGRADED: Family = Family::gauge("node_md_degraded", "Disks that the array lacks.");

const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

#[derive(Debug, Clone, Default, PartialEq)]
struct Array<'t> {
    device: &'t str,
    state: &'t str,
    active: u64,
    required: u64,
    failed: u64,
    spare: u64,
    blocks: u64,
    synced: u64,
}

fn parse(text: &str) -> Vec<Array<'_>> {
    let mut arrays: Vec<Array<'_>> = Vec::new();
    for line in text.lines() {
        if !line.starts_with([' ', '\t']) {
            arrays.extend(heading(line));
        } else if let Some(array) = arrays.last_mut() {
            detail(line.trim(), array);
        }
    }
    arrays
}

/// `md0 : active raid1 sdb1[1] sda1[0](F)`.
fn heading(line: &str) -> Option<Array<'_>> {
    let (device, rest) = line.split_once(" : ")?;
    let state = rest.split_ascii_whitespace().next()?;
    let count = |mark: &str| rest.split_ascii_whitespace().filter(|word| word.ends_with(mark)).count() as u64;
    let disks = rest.split_ascii_whitespace().filter(|word| word.contains('[')).count() as u64;
    let (failed, spare) = (count("(F)"), count("(S)"));
    // Arrays without redundancy do not say how many disks they have and need: all.
    let working = if state == "active" { disks - failed - spare } else { 0 };
    device.starts_with("md").then(|| Array {
        device,
        state,
        active: working,
        required: working,
        failed,
        spare,
        ..Array::default()
    })
}

/// `248896 blocks [2/1] [U_]`, and `[==>..]  recovery = 12.6% (37043392/292945152) finish=…`.
fn detail<'t>(line: &'t str, array: &mut Array<'t>) {
    if let Some((blocks, rest)) = line.split_once(" blocks") {
        array.blocks = blocks.parse().unwrap_or_default();
        array.synced = array.blocks;
        for word in rest.split_ascii_whitespace().filter_map(|word| word.strip_prefix('[')?.strip_suffix(']')) {
            if let Some((Ok(required), Ok(active))) =
                word.split_once('/').map(|(all, good)| (all.parse(), good.parse()))
            {
                (array.required, array.active) = (required, active);
            }
        }
    }
    for (word, state) in
        [("recovery", "recovering"), ("resync", "resync"), ("check", "check"), ("reshape", "reshaping")]
    {
        // Without a `=` it is what waits (`resync=DELAYED`).
        let Some((_, progress)) =
            line.split_once(word).filter(|(before, _)| before.ends_with(' ') || before.is_empty())
        else {
            continue;
        };
        array.state = state;
        let done = progress.split_once('(').and_then(|(_, rest)| rest.split_once('/')).map(|(done, _)| done.parse());
        array.synced = done.and_then(Result::ok).unwrap_or_default();
    }
}

/// `node_md_*`, as `node_exporter`'s collector `mdadm`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(text) = visit.files.optional_proc("mdstat")? else { return Ok(Found::NotThere) };
    for array in parse(&text) {
        show(&array, visit);
    }
    Ok(Found::Seen)
}

fn show(array: &Array<'_>, visit: &mut Visit<'_>) {
    let device = ("device", array.device);
    for state in STATES {
        visit.labeled(&STATE, &[device, ("state", state)], f64::from(array.state == state));
    }
    for (state, count) in [("active", array.active), ("failed", array.failed), ("spare", array.spare)] {
        visit.labeled(&DISKS, &[device, ("state", state)], count as f64);
    }
    let labels = visit.labels(&[device]);
    for (family, value) in [(&REQUIRED, array.required), (&BLOCKS, array.blocks), (&SYNCED, array.synced)] {
        visit.point(family, &labels, value as f64);
    }
    let Some(folder) = visit.files.sys(&format!("block/{}/md", array.device)) else { return };
    for (file, family) in [("raid_disks", &RAID_DISKS), ("degraded", &DEGRADED)] {
        if let Some(count) = folder.number(file) {
            visit.point(family, &labels, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Personalities : [raid1] [raid0]\n\
        md0 : active raid1 sdb1[1] sda1[0](F) sdc1[2](S)\n      248896 blocks [2/1] [U_]\n      \
        [==>..................]  recovery = 12.6% (31488/248896) finish=1.2min speed=127535K/sec\n\n\
        md1 : active raid0 sdd1[0] sde1[1]\n      5013504 blocks super 1.2 256k chunks\n\n\
        md2 : inactive sdf1[0](S)\n      1024 blocks super 1.2\n\n\
        md3 : active raid1 sdg1[0] sdh1[1]\n      64 blocks [2/2] [UU]\n        \tresync=DELAYED\n\n\
        unused devices: <none>\n";

    #[test]
    fn an_array_that_lost_a_disk_lacks_it() {
        let arrays = parse(TEXT);
        let recovering = Array {
            device: "md0",
            state: "recovering",
            active: 1,
            required: 2,
            failed: 1,
            spare: 1,
            blocks: 248_896,
            synced: 31_488,
        };
        assert_eq!(arrays[0], recovering);
        assert_eq!((arrays[1].active, arrays[1].required, arrays[1].synced), (2, 2, 5_013_504));
        assert_eq!((arrays[2].state, arrays[2].active, arrays[2].spare), ("inactive", 0, 1));
        assert_eq!((arrays[3].state, arrays[3].synced, arrays.len()), ("resync", 0, 4));
    }
}
