//! `/sys/class/nvme`: controllers of flash disks and their namespaces.

use crate::model::Family;

use super::folder::Folder;
use super::visit::{Outcome, Visit};

static INFO: Family = Family::gauge("node_nvme_info", "1, with what the controller is in the labels.");
static NAMESPACE: Family =
    Family::gauge("node_nvme_namespace_info", "1, with the namespace's path state in the labels.");
static CAPACITY: Family = Family::gauge("node_nvme_namespace_capacity_bytes", "Bytes that the namespace can take.");
static SIZE: Family = Family::gauge("node_nvme_namespace_size_bytes", "The namespace's size in bytes.");
static USED: Family = Family::gauge("node_nvme_namespace_used_bytes", "Bytes of the namespace that are in use.");
static BLOCK: Family =
    Family::gauge("node_nvme_namespace_logical_block_size_bytes", "The namespace's block size in bytes.");

/// The kernel's unit for sizes, whatever the blocks are.
const SECTOR: f64 = 512.0;

/// `node_nvme_*`, as `node_exporter`'s collector `nvme`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let before = visit.len();
    let Some(all) = visit.files.sys("class/nvme") else { return Ok(visit.found_since(before)) };
    for device in all.names() {
        let Some(folder) = all.folder(&device) else { continue };
        let text = |file| folder.text(file).unwrap_or_default();
        let info = [
            ("device", &*device),
            ("firmware_revision", &*text("firmware_rev")),
            ("model", &*text("model")),
            ("serial", &*text("serial")),
            ("state", &*text("state")),
            ("cntlid", &*text("cntlid")),
        ];
        visit.labeled(&INFO, &info, 1.0);
        for name in folder.names() {
            if let Some((number, space)) = namespace(&name).zip(folder.folder(&name)) {
                show(&device, number, &space, visit);
            }
        }
    }
    Ok(visit.found_since(before))
}

/// `2` of `nvme0n2` and of `nvme0c1n2`, a namespace on one of several paths.
fn namespace(name: &str) -> Option<&str> {
    let (controller, number) = name.strip_prefix("nvme")?.rsplit_once('n')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(number) && controller.split('c').all(digits)).then_some(number)
}

fn show(device: &str, number: &str, space: &Folder, visit: &mut Visit<'_>) {
    let labels = visit.labels(&[("device", device), ("nsid", number)]);
    let state = space.text("ana_state").unwrap_or_else(|| "unknown".to_owned());
    visit.labeled(&NAMESPACE, &[("device", device), ("nsid", number), ("ana_state", &state)], 1.0);
    let block = space.number("queue/logical_block_size");
    if let Some(block) = block {
        visit.point(&BLOCK, &labels, block);
    }
    if let Some(sectors) = space.number("size") {
        visit.point(&SIZE, &labels, sectors * SECTOR);
        visit.point(&CAPACITY, &labels, sectors * SECTOR);
    }
    // Counted in the namespace's own blocks.
    if let Some((used, block)) = space.number("nuse").zip(block) {
        visit.point(&USED, &labels, used * block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_ends_in_its_number() {
        let spaces = ["nvme0n1", "nvme0c1n2", "nvme0", "ng0n1", "nvme0n1p1", "power"].map(namespace);
        assert_eq!(spaces, [Some("1"), Some("2"), None, None, None, None]);
    }
}
