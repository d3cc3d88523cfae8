//! Any bytes as a segment of the history's log: read or refused, never a panic, never more memory than they justify.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sidewatch::store::fuzz_log(bytes);
});
