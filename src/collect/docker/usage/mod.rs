//! What a running container, or the machine, uses: CPU, memory, disk, network, tasks. Values without families.
//!
//! In: the engine's API ([`api`]) or the kernel's files ([`super::cgroup`], [`super::process`]). Out: cAdvisor's families.
//!
//! Invariant: what a source lacks is `None` here and absent in the look. Control groups version 1 have CPU per core and a
//! failure count; version 2 has a total, reclaim counters, events and pressure.

pub(super) mod api;
mod cpu;
mod disk;
mod memory;
mod network;
mod pressure;
mod tasks;

pub(super) use cpu::Cpu;
pub(super) use disk::{Devices, Transfer, transfer};
pub(super) use memory::Memory;
pub(super) use network::Interface;
pub(super) use pressure::Pressure;
pub(super) use tasks::{States, Tasks};

use crate::model::{Family, Labels, Suffix};

use super::Look;
use super::labels::ContainerLabels;

/// All figures of one control group at one time.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Usage {
    /// CPU time and throttling.
    pub(super) cpu: Cpu,
    /// Memory, in bytes, and its events.
    pub(super) memory: Memory,
    /// Threads, processes and what they hold open.
    pub(super) tasks: Tasks,
    /// Bytes and requests per block device.
    pub(super) disk: Vec<Transfer>,
    /// Traffic per interface; `None` where it could not be read.
    pub(super) networks: Option<Vec<Interface>>,
    /// Time lost to waiting; version 2 of control groups.
    pub(super) pressure: Pressure,
}

impl Usage {
    /// Adds all families. The scheduler's periods count only for a container whose CPU is `limited`, as cAdvisor's do.
    pub(super) fn fill(&self, limited: bool, labels: &mut ContainerLabels, devices: &Devices, look: &mut Look) {
        let mut add = Adder { labels, look };
        self.cpu.fill(limited, &mut add);
        self.memory.fill(&mut add);
        self.tasks.fill(&mut add);
        disk::fill(&self.disk, devices, &mut add);
        network::fill(self.networks.as_deref().unwrap_or_default(), &mut add);
        self.pressure.fill(&mut add);
    }
}

/// Adds what is known to a look, under one container's labels.
struct Adder<'a> {
    labels: &'a mut ContainerLabels,
    look: &'a mut Look,
}

impl Adder<'_> {
    fn count(&mut self, family: &Family, value: Option<u64>) {
        self.value(family, value.map(|count| count as f64));
    }

    fn value(&mut self, family: &Family, value: Option<f64>) {
        if value.is_some() {
            self.point(family, self.labels.base.clone(), value);
        }
    }

    fn labeled<const N: usize>(&mut self, family: &Family, more: [(&str, &str); N], value: Option<f64>) {
        if value.is_some() {
            let labels = self.labels.and(more);
            self.point(family, labels, value);
        }
    }

    fn point(&mut self, family: &Family, labels: Labels, value: Option<f64>) {
        if let Some(value) = value {
            self.look.point(family, Suffix::None, labels, value);
        }
    }
}

/// Nanoseconds as seconds.
fn seconds(nanos: Option<u64>) -> Option<f64> {
    nanos.map(|nanos| nanos as f64 / 1e9)
}
