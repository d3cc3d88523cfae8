//! Pressure: how long a container's tasks had to wait for CPU, memory and I/O. Version 2 of control groups.

use crate::model::Family;

use super::Adder;

/// In the order of [`Pressure`]'s fields: per resource some, then all of the tasks.
static FAMILIES: [Family; 6] = [
    Family::counter(
        "container_pressure_cpu_waiting_seconds_total",
        "How long at least one task of the container had to wait for a CPU, in seconds.",
    ),
    Family::counter(
        "container_pressure_cpu_stalled_seconds_total",
        "How long all tasks of the container that had work had to wait for a CPU, in seconds.",
    ),
    Family::counter(
        "container_pressure_memory_waiting_seconds_total",
        "How long at least one task of the container had to wait for memory, in seconds.",
    ),
    Family::counter(
        "container_pressure_memory_stalled_seconds_total",
        "How long all tasks of the container that had work had to wait for memory, in seconds.",
    ),
    Family::counter(
        "container_pressure_io_waiting_seconds_total",
        "How long at least one task of the container had to wait for a disk, in seconds.",
    ),
    Family::counter(
        "container_pressure_io_stalled_seconds_total",
        "How long all tasks of the container that had work had to wait for a disk, in seconds.",
    ),
];

/// Microseconds in which some task, and all tasks with work, were held up.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(in crate::collect::docker) struct Pressure {
    pub(in crate::collect::docker) cpu: [Option<u64>; 2],
    pub(in crate::collect::docker) memory: [Option<u64>; 2],
    pub(in crate::collect::docker) io: [Option<u64>; 2],
}

impl Pressure {
    pub(super) fn fill(&self, add: &mut Adder<'_>) {
        let totals = [self.cpu, self.memory, self.io].into_iter().flatten();
        for (family, micros) in FAMILIES.iter().zip(totals) {
            add.value(family, micros.map(|micros| micros as f64 / 1e6));
        }
    }
}
