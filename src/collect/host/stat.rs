//! `/proc/stat`: CPU time, boot time, context switches, interrupts, forks, processes.

use crate::model::Family;

use super::files::Files;
use super::{CollectError, Look};

/// Ticks per second in which the kernel tells CPU time to user space: fixed by its interface on all our platforms.
const USER_HZ: f64 = 100.0;

static CPU: Family = Family::counter("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.");
static GUEST: Family =
    Family::counter("node_cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode.");
static BOOT_TIME: Family = Family::gauge("node_boot_time_seconds", "Node boot time, in unixtime.");
static SWITCHES: Family = Family::counter("node_context_switches_total", "Total number of context switches.");
static INTERRUPTS: Family = Family::counter("node_intr_total", "Total number of interrupts serviced.");
static FORKS: Family = Family::counter("node_forks_total", "Total number of forks.");
static RUNNING: Family = Family::gauge("node_procs_running", "Number of processes in runnable state.");
static BLOCKED: Family =
    Family::gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.");

const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

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

/// What `/proc/stat` says.
#[derive(Debug, Default, PartialEq)]
pub(in crate::collect) struct Stat {
    /// One per core that is on line.
    pub(in crate::collect) cores: Vec<Core>,
    counts: Vec<(&'static Family, f64)>,
}

/// Reads `/proc/stat`. Lines that it does not know are left out.
pub(in crate::collect) fn parse(text: &str) -> Stat {
    let mut stat = Stat::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let key = words.next().unwrap_or_default();
        if let Some(number) = key.strip_prefix("cpu").filter(|number| !number.is_empty()) {
            let seconds = words.map_while(|word| word.parse::<f64>().ok()).map(|ticks| ticks / USER_HZ).collect();
            stat.cores.push(Core { number: number.to_owned(), seconds });
        } else if let Some((family, value)) = family_of(key).zip(words.next().and_then(|word| word.parse().ok())) {
            stat.counts.push((family, value));
        }
    }
    stat
}

fn family_of(key: &str) -> Option<&'static Family> {
    match key {
        "intr" => Some(&INTERRUPTS),
        "ctxt" => Some(&SWITCHES),
        "btime" => Some(&BOOT_TIME),
        "processes" => Some(&FORKS),
        "procs_running" => Some(&RUNNING),
        "procs_blocked" => Some(&BLOCKED),
        _ => None,
    }
}

/// `node_cpu_*`, as `node_exporter`'s collector `cpu`.
pub(super) fn cpu(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for core in parse(&files.proc("stat")?).cores {
        for (mode, seconds) in MODES.iter().zip(&core.seconds) {
            look.labeled(&CPU, [("cpu", &core.number), ("mode", mode)], *seconds);
        }
        for (mode, seconds) in ["user", "nice"].iter().zip(core.seconds.iter().skip(MODES.len())) {
            look.labeled(&GUEST, [("cpu", &core.number), ("mode", mode)], *seconds);
        }
    }
    Ok(())
}

/// The rest of the file, as `node_exporter`'s collector `stat`.
pub(super) fn counts(files: &Files, look: &mut Look) -> Result<(), CollectError> {
    for (family, value) in parse(&files.proc("stat")?).counts {
        look.value(family, value);
    }
    Ok(())
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
        let counts: Vec<_> = stat.counts.iter().map(|(family, value)| (family.name.as_ref(), *value)).collect();
        assert!(counts.contains(&("node_intr_total", 12345.0)) && counts.contains(&("node_forks_total", 42.0)));
    }
}
