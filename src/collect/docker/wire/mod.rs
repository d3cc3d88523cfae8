//! What the engine's answers hold, as far as it is used.
//!
//! In: JSON of Docker and of Podman, API 1.24 and newer. Out: plain values.
//!
//! Invariant: a word that we do not know (a state, a kind of mount, a policy of a newer engine) spoils nothing but itself: one odd
//! container must not hide all others. What nobody here reads is skipped, not taken in.

mod info;
mod inspect;
mod list;
mod stats;
mod words;

pub(super) use info::{Info, Version};
#[cfg(test)]
pub(super) use inspect::HostConfig;
pub(super) use inspect::{Inspect, PortBinding};
pub(super) use list::Summary;
pub(super) use stats::{BlockIo, BlockIoEntry, CpuStats, InterfaceStats, MemoryStats, PidsStats, Stats};
pub(super) use words::{HealthStatus, State};
