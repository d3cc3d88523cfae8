mod clock;
mod damage;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::model::{Block as Shown, Family, Labels, METRIC_NAME, MetricKind, Millis, Point, Suffix};
use crate::store::{Limits, Matcher, Picture, Series, Store};

const LIMITS: Limits = Limits { retention: Duration::from_hours(24), max_series: 10_000 };
const SOON: Duration = Duration::from_secs(20);
const NOW: i64 = 1_700_000_000_000;

/// A source's picture of gauges `m{n="…"}`.
fn picture(source: &str, at: i64, shown: &[(u8, f64)]) -> Picture {
    let points = shown.iter().map(|(n, value)| Point {
        suffix: Suffix::None,
        labels: Labels::new([("n", n.to_string())]),
        value: *value,
    });
    let family = Family::discovered("m".to_owned(), MetricKind::Gauge, String::new());
    let labels = Labels::new([("job", source.to_owned())]);
    Picture { source: source.into(), labels, blocks: vec![Shown { family, points: points.collect() }], at: Millis(at) }
}

fn series(n: u8, samples: &[(i64, f64)]) -> Series {
    let labels = Labels::new([(METRIC_NAME, "w".to_owned()), ("n", n.to_string())]);
    Series { labels, samples: samples.iter().map(|(at, value)| (Millis(*at), *value)).collect() }
}

type Held = BTreeMap<Labels, Vec<(i64, u64)>>;

fn held(store: &Store) -> Held {
    let all = store.snapshot().select(&[], Millis(i64::MIN), Millis(i64::MAX));
    let samples = |samples: Vec<(Millis, f64)>| samples.into_iter().map(|(at, v)| (at.0, v.to_bits())).collect();
    all.into_iter().map(|series| (series.labels, samples(series.samples))).collect()
}

fn open_in(folder: &Path) -> (Store, Recovery) {
    Store::open(LIMITS, folder).expect("our own folder")
}

/// What a kill at this moment would leave, as another folder.
fn copy(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for part in ["log", "blocks"] {
        fs::create_dir(copy.path().join(part)).unwrap();
        for entry in fs::read_dir(folder.join(part)).unwrap().flatten() {
            fs::copy(entry.path(), copy.path().join(part).join(entry.file_name())).unwrap();
        }
    }
    copy
}

fn only_file(folder: &Path, part: &str) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(folder.join(part)).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[derive(Debug, Clone)]
enum Step {
    Show { source: u8, after: i64, shown: Vec<(u8, f64)> },
    Write { n: u8, samples: Vec<(i64, f64)> },
    End(u8),
    Seal,
    Reopen,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        (0u32..5).prop_map(f64::from),
        (0u32..5000).prop_map(|v| f64::from(v) / 100.0),
        any::<f64>(),
        Just(f64::NAN)
    ];
    let after = prop_oneof![8 => 1i64..20_000, 1 => 60_000i64..4_000_000, 1 => -4_000_000i64..-30_000];
    let shown = prop::collection::btree_map(0u8..6, value.clone(), 0..6);
    let samples = prop::collection::vec((0i64..100_000, value), 0..5);
    prop_oneof![
        10 => (0u8..2, after, shown)
            .prop_map(|(source, after, shown)| Step::Show { source, after, shown: shown.into_iter().collect() }),
        3 => (0u8..3, samples).prop_map(|(n, samples)| Step::Write { n, samples }),
        1 => (0u8..2).prop_map(Step::End),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// A late sample is not put into a block that is there: what is written comes well behind the last block. After a start no source has a picture yet, so what it no longer shows goes on unended: the one in memory is told so.
    #[test]
    fn a_store_on_disk_holds_what_one_in_memory_does(steps in prop::collection::vec(step(), 1..40)) {
        let mut folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open_in(folder.path());
        let memory = Store::new(LIMITS);
        let mut now = NOW;
        for step in steps {
            match step {
                Step::Show { source, after, shown } => {
                    now += after;
                    store.record(picture(&source.to_string(), now, &shown));
                    memory.record(picture(&source.to_string(), now, &shown));
                }
                Step::Write { n, samples } => {
                    let samples: Vec<_> = samples.into_iter().map(|(after, value)| (now + after, value)).collect();
                    store.append_external(&[series(n, &samples)]);
                    memory.append_external(&[series(n, &samples)]);
                }
                Step::End(source) => {
                    store.end(&source.to_string(), Millis(now));
                    memory.end(&source.to_string(), Millis(now));
                }
                Step::Seal => {
                    prop_assert!(store.seal(SOON));
                    now += 200_000;
                    store.record(picture("own", now, &[]));
                    memory.record(picture("own", now, &[]));
                }
                Step::Reopen | Step::Kill => {
                    for source in ["0", "1"] {
                        store.end(source, Millis(now));
                        memory.end(source, Millis(now));
                    }
                    prop_assert!(store.flush(SOON));
                    if matches!(step, Step::Kill) {
                        let left = copy(folder.path());
                        drop(store);
                        folder = left;
                    } else {
                        drop(store);
                    }
                    store = open_in(folder.path()).0;
                    // The flush sealed a block if an hour had gone by.
                    now += 200_000;
                    // As the agent's own picture does: before the first one it is not known what is far ahead.
                    store.record(picture("own", now, &[]));
                    memory.record(picture("own", now, &[]));
                }
            }
        }
        prop_assert_eq!(held(&store), held(&memory));
        prop_assert_eq!(store.disk().unwrap().corruptions, 0);
        let (after, until) = (Millis(now - 300_000), Millis(now));
        let last = |store: &Store| -> BTreeMap<_, _> {
            let newest = store.snapshot().newest(&[], after, until).into_iter();
            newest.map(|newest| (newest.labels, newest.at)).collect()
        };
        prop_assert_eq!(last(&store), last(&memory));
    }
}

/// Two sources, some values that change and some that do not, three looks.
fn fill(store: &Store, from: i64) {
    for look in 0..3 {
        let at = from + look * 10_000;
        store.record(picture("a", at, &[(1, 1.0), (2, at as f64), (3, 1.0 / (at as f64))]));
        store.record(picture("b", at + 5, &[(1, 0.25)]));
    }
}

#[test]
fn a_disk_that_fails_is_told_and_made_good_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    fs::remove_dir(folder.path().join("log")).unwrap();
    fill(&store, NOW);
    assert!(!store.flush(SOON), "there is nowhere to write to");
    assert!(store.disk().unwrap().write_errors >= 1);
    assert_eq!(held(&store).values().map(Vec::len).sum::<usize>(), 12, "memory holds it meanwhile");
    fs::create_dir(folder.path().join("log")).unwrap();
    fill(&store, NOW + 60_000);
    let whole = held(&store);
    assert!(store.close(SOON));
    drop(store);
    assert_eq!(held(&open_in(folder.path()).0), whole);
}

#[test]
fn blocks_go_with_the_retention_and_who_reads_them_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { retention: Duration::from_hours(1), ..LIMITS };
    let (store, _) = Store::open(limits, folder.path()).unwrap();
    store.record(picture("a", NOW, &[(1, 1.0), (2, 2.0)]));
    store.record(picture("a", NOW + 10_000, &[(1, 1.5), (2, 2.0)]));
    assert!(store.seal(SOON));
    // Once more, so that memory lets go of it: what it still holds open does not come from the file.
    drop(store);
    let (store, recovery) = Store::open(limits, folder.path()).unwrap();
    assert_eq!((recovery.series, recovery.in_blocks), (2, 4));
    let runs = store.snapshot().runs(&[Matcher::equal("n", "1")], Millis(0), Millis(i64::MAX));
    let two_hours = NOW + 2 * 3_600_000;
    store.record(picture("a", two_hours, &[(2, 3.0)]));
    assert!(store.seal(SOON));
    store.record(picture("a", two_hours + 540_000, &[(2, 3.0)]));
    assert!(store.flush(SOON));
    assert_eq!(store.disk().unwrap().blocks, 2, "the clock may be wrong");
    for minute in 0..=10 {
        store.record(picture("a", two_hours + 540_000 + minute * 60_000, &[(2, 3.0)]));
    }
    assert!(store.flush(SOON));
    assert_eq!(store.disk().unwrap().blocks, 1, "the first one is over");
    only_file(folder.path(), "blocks");
    let mut samples = Vec::new();
    runs[0].decode_into(&mut samples);
    assert_eq!(samples, [(Millis(NOW), 1.0), (Millis(NOW + 10_000), 1.5)]);
}

#[test]
fn at_the_limit_a_start_keeps_the_series_that_were_seen_last() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    for (look, shown) in [(0, 0..4u8), (1, 4..8), (2, 8..12)] {
        let shown: Vec<_> = shown.map(|n| (n, f64::from(n))).collect();
        store.record(picture("a", NOW + look * 60_000, &shown));
        // The last ones are in the log.
        assert!(look == 2 || store.seal(SOON));
    }
    drop(store);
    let kept = |max_series| {
        let copy = copy(folder.path());
        let (store, found) = Store::open(Limits { max_series, ..LIMITS }, copy.path()).unwrap();
        assert_eq!((found.series, found.series + found.shed), (max_series, 12));
        let mut kept: Vec<u8> = held(&store).keys().map(|labels| labels.get("n").unwrap().parse().unwrap()).collect();
        kept.sort_unstable();
        kept
    };
    assert_eq!(kept(4), [8, 9, 10, 11]);
    assert_eq!(kept(8), (4..12).collect::<Vec<_>>());
    assert_eq!(kept(12), (0..12).collect::<Vec<_>>());
}

/// So many blocks that not all of their files can be open.
#[test]
fn many_blocks_need_few_open_files() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    for look in 0..200 {
        store.record(picture("a", NOW + look * 10_000, &[(1, look as f64)]));
        assert!(store.seal(SOON));
    }
    drop(store);
    let (store, found) = open_in(folder.path());
    assert_eq!((store.disk().unwrap().blocks, found.in_blocks), (200, 200));
    assert_eq!(held(&store).values().next().unwrap().len(), 200);
    let blocks = folder.path().join("blocks");
    let opened = fs::read_dir("/proc/self/fd").unwrap().flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    assert!(opened.filter(|path| path.starts_with(&blocks)).count() <= 64);
}

#[test]
fn a_late_sample_that_is_taken_while_a_block_is_written_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    let write =
        |n, seconds: i64| store.append_external(&[series(n, &[(NOW + seconds * 1000, seconds as f64)])]).appended;
    assert_eq!([write(0, 10), write(0, 30), write(1, 10), write(1, 30)], [1; 4]);
    // Both series are read for a block; then samples come for what it holds, and for what it does not.
    let (copied, _, rest) = store.write().unsaved(0, 1);
    assert_eq!((copied.len(), rest), (1, Some(1)));
    assert_eq!(write(0, 20), 0, "the block has no place for it any more");
    assert_eq!([write(0, 40), write(1, 20)], [1; 2]);
    store.write().unsaved(1, 1);
    assert_eq!([write(1, 15), write(1, 40), write(1, 35)], [0, 1, 1]);
    store.write().saved(&[(copied[0], Millis(NOW + 30_000))]);
    assert_eq!([write(0, 25), write(0, 35)], [0, 1]);
}

#[test]
fn what_is_taken_while_blocks_are_written_outlasts_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each ten seconds first, then the nine before them, late.
            let seconds = (1..).flat_map(|ten: i64| (0..10).map(move |late| ten * 10 - late));
            for second in seconds {
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let all: Vec<_> = (0..40).map(|n| series(n, &[(NOW + second * 1000, second as f64)])).collect();
                store.append_external(&all);
            }
        });
        for _ in 0..20 {
            assert!(store.seal(SOON));
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert!(store.flush(SOON));
    assert_eq!(held(&open_in(copy(folder.path()).path()).0), held(&store));
}
