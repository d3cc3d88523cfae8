use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::STALE_BITS;

/// Keeps what it is told, in order.
#[derive(Debug, Default, Clone, PartialEq)]
struct Told {
    names: BTreeMap<Labels, u32>,
    samples: Vec<(Labels, i64, u64)>,
    rewinds: Vec<(usize, i64)>,
}

impl Replay for Told {
    fn series(&mut self, labels: Labels) -> Option<SeriesRef> {
        let next = self.names.len() as u32;
        Some(SeriesRef { id: *self.names.entry(labels).or_insert(next), generation: 0 })
    }

    fn sample(&mut self, series: SeriesRef, at: Millis, value: f64) {
        let labels = self.names.iter().find(|(_, id)| **id == series.id).expect("named before").0;
        self.samples.push((labels.clone(), at.0, value.to_bits()));
    }

    fn newest(&mut self, _: Millis) {}

    fn rewind(&mut self, at: Millis) {
        self.rewinds.push((self.samples.len(), at.0));
    }
}

fn name(series: SeriesRef) -> Labels {
    Labels::new([("__name__", "m".to_owned()), ("n", format!("{}-{}", series.id, series.generation))])
}

/// A segment of batches, a rewind behind every third, and what it says.
fn segment(batches: &[Vec<(u32, u32, i64, u64)>]) -> (Vec<u8>, Vec<usize>, Told) {
    let (mut out, mut ends, mut told) = (Vec::new(), Vec::new(), Told::default());
    let mut writer = SegmentWriter::start(7, &mut out);
    ends.push(out.len());
    for (number, batch) in batches.iter().enumerate() {
        let samples: Vec<_> = batch
            .iter()
            .map(|(id, generation, at, bits)| Sample {
                series: SeriesRef { id: *id, generation: *generation },
                at: Millis(*at),
                value: f64::from_bits(*bits),
            })
            .collect();
        for sample in &samples {
            if writer.is_new(sample.series) {
                writer.name([(sample.series, &name(sample.series))].into_iter(), &mut out);
                told.series(name(sample.series));
                ends.push(out.len());
            }
            writer.samples(&[*sample], sample.at, &mut out);
            told.samples.push((name(sample.series), sample.at.0, sample.value.to_bits()));
            ends.push(out.len());
        }
        if number % 3 == 0 {
            writer.rewind(Millis(number.cast_signed() as i64), &mut out);
            told.rewind(Millis(number.cast_signed() as i64));
            ends.push(out.len());
        }
    }
    (out, ends, told)
}

fn read(bytes: &[u8]) -> (Extent, Told) {
    let mut told = Told::default();
    let extent = read_segment(7, bytes, &mut told).expect("memory can be read");
    (extent, told)
}

fn is_prefix(part: &Told, whole: &Told) -> bool {
    whole.samples.starts_with(&part.samples) && whole.rewinds.starts_with(&part.rewinds)
}

fn batches() -> impl Strategy<Value = Vec<Vec<(u32, u32, i64, u64)>>> {
    let bits = prop_oneof![
        any::<u64>(),
        (0u32..1000).prop_map(|v| f64::from(v).to_bits()),
        (0u32..1000).prop_map(|v| (f64::from(v) / 100.0).to_bits()),
        Just(STALE_BITS)
    ];
    let sample = (0u32..20, 0u32..2, prop_oneof![any::<i64>(), 0i64..100_000], bits);
    prop::collection::vec(prop::collection::vec(sample, 0..12), 0..12)
}

proptest! {
    #[test]
    fn what_is_written_is_read(batches in batches()) {
        let (bytes, _, told) = segment(&batches);
        prop_assert_eq!(read(&bytes), (Extent::Whole, told));
    }

    #[test]
    fn a_whole_batch_is_one_frame_and_is_read(batch in prop::collection::vec((0u32..50, any::<i64>(), any::<u64>()), 1..300)) {
        let mut out = Vec::new();
        let mut writer = SegmentWriter::start(7, &mut out);
        let all: Vec<_> = (0..50).map(|id| SeriesRef { id, generation: 0 }).collect();
        let names: Vec<_> = all.iter().map(|series| name(*series)).collect();
        writer.name(all.iter().copied().zip(&names), &mut out);
        let samples: Vec<_> = batch
            .iter()
            .map(|(id, at, bits)| Sample { series: all[*id as usize], at: Millis(*at), value: f64::from_bits(*bits) })
            .collect();
        writer.samples(&samples, Millis(0), &mut out);
        prop_assert_eq!(writer.frames, 2);
        let (extent, told) = read(&out);
        prop_assert_eq!(extent, Extent::Whole);
        let expected: Vec<_> = samples.iter().map(|s| (name(s.series), s.at.0, s.value.to_bits())).collect();
        prop_assert_eq!(told.samples, expected);
    }

    #[test]
    fn foreign_bytes_behind_a_good_head_do_no_harm(payload in prop::collection::vec(any::<u8>(), 1..300)) {
        let mut out = Vec::new();
        let mut writer = SegmentWriter::start(7, &mut out);
        writer.payload = payload;
        writer.end_frame(&mut out);
        read(&out);
        fuzz(&out);
        fuzz(&out[HEADER..]);
    }
}

fn small() -> (Vec<u8>, Vec<usize>, Told) {
    let series = |n: u64| (n as u32 % 3, 0, n.cast_signed() * 1000, (n as f64 * 1.5).to_bits());
    segment(&[(0..6).map(series).collect(), (6..9).map(series).collect()])
}

#[test]
fn cut_off_at_any_byte_it_holds_what_was_written_before() {
    let (bytes, ends, told) = small();
    for length in 0..bytes.len() {
        let (extent, part) = read(&bytes[..length]);
        let end = ends.iter().copied().rfind(|end| *end <= length);
        let expected = match end {
            Some(end) if end == length => Extent::Whole,
            Some(end) => Extent::Torn(end as u64),
            None => Extent::Torn(0),
        };
        assert_eq!(extent, expected, "{length} bytes");
        assert!(is_prefix(&part, &told), "{length} bytes");
        let (_, at_end) = read(&bytes[..end.unwrap_or(0)]);
        assert_eq!(part, at_end, "what is whole before byte {length} is read");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_and_is_not_read() {
    let (bytes, ends, told) = small();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (extent, part) = read(&flipped);
        let start = ends.iter().copied().rfind(|end| *end <= bit / 8).unwrap_or(0);
        assert_eq!(extent, Extent::Damaged(start as u64), "bit {bit}");
        assert!(is_prefix(&part, &told), "bit {bit}");
    }
}

#[test]
fn a_frame_that_is_missing_or_stands_twice_is_noticed() {
    let (bytes, ends, told) = small();
    for pair in ends.windows(2) {
        let without = [&bytes[..pair[0]], &bytes[pair[1]..]].concat();
        let twice = [&bytes[..pair[1]], &bytes[pair[0]..]].concat();
        for wrong in [without, twice] {
            let (extent, part) = read(&wrong);
            assert!(is_prefix(&part, &told));
            // Without its last frame it is a shorter segment.
            let is_shorter = pair[1] == bytes.len() && wrong.len() < bytes.len();
            assert_eq!(extent == Extent::Whole, is_shorter, "{extent:?}");
        }
    }
    let zeroed = [&bytes[..], &[0; 64]].concat();
    assert_eq!(read(&zeroed), (Extent::Damaged(bytes.len() as u64), told));
}

#[test]
fn a_quiet_stack_takes_about_a_byte_a_sample() {
    let mut out = Vec::new();
    let mut writer = SegmentWriter::start(7, &mut out);
    let all: Vec<_> = (0..3000).map(|id| SeriesRef { id, generation: 0 }).collect();
    let names: Vec<_> = all.iter().map(|series| name(*series)).collect();
    writer.name(all.iter().copied().zip(&names), &mut out);
    let start = out.len();
    for look in 0..60i64 {
        let value = |id: u32| match id % 3 {
            0 => 1.0,
            1 => 1e6 + f64::from(id) * look as f64,
            _ => f64::from((id * 7919 + look as u32 * 104_729) % 1000) / 100.0,
        };
        let at = Millis(1_700_000_000_000 + look * 10_000);
        let samples: Vec<_> =
            all.iter().map(|series| Sample { series: *series, at, value: value(series.id) }).collect();
        writer.samples(&samples, at, &mut out);
    }
    let each = (out.len() - start) as f64 / (60.0 * 3000.0);
    assert!(each < 2.5, "{each} bytes a sample");
}
