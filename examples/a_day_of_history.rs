//! A day of a stack with 3,300 series at 10 s, written to a folder as the agent writes it; then what a start on it takes.
//!
//!     cargo run --release --example a_day_of_history -- FOLDER [HOURS]
//!     cargo run --release --example a_day_of_history -- FOLDER start
//!
//! Prints the memory of the process before, at its highest and at the end, the size of the folder, and times. The figures
//! are in `benches/README.md`. The agent itself can be started on the folder as its `<storage.path>/history`.
#![expect(clippy::print_stdout, reason = "a program whose answer is what it prints")]

use std::path::Path;
use std::time::{Duration, Instant};

use sidewatch::model::{Block, Family, Labels, METRIC_NAME, MetricKind, Millis, Point, Suffix};
use sidewatch::store::{Limits, Matcher, Picture, Store};

const SOURCES: u64 = 11;
const POINTS: u64 = 300;
const EVERY: i64 = 10_000;
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: a_day_of_history FOLDER [HOURS | start]")?;
    match arguments.next().as_deref() {
        Some("start") => start(Path::new(&folder)),
        hours => write(Path::new(&folder), hours.map_or(Ok(24), str::parse)?),
    }
}

fn open(folder: &Path) -> Result<Store, Box<dyn std::error::Error>> {
    let before = resident();
    let begun = Instant::now();
    let limits = Limits { retention: Duration::from_hours(24), max_series: 200_000 };
    let (store, found) = Store::open(limits, folder)?;
    println!("start: {:?}, memory {before} -> {} kB, {found:?}", begun.elapsed(), resident());
    Ok(store)
}

fn start(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let store = open(folder)?;
    let (snapshot, all) = (store.snapshot(), (Millis(i64::MIN), Millis(i64::MAX)));
    for name in ["m7", "m8"] {
        let begun = Instant::now();
        let found = snapshot.select(&[Matcher::equal(METRIC_NAME, name)], all.0, all.1);
        let samples: usize = found.iter().map(|series| series.samples.len()).sum();
        println!("a day of {name}: {} series, {samples} samples in {:?}", found.len(), begun.elapsed());
    }
    println!("memory afterwards: {} kB", resident());
    Ok(())
}

fn write(folder: &Path, hours: i64) -> Result<(), Box<dyn std::error::Error>> {
    let store = open(folder)?;
    let (begun, from) = (Instant::now(), Millis::now().0 - hours * 3_600_000);
    let mut values = vec![0.0; (SOURCES * POINTS) as usize];
    let (mut random, mut highest) = (42, 0);
    let mut pictures: Vec<_> = (0..SOURCES).map(picture).collect();
    for look in 0..hours * 360 {
        for (source, picture) in (0..).zip(&mut pictures) {
            picture.at = Millis(from + look * EVERY + source * 137 + (next(&mut random) % 8).cast_signed());
            for (n, block) in (0..).zip(&mut picture.blocks) {
                let number = source as u64 * POINTS + n;
                let value = &mut values[number as usize];
                *value = change(number % 20, *value, &mut random);
                block.points[0].value = *value;
            }
            store.record(picture.clone());
        }
        // As often as time would have let the log be written.
        if look % 100 == 99 && !store.flush(PATIENCE) {
            return Err("the disk does not take it".into());
        }
        highest = highest.max(resident());
    }
    let samples = store.samples_appended();
    store.flush(PATIENCE);
    println!("written: {samples} samples in {:?}, memory {} kB, at most {highest} kB", begun.elapsed(), resident());
    println!("on disk: {:?}", store.disk());
    Ok(())
}

/// What series do on a stack: most say the same again and again, many count, some wander.
fn change(kind: u64, value: f64, random: &mut u64) -> f64 {
    let drawn = next(random);
    match kind {
        // Settings, states, limits, buckets that nothing falls into.
        0..=9 => value,
        // Counters: of bytes, of seconds with hundredths, of requests, of things that rarely happen.
        10 => value + (drawn % 100_000) as f64,
        11 | 12 => ((value * 100.0).round() + (drawn % 50) as f64) / 100.0,
        13 | 14 => value + (drawn % 20) as f64,
        15 | 16 => value + f64::from(u8::from(drawn.is_multiple_of(60))),
        // Gauges: of connections, of bytes, of seconds to the last digit.
        17 => (drawn % 30) as f64,
        18 => ((drawn % 1000) * 4096) as f64,
        _ => (drawn % 1_000_000_007) as f64 / 1_000_000_009.0,
    }
}

fn picture(source: u64) -> Picture {
    let block = |n: u64| {
        let labels = Labels::new([("zone", (n % 7).to_string()), ("item", format!("item-{n}"))]);
        let family = Family::discovered(format!("m{}", n / 10), MetricKind::Gauge, String::new());
        Block { family, points: vec![Point { suffix: Suffix::None, labels, value: 0.0 }] }
    };
    let labels = Labels::new([("job", format!("job-{source}")), ("instance", format!("host-{source}:9100"))]);
    Picture {
        source: format!("source-{source}").into(),
        labels,
        blocks: (0..POINTS).map(block).collect(),
        at: Millis(0),
    }
}

/// Splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// `VmRSS` of this process in kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
}
