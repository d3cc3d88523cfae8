//! The words of the house: values only, with no I/O and no clock.
//!
//! Everything measured becomes [`Block`]s of [`Point`]s under a [`Family`]; the store adds the target's
//! labels and keeps them as series. Time is [`Millis`] since the Unix epoch, always handed in.

mod alert;
mod family;
mod fnv;
mod go_float;
mod hex;
mod labels;
mod outcome;
mod percent;
mod place;
mod readable;
mod secret;
mod time;

pub use alert::{Alert, Transition};
pub use family::{Block, Family, MetricKind, Point, Suffix};
pub use fnv::fnv1a;
pub use go_float::{
    render_float, render_plain, render_scientific, render_significant, write_float, write_plain, write_scientific,
};
pub use hex::hex;
pub use labels::{Labels, METRIC_NAME, is_valid_label_name, is_valid_metric_name};
pub use outcome::Outcome;
pub use percent::percent_decode;
pub use place::{Place, Problem, Problems};
pub use readable::readable;
pub use secret::Secret;
pub use time::{Millis, parse_duration, render_duration};

/// The bit pattern by which Prometheus marks that a series has ended. A NaN, told apart by its bits alone.
pub const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The staleness marker as a sample value.
pub fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Whether a sample is the staleness marker, and not just any NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
