//! `process_*`: what every Prometheus client library says of its own process, read from `/proc/self`.

use std::fs;

use rustix::param;

use crate::model::{Block, Family, Labels, Point, Suffix};

static CPU: Family = Family::counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
static RESIDENT: Family = Family::gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
static VIRTUAL: Family = Family::gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
static OPEN_FDS: Family = Family::gauge("process_open_fds", "Number of open file descriptors.");
static MAX_FDS: Family = Family::gauge("process_max_fds", "Maximum number of open file descriptors.");
static START: Family =
    Family::gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
static THREADS: Family = Family::gauge("process_threads", "Number of threads of the process.");

/// The process as it stands now. What cannot be read is left out.
pub fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut put = |family: &Family, value: Option<f64>| {
        let Some(value) = value else { return };
        let point = Point { suffix: Suffix::None, labels: Labels::empty(), value };
        blocks.push(Block { family: family.clone(), points: vec![point] });
    };
    // Linux counts time in clock ticks and memory in pages, of a size that the machine decides.
    let (ticks_per_second, page) = (param::clock_ticks_per_second() as f64, param::page_size() as f64);
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name may hold spaces and brackets; the numbers start behind its last bracket.
    let numbers: Vec<f64> = stat.rsplit_once(')').map_or_else(Vec::new, |(_, rest)| {
        rest.split_whitespace().skip(1).map(|word| word.parse().unwrap_or(f64::NAN)).collect()
    });
    let field = |at: usize| numbers.get(at - 4).copied().filter(|value| !value.is_nan());
    put(&CPU, field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks_per_second));
    put(&THREADS, field(20));
    put(&START, field(22).zip(boot_time()).map(|(ticks, boot)| boot + ticks / ticks_per_second));
    put(&VIRTUAL, field(23));
    put(&RESIDENT, field(24).map(|pages| pages * page));
    put(&OPEN_FDS, fs::read_dir("/proc/self/fd").ok().map(|dir| dir.count().saturating_sub(1) as f64));
    put(&MAX_FDS, max_fds());
    blocks
}

fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_what_the_kernel_says_in_bytes() {
        let of = |name: &str| {
            let block = blocks().into_iter().find(|block| block.family.name == name).unwrap();
            block.points[0].value
        };
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let told: f64 = line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0;
        let resident = of("process_resident_memory_bytes");
        assert!((0.5..2.0).contains(&(resident / told)), "{resident} beside {told}");
        let age = crate::model::Millis::now().as_seconds() - of("process_start_time_seconds");
        assert!((-2.0..86_400.0).contains(&age), "started {age} s ago");
    }
}
