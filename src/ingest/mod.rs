//! Takes in what others measured, and hands it to the part that owns it.

pub mod remote_write;
pub mod usage;
