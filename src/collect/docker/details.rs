//! What is costly to read of a container's processes, and so is read more rarely: descriptors, limits, states.
//!
//! In: folders of `/proc` and the numbers of the processes. Out: parts of [`Usage`].

use std::path::Path;
use std::time::{Duration, Instant};

use super::cgroup::Reader;
use super::process;
use super::usage::{States, Usage};

/// A little less than half a minute: with looks every ten seconds, every third.
pub(super) const COSTLY: Duration = Duration::from_secs(25);
/// Threads of one container whose states are read; with more it has no states.
const MAX_THREADS: usize = 1024;
/// Over how long loads are smoothed, in seconds.
const LOAD_SECONDS: f64 = 10.0;

/// What is costly to read of a container's processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Details {
    at: Instant,
    descriptors: Option<(u64, u64)>,
    max_open_files: Option<f64>,
    states: Option<States>,
}

impl Details {
    /// Reads them of the container whose first process is `pid`; what cannot be read is absent.
    pub(super) fn read(
        procfs: &Path,
        pid: i64,
        processes: &[u32],
        threads: Option<Vec<u32>>,
        last: Option<&Self>,
        now: Instant,
        reader: &mut Reader,
    ) -> Self {
        let threads = threads.filter(|threads| threads.len() <= MAX_THREADS);
        let states = threads.and_then(|threads| process::states(procfs, &threads, reader));
        let limits = reader.read(procfs, &format!("{pid}/limits"));
        Self {
            at: now,
            descriptors: process::descriptors(procfs, processes),
            max_open_files: limits.and_then(process::max_open_files),
            states: states.map(|states| smoothed(states, last, now)),
        }
    }

    /// Whether they are not to be read again yet.
    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.at) < COSTLY
    }

    /// Adds them, with how many processes there are now.
    pub(super) fn fill(&self, processes: u64, usage: &mut Usage) {
        let tasks = &mut usage.tasks;
        tasks.processes = Some(processes);
        (tasks.descriptors, tasks.sockets) = self.descriptors.unzip();
        tasks.max_open_files = self.max_open_files;
        tasks.states = self.states;
    }
}

/// The states with their running averages, which weigh what was seen by how long ago it was.
fn smoothed(mut states: States, last: Option<&Details>, now: Instant) -> States {
    let seen = [states.running as f64, states.uninterruptible as f64];
    states.load = match last.and_then(|last| Some((last.at, last.states?.load))) {
        None => seen,
        Some((at, before)) => {
            let kept = (-now.duration_since(at).as_secs_f64() / LOAD_SECONDS).exp();
            [0, 1].map(|which| before[which] * kept + seen[which] * (1.0 - kept))
        }
    };
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_fades_over_ten_seconds() {
        let start = Instant::now();
        let busy = smoothed(States { running: 2, ..States::default() }, None, start);
        assert!((busy.load[0] - 2.0).abs() < 1e-9 && busy.load[1].abs() < 1e-9);
        let last = Details { at: start, descriptors: None, max_open_files: None, states: Some(busy) };
        let idle = smoothed(States::default(), Some(&last), start + Duration::from_secs(10));
        assert!((idle.load[0] - 2.0 / std::f64::consts::E).abs() < 1e-9, "{:?}", idle.load);
    }
}
