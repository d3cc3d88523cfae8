//! `/sys/class/thermal`: temperatures, and what cools.

use crate::model::Family;

use super::folder::numbered;
use super::visit::{Found, Outcome, Visit};

static TEMPERATURE: Family = Family::gauge("node_thermal_zone_temp", "The zone's temperature in degrees Celsius.");
static STATE: Family = Family::gauge("node_cooling_device_cur_state", "How strongly the device cools.");
static MAX_STATE: Family = Family::gauge("node_cooling_device_max_state", "How strongly the device can cool at most.");

const MILLIDEGREES: f64 = 1e-3;

/// `node_thermal_zone_temp` and `node_cooling_device_*`, as `node_exporter`'s collector `thermal_zone`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(all) = visit.files.sys("class/thermal") else { return Ok(Found::Seen) };
    for name in all.names() {
        let Some(folder) = all.folder(&name) else { continue };
        let kind = folder.text("type").unwrap_or_default();
        if let Some(zone) = numbered(&name, "thermal_zone") {
            // A sensor that sleeps cannot be read.
            if let Some(temperature) = folder.number("temp") {
                visit.labeled(&TEMPERATURE, &[("zone", zone), ("type", &kind)], temperature * MILLIDEGREES);
            }
        } else if let Some(device) = numbered(&name, "cooling_device") {
            let labels = visit.labels(&[("name", device), ("type", &kind)]);
            for (file, family) in [("cur_state", &STATE), ("max_state", &MAX_STATE)] {
                if let Some(state) = folder.number(file) {
                    visit.point(family, &labels, state);
                }
            }
        }
    }
    Ok(Found::Seen)
}
