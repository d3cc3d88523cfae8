//! Threads and processes, what they do, and what they hold open.

use crate::model::Family;

use super::Adder;

static THREADS: Family = Family::gauge("container_threads", "Threads in the container.");
static THREADS_MAX: Family =
    Family::gauge("container_threads_max", "The most threads that the container may have; 0 without a limit.");
static PROCESSES: Family = Family::gauge("container_processes", "Processes in the container.");
static DESCRIPTORS: Family =
    Family::gauge("container_file_descriptors", "File descriptors that the container's processes have open.");
static SOCKETS: Family = Family::gauge("container_sockets", "Sockets that the container's processes have open.");
static ULIMITS: Family = Family::gauge(
    "container_ulimits_soft",
    "Soft resource limits of the container's first process; -1 without a limit.",
);
static STATE: Family = Family::gauge("container_tasks_state", "Threads of the container per state of the scheduler.");
static LOAD: Family = Family::gauge(
    "container_cpu_load_average_10s",
    "Threads of the container that run or could run, smoothed over ten seconds, times 1000.",
);
static LOAD_D: Family = Family::gauge(
    "container_cpu_load_d_average_10s",
    "Threads of the container in uninterruptible sleep, smoothed over ten seconds, times 1000.",
);

/// Threads per state, and their running averages.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(in crate::collect::docker) struct States {
    pub(in crate::collect::docker) sleeping: u64,
    pub(in crate::collect::docker) running: u64,
    pub(in crate::collect::docker) stopped: u64,
    pub(in crate::collect::docker) uninterruptible: u64,
    /// Averages of `running` and of `uninterruptible`.
    pub(in crate::collect::docker) load: [f64; 2],
}

/// Counts of one container.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in crate::collect::docker) struct Tasks {
    pub(in crate::collect::docker) threads: Option<u64>,
    /// 0 without a limit.
    pub(in crate::collect::docker) threads_max: Option<u64>,
    pub(in crate::collect::docker) processes: Option<u64>,
    pub(in crate::collect::docker) descriptors: Option<u64>,
    pub(in crate::collect::docker) sockets: Option<u64>,
    /// The soft limit of open files of its first process; -1 without a limit.
    pub(in crate::collect::docker) max_open_files: Option<f64>,
    pub(in crate::collect::docker) states: Option<States>,
}

impl Tasks {
    pub(super) fn fill(&self, add: &mut Adder<'_>) {
        add.count(&THREADS, self.threads);
        add.count(&THREADS_MAX, self.threads_max);
        add.count(&PROCESSES, self.processes);
        add.count(&DESCRIPTORS, self.descriptors);
        add.count(&SOCKETS, self.sockets);
        add.labeled(&ULIMITS, [("ulimit", "max_open_files")], self.max_open_files);
        let Some(states) = self.states else {
            return;
        };
        let counts = [
            ("sleeping", states.sleeping),
            ("running", states.running),
            ("stopped", states.stopped),
            ("uninterruptible", states.uninterruptible),
        ];
        for (state, count) in counts {
            add.labeled(&STATE, [("state", state)], Some(count as f64));
        }
        add.value(&LOAD, Some((states.load[0] * 1000.0).round()));
        add.value(&LOAD_D, Some((states.load[1] * 1000.0).round()));
    }
}
