use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Millis, is_stale, stale_marker};
use crate::store::{Limits, Matcher};

/// Writes the messages that a sender sends.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn varint(&mut self, mut number: u64) -> &mut Self {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2).varint(bytes.len() as u64).0.extend(bytes);
        self
    }
}

fn sample(at: i64, value: f64) -> Vec<u8> {
    let mut sample = Writer::default();
    sample.varint(1 << 3 | 1).0.extend(value.to_bits().to_le_bytes());
    sample.varint(2 << 3).varint(at.cast_unsigned());
    sample.0
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Vec<u8> {
    let mut series = Writer::default();
    for (name, value) in labels {
        let mut label = Writer::default();
        label.bytes(1, name.as_bytes()).bytes(2, value.as_bytes());
        series.bytes(1, &label.0);
    }
    for (at, value) in samples {
        series.bytes(2, &sample(*at, *value));
    }
    series.0
}

fn request(all: &[Vec<u8>]) -> Vec<u8> {
    let mut request = Writer::default();
    for series in all {
        request.bytes(1, series);
    }
    request.0
}

fn packed(body: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(body).unwrap()
}

fn store(max_series: usize) -> Store {
    Store::new(Limits { retention: Duration::from_hours(2), max_series })
}

fn held(store: &Store, name: &str) -> Vec<(i64, f64)> {
    let found = store.snapshot().select(&[Matcher::equal("__name__", name)], Millis(i64::MIN), Millis(i64::MAX));
    found.into_iter().flat_map(|series| series.samples).map(|(at, value)| (at.0, value)).collect()
}

#[test]
fn samples_come_in_with_their_bits() {
    let store = store(10);
    let body = request(&[
        series(&[("__name__", "a"), ("job", "x")], &[(1000, 1.5), (2000, -0.0), (3000, stale_marker())]),
        series(&[("__name__", "b.c"), ("läbel", "ü")], &[(-5, f64::NAN)]),
    ]);
    let outcome = take(&packed(&body), &store).unwrap();
    assert_eq!(outcome, Outcome { taken: 4, ..Outcome::default() });
    let samples = held(&store, "a");
    assert_eq!(samples[..2], [(1000, 1.5), (2000, 0.0)]);
    assert!(samples[1].1.is_sign_negative() && is_stale(samples[2].1));
    let other = held(&store, "b.c")[0];
    assert!(other.0 == -5 && other.1.is_nan() && !is_stale(other.1));
}

#[test]
fn a_series_of_many_samples_comes_in_pieces() {
    let many = BATCH_SAMPLES * 2 + 10;
    let samples: Vec<_> = (0..many).zip(0..).map(|(_, at)| (Millis(at), 1.0)).collect();
    let (mut batch, mut taken) = (Batch::default(), Vec::new());
    let mut hand_over = |series: &mut Vec<store::Series>| {
        let samples: Vec<_> = series.drain(..).flat_map(|series| series.samples).collect();
        assert!(samples.len() <= BATCH_SAMPLES, "{}", samples.len());
        taken.extend(samples);
    };
    batch.add(&Labels::new([("a", "b")]), samples[..5].iter().copied(), &mut hand_over);
    batch.add(&Labels::new([("a", "c")]), samples[5..].iter().copied(), &mut hand_over);
    assert_eq!(batch.samples, 10);
    hand_over(&mut batch.series);
    assert_eq!(taken, samples);
    // The same through the whole.
    let samples: Vec<_> = samples.iter().map(|(at, value)| (at.0, *value)).collect();
    let store = store(10);
    let outcome = take(&packed(&request(&[series(&[("__name__", "a")], &samples)])), &store).unwrap();
    assert_eq!(outcome, Outcome { taken: many as u64, ..Outcome::default() });
    assert_eq!(held(&store, "a").len(), samples.len());
}

#[test]
fn what_can_be_taken_is_taken_and_the_rest_is_told() {
    let store = store(1);
    let body = request(&[
        series(&[("__name__", "a")], &[(2000, 1.0), (1000, 1.0), (3000, 2.0), (3000, 3.0), (3000, 2.0)]),
        series(&[("__name__", "more")], &[(1000, 1.0)]),
        series(&[("job", "x")], &[(1000, 1.0), (2000, 1.0)]),
    ]);
    let outcome = take(&packed(&body), &store).unwrap();
    assert_eq!(
        outcome.to_string(),
        "3 samples taken, 1 not: duplicate for their time with another value, 1 not: of new series beyond storage.max_series, \
         2 not: with labels that cannot be; the first: no metric name in {job=\"x\"}"
    );
    assert!(!outcome.is_whole());
    assert_eq!(held(&store, "a"), [(1000, 1.0), (2000, 1.0), (3000, 2.0)]);
}

#[test]
fn labels_are_sorted_and_each_once() {
    let told = |labels: &[(&str, &str)]| {
        let outcome = take(&packed(&request(&[series(labels, &[(1, 1.0)])])), &store(10)).unwrap();
        (outcome.taken, outcome.first_rejected.unwrap_or_default())
    };
    assert_eq!(told(&[("__name__", "a"), ("x", "")]), (1, String::new()));
    assert!(told(&[("__name__", "a"), ("x", "1"), ("x", "2")]).1.starts_with("label \"x\" twice in {__name__=\"a\""));
    assert!(told(&[("b", "a"), ("__name__", "1")]).1.starts_with("labels out of order (\"b\" before \"__name__\")"));
    assert!(told(&[("", "a"), ("__name__", "1")]).1.starts_with("a label without a name"));
    assert!(told(&[("__name__", "")]).1.starts_with("no metric name"));
    let long = "v".repeat(100_000);
    assert!(told(&[("job", &long)]).1.len() < 1000);
}

#[test]
fn exemplars_histograms_metadata_and_what_is_not_known_are_passed_over() {
    let mut one = Writer(series(&[("__name__", "a")], &[(1000, 1.0)]));
    one.bytes(3, b"exemplar").bytes(4, b"histogram").bytes(99, b"?");
    one.varint(98 << 3).varint(u64::MAX).varint(97 << 3 | 5).0.extend([0; 4]);
    let mut all = Writer(request(&[one.0]));
    all.bytes(3, b"metadata");
    let store = store(10);
    let outcome = take(&packed(&all.0), &store).unwrap();
    assert_eq!((outcome.taken, outcome.not_supported, outcome.is_whole()), (1, 2, true));
}

#[test]
fn a_body_that_breaks_off_changes_nothing() {
    let body = request(&[series(&[("__name__", "a")], &[(1000, 1.0)]), series(&[("__name__", "b")], &[(1000, 1.0)])]);
    let store = store(10);
    let whole = request(&[series(&[("__name__", "a")], &[(1000, 1.0)])]).len();
    for end in (1..body.len()).filter(|end| *end != whole) {
        let error = take(&packed(&body[..end]), &store).unwrap_err();
        assert!(error.to_string().starts_with("the body is no prometheus.WriteRequest: "), "{end}: {error}");
    }
    assert_eq!(store.series_count(), 0);
    assert_eq!(take(&packed(&body), &store).unwrap().taken, 2);
}

#[test]
fn bombs_and_noise_are_refused() {
    let store = store(10);
    // Zeros pack to a hundredth of their size.
    let bomb = packed(&vec![0; MAX_UNPACKED + 1]);
    assert_eq!(take(&bomb, &store), Err(BodyError::TooLarge(MAX_UNPACKED + 1)));
    assert!(matches!(take(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2], &store), Err(BodyError::TooLarge(_))));
    assert!(matches!(take(b"x", &store), Err(BodyError::Snappy(_))));
    assert!(matches!(take(&[], &store), Err(BodyError::Snappy(_))));
    assert!(matches!(take(&packed(b"\x0b"), &store), Err(BodyError::Malformed(_))), "groups are not proto3's");
    let not_text = request(&[Writer::default().bytes(1, &[0x0a, 1, 0xff]).0.clone()]);
    assert!(take(&packed(&not_text), &store).unwrap_err().to_string().contains("not UTF-8"));
    let many = vec![("a", "b"); 1001];
    assert!(take(&packed(&request(&[series(&many, &[])])), &store).unwrap_err().to_string().contains("1000 labels"));
    assert_eq!(take(&packed(&[]), &store), Ok(Outcome::default()));
}

proptest! {
    #[test]
    fn nothing_that_comes_in_is_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let store = store(10);
        let _ = take(&body, &store);
        let _ = take(&packed(&body), &store);
    }

    #[test]
    fn what_was_written_is_read(samples in proptest::collection::btree_map(any::<i64>(), any::<f64>(), 1..20)) {
        let samples: Vec<_> = samples.into_iter().collect();
        let body = request(&[series(&[("__name__", "a")], &samples)]);
        let read: Vec<_> = WriteRequest::new(&body).collect::<Result<_, _>>().unwrap();
        let bits = |(at, value): &(i64, f64)| (*at, value.to_bits());
        let found: Vec<_> = read[0].samples().map(|(at, value)| (at.0, value.to_bits())).collect();
        prop_assert_eq!(found, samples.iter().map(bits).collect::<Vec<_>>());
    }
}
