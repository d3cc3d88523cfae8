//! `/sys/devices/system/cpu`: the cores' clocks, and what was held back for heat.

use std::collections::BTreeSet;

use crate::model::Family;

use super::folder::{Folder, numbered};
use super::visit::{Found, Outcome, Visit};

const CORES: &str = "devices/system/cpu";

static CORE_THROTTLES: Family =
    Family::counter("node_cpu_core_throttles_total", "How often the core was slowed down for heat.");
static PACKAGE_THROTTLES: Family =
    Family::counter("node_cpu_package_throttles_total", "How often the package was slowed down for heat.");
static ISOLATED: Family = Family::gauge("node_cpu_isolated", "1 for a core that is kept free of ordinary tasks.");

/// Files of a core's `cpufreq` in kHz.
static FREQUENCIES: [(&str, Family); 6] = [
    ("cpuinfo_cur_freq", Family::gauge("node_cpu_frequency_hertz", "The core's clock, as the hardware tells it.")),
    ("cpuinfo_min_freq", Family::gauge("node_cpu_frequency_min_hertz", "The lowest clock that the core can have.")),
    ("cpuinfo_max_freq", Family::gauge("node_cpu_frequency_max_hertz", "The highest clock that the core can have.")),
    (
        "scaling_cur_freq",
        Family::gauge("node_cpu_scaling_frequency_hertz", "The core's clock, as the governor has set it."),
    ),
    (
        "scaling_min_freq",
        Family::gauge("node_cpu_scaling_frequency_min_hertz", "The lowest clock that the governor may set."),
    ),
    (
        "scaling_max_freq",
        Family::gauge("node_cpu_scaling_frequency_max_hertz", "The highest clock that the governor may set."),
    ),
];
static GOVERNOR: Family =
    Family::gauge("node_cpu_scaling_governor", "1 for the governor that the core has, 0 for the others.");
const HERTZ_PER_KILOHERTZ: f64 = 1000.0;

/// The cores' folders with their numbers.
fn cores(visit: &Visit<'_>) -> Vec<(String, Folder)> {
    let Some(all) = visit.files.sys(CORES) else { return Vec::new() };
    let core = |name: String| Some((numbered(&name, "cpu")?.to_owned(), all.folder(&name)?));
    all.names().into_iter().filter_map(core).collect()
}

/// Throttling counts, each core and each package once.
pub(super) fn throttles(visit: &mut Visit<'_>) {
    let (mut seen_cores, mut seen_packages) = (BTreeSet::new(), BTreeSet::new());
    for (_, folder) in cores(visit) {
        let Some(counts) = folder.folder("thermal_throttle") else { continue };
        let topology = |file: &str| folder.text(&format!("topology/{file}"));
        let Some((package, core)) = topology("physical_package_id").zip(topology("core_id")) else { continue };
        if let Some(count) =
            counts.number("core_throttle_count").filter(|_| seen_cores.insert((package.clone(), core.clone())))
        {
            visit.labeled(&CORE_THROTTLES, &[("core", &core), ("package", &package)], count);
        }
        if let Some(count) = counts.number("package_throttle_count").filter(|_| seen_packages.insert(package.clone())) {
            visit.labeled(&PACKAGE_THROTTLES, &[("package", &package)], count);
        }
    }
}

/// The cores that the kernel keeps free.
pub(super) fn isolated(visit: &mut Visit<'_>) {
    let list = visit.files.sys(CORES).and_then(|all| all.text("isolated")).unwrap_or_default();
    for core in parse_list(&list) {
        visit.labeled(&ISOLATED, &[("cpu", &core.to_string())], 1.0);
    }
}

/// `1,4-7` in the kernel's way of writing sets. What is no such list is empty.
fn parse_list(text: &str) -> impl Iterator<Item = u16> {
    text.split(',').flat_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
        range.into_iter().flat_map(|(first, last)| first..=last)
    })
}

/// `node_cpu_frequency_*` and `node_cpu_scaling_*`, as `node_exporter`'s collector `cpufreq`. Virtual machines have none.
pub(super) fn frequencies(visit: &mut Visit<'_>) -> Outcome {
    for (core, folder) in cores(visit) {
        let Some(folder) = folder.folder("cpufreq") else { continue };
        let labels = visit.labels(&[("cpu", &core)]);
        for (file, family) in &FREQUENCIES {
            if let Some(kilohertz) = folder.number(file) {
                visit.point(family, &labels, kilohertz * HERTZ_PER_KILOHERTZ);
            }
        }
        let governors = folder.text("scaling_governor").zip(folder.text("scaling_available_governors"));
        let Some((current, available)) = governors else { continue };
        for governor in available.split_ascii_whitespace() {
            visit.labeled(&GOVERNOR, &[("cpu", &core), ("governor", governor)], f64::from(governor == current));
        }
    }
    Ok(Found::Seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_numbers_and_ranges() {
        assert_eq!(parse_list("1,4-6").collect::<Vec<_>>(), [1, 4, 5, 6]);
        assert_eq!(parse_list("").count(), 0);
    }
}
