//! `/proc/stat`: CPU time, boot time, context switches, interrupts, forks, processes.

use crate::model::Family;

use super::cpu;
use super::visit::{Found, Outcome, Visit};

/// Ticks per second in which the kernel tells CPU time to user space: fixed by its interface on all our platforms.
const USER_HZ: f64 = 100.0;

static CPU: Family = Family::counter("node_cpu_seconds_total", "Seconds that the core spent in the mode.");
static GUEST: Family = Family::counter(
    "node_cpu_guest_seconds_total",
    "Seconds that the core ran virtual machines; user and nice count them too.",
);

/// Lines that begin with the word and have one number, or, of interrupts, the sum first.
static COUNTS: [(&str, Family); 6] = [
    ("btime", Family::gauge("node_boot_time_seconds", "When the machine was started, in seconds since 1970.")),
    ("ctxt", Family::counter("node_context_switches_total", "How often a core went from one task to another.")),
    ("intr", Family::counter("node_intr_total", "Interrupts that were served.")),
    ("processes", Family::counter("node_forks_total", "Tasks that were created.")),
    ("procs_running", Family::gauge("node_procs_running", "Tasks that run or could.")),
    ("procs_blocked", Family::gauge("node_procs_blocked", "Tasks that wait for I/O.")),
];

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const GUEST_MODES: [&str; 2] = ["user", "nice"];
const COLUMNS: usize = MODES.len() + GUEST_MODES.len();

/// One `cpuN` line, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::collect) struct Core {
    /// `0` for `cpu0`.
    pub(in crate::collect) number: String,
    /// Seconds per mode, in the order of [`MODES`], then guest and `guest_nice`; as many as the kernel has.
    seconds: Vec<f64>,
}

impl Core {
    /// Seconds in which it did something: all but idle and waiting, and but what the hypervisor gave to others.
    pub(in crate::collect) fn busy_seconds(&self) -> f64 {
        let idle = |mode: &str| matches!(mode, "idle" | "iowait" | "steal");
        MODES.iter().zip(&self.seconds).filter(|(mode, _)| !idle(mode)).map(|(_, seconds)| seconds).sum()
    }
}

/// The cores of `/proc/stat`.
#[derive(Debug, Default, PartialEq)]
pub(in crate::collect) struct Stat {
    /// One per core that is on line.
    pub(in crate::collect) cores: Vec<Core>,
}

/// Reads the cores' lines of `/proc/stat`.
pub(in crate::collect) fn parse(text: &str) -> Stat {
    let core =
        |line| core_line(line).map(|line| Core { number: line.number.to_owned(), seconds: line.seconds().to_vec() });
    Stat { cores: text.lines().filter_map(core).collect() }
}

struct CoreLine<'t> {
    number: &'t str,
    columns: [f64; COLUMNS],
    known: usize,
}

impl CoreLine<'_> {
    fn seconds(&self) -> &[f64] {
        &self.columns[..self.known]
    }
}

/// A line such as `cpu0 100 20 200 500 50 1 10 5 7 3`. The one without a number is the sum of all.
fn core_line(line: &str) -> Option<CoreLine<'_>> {
    let (number, rest) = line.strip_prefix("cpu")?.split_once(' ').filter(|(number, _)| !number.is_empty())?;
    let mut found = CoreLine { number, columns: [0.0; COLUMNS], known: 0 };
    let ticks = rest.split_ascii_whitespace().map_while(|word| word.parse::<f64>().ok());
    for (column, ticks) in found.columns.iter_mut().zip(ticks) {
        *column = ticks / USER_HZ;
        found.known += 1;
    }
    Some(found)
}

/// `node_cpu_*`, as `node_exporter`'s collector `cpu`. The text stays for [`counts`].
pub(super) fn cpu(visit: &mut Visit<'_>) -> Outcome {
    let text = visit.files.proc("stat")?;
    visit.steady.begin();
    for core in text.lines().map_while(|line| line.starts_with("cpu").then_some(line)).filter_map(core_line) {
        let held: Vec<_> = visit.steady.hold(core.number, core.seconds()).to_vec();
        for (mode, seconds) in MODES.iter().zip(&held) {
            visit.labeled(&CPU, &[("cpu", core.number), ("mode", mode)], *seconds);
        }
        for (mode, seconds) in GUEST_MODES.iter().zip(held.iter().skip(MODES.len())) {
            visit.labeled(&GUEST, &[("cpu", core.number), ("mode", mode)], *seconds);
        }
    }
    visit.stat = Some(text);
    cpu::throttles(visit);
    cpu::isolated(visit);
    Ok(Found::Seen)
}

/// The rest of the file, as `node_exporter`'s collector `stat`.
pub(super) fn counts(visit: &mut Visit<'_>) -> Outcome {
    let text = match visit.stat.take() {
        Some(text) => text,
        None => visit.files.proc("stat")?,
    };
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let family = words.next().and_then(|key| COUNTS.iter().find(|(known, _)| *known == key));
        if let Some(((_, family), count)) = family.zip(words.next().and_then(|word| word.parse().ok())) {
            visit.value(family, count);
        }
    }
    Ok(Found::Seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "cpu  300 0 200 1000 50 0 10 5 0 0\n\
        cpu0 100 20 200 500 50 1 10 5 7 3\n\
        intr 12345 1 2 3\nctxt 777\nbtime 1700000000\nprocesses 42\nprocs_running 2\nprocs_blocked 1\nsoftirq 1 2\n";

    #[test]
    fn cores_count_in_seconds_and_the_sum_line_is_left_out() {
        let stat = parse(TEXT);
        assert_eq!(stat.cores.len(), 1);
        assert_eq!(stat.cores[0].number, "0");
        assert_eq!(stat.cores[0].seconds, [1.0, 0.2, 2.0, 5.0, 0.5, 0.01, 0.1, 0.05, 0.07, 0.03]);
        assert!((stat.cores[0].busy_seconds() - 3.31).abs() < 1e-9);
    }
}
