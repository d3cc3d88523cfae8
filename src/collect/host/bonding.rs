//! Bonded network devices: how many links each is made of, and how many of those work.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

static SLAVES: Family = Family::gauge("node_bonding_slaves", "Links that the bonded device is made of.");
static ACTIVE: Family = Family::gauge("node_bonding_active", "Links of the bonded device that are up.");

/// `node_bonding_*`, as `node_exporter`'s collector `bonding`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(devices) = visit.files.sys("class/net") else { return Ok(Found::NotThere) };
    let Some(masters) = devices.text("bonding_masters") else { return Ok(Found::NotThere) };
    for master in masters.split_ascii_whitespace() {
        let Some(slaves) = devices.text(&format!("{master}/bonding/slaves")) else { continue };
        let state = |slave: &str| {
            // Kernels before 4.0 named the folder otherwise.
            let files = ["bonding_slave/mii_status", "operstate"];
            files.iter().find_map(|file| devices.text(&format!("{slave}/{file}")))
        };
        let is_up = |slave: &&str| state(slave).as_deref() == Some("up");
        let labels = visit.labels(&[("master", master)]);
        visit.point(&SLAVES, &labels, slaves.split_ascii_whitespace().count() as f64);
        visit.point(&ACTIVE, &labels, slaves.split_ascii_whitespace().filter(is_up).count() as f64);
    }
    Ok(Found::Seen)
}
