//! Any text as an expression: a query or an error with a place, never a panic.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = sidewatch::promql::Query::parse(text);
});
