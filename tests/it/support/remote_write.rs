//! What a sender of remote write 1.0 sends.

use super::{Answer, send};

/// A series with its samples: labels in order, times in milliseconds.
#[derive(Debug, Clone)]
pub struct Written {
    pub labels: Vec<(String, String)>,
    pub samples: Vec<(i64, f64)>,
}

impl Written {
    /// One of a metric.
    pub fn new(name: &str, labels: &[(&str, &str)], samples: Vec<(i64, f64)>) -> Self {
        let mut all = vec![("__name__".to_owned(), name.to_owned())];
        all.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        all.sort();
        Self { labels: all, samples }
    }
}

/// The packed body.
pub fn write_body(all: &[Written]) -> Vec<u8> {
    let mut request = Vec::new();
    for series in all {
        let mut message = Vec::new();
        for (name, value) in &series.labels {
            let mut label = Vec::new();
            part(&mut label, 1, name.as_bytes());
            part(&mut label, 2, value.as_bytes());
            part(&mut message, 1, &label);
        }
        for (at, value) in &series.samples {
            let mut sample = vec![1 << 3 | 1];
            sample.extend(value.to_bits().to_le_bytes());
            sample.push(2 << 3);
            varint(&mut sample, at.cast_unsigned());
            part(&mut message, 2, &sample);
        }
        part(&mut request, 1, &message);
    }
    snap::raw::Encoder::new().compress_vec(&request).expect("it fits")
}

/// Sends a body as a sender does.
pub fn write_into(port: u16, body: &[u8]) -> Answer {
    let headers = [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    send(port, "POST", "/api/v1/write", &headers, body).expect("an answer")
}

fn part(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
