//! `/sys/class/powercap`: the energy that the processor used. Readable by root alone on most systems.

use std::collections::HashMap;

use crate::model::{Family, MetricKind};

use super::visit::{Outcome, Visit};

const MICROJOULES: f64 = 1e-6;

/// `package-0` is `package`, of index 0; `dram` has no index, and is counted.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('-') {
        Some((zone, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) && !index.is_empty() => {
            (zone, Some(index))
        }
        _ => (name, None),
    }
}

fn family(zone: &str) -> Family {
    // Only what may stand in a metric's name.
    let letters = zone.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
    let help = format!("Joules that the processor's zone {zone} used.");
    Family::discovered(format!("node_rapl_{letters}_joules_total"), MetricKind::Counter, help)
}

/// `node_rapl_*_joules_total`, as `node_exporter`'s collector `rapl`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let before = visit.len();
    let Some(all) = visit.files.sys("class/powercap") else { return Ok(visit.found_since(before)) };
    let mut unnumbered: HashMap<String, u32> = HashMap::new();
    for entry in all.names().iter().filter(|entry| entry.starts_with("intel-rapl:")) {
        let Some(name) = all.text(&format!("{entry}/name")) else { continue };
        let (zone, index) = split(&name);
        let next = unnumbered.entry(zone.to_owned()).or_default();
        let index = index.map_or_else(|| next.to_string(), str::to_owned);
        *next += 1;
        let Some(energy) = all.number(&format!("{entry}/energy_uj")) else { continue };
        let path = visit.files.sysfs.join("class/powercap").join(entry);
        let labels = visit.labels(&[("index", &index), ("path", &path.to_string_lossy())]);
        visit.discovered_point("rapl", zone, family, &labels, energy * MICROJOULES);
    }
    Ok(visit.found_since(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zones_index_is_cut_off() {
        assert_eq!(
            (split("package-0"), split("dram"), split("psys-x")),
            (("package", Some("0")), ("dram", None), ("psys-x", None))
        );
        assert_eq!(family("package-die").name, "node_rapl_package_die_joules_total");
    }
}
