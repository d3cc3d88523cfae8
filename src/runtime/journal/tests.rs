use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn put(name: &str, value: &str) -> Change {
    Change::Put(name.into(), value.as_bytes().to_vec())
}

fn remove(name: &str) -> Change {
    Change::Remove(name.into())
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify/journal");
    (folder, path)
}

fn open(path: &Path) -> (Journal, Found) {
    Journal::open(path, 1 << 30).unwrap()
}

/// `name=value` of what a file holds.
fn held(path: &Path) -> Vec<String> {
    let text = |(name, value): &(Arc<str>, Vec<u8>)| format!("{name}={}", String::from_utf8_lossy(value));
    open(path).1.records.iter().map(text).collect()
}

#[test]
fn what_was_written_is_there_again_in_its_order() {
    let (_folder, path) = folder();
    let (mut journal, found) = open(&path);
    assert!(found.records.is_empty() && found.damaged == 0);
    assert_eq!(journal.write(vec![put("a", "1"), put("b", "2"), put("c", "3")]).unwrap(), 0);
    journal.write(vec![put("a", "4"), remove("b")]).unwrap();
    assert_eq!(journal.records(), 2);
    drop(journal);
    assert_eq!(held(&path), ["c=3", "a=4"]);
    assert_eq!(held(&path), ["c=3", "a=4"], "reading changes nothing");
}

#[test]
fn a_frame_that_was_cut_off_is_as_if_never_written() {
    let (_folder, path) = folder();
    let (mut journal, _) = open(&path);
    journal.write(vec![put("a", "1")]).unwrap();
    let before = journal.bytes();
    journal.write(vec![put("b", "2"), remove("a")]).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let (_, found) = open(&path);
        assert_eq!(found.damaged, 0, "cut at {length}");
        assert_eq!(found.records.len(), usize::from(length as u64 >= before), "cut at {length}");
    }
}

#[test]
fn damage_takes_its_own_frame_alone_and_is_counted() {
    let (_folder, path) = folder();
    let (mut journal, _) = open(&path);
    let frames: Vec<_> = ["a", "b", "c"]
        .map(|name| {
            let start = journal.bytes() as usize;
            journal.write(vec![put(name, "value")]).unwrap();
            start..journal.bytes() as usize
        })
        .into();
    let whole = fs::read(&path).unwrap();
    for at in frames[1].clone() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let (_, found) = open(&path);
        assert_eq!(found.damaged, 1, "byte {at}");
        assert_eq!(held(&path), ["a=value", "c=value"], "byte {at}");
    }
    let mut bytes = whole;
    bytes[3] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(open(&path).1.damaged, 1, "the header");
    assert_eq!(held(&path), ["a=value", "b=value", "c=value"]);
}

#[test]
fn a_file_of_a_later_version_is_set_aside() {
    let (_folder, path) = folder();
    drop(open(&path));
    let mut bytes = fs::read(&path).unwrap();
    bytes[6] = 9;
    let sum = crc32fast::hash(&bytes[..8]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(b"what it means only they know");
    fs::write(&path, &bytes).unwrap();
    let (_, found) = open(&path);
    assert!(found.records.is_empty());
    assert_eq!(fs::read(found.later.unwrap()).unwrap(), bytes);
}

#[test]
fn a_file_that_is_mostly_old_is_written_anew() {
    let (_folder, path) = folder();
    let (mut journal, _) = open(&path);
    journal.write(vec![put("stays", "here")]).unwrap();
    let long = "x".repeat(100_000);
    for _ in 0..40 {
        journal.write(vec![put("changes", &long)]).unwrap();
        journal.tidy().unwrap();
        assert!(journal.bytes() < 2 * SMALL, "{}", journal.bytes());
    }
    journal.write(vec![put("last", "one"), remove("changes")]).unwrap();
    assert_eq!(held(&path), ["stays=here", "last=one"]);
}

#[test]
fn what_finds_no_room_is_refused_and_what_it_would_have_replaced_is_gone() {
    let (_folder, path) = folder();
    let (mut journal, _) = Journal::open(&path, 100).unwrap();
    let half = "x".repeat(60);
    assert_eq!(journal.write(vec![put("a", &half), put("b", &half), put("c", "small")]).unwrap(), 1);
    assert_eq!(journal.write(vec![put("c", &half)]).unwrap(), 1);
    assert_eq!(held(&path), [format!("a={half}")]);
}

proptest! {
    #[test]
    fn a_file_holds_what_a_map_would(steps in prop::collection::vec(prop::collection::vec((0..6u8, prop::option::of(".{0,40}")), 1..6), 0..12)) {
        let (_folder, path) = folder();
        let (mut journal, _) = open(&path);
        let mut map = std::collections::BTreeMap::new();
        for step in steps {
            let changes = step.into_iter().map(|(name, value)| {
                let name = name.to_string();
                let change = value.as_ref().map_or_else(|| remove(&name), |value| put(&name, value));
                match value {
                    Some(value) => map.insert(name, value),
                    None => map.remove(&name),
                };
                change
            }).collect();
            journal.write(changes).unwrap();
            prop_assert_eq!(journal.records(), map.len());
        }
        let mut ours = held(&path);
        ours.sort();
        prop_assert_eq!(ours, map.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_can_be_read(bytes: Vec<u8>) {
        let _ = read(&bytes);
        let mut framed = header().to_vec();
        if !bytes.is_empty() {
            put_frame(&mut framed, &bytes);
        }
        let _ = read(&framed);
    }
}
