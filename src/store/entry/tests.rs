use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::cut::Shared;

const SPAN: Duration = Duration::from_mins(15);
const WINDOW: Duration = Duration::from_mins(1);

fn cut(entry: &Entry, after: i64, until: i64) -> Vec<(i64, f64)> {
    let mut shared = Shared::default();
    let span = entry.cut(Millis(after), Millis(until), &mut shared);
    assert_eq!(span.is_some(), entry.reaches_into(&Blocks::default(), Millis(after), Millis(until)));
    let runs = shared.into_runs(span.map(|span| (Labels::empty(), span)).into_iter().collect());
    let mut samples = Vec::new();
    if let [run] = runs.as_slice() {
        run.decode_into(&mut samples);
    }
    samples.into_iter().map(|(at, value)| (at.0, value)).collect()
}

fn latest(entry: &Entry, after: i64, until: i64) -> Option<(i64, f64)> {
    let (at, value) = entry.latest(&Blocks::default(), Millis(after), Millis(until))?.decode()?;
    Some((at.0, value))
}

/// A time: onward from the newest, some way back from it, or at its very moment. And a value of few.
fn any_sample() -> impl Strategy<Value = (i64, f64)> {
    let step = prop_oneof![10 => 1i64..30_000, 4 => -70_000i64..0, 1 => Just(0), 1 => 1_000_000i64..10_000_000_000];
    (step, (0u8..3).prop_map(f64::from))
}

proptest! {
    /// The measure is a map from time to value.
    #[test]
    fn a_series_is_what_was_put_in_order_of_time(
        steps in prop::collection::vec(any_sample(), 1..400),
        cuts in prop::collection::vec((0.0..1.0, 0.0..1.0), 8),
        back in 0.0..1.0,
    ) {
        let (mut entry, mut naive) =
            (Entry::new(Labels::empty(), SeriesRef::NONE), BTreeMap::<i64, f64>::new());
        for (step, value) in steps {
            let newest = naive.last_key_value().map_or(1_700_000_000_000, |(at, _)| *at);
            let at = newest + step;
            let fate = entry.put(Millis(at), value, SPAN, WINDOW);
            let expected = match naive.get(&at) {
                Some(known) if known.to_bits() == value.to_bits() => Fate::Known,
                // Nobody looks up what is that old.
                Some(_) if newest - at > 60_000 => Fate::TooOld,
                Some(_) => Fate::Duplicate,
                None if at > newest || naive.is_empty() => Fate::Appended,
                None if newest - at > 60_000 => Fate::TooOld,
                None => Fate::Inserted,
            };
            prop_assert!(fate == expected || (fate == Fate::TooOld && newest - at > 60_000), "{fate:?} {expected:?}");
            if matches!(fate, Fate::Appended | Fate::Inserted) {
                naive.insert(at, value);
            }
        }
        let (first, last) = (*naive.first_key_value().unwrap().0, *naive.last_key_value().unwrap().0);
        let at = |part: f64| first - 1 + ((last - first + 2) as f64 * part) as i64;
        for (from, to) in cuts.into_iter().chain([(0.0, 1.0)]) {
            let (after, until) = (at(from), at(to).max(at(from)));
            let inside = naive.iter().filter(|(at, _)| **at > after && **at <= until);
            let wanted: Vec<_> = inside.map(|(at, value)| (*at, *value)).collect();
            prop_assert_eq!(latest(&entry, after, until), wanted.last().copied());
            prop_assert_eq!(cut(&entry, after, until), wanted);
        }
        let back = at(back);
        let nothing_left = entry.rewind(Millis(back), &Blocks::default());
        let wanted: Vec<_> = naive.range(..back).map(|(at, value)| (*at, *value)).collect();
        prop_assert_eq!(nothing_left, wanted.is_empty());
        prop_assert_eq!(entry.last().map(|last| last.0), wanted.last().map(|(at, _)| *at));
        prop_assert_eq!(cut(&entry, i64::MIN, i64::MAX), wanted);
    }
}

#[test]
fn the_newest_samples_are_kept_as_they_came() {
    let mut entry = Entry::new(Labels::empty(), SeriesRef::NONE);
    for look in 0..1_000 {
        entry.put(Millis(look * 15_000), look as f64, Duration::from_hours(6), Duration::ZERO);
        let in_chunks: usize = entry.chunks().iter().map(Chunk::count).sum();
        let in_tail = look as usize + 1 - in_chunks;
        assert!(in_tail <= TAIL_SAMPLES && (look < 12 || in_tail > SEALED_AT_ONCE), "{in_tail} after {look}");
    }
    assert!(entry.chunks()[..14].iter().all(|chunk| chunk.count() == CHUNK_SAMPLES));
}
