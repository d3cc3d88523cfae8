//! `/sys/devices/system/edac`: memory errors that the hardware found.

use crate::model::Family;

use super::folder::{Folder, numbered};
use super::visit::{Found, Outcome, Visit};

static CORRECTED: Family = Family::counter("node_edac_correctable_errors_total", "Memory errors that were corrected.");
static UNCORRECTED: Family =
    Family::counter("node_edac_uncorrectable_errors_total", "Memory errors that could not be corrected.");
static ROW_CORRECTED: Family =
    Family::counter("node_edac_csrow_correctable_errors_total", "Memory errors of the row that were corrected.");
static ROW_UNCORRECTED: Family = Family::counter(
    "node_edac_csrow_uncorrectable_errors_total",
    "Memory errors of the row that could not be corrected.",
);
static CHANNEL_CORRECTED: Family =
    Family::counter("node_edac_channel_correctable_errors_total", "Memory errors of the channel that were corrected.");

/// What cannot be told of any row stands under this name.
const NO_ROW: &str = "unknown";

/// `node_edac_*`, as `node_exporter`'s collector `edac`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(all) = visit.files.sys("devices/system/edac/mc") else { return Ok(Found::Seen) };
    for name in all.names() {
        if let Some((controller, folder)) = numbered(&name, "mc").zip(all.folder(&name)) {
            controller_errors(controller, &folder, visit);
        }
    }
    Ok(Found::Seen)
}

fn controller_errors(controller: &str, folder: &Folder, visit: &mut Visit<'_>) {
    for (file, family) in [("ce_count", &CORRECTED), ("ue_count", &UNCORRECTED)] {
        if let Some(count) = folder.number(file) {
            visit.labeled(family, &[("controller", controller)], count);
        }
    }
    for (file, family) in [("ce_noinfo_count", &ROW_CORRECTED), ("ue_noinfo_count", &ROW_UNCORRECTED)] {
        if let Some(count) = folder.number(file) {
            visit.labeled(family, &[("controller", controller), ("csrow", NO_ROW)], count);
        }
    }
    for name in folder.names() {
        if let Some((row, folder)) = numbered(&name, "csrow").zip(folder.folder(&name)) {
            row_errors(controller, row, &folder, visit);
        }
    }
}

fn row_errors(controller: &str, row: &str, folder: &Folder, visit: &mut Visit<'_>) {
    for (file, family) in [("ce_count", &ROW_CORRECTED), ("ue_count", &ROW_UNCORRECTED)] {
        if let Some(count) = folder.number(file) {
            visit.labeled(family, &[("controller", controller), ("csrow", row)], count);
        }
    }
    for name in folder.names() {
        let channel = name.strip_suffix("_ce_count").and_then(|name| numbered(name, "ch"));
        let Some((channel, count)) = channel.zip(folder.number(&name)) else { continue };
        let dimm = folder.text(&format!("ch{channel}_dimm_label")).unwrap_or_default();
        let labels = [("controller", controller), ("csrow", row), ("channel", channel), ("dimm_label", &*dimm)];
        visit.labeled(&CHANNEL_CORRECTED, &labels, count);
    }
}
