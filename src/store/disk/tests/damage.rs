//! What stands in a file is not what was written, or cannot be read at all.

use std::collections::BTreeSet;

use super::*;

/// The files of a part in order.
fn files(folder: &Path, part: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder.join(part)).unwrap().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Whether all that `part` holds stands in `whole` too.
fn is_within(part: &Held, whole: &Held) -> bool {
    part.iter()
        .all(|(labels, samples)| whole.get(labels).is_some_and(|all| samples.iter().all(|sample| all.contains(sample))))
}

#[test]
fn a_log_cut_at_any_byte_gives_what_was_written_before() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    fill(&store, NOW);
    assert!(store.flush(SOON));
    let whole = held(&store);
    drop(store);
    let log = fs::read(only_file(folder.path(), "log")).unwrap();
    let mut before = 0;
    for length in 0..=log.len() {
        let part = copy(folder.path());
        fs::write(only_file(part.path(), "log"), &log[..length]).unwrap();
        let (store, recovery) = open_in(part.path());
        assert_eq!(recovery.damaged, 0, "a cut is no damage");
        let found = held(&store);
        assert!(is_within(&found, &whole), "{length} bytes");
        let count = found.values().map(Vec::len).sum::<usize>();
        assert!(count >= before, "{length} bytes");
        before = count;
    }
    assert_eq!(before, whole.values().map(Vec::len).sum::<usize>());
}

#[test]
fn a_flipped_byte_of_the_log_is_told_and_takes_the_rest_of_its_segment() {
    let folder = tempfile::tempdir().unwrap();
    for from in [NOW, NOW + 60_000] {
        let (store, _) = open_in(folder.path());
        fill(&store, from);
        drop(store);
    }
    let (store, recovery) = open_in(folder.path());
    let whole = held(&store);
    assert_eq!((recovery.series, recovery.from_log, recovery.damaged), (4, 24, 0));
    drop(store);
    let first = fs::read_dir(folder.path().join("log")).unwrap().flatten().map(|entry| entry.path()).min().unwrap();
    let log = fs::read(&first).unwrap();
    for at in (0..log.len()).step_by(3) {
        let part = copy(folder.path());
        let mut flipped = log.clone();
        flipped[at] ^= 0x10;
        fs::write(part.path().join("log").join(first.file_name().unwrap()), &flipped).unwrap();
        let (store, recovery) = open_in(part.path());
        assert_eq!((recovery.damaged, store.disk().unwrap().corruptions), (1, 1), "byte {at}");
        let found = held(&store);
        assert!(is_within(&found, &whole), "byte {at}");
        assert!(
            found.values().flatten().filter(|(at, _)| *at >= NOW + 60_000).count() == 12,
            "the next segment is read"
        );
    }
}

#[test]
fn a_flipped_byte_of_a_block_is_told_and_never_read_as_data() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    fill(&store, NOW);
    assert!(store.seal(SOON));
    let whole = held(&store);
    assert_eq!((store.disk().unwrap().blocks, store.disk().unwrap().log_bytes), (1, 0));
    drop(store);
    let block = fs::read(only_file(folder.path(), "blocks")).unwrap();
    for at in 0..block.len() {
        let part = copy(folder.path());
        let mut flipped = block.clone();
        flipped[at] ^= 0x10;
        fs::write(only_file(part.path(), "blocks"), &flipped).unwrap();
        let (store, _) = open_in(part.path());
        let found = held(&store);
        assert!(is_within(&found, &whole), "byte {at}");
        assert!(store.disk().unwrap().corruptions >= 1, "byte {at}");
        assert_ne!(found, whole, "byte {at}");
    }
    for length in (0..block.len()).step_by(7) {
        let part = copy(folder.path());
        fs::write(only_file(part.path(), "blocks"), &block[..length]).unwrap();
        let (store, recovery) = open_in(part.path());
        assert_eq!((recovery.damaged, held(&store)), (1, Held::new()), "{length} bytes");
        fill(&store, NOW + 100_000);
        assert!(store.seal(SOON), "a new block beside the damaged one");
    }
}

#[test]
fn a_file_of_a_later_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    fill(&store, NOW);
    assert!(store.seal(SOON));
    fill(&store, NOW + 60_000);
    drop(store);
    for part in ["log", "blocks"] {
        let copy = copy(folder.path());
        let file = only_file(copy.path(), part);
        let mut bytes = fs::read(&file).unwrap();
        bytes[6] = 2;
        let sum = frame::checksum(0, &bytes[..16]);
        bytes[16..20].copy_from_slice(&sum.to_le_bytes());
        fs::write(&file, &bytes).unwrap();
        let refused = Store::open(LIMITS, copy.path()).expect_err("a later version").to_string();
        assert!(refused.contains("later version") && refused.contains(file.to_str().unwrap()), "{refused}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_left_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for look in 0..4 {
        let (store, _) = open_in(folder.path());
        fill(&store, NOW + look * 60_000);
        // Two blocks, then two segments.
        assert!(look > 1 || store.seal(SOON));
    }
    let whole = held(&open_in(copy(folder.path()).path()).0);
    let files = |part| files(folder.path(), part);
    // What even root cannot read: a folder, and a link to itself.
    let (block, segment) = (files("blocks").remove(0), files("log").remove(0));
    fs::remove_file(&block).unwrap();
    fs::create_dir(&block).unwrap();
    fs::remove_file(&segment).unwrap();
    std::os::unix::fs::symlink(&segment, &segment).unwrap();
    let (store, found) = open_in(folder.path());
    assert_eq!((found.damaged, store.disk().unwrap().corruptions), (2, 2));
    let read = held(&store);
    assert!(is_within(&read, &whole));
    let times: BTreeSet<_> = read.values().flatten().map(|(at, _)| (at - NOW) / 60_000).collect();
    assert_eq!(times, [1, 3].into());
    assert!(segment.is_symlink() && block.is_dir());
    assert!(store.seal(SOON));
    assert!(block.is_dir() && segment.with_extension("damaged").is_symlink());
    assert_eq!((files("blocks").len(), files("log").len()), (3, 1));
    drop(store);
    let (store, found) = open_in(folder.path());
    assert_eq!((held(&store), found.damaged), (read, 1));
}

#[test]
fn a_damaged_segment_is_kept_aside_when_a_block_holds_what_could_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_in(folder.path());
    fill(&store, NOW);
    assert!(store.flush(SOON));
    fill(&store, NOW + 60_000);
    drop(store);
    let file = only_file(folder.path(), "log");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, &bytes).unwrap();
    drop(open_in(folder.path()));
    assert_eq!(only_file(folder.path(), "log"), file, "there is no block yet");
    let (store, found) = open_in(folder.path());
    assert_eq!(found.damaged, 1);
    let block_is_there_and_kill_comes = copy(folder.path());
    assert!(store.seal(SOON));
    let aside = file.with_extension("damaged");
    assert_eq!(only_file(folder.path(), "log"), aside);
    assert_eq!(fs::read(&aside).unwrap(), bytes);
    let block = only_file(folder.path(), "blocks");
    let killed = block_is_there_and_kill_comes.path();
    fs::copy(&block, killed.join("blocks").join(block.file_name().unwrap())).unwrap();
    drop(open_in(killed));
    assert_eq!(only_file(killed, "log").file_name(), aside.file_name());
    drop(store);
    assert_eq!(open_in(folder.path()).1.damaged, 0, "it is not read any more");
}

#[test]
fn a_damaged_block_goes_with_the_good_one_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { retention: Duration::from_hours(1), ..LIMITS };
    let (store, _) = Store::open(limits, folder.path()).unwrap();
    for look in 0..3 {
        fill(&store, NOW + look * 60_000);
        assert!(store.seal(SOON));
    }
    drop(store);
    let blocks = || files(folder.path(), "blocks");
    let [damaged, _, last] = blocks().try_into().unwrap();
    for block in [&damaged, &last] {
        fs::write(block, b"damaged").unwrap();
    }
    let (store, found) = Store::open(limits, folder.path()).unwrap();
    assert_eq!(found.damaged, 2);
    // A minute before the good one is over, and when it is.
    for (minutes, left) in [(2..=60, 3), (61..=62, 1)] {
        for minute in minutes {
            store.record(picture("a", NOW + minute * 60_000, &[(1, 1.0)]));
        }
        assert!(store.flush(SOON));
        assert_eq!(blocks().iter().filter(|path| **path <= last).count(), left);
    }
    assert!(last.exists());
    assert!(!damaged.exists());
}
