use super::*;

const NOW: Millis = Millis(1_800_000_000_000);

fn wish(matchers: &[&str], from_hours: i64, to_hours: i64) -> Wish {
    Wish {
        matchers: matchers.iter().map(|text| Matcher::parse(text).unwrap()).collect(),
        starts_at: Millis(NOW.0 + from_hours * 3_600_000),
        ends_at: Millis(NOW.0 + to_hours * 3_600_000),
        created_by: "me".into(),
        comment: "work".into(),
        annotations: vec![("ticket".into(), "7".into())],
    }
}

fn later(hours: u64) -> Millis {
    NOW + Duration::from_hours(hours)
}

fn silences() -> Silences {
    Silences::in_memory(Limits::default())
}

#[test]
fn a_silence_takes_what_fulfils_all_its_matchers_while_it_holds() {
    let all = silences();
    let db = all.set(None, wish(&["alertname=~Pg.*", "db=shop"], 1, 3), NOW).unwrap();
    let any = all.set(None, wish(&["severity!=critical", "db=~.+"], 0, 2), NOW).unwrap();
    let alert = Labels::new([("alertname", "PgDown"), ("db", "shop"), ("severity", "warning")]);
    assert_eq!(all.silencing(&alert, NOW), std::slice::from_ref(&any), "the other has not begun");
    let mut both = [db.clone(), any];
    both.sort();
    assert_eq!(all.silencing(&alert, later(1)), both);
    assert_eq!(all.silencing(&alert.with("severity", "critical"), later(1)), std::slice::from_ref(&db));
    assert_eq!(all.silencing(&alert.with("db", "stock"), later(1)).len(), 1);
    assert_eq!(all.silencing(&alert, later(2)), [db], "the first is over");
    assert!(all.silencing(&alert, later(3)).is_empty());
}

#[test]
fn a_change_that_would_alter_the_past_makes_a_new_silence_and_ends_the_old() {
    let all = silences();
    let first = all.set(None, wish(&["a=b"], 0, 2), NOW).unwrap();
    let longer = all.set(Some(&first), wish(&["a=b"], 0, 5), later(1)).unwrap();
    assert_eq!(longer, first, "only the end is another");
    assert_eq!(all.get(&first, later(1)).unwrap().wish.ends_at, later(5));
    let other = all.set(Some(&first), wish(&["a=c"], 0, 5), later(1)).unwrap();
    assert_ne!(other, first);
    let old = all.get(&first, later(1)).unwrap();
    assert_eq!((old.state(later(1)), old.wish.ends_at), (State::Expired, later(1)));
    assert_eq!(all.get(&other, later(1)).unwrap().wish.starts_at, later(1), "the past is not silenced after all");
    let again = all.set(Some(&first), wish(&["a=b"], 0, 5), later(2)).unwrap();
    assert_ne!(again, first, "what has ended does not begin again");
}

#[test]
fn ending_a_silence_is_final_and_a_pending_one_never_holds() {
    let all = silences();
    let id = all.set(None, wish(&["a=b"], 2, 4), NOW).unwrap();
    all.expire(&id, later(1)).unwrap();
    let ended = all.get(&id, later(1)).unwrap();
    assert_eq!((ended.wish.starts_at, ended.wish.ends_at), (later(1), later(1)));
    all.expire(&id, later(3)).unwrap();
    assert_eq!(all.get(&id, later(3)).unwrap(), ended, "a second time changes nothing");
    assert!(matches!(all.expire(&SilenceId::new("x"), NOW), Err(SilenceError::NotFound)));
    assert!(all.get(&id, later(122)).is_none(), "it can be looked at for 120 hours");
}

#[test]
fn what_would_silence_everything_is_refused() {
    let refusal = |matchers: &[&str]| silences().set(None, wish(matchers, 0, 1), NOW).unwrap_err().to_string();
    let empty = "invalid silence: matcher set 0: at least one matcher must not match the empty string";
    assert_eq!(refusal(&["a=\"\""]), empty);
    assert_eq!(refusal(&["a=~.*", "b=~x?"]), empty);
    assert!(refusal(&[]).contains("at least one matcher required"));
    assert_eq!(
        silences().set(None, wish(&["a=b"], 2, 1), NOW).unwrap_err().to_string(),
        "invalid silence: end time must not be before start time"
    );
    assert_eq!(
        silences().set(None, wish(&["a=b"], 1, 1), NOW).unwrap_err().to_string(),
        "invalid silence: end time must be after start time"
    );
    for hours in [8_000 * 365 * 24, i64::MAX / 3_600_000] {
        let forever = Wish { ends_at: later(hours as u64), ..wish(&["a=b"], 0, 1) };
        let refused = silences().set(None, forever, NOW).unwrap_err().to_string();
        assert_eq!(refused, "invalid silence: end time must be before the year 10000");
    }
}

#[test]
fn number_and_length_are_bounded() {
    let all = Silences::in_memory(Limits { count: 2, bytes: 400 });
    all.set(None, wish(&["a=b"], 0, 1), NOW).unwrap();
    let second = all.set(None, wish(&["a=c"], 0, 1), NOW).unwrap();
    let refused = all.set(None, wish(&["a=d"], 0, 1), NOW).unwrap_err();
    assert_eq!(refused.to_string(), "exceeded maximum number of silences: 2 (limit: 2)");
    let mut long = wish(&["a=c"], 0, 2);
    long.comment = "x".repeat(400);
    let refused = all.set(Some(&second), long, NOW).unwrap_err().to_string();
    assert!(refused.starts_with("silence exceeded maximum size: "), "{refused}");
    assert_eq!(all.get(&second, NOW).unwrap().wish.comment, "work");
    all.set(None, wish(&["a=d"], 122, 123), later(122)).expect("those that ended long ago make room");
}

#[test]
fn what_was_answered_is_there_after_a_restart_whatever_the_file_ends_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify/silences");
    let (all, _) = Silences::open(&path, Limits::default()).unwrap();
    let kept = all.set(None, wish(&["a=~\"b|\\\"c\\\"\""], 0, 9), NOW).unwrap();
    let replaced = all.set(None, wish(&["a=b"], 0, 9), NOW).unwrap();
    let other = all.set(Some(&replaced), wish(&["a=c"], 0, 9), later(1)).unwrap();
    let before = all.all(later(1));
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    all.set(None, wish(&["a=half of a change that a kill cut off"], 0, 9), later(1)).unwrap();
    drop(all);
    let longer = std::fs::read(&path).unwrap();
    for cut in length..longer.len() {
        std::fs::write(&path, &longer[..cut]).unwrap();
        let (all, unreadable) = Silences::open(&path, Limits::default()).unwrap();
        assert_eq!((all.all(later(1)), unreadable), (before.clone(), 0), "{cut}");
        let more = all.set(None, wish(&["z=1"], 0, 9), later(1)).unwrap();
        drop(all);
        let (all, unreadable) = Silences::open(&path, Limits::default()).unwrap();
        assert!(all.get(&more, later(1)).is_some() && unreadable == 0, "the torn end is gone");
    }
    std::fs::write(&path, &longer[..length]).unwrap();
    let (all, _) = Silences::open(&path, Limits::default()).unwrap();
    assert_eq!(all.get(&replaced, later(1)).unwrap().state(later(1)), State::Expired);
    assert_eq!(all.silencing(&Labels::new([("a", "c")]), later(1)), [other]);
    assert_eq!(all.silencing(&Labels::new([("a", "\"c\"")]), later(1)), [kept]);
}

#[test]
fn what_ended_long_ago_leaves_the_file_with_the_next_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silences");
    let (all, _) = Silences::open(&path, Limits { count: 1, ..Limits::default() }).unwrap();
    all.set(None, wish(&["a=b"], 0, 9), NOW).unwrap();
    drop(all);
    let (all, _) = Silences::open(&path, Limits { count: 1, ..Limits::default() }).unwrap();
    assert!(all.all(later(999)).is_empty());
    let kept = all.set(None, wish(&["a=c"], 999, 1001), later(999)).unwrap();
    drop(all);
    let (_, found) = Journal::open(&path, 1 << 20).unwrap();
    assert_eq!(found.records.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), [kept.as_str()]);
}

#[test]
fn a_file_of_old_changes_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silences");
    let (all, _) = Silences::open(&path, Limits::default()).unwrap();
    let mut long = wish(&["a=b"], 0, 9);
    long.comment = "x".repeat(60_000);
    let id = all.set(None, long.clone(), NOW).unwrap();
    for at in 0..40 {
        all.set(Some(&id), long.clone(), NOW + Duration::from_secs(at)).unwrap();
    }
    let length = std::fs::metadata(&path).unwrap().len();
    assert!(length < 1_100_000 + 61_000, "{length} bytes for one silence");
    let (again, _) = Silences::open(&path, Limits::default()).unwrap();
    assert_eq!(again.all(NOW), all.all(NOW));
}

#[test]
fn silences_are_shown_active_first_then_pending_then_ended() {
    let all = silences();
    let set = |from, to| all.set(None, wish(&["a=b"], from, to), NOW).unwrap();
    let (late, soon, pending, ended) = (set(0, 9), set(0, 5), set(6, 7), set(0, 1));
    let order: Vec<_> = all.all(later(2)).iter().map(|silence| silence.id.clone()).collect();
    assert_eq!(order, [soon, late, pending, ended]);
}

#[test]
fn names_are_uuids_of_version_4() {
    let id = SilenceId::random().unwrap();
    let parts: Vec<_> = id.as_str().split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(id.as_str()[14..].starts_with('4') && "89ab".contains(&id.as_str()[19..20]), "{id}");
}
