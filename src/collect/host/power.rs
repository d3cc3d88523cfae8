//! `/sys/class/power_supply`: batteries and mains.

use crate::model::Family;

use super::visit::{Found, Outcome, Visit};

/// The kernel counts in millionths: of an ampere hour, an ampere, a watt hour, a watt, a volt.
const MICRO: f64 = 1e-6;
/// Temperatures are in tenths of a degree.
const TENTHS: f64 = 0.1;

/// A file, its family, and the factor to the family's unit.
static NUMBERS: [(&str, Family, f64); 17] = [
    ("capacity", Family::gauge("node_power_supply_capacity", "How full the battery is in percent."), 1.0),
    ("charge_full", Family::gauge("node_power_supply_charge_full", "Ampere hours of the full battery."), MICRO),
    (
        "charge_full_design",
        Family::gauge("node_power_supply_charge_full_design", "Ampere hours of the battery when new."),
        MICRO,
    ),
    ("charge_now", Family::gauge("node_power_supply_charge_ampere", "Ampere hours in the battery."), MICRO),
    ("current_now", Family::gauge("node_power_supply_current_ampere", "The current in amperes."), MICRO),
    ("cycle_count", Family::gauge("node_power_supply_cyclecount", "How often the battery was charged."), 1.0),
    ("energy_full", Family::gauge("node_power_supply_energy_full", "Watt hours of the full battery."), MICRO),
    (
        "energy_full_design",
        Family::gauge("node_power_supply_energy_full_design", "Watt hours of the battery when new."),
        MICRO,
    ),
    ("energy_now", Family::gauge("node_power_supply_energy_watthour", "Watt hours in the battery."), MICRO),
    ("online", Family::gauge("node_power_supply_online", "Whether power comes from it (1)."), 1.0),
    ("power_now", Family::gauge("node_power_supply_power_watt", "The power in watts."), MICRO),
    ("present", Family::gauge("node_power_supply_present", "Whether it is there (1)."), 1.0),
    ("temp", Family::gauge("node_power_supply_temp_celsius", "The battery's temperature in degrees Celsius."), TENTHS),
    ("voltage_max", Family::gauge("node_power_supply_voltage_max", "The highest voltage in volts."), MICRO),
    (
        "voltage_max_design",
        Family::gauge("node_power_supply_voltage_max_design", "The highest voltage by design in volts."),
        MICRO,
    ),
    (
        "voltage_min_design",
        Family::gauge("node_power_supply_voltage_min_design", "The lowest voltage by design in volts."),
        MICRO,
    ),
    ("voltage_now", Family::gauge("node_power_supply_voltage_volt", "The voltage in volts."), MICRO),
];
static INFO: Family = Family::gauge("node_power_supply_info", "1, with what the supply is in the labels.");

/// `node_power_supply_*`, as `node_exporter`'s collector `powersupplyclass`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let Some(all) = visit.files.sys("class/power_supply") else { return Ok(Found::NotThere) };
    for name in all.names() {
        let Some(folder) = all.folder(&name) else { continue };
        let labels = visit.labels(&[("power_supply", &name)]);
        for (file, family, factor) in &NUMBERS {
            if let Some(value) = folder.number(file) {
                visit.point(family, &labels, value * factor);
            }
        }
        let text = |file| folder.text(file).unwrap_or_default();
        let info = [
            ("power_supply", &*name),
            ("capacity_level", &*text("capacity_level")),
            ("charge_type", &*text("charge_type")),
            ("health", &*text("health")),
            ("manufacturer", &*text("manufacturer")),
            ("model_name", &*text("model_name")),
            ("scope", &*text("scope")),
            ("serial_number", &*text("serial_number")),
            ("status", &*text("status")),
            ("technology", &*text("technology")),
            ("type", &*text("type")),
            ("usb_type", &*text("usb_type")),
        ];
        visit.labeled(&INFO, &info, 1.0);
    }
    Ok(Found::Seen)
}
