//! `/sys/class/hwmon`: temperatures, fans, voltages and power, as the chips on the board measure them.

use std::path::{Path, PathBuf};

use crate::model::{Family, MetricKind};

use super::folder::{Folder, numbered};
use super::visit::{Outcome, Visit};

static CHIP_NAMES: Family = Family::gauge("node_hwmon_chip_names", "1, with the chip's own name in the labels.");
static SENSOR_LABEL: Family =
    Family::gauge("node_hwmon_sensor_label", "1, with what the sensor measures in the labels.");

/// Files of the chip as a whole: their sensors' names, families, and the factors to the families' units.
static OF_THE_CHIP: [(&str, &str, Family, f64); 3] = [
    ("beep_enable", "beep_enable0", Family::gauge("node_hwmon_beep_enabled", "Whether the chip may beep (1)."), 1.0),
    (
        "update_interval",
        "update_interval0",
        Family::gauge("node_hwmon_update_interval_seconds", "Seconds between two of the chip's measurements."),
        1e-3,
    ),
    (
        "vrm",
        "vrm0",
        Family::gauge("node_hwmon_voltage_regulator_version", "The version of the voltage regulator."),
        1.0,
    ),
];

/// Kinds of sensors, as the kernel's files begin.
const KINDS: [&str; 10] = ["curr", "energy", "fan", "freq", "humidity", "in", "intrusion", "power", "pwm", "temp"];

/// `temp1_crit` is the property `crit` of the sensor 1 of kind `temp`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct File<'n> {
    kind: &'static str,
    number: &'n str,
    property: &'n str,
}

impl<'n> File<'n> {
    fn parse(name: &'n str) -> Option<Self> {
        let (sensor, property) = name.split_once('_').unwrap_or((name, ""));
        let kind = |kind: &&'static str| Some((*kind, numbered(sensor, kind)?));
        let (kind, number) = KINDS.iter().find_map(kind)?;
        Some(Self { kind, number, property })
    }

    /// The family's name and the factor to its unit, as `node_exporter` has them.
    fn meaning(self) -> (String, f64) {
        let Self { kind, property, .. } = self;
        let plain = |name: &str| (format!("node_hwmon_{kind}_{name}"), 1.0);
        let main = matches!(property, "" | "input");
        let named = if main { String::new() } else { format!("_{property}") };
        let with_unit = |unit: &str, factor| (format!("node_hwmon_{kind}{named}_{unit}"), factor);
        match (kind, property) {
            (_, "fault" | "alarm") | ("temp", "type") | ("power", "reset_history") => plain(property),
            (_, "beep") => plain("beep_enabled"),
            ("temp", _) => with_unit("celsius", 1e-3),
            ("in", _) => with_unit("volts", 1e-3),
            ("curr", _) => with_unit("amps", 1e-3),
            ("energy", _) => with_unit("joule_total", 1e-6),
            ("freq", "" | "input") => ("node_hwmon_freq_freq_mhz".to_owned(), 1e-6),
            ("humidity", "" | "input") => ("node_hwmon_humidity".to_owned(), 1e-6),
            ("power", "accuracy") => (format!("node_hwmon_power{named}"), 1e-6),
            ("power", _) if property.contains("interval") => with_unit("seconds", 1e-3),
            ("power", _) => with_unit("watt", 1e-6),
            ("fan", "" | "input" | "min" | "max" | "target") => with_unit("rpm", 1.0),
            _ => (format!("node_hwmon_{kind}{named}"), 1.0),
        }
    }

    fn family(self) -> Family {
        let (name, _) = self.meaning();
        let kind = if self.kind == "energy" { MetricKind::Counter } else { MetricKind::Gauge };
        let what = if self.property.is_empty() { "value" } else { self.property };
        Family::discovered(
            name,
            kind,
            format!("The sensor's figure {what}, kind {}, as the kernel tells it.", self.kind),
        )
    }
}

/// In small letters, with `_` for what may not stand in a metric's name.
fn cleaned(name: &str) -> String {
    let letter = |letter: char| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() || letter == ':' { letter } else { '_' }
    };
    name.chars().map(letter).collect::<String>().trim_matches('_').to_owned()
}

/// The chip's name by where its device hangs: `platform_coretemp_0`. Unlike the kernel's numbers it stays the same.
fn chip(device: Option<&Path>, name: Option<&str>, entry: &str) -> String {
    let part = |path: Option<&Path>| path.and_then(Path::file_name).and_then(|name| name.to_str()).map(cleaned);
    let bus = part(device.and_then(Path::parent)).filter(|bus| !bus.is_empty());
    match (bus, part(device).filter(|device| !device.is_empty())) {
        (Some(bus), Some(device)) => format!("{bus}_{device}"),
        (None, Some(device)) => device,
        (_, None) => cleaned(name.unwrap_or(entry)),
    }
}

/// A chip's folder with what it is called.
struct Chip {
    entry: String,
    folder: Folder,
    name: Option<String>,
    device: Option<PathBuf>,
}

impl Chip {
    fn open(entry: String, all: &Folder, sysfs: &Path) -> Option<Self> {
        let folder = all.folder(&entry)?;
        let device = std::fs::canonicalize(sysfs.join("class/hwmon").join(&entry).join("device")).ok();
        Some(Self { name: folder.text("name"), entry, folder, device })
    }

    /// Without a device only the driver's name is left. Where several chips have it, the kernel's number tells them apart.
    fn label(&self, all: &[Self]) -> String {
        let alike = |other: &&Self| other.device.is_none() && other.name == self.name;
        let alone = self.device.is_some() || all.iter().filter(alike).count() < 2;
        chip(self.device.as_deref(), self.name.as_deref().filter(|_| alone), &self.entry)
    }
}

/// `node_hwmon_*`, as `node_exporter`'s collector `hwmon`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let before = visit.len();
    let Some(all) = visit.files.sys("class/hwmon") else { return Ok(visit.found_since(before)) };
    let chips = all.names().into_iter().filter_map(|entry| Chip::open(entry, &all, &visit.files.sysfs));
    let chips: Vec<Chip> = chips.collect();
    for one in &chips {
        let (chip, folder) = (one.label(&chips), &one.folder);
        if let Some(name) = &one.name {
            visit.labeled(&CHIP_NAMES, &[("chip", &chip), ("chip_name", &cleaned(name))], 1.0);
        }
        let before = visit.len();
        sensors(&chip, folder, visit);
        // Old drivers have the files beside the device instead.
        if let Some(device) = folder.folder("device").filter(|_| visit.len() == before) {
            sensors(&chip, &device, visit);
        }
    }
    Ok(visit.found_since(before))
}

fn sensors(chip: &str, folder: &Folder, visit: &mut Visit<'_>) {
    for (file, sensor, family, factor) in &OF_THE_CHIP {
        if let Some(value) = folder.number(file) {
            visit.labeled(family, &[("chip", chip), ("sensor", sensor)], value * factor);
        }
    }
    let names = folder.names();
    for (name, file) in names.iter().filter_map(|name| Some((name, File::parse(name)?))) {
        let sensor = format!("{}{}", file.kind, file.number);
        if file.property == "label" {
            let label = folder.text(name).unwrap_or_default();
            visit.labeled(&SENSOR_LABEL, &[("chip", chip), ("sensor", &sensor), ("label", &label)], 1.0);
        } else if let Some(value) = folder.number(name) {
            // A sensor that sleeps cannot be read. Clocks stand under what they drive, as `node_exporter` has it.
            let driven = (file.kind == "freq").then(|| folder.text(&format!("{sensor}_label"))).flatten();
            let sensor = driven.as_deref().map_or(sensor, cleaned);
            let labels = visit.labels(&[("chip", chip), ("sensor", &sensor)]);
            visit.discovered_point(file.kind, file.property, |_| file.family(), &labels, value * file.meaning().1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(name: &str) -> Option<(String, f64)> {
        File::parse(name).map(File::meaning)
    }

    #[test]
    fn a_file_tells_kind_property_and_unit() {
        for (file, family, factor) in [
            ("temp1_input", "node_hwmon_temp_celsius", 1e-3),
            ("temp2_crit_alarm", "node_hwmon_temp_crit_alarm_celsius", 1e-3),
            ("temp1_alarm", "node_hwmon_temp_alarm", 1.0),
            ("fan1_input", "node_hwmon_fan_rpm", 1.0),
            ("fan1_min", "node_hwmon_fan_min_rpm", 1.0),
            ("fan2_output", "node_hwmon_fan_output", 1.0),
            ("in0_max", "node_hwmon_in_max_volts", 1e-3),
            ("power1_average", "node_hwmon_power_average_watt", 1e-6),
            ("freq1_input", "node_hwmon_freq_freq_mhz", 1e-6),
            ("pwm1_auto_point1_temp", "node_hwmon_pwm_auto_point1_temp", 1.0),
            ("pwm1", "node_hwmon_pwm", 1.0),
            ("intrusion0_alarm", "node_hwmon_intrusion_alarm", 1.0),
        ] {
            assert_eq!(meaning(file), Some((family.to_owned(), factor)), "{file}");
        }
        assert_eq!((meaning("name"), meaning("uevent"), meaning("input1")), (None, None, None));
    }

    #[test]
    fn chips_of_one_name_without_devices_are_told_apart_by_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for (entry, name) in [("hwmon0", "acpitz"), ("hwmon1", "nvme"), ("hwmon2", "nvme")] {
            let chip = folder.path().join("class/hwmon").join(entry);
            std::fs::create_dir_all(&chip).unwrap();
            std::fs::write(chip.join("name"), name).unwrap();
        }
        let all = Folder::open(&folder.path().join("class/hwmon")).unwrap();
        let open = |entry: &str| Chip::open(entry.to_owned(), &all, folder.path()).unwrap();
        let chips = ["hwmon0", "hwmon1", "hwmon2"].map(open);
        assert_eq!(chips.each_ref().map(|chip| chip.label(&chips)), ["acpitz", "hwmon1", "hwmon2"]);
    }

    #[test]
    fn a_chip_is_named_by_its_bus() {
        let coretemp = Path::new("/sys/devices/platform/coretemp.0");
        assert_eq!(chip(Some(coretemp), Some("coretemp"), "hwmon1"), "platform_coretemp_0");
        assert_eq!(chip(None, Some("BAT0"), "hwmon2"), "bat0");
        assert_eq!(chip(None, None, "hwmon3"), "hwmon3");
    }
}
