//! The wall clock is set back, or ahead for a while.

use super::*;

#[test]
fn what_a_clock_set_back_made_forgotten_stays_so_though_nothing_was_sealed_since() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    store.record(picture("a", NOW, &[(0, 1.0)]));
    assert!(store.seal(SOON));
    store.record(picture("a", NOW - 120_000, &[]));
    assert_eq!(held(&store), Held::new());
    assert!(store.seal(SOON));
    drop(store);
    assert_eq!(held(&open_in(folder.path()).0), Held::new());
}

#[test]
fn what_a_clock_set_back_made_forgotten_stays_so_over_starts() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    for minute in 0..30 {
        store.record(picture("a", NOW + minute * 60_000, &[(1, minute as f64)]));
    }
    assert!(store.seal(SOON));
    let ten = NOW + 10 * 60_000;
    store.record(picture("a", ten, &[(1, 100.0)]));
    let truth = held(&store);
    assert_eq!(truth.values().next().unwrap().last(), Some(&(ten, 100f64.to_bits())));
    assert!(store.flush(SOON));
    assert_eq!(held(&open_in(copy(folder.path()).path()).0), truth, "out of the log");
    assert!(store.seal(SOON));
    assert_eq!(held(&store), truth);
    assert_eq!(held(&open_in(copy(folder.path()).path()).0), truth, "out of the block's name");
    store.record(picture("a", ten + 60_000, &[(1, 101.0)]));
    let truth = held(&store);
    drop(store);
    assert_eq!(held(&open_in(folder.path()).0), truth);
}

#[test]
fn a_clock_that_is_ahead_for_some_minutes_takes_no_block() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = open_in(folder.path());
    for look in 0..10 {
        store.record(picture("a", NOW + look * 10_000, &[(1, look as f64)]));
    }
    assert!(store.seal(SOON));
    let truth = held(&store);
    for minute in 0..10 {
        store.record(picture("a", NOW * 2 + minute * 60_000, &[(1, -1.0)]));
        assert!(store.flush(SOON));
        if minute == 4 {
            assert!(store.seal(SOON), "also what was measured meanwhile");
        } else if minute == 7 {
            drop(store);
            store = open_in(folder.path()).0;
        }
    }
    store.record(picture("b", NOW + 700_000, &[]));
    assert!(store.seal(SOON));
    assert_eq!(held(&store), truth);
    drop(store);
    assert_eq!(held(&open_in(folder.path()).0), truth);
}
