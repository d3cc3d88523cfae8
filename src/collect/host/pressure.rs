//! `/proc/pressure`: how long tasks waited for CPU, memory, I/O and interrupts. Kernels built or booted without it lack
//! the files.

use crate::model::Family;

use super::visit::{Outcome, Visit};

/// A file, its lines, and their families. `some`: at least one task waited; `full`: all of them did.
static PRESSURES: [(&str, &[(&str, Family)]); 4] = [
    (
        "pressure/cpu",
        &[(
            "some",
            Family::counter("node_pressure_cpu_waiting_seconds_total", "Seconds in which some task waited for CPU."),
        )],
    ),
    (
        "pressure/io",
        &[
            (
                "some",
                Family::counter("node_pressure_io_waiting_seconds_total", "Seconds in which some task waited for I/O."),
            ),
            (
                "full",
                Family::counter("node_pressure_io_stalled_seconds_total", "Seconds in which all tasks waited for I/O."),
            ),
        ],
    ),
    (
        "pressure/memory",
        &[
            (
                "some",
                Family::counter(
                    "node_pressure_memory_waiting_seconds_total",
                    "Seconds in which some task waited for memory.",
                ),
            ),
            (
                "full",
                Family::counter(
                    "node_pressure_memory_stalled_seconds_total",
                    "Seconds in which all tasks waited for memory.",
                ),
            ),
        ],
    ),
    (
        "pressure/irq",
        &[(
            "full",
            Family::counter(
                "node_pressure_irq_stalled_seconds_total",
                "Seconds in which interrupts kept all tasks from running.",
            ),
        )],
    ),
];

/// The total of a line in seconds; the file has microseconds.
fn total(text: &str, line: &str) -> Option<f64> {
    let rest = text.lines().find_map(|found| found.strip_prefix(line))?;
    let micros: f64 = rest.rsplit_once("total=")?.1.trim().parse().ok()?;
    Some(micros / 1e6)
}

/// `node_pressure_*`, as `node_exporter`'s collector `pressure`.
pub(super) fn collect(visit: &mut Visit<'_>) -> Outcome {
    let before = visit.len();
    for (file, lines) in &PRESSURES {
        let Some(text) = visit.files.optional_proc(file)? else { continue };
        for (line, family) in *lines {
            if let Some(seconds) = total(&text, line) {
                visit.value(family, seconds);
            }
        }
    }
    Ok(visit.found_since(before))
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
