use std::collections::BTreeMap;

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::model::{Family, METRIC_NAME, Point, STALE_BITS, Suffix};

const LIMITS: Limits = Limits { retention: Duration::from_hours(1), max_series: 10_000 };

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied())
}

/// Label pairs as the cases below write them.
type Pairs = [(&'static str, &'static str)];

/// A picture of gauges `name{n="…"} value`.
fn picture(source: &str, at: i64, series: &[(&str, &str, f64)]) -> Picture {
    let mut blocks: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for (name, n, value) in series {
        let point = Point { suffix: Suffix::None, labels: labels(&[("n", n)]), value: *value };
        blocks.entry(name).or_default().push(point);
    }
    let blocks = blocks.into_iter().map(|(name, points)| {
        let family = Family::discovered(name.to_owned(), crate::model::MetricKind::Gauge, String::new());
        Block { family, points }
    });
    Picture { source: source.into(), labels: labels(&[("job", source)]), blocks: blocks.collect(), at: Millis(at) }
}

/// Samples of one series as `time value`, a staleness marker as `time end`.
fn history(store: &Store, name: &str, n: &str) -> Vec<String> {
    let matchers = [Matcher::equal(METRIC_NAME, name), Matcher::equal("n", n)];
    let found = store.snapshot().select(&matchers, Millis(i64::MIN), Millis(i64::MAX));
    let samples = found.into_iter().flat_map(|series| series.samples);
    samples
        .map(|(at, v)| if v.to_bits() == STALE_BITS { format!("{} end", at.0) } else { format!("{} {v}", at.0) })
        .collect()
}

#[test]
fn a_series_that_is_shown_no_more_ends_once() {
    let store = Store::new(LIMITS);
    store.record(picture("app", 10, &[("a", "1", 1.0), ("a", "2", 2.0), ("b", "1", 3.0)]));
    store.record(picture("app", 20, &[("a", "2", 2.5)]));
    store.record(picture("app", 30, &[("a", "2", 2.5)]));
    store.record(picture("app", 40, &[("a", "1", 1.5), ("a", "2", 2.5)]));
    assert_eq!(history(&store, "a", "1"), ["10 1", "20 end", "40 1.5"]);
    assert_eq!(history(&store, "b", "1"), ["10 3", "20 end"]);
    store.end("app", Millis(40));
    store.end("app", Millis(50));
    assert_eq!(history(&store, "a", "1"), ["10 1", "20 end", "40 1.5", "41 end"]);
    assert_eq!(history(&store, "a", "2").last().unwrap(), "41 end");
    assert!(store.current().is_empty());
}

#[test]
fn a_marker_in_a_picture_is_a_series_not_shown() {
    let store = Store::new(LIMITS);
    store.record(picture("app", 10, &[("a", "1", 1.0)]));
    for at in [20, 30] {
        store.record(picture("app", at, &[("a", "1", f64::from_bits(STALE_BITS))]));
    }
    assert_eq!(history(&store, "a", "1"), ["10 1", "20 end"]);
}

#[test]
fn a_series_that_another_source_goes_on_with_does_not_end() {
    let store = Store::new(LIMITS);
    let shared =
        |source: &str, at| Picture { labels: Labels::empty(), ..picture(source, at, &[("a", "1", at as f64)]) };
    store.record(shared("old", 10));
    store.record(shared("new", 20));
    store.end("old", Millis(30));
    assert_eq!(history(&store, "a", "1"), ["10 10", "20 20"]);
}

#[test]
fn target_labels_win_and_the_points_own_are_kept() {
    let store = Store::new(LIMITS);
    let mut shown = picture("app", 10, &[("a", "1", 1.0)]);
    shown.labels = labels(&[("n", "target")]);
    store.record(shown);
    let all = store.snapshot().select(&[Matcher::equal(METRIC_NAME, "a")], Millis(0), Millis(99));
    assert_eq!(all[0].labels.to_string(), r#"{__name__="a", exported_n="1", n="target"}"#);
}

#[test]
fn samples_that_are_not_newer_are_dropped_and_counted() {
    let store = Store::new(LIMITS);
    for at in [20, 20, 10, 30] {
        store.record(picture("app", at, &[("a", "1", at as f64)]));
    }
    assert_eq!(history(&store, "a", "1"), ["20 20", "30 30"]);
    assert_eq!((store.samples_appended(), store.dropped()), (2, 2));
}

/// A clock that boots hours ahead and is put right: what is true afterwards is seen, what was written ahead is gone.
#[test]
fn a_clock_set_back_blinds_nobody() {
    let (now, hour) = (1_700_000_000_000, 3_600_000);
    for ahead in [hour / 2, 12 * hour] {
        let store = Store::new(LIMITS);
        let old = |store: &Store| history(store, "a", "1");
        store.record(picture("app", now - 10_000, &[("a", "1", 1.0)]));
        // More than a chunk, so that the cut goes through sealed ones too.
        for look in 0..150 {
            let at = now + ahead + look * 10_000;
            store.record(picture("app", at, &[("a", "1", 2.0), ("b", "1", 2.0)]));
            store.record(picture("gone", at, &[("c", "1", 2.0)]));
        }
        for look in 0..100 {
            store.record(picture("app", now + look * 10_000, &[("a", "1", 3.0)]));
        }
        assert_eq!(store.clock_steps(), 1);
        let kept = old(&store);
        assert_eq!(kept[kept.len() - 100], format!("{now} 3"), "{ahead}");
        assert_eq!(kept.last().unwrap(), &format!("{} 3", now + 990_000));
        // What was before the wrong time is still there unless the wrong time had outlived it.
        assert_eq!(kept.len(), if ahead < hour { 101 } else { 100 }, "{ahead}");
        assert!(history(&store, "b", "1").is_empty() && history(&store, "c", "1").is_empty());
        assert_eq!(store.series_count(), 1);
    }
}

#[test]
fn a_clock_set_forward_goes_on_with_what_is_shown() {
    let store = Store::new(LIMITS);
    let (now, hour) = (1_700_000_000_000, 3_600_000);
    let look = |at| store.record(picture("app", at, &[("a", "1", 1.0)]));
    for at in [now, now + 10_000, now + 5 * hour, now + 5 * hour + 10_000] {
        look(at);
    }
    assert_eq!(history(&store, "a", "1").len(), 4, "it may be set back yet");
    (2..100).for_each(|n| look(now + 5 * hour + n * 10_000));
    let shown = history(&store, "a", "1");
    assert_eq!((shown.len(), &shown[0]), (100, &format!("{} 1", now + 5 * hour)));
    assert_eq!(store.clock_steps(), 0);
}

#[test]
fn a_clock_that_is_ahead_for_some_minutes_makes_nothing_forgotten() {
    let store = Store::new(LIMITS);
    let (now, year) = (1_700_000_000_000, 365 * 24 * 3_600_000);
    let look = |at: i64| store.record(picture("app", at, &[("a", "1", 1.0)]));
    (0..300).for_each(|n| look(now + n * 10_000));
    let before = history(&store, "a", "1");
    (0..50).for_each(|n| look(now + year + n * 10_000));
    look(now + 350 * 10_000);
    let shown = history(&store, "a", "1");
    assert_eq!(shown[..300], before);
    assert_eq!(shown[300..], [format!("{} 1", now + 350 * 10_000)]);
    assert_eq!(store.clock_steps(), 1);
}

#[test]
fn a_cut_in_the_middle_of_a_series_leaves_what_was_before() {
    let store = Store::new(LIMITS);
    for look in 0..350 {
        store.record(picture("app", look * 10_000, &[("a", "1", look as f64)]));
    }
    // 120 samples to a chunk: within the open one, at a sealed one's edge, within a sealed one.
    for (at, kept) in [(3_000_005, 301), (2_400_000, 240), (1_190_000, 119), (600_005, 61)] {
        store.record(picture("app", at, &[("a", "1", -1.0)]));
        let shown = history(&store, "a", "1");
        assert_eq!(shown.last().unwrap(), &format!("{at} -1"));
        assert_eq!(shown.len(), kept + 1, "{at}");
    }
}

#[test]
fn what_is_computed_for_an_earlier_time_is_no_step_of_the_clock() {
    let store = Store::new(LIMITS);
    store.record(picture("app", 600_000, &[("a", "1", 1.0)]));
    store.record_computed(picture("rule", 300_000, &[("r", "1", 1.0)]));
    assert_eq!((store.clock_steps(), history(&store, "a", "1").len(), history(&store, "r", "1").len()), (0, 1, 1));
}

#[test]
fn beyond_max_series_new_ones_are_refused_and_the_old_go_on() {
    let store = Store::new(Limits { max_series: 2, ..LIMITS });
    store.record(picture("app", 10, &[("a", "1", 1.0), ("a", "2", 1.0), ("a", "3", 1.0)]));
    store.record(picture("app", 20, &[("a", "1", 1.0), ("a", "2", 1.0), ("a", "3", 1.0)]));
    assert_eq!((store.refused(), store.series_count()), (2, 2));
    assert_eq!(history(&store, "a", "2"), ["10 1", "20 1"]);
    assert!(history(&store, "a", "3").is_empty());
}

#[test]
fn a_snapshot_does_not_see_later_pictures() {
    let store = Store::new(LIMITS);
    store.record(picture("app", 10, &[("a", "1", 1.0), ("b", "1", 1.0)]));
    let snapshot = store.snapshot();
    store.record(picture("app", 20, &[("a", "1", 2.0), ("c", "1", 2.0)]));
    store.end("app", Millis(30));
    let seen = snapshot.select(&[], Millis(0), Millis(99));
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|series| series.samples == [(Millis(10), 1.0)]), "{seen:?}");
}

fn external(name: &str, samples: &[(i64, f64)]) -> Series {
    let samples = samples.iter().map(|(at, value)| (Millis(*at), *value)).collect();
    Series { labels: labels(&[(METRIC_NAME, name), ("n", "1")]), samples }
}

#[test]
fn external_samples_are_taken_within_the_window_and_the_limit() {
    let store = Store::new(Limits { max_series: 1, ..LIMITS });
    let late = external("a", &[(100_000, 1.0), (120_000, 2.0), (115_000, 1.5), (60_000, 0.5), (59_999, 0.4)]);
    let outcome = store.append_external(&[late, external("b", &[(10, 1.0), (20, 1.0)])]);
    let first_rejected = Some((external("a", &[]).labels, Rejection::OutOfOrder));
    assert_eq!(outcome, Appended { appended: 4, refused: 2, out_of_order: 1, first_rejected, ..Appended::default() });
    assert_eq!(outcome.rejected(), 3);
    assert_eq!(history(&store, "a", "1"), ["60000 0.5", "100000 1", "115000 1.5", "120000 2"]);

    let again =
        store.append_external(&[external("a", &[(115_000, 1.5), (120_000, 2.0), (100_000, 7.0), (120_000, 7.0)])]);
    let first_rejected = Some((external("a", &[]).labels, Rejection::Duplicate));
    assert_eq!(again, Appended { duplicate: 2, first_rejected, ..Appended::default() });
    assert_eq!((store.samples_appended(), store.dropped(), store.refused()), (4, 3, 2));
    let over = store.append_external(&[external("b", &[(10, 1.0)])]);
    assert_eq!(over.first_rejected, Some((external("b", &[]).labels, Rejection::OverLimit)));
}

#[test]
fn external_samples_out_of_all_bounds_are_dropped() {
    let store = Store::new(LIMITS);
    let (now, hour) = (1_700_000_000_000, 3_600_000);
    store.record(picture("app", now, &[("a", "1", 1.0)]));
    let far = external("far", &[(now - 2 * hour, 1.0), (now, 1.0), (now + 2 * hour, 1.0)]);
    let first_rejected = Some((far.labels.clone(), Rejection::OutOfBounds));
    let outcome = store.append_external(&[far, external("never", &[(now - 2 * hour, 1.0)])]);
    assert_eq!(outcome, Appended { appended: 1, out_of_bounds: 3, first_rejected, ..Appended::default() });
    assert_eq!(store.series_count(), 2);
}

#[test]
fn a_picture_takes_nothing_late() {
    let store = Store::new(LIMITS);
    store.append_external(&[external("a", &[(20_000, 2.0)])]);
    let late = Picture { labels: Labels::empty(), ..picture("app", 10_000, &[("a", "1", 1.0)]) };
    store.record_computed(late);
    assert_eq!(history(&store, "a", "1"), ["20000 2"]);
    assert_eq!(store.dropped(), 1);
}

#[test]
fn a_query_beside_writers_sees_whole_pictures() {
    let store = Store::new(LIMITS);
    let writer = store.clone();
    store.record(picture("app", 1, &[("a", "1", 1.0), ("b", "1", 1.0)]));
    let writing = std::thread::spawn(move || {
        // As many as a snapshot is told from: the reader may be away for all of them.
        for at in 2..1_000 {
            writer.record(picture("app", at, &[("a", "1", at as f64), ("b", "1", at as f64)]));
        }
    });
    while !writing.is_finished() {
        let snapshot = store.snapshot();
        let last = |name| {
            let found = snapshot.select(&[Matcher::equal(METRIC_NAME, name)], Millis(0), Millis(i64::MAX));
            *found[0].samples.last().unwrap()
        };
        let seen = last("a");
        std::thread::yield_now();
        assert_eq!(last("b"), seen);
    }
    writing.join().unwrap();
}

#[test]
fn matchers_treat_an_absent_label_as_empty() {
    let store = Store::new(LIMITS);
    let of = |pairs: &[(&str, &str)]| Series { labels: labels(pairs), samples: vec![(Millis(1), 1.0)] };
    let (plain, code, other, nameless) = (
        &[("__name__", "a")][..],
        &[("__name__", "a"), ("code", "500")][..],
        &[("__name__", "b"), ("code", "404")][..],
        &[("code", "200")][..],
    );
    store.append_external(&[of(plain), of(code), of(other), of(nameless)]);

    let regex = |text: &str| Regex::new(&format!("^(?s:{text})$")).unwrap();
    let matcher = |name: &str, op, value: &str| Matcher { name: name.into(), op, value: value.into() };
    let not = |name, value| matcher(name, MatchOp::NotEqual, value);
    let like = |name, value| matcher(name, MatchOp::Matches(regex(value)), value);
    let unlike = |name, value| matcher(name, MatchOp::NotMatches(regex(value)), value);
    let cases: Vec<(Vec<Matcher>, Vec<&Pairs>)> = vec![
        (vec![], vec![plain, code, other, nameless]),
        (vec![Matcher::equal("__name__", "a")], vec![plain, code]),
        (vec![Matcher::equal("__name__", "a"), not("code", "404")], vec![plain, code]),
        (vec![Matcher::equal("__name__", "a"), not("code", "500")], vec![plain]),
        (vec![Matcher::equal("code", "")], vec![plain]),
        (vec![Matcher::equal("__name__", "")], vec![nameless]),
        (vec![not("code", "")], vec![code, other, nameless]),
        (vec![like("code", "[45]..")], vec![code, other]),
        (vec![like("code", ".*"), like("__name__", "a|b")], vec![plain, code, other]),
        (vec![like("code", "500|")], vec![plain, code]),
        (vec![unlike("code", "4..|5..")], vec![plain, nameless]),
        (vec![unlike("code", "4..|")], vec![code, nameless]),
        (vec![Matcher::equal("none", "x")], vec![]),
        (vec![Matcher::equal("__name__", "a"), Matcher::equal("code", "500")], vec![code]),
        (vec![Matcher::equal("__name__", "a"), Matcher::equal("code", "404")], vec![]),
        (vec![Matcher::equal("__name__", "a"), like("code", "500|404")], vec![code]),
        (vec![like("code", "404|500|404"), like("__name__", "a|b")], vec![code, other]),
        (vec![like("code", "404|200"), unlike("__name__", ".+")], vec![nameless]),
        (vec![like("code", "4.*")], vec![other]),
        (vec![unlike("code", "4.*|5.*"), like("__name__", ".+")], vec![plain]),
        (vec![unlike("code", ".*")], vec![]),
        (vec![like("code", ""), not("__name__", "b")], vec![plain]),
        (vec![not("none", "x"), like("__name__", "b")], vec![other]),
    ];
    for (matchers, expected) in cases {
        let mut found: Vec<_> =
            store.snapshot().select(&matchers, Millis(0), Millis(9)).into_iter().map(|series| series.labels).collect();
        found.sort();
        let mut expected: Vec<_> = expected.into_iter().map(labels).collect();
        expected.sort();
        assert_eq!(found, expected, "{matchers:?}");
    }
    let snapshot = store.snapshot();
    assert_eq!(snapshot.label_names().iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["__name__", "code"]);
    assert_eq!(snapshot.label_values("code").iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["200", "404", "500"]);
    let (from, to) = (Millis(0), Millis(9));
    assert_eq!(snapshot.labels_of(&[Matcher::equal("code", "404")], from, to), [labels(other)]);
    let texts = |texts: Vec<Arc<str>>| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let named_a = [Matcher::equal("__name__", "a")];
    assert_eq!(texts(snapshot.label_names_of(&named_a, from, to)), ["__name__", "code"]);
    assert_eq!(texts(snapshot.label_names_of(&[Matcher::equal("code", "200")], from, to)), ["code"]);
    assert_eq!(texts(snapshot.label_values_of("code", &named_a, from, to)), ["500"]);
    assert_eq!(texts(snapshot.label_values_of("code", &[], from, to)), ["200", "404", "500"]);
    assert!(snapshot.label_values_of("code", &[], to, Millis(99)).is_empty(), "nothing is as late as that");
}

#[test]
fn under_churn_the_store_stays_within_its_bounds() {
    let store = Store::new(LIMITS);
    let step = 10_000;
    for look in 0..3_000i64 {
        let (fixed, passing) = ("fixed".to_owned(), format!("container-{}", look / 5));
        let shown = [("a", fixed.as_str(), look as f64), ("a", passing.as_str(), 1.0), ("b", passing.as_str(), 2.0)];
        store.record(picture("docker", 1_700_000_000_000 + look * step, &shown));
    }
    let history = store.read();
    let history = history.series();
    // An hour has 360 looks, thus 72 passing containers with two series each, besides those that wait for the sweep.
    assert!(history.len() <= 1 + 2 * 75, "{} series", history.len());
    assert!(history.slots() <= 200, "{} slots", history.slots());
    assert_eq!(history.index().values("n").len(), history.entries().filter(|e| e.labels.metric_name() == "a").count());
    let fixed = &store.snapshot().select(&[Matcher::equal("n", "fixed")], Millis(0), Millis(i64::MAX))[0];
    assert_eq!(fixed.samples.len(), 361);
    let history = store.read();
    let history = history.series();
    let kept = history.entries().flat_map(entry::Entry::chunks).count();
    assert!(kept <= 361_usize.div_ceil(chunk::CHUNK_SAMPLES) + 1, "{kept} chunks");
}

#[test]
fn a_freed_slot_is_not_taken_for_the_series_that_was_there() {
    let store = Store::new(LIMITS);
    let hour = 3_600_000;
    store.record(picture("slow", 0, &[("a", "1", 1.0)]));
    for look in 1..200 {
        let at = hour * 2 + look * 10_000;
        store.record(picture("quick", at, &[("b", "1", look as f64)]));
        store.record(picture(&format!("q{look}"), at, &[("b", "2", look as f64)]));
    }
    store.record(picture("slow", hour * 3, &[("a", "1", 5.0)]));
    assert_eq!(history(&store, "a", "1"), [format!("{} 5", hour * 3)]);
}

/// The store's meaning without its means: every series a list, every look compared with the one before.
#[derive(Default)]
struct Naive {
    series: BTreeMap<Labels, Vec<(i64, u64)>>,
    shown: BTreeMap<String, Vec<Labels>>,
}

impl Naive {
    fn record(&mut self, source: &str, at: i64, shown: &[(&str, &str, f64)]) {
        let mut now = Vec::new();
        for (name, n, value) in shown {
            let labels = labels(&[(METRIC_NAME, name), ("n", n), ("job", source)]);
            let samples = self.series.entry(labels.clone()).or_default();
            if samples.last().is_none_or(|(last, _)| *last < at) {
                samples.push((at, value.to_bits()));
            }
            now.push(labels);
        }
        for gone in self.shown.insert(source.into(), now.clone()).unwrap_or_default() {
            let samples = self.series.get_mut(&gone).unwrap();
            let (last, bits) = *samples.last().unwrap();
            if !now.contains(&gone) && bits != STALE_BITS {
                samples.push((at.max(last + 1), STALE_BITS));
            }
        }
    }
}

proptest! {
    #[test]
    fn the_store_means_what_the_naive_one_does(
        looks in prop::collection::vec(
            ("[pq]", -1i64..300, prop::collection::vec(("[ab]", "[1-6]", -3i32..3), 0..9)), 1..200)
    ) {
        let (store, mut naive) = (Store::new(LIMITS), Naive::default());
        let mut at = 0;
        for (source, step, shown) in &looks {
            at += step;
            let mut shown: Vec<_> = shown.iter().map(|(a, n, v)| (a.as_str(), n.as_str(), f64::from(*v))).collect();
            // As in every picture: a series once.
            shown.sort_by(|x, y| (x.0, x.1).cmp(&(y.0, y.1)));
            shown.dedup_by_key(|s| (s.0, s.1));
            naive.record(source, at, &shown);
            store.record(picture(source, at, &shown));
        }
        let found: BTreeMap<_, Vec<_>> = store
            .snapshot()
            .select(&[], Millis(i64::MIN), Millis(i64::MAX))
            .into_iter()
            .map(|s| (s.labels, s.samples.into_iter().map(|(at, v)| (at.0, v.to_bits())).collect()))
            .collect();
        prop_assert_eq!(found, naive.series);
        for until in [at / 2, at, at + 1] {
            let (after, until) = (Millis(until - 500), Millis(until));
            let latest = |mut series: Series| (series.labels, series.samples.pop().map(|(at, v)| (at, v.to_bits())));
            let whole: BTreeMap<_, _> = store.snapshot().select(&[], after, until).into_iter().map(latest).collect();
            let newest = store.snapshot().newest(&[], after, until).into_iter();
            let alone: BTreeMap<_, _> =
                newest.map(|newest| (newest.labels, Some((newest.at, newest.value.to_bits())))).collect();
            prop_assert_eq!(whole, alone);
        }
    }
}

#[test]
fn a_series_that_stands_in_a_picture_twice_is_shown_and_kept_once() {
    let store = Store::new(LIMITS);
    for at in [1000, 2000] {
        store.record(picture("replicas", at, &[("lag", "a", 1.0), ("lag", "b", 2.0), ("lag", "a", 3.0)]));
        let shown = store.current();
        let values: Vec<f64> =
            shown[0].blocks.iter().flat_map(|block| &block.points).map(|point| point.value).collect();
        assert_eq!(values, [1.0, 2.0]);
    }
    assert_eq!((store.series_count(), store.dropped()), (2, 2));
}

#[test]
fn a_picture_holds_its_texts_with_the_index_and_its_label_sets_with_the_picture_before() {
    let store = Store::new(LIMITS);
    let kept = labels(&[("n", "cached")]);
    let look = |at| {
        let mut picture = picture("db", at, &[("size", "fresh", 1.0), ("size", "", 2.0)]);
        picture.blocks[0].points[1].labels = kept.clone();
        store.record(picture);
        let shown = store.current();
        let sets = shown[0].blocks[0].points.iter().map(|point| point.labels.clone());
        sets.collect::<Vec<_>>()
    };
    let (first, second) = (look(1000), look(2000));
    assert!(std::ptr::eq(first[0].pairs(), second[0].pairs()), "the second look's own set is gone");
    assert!(std::ptr::eq(second[1].pairs(), kept.pairs()), "a set that its collector keeps stays as it is");
    let found = store.snapshot().labels_of(&[Matcher::equal("n", "fresh")], Millis(0), Millis(5000));
    assert!(Arc::ptr_eq(found[0].shared("n").unwrap(), first[0].shared("n").unwrap()), "one text for both");
}

/// 110 looks at a real `node_exporter` 1.11.1, 1.5 s apart, on a machine at work; a line per series, `=` for the value before.
fn recorded() -> Vec<(String, Vec<f64>)> {
    let file =
        std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captured/node_exporter_looks.gz")).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    let series = text.lines().map(|line| {
        let (name, values) = line.split_once('\t').unwrap();
        let mut before = f64::NAN;
        let value = |value: &str| {
            before = if value == "=" { before } else { value.parse().unwrap() };
            before
        };
        (name.to_owned(), values.split(' ').map(value).collect())
    });
    series.collect()
}

#[test]
fn a_real_scrape_takes_less_than_two_bytes_a_sample_in_chunks() {
    let series = recorded();
    assert!(series.len() > 500);
    let (mut bytes, mut samples) = (0, 0);
    for (_, values) in &series {
        // As the agent's own looks: 10 s apart, ended some milliseconds off their slot, all of a look at one time.
        let at = |n: i64| Millis(1_700_000_000_000 + n * 10_000 + (n * 7919) % 13);
        let values: Vec<_> = (0..).map(at).zip(values.iter().copied()).collect();
        let chunk = chunk::Chunk::of(&values);
        bytes += chunk.bytes().len();
        samples += values.len();
    }
    let per_sample = bytes as f64 / samples as f64;
    assert!(per_sample < 2.0, "{per_sample} bytes a sample of {} series", series.len());
}
