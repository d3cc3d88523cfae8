//! Whatever comes in as a body of remote write is taken or refused, with or without its packing.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use sidewatch::ingest::remote_write::{WriteRequest, take};
use sidewatch::store::{Limits, Store};

fuzz_target!(|body: &[u8]| {
    let _ = WriteRequest::new(body).count();
    let store = Store::new(Limits { retention: Duration::from_secs(3600), max_series: 100 });
    let _ = take(body, &store);
    if let Ok(packed) = snap::raw::Encoder::new().compress_vec(body) {
        let _ = take(&packed, &store);
    }
});
