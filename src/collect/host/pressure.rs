//! `/proc/pressure`: how long tasks waited for CPU, memory and I/O. Kernels built or booted without it lack the files.

use crate::model::Family;

use super::files::Files;
use super::{CollectError, Look};

/// File, line, family. `some`: at least one task waited; `full`: all of them did.
static PRESSURES: [(&str, &str, Family); 6] = [
    (
        "cpu",
        "some",
        Family::counter(
            "node_pressure_cpu_waiting_seconds_total",
            "Total time in seconds that processes have waited for CPU time.",
        ),
    ),
    (
        "io",
        "some",
        Family::counter(
            "node_pressure_io_waiting_seconds_total",
            "Total time in seconds that processes have waited due to IO congestion.",
        ),
    ),
    (
        "io",
        "full",
        Family::counter(
            "node_pressure_io_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IO congestion.",
        ),
    ),
    (
        "memory",
        "some",
        Family::counter(
            "node_pressure_memory_waiting_seconds_total",
            "Total time in seconds that processes have waited for memory.",
        ),
    ),
    (
        "memory",
        "full",
        Family::counter(
            "node_pressure_memory_stalled_seconds_total",
            "Total time in seconds no process could make progress due to memory congestion.",
        ),
    ),
    (
        "irq",
        "full",
        Family::counter(
            "node_pressure_irq_stalled_seconds_total",
            "Total time in seconds no process could make progress due to IRQ congestion.",
        ),
    ),
];

/// The total of a line in seconds; the file has microseconds.
fn total(text: &str, line: &str) -> Option<f64> {
    let rest = text.lines().find_map(|found| found.strip_prefix(line))?;
    let micros: f64 = rest.rsplit_once("total=")?.1.trim().parse().ok()?;
    Some(micros / 1e6)
}

/// `node_pressure_*`, as `node_exporter`'s collector `pressure`.
pub(super) fn collect(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for (file, line, family) in &PRESSURES {
        let text = files.optional_proc(&format!("pressure/{file}"))?;
        if let Some(seconds) = text.and_then(|text| total(&text, line)) {
            look.value(family, seconds);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_in_seconds() {
        let text =
            "some avg10=0.00 avg60=0.12 avg300=0.03 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(total(text, "some"), Some(2.5));
        assert_eq!(total(text, "full"), Some(7e-6));
        assert_eq!(total("", "full"), None);
    }
}
