//! Agents that end without a word, and those that come after them: the first one's file is copied in the middle of its work.

use std::time::Duration;

use tempfile::TempDir;
use tokio::time::sleep;

use super::record::{pack_alerts, unpack};
use super::*;
use crate::model::{Alert, Labels, Transition};
use crate::notify::channels::{ChannelError, FailureReason, Retry};
use crate::notify::dispatch::tests::{Fake, Rig, alert, firing, passing, plan, plan_of, resolved, seconds, start_with};
use crate::notify::notification::Notification;
use crate::notify::outside::{Posted, Report};
use crate::notify::plan::Facts;
use crate::runtime::journal::{Change, Journal};

const FAILS: &str = "firing SidewatchNotificationsFailing";

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn run(folder: &TempDir, hook: &Arc<Fake>) -> Rig {
    start_with(plan(&[("http://a", hook)]), Held::open(folder.path()).unwrap())
}

/// What a kill would leave behind now.
fn killed(folder: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(folder.path().join("outbox"), copy.path().join("outbox")).unwrap();
    copy
}

fn sent(hook: &Fake) -> Vec<Notification> {
    hook.sent.lock().unwrap().clone()
}

async fn end(rig: Rig) {
    assert!(rig.supervisor.stop(seconds(30)).await);
}

fn fake() -> Arc<Fake> {
    Arc::default()
}

/// How many records of a kind there are.
fn records(folder: &TempDir, kind: &str) -> usize {
    let copy = killed(folder);
    let (_, found) = Journal::open(&copy.path().join("outbox"), 1 << 30).unwrap();
    found.records.iter().filter(|(name, _)| name.starts_with(kind)).count()
}

#[tokio::test(start_paused = true)]
async fn what_was_stored_and_not_told_is_sent_by_the_next_agent_as_the_same() {
    let (before, first, second) = (folder(), fake(), fake());
    first.answers.lock().unwrap().extend((0..100).map(|_| passing()));
    let rig = run(&before, &first);
    rig.shared.tell(firing("Down"));
    sleep(seconds(7)).await;
    let after = killed(&before);
    end(rig).await;
    let rig = run(&after, &second);
    sleep(seconds(1)).await;
    assert_eq!(second.names(), ["firing Down"], "at once, not after the group's wait");
    let (first, second) = (sent(&first), sent(&second));
    assert!(first.len() > 1 && first.iter().all(|sent| sent.id() == second[0].id()));
    assert!(!second[0].possible_duplicate, "every attempt was refused");
    end(rig).await;
    assert_eq!((records(&after, "untold"), records(&after, "told"), records(&after, "alerts")), (0, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_without_an_answer_is_sent_again_and_marked_where_it_could_be_told_twice() {
    for tells_twice in [true, false] {
        let before = folder();
        let hanging = Arc::new(Fake { takes: seconds(10), tells_twice, ..Fake::default() });
        let rig = run(&before, &hanging);
        rig.shared.tell(firing("Down"));
        sleep(seconds(6)).await;
        let after = killed(&before);
        end(rig).await;
        let hook = Arc::new(Fake { tells_twice, ..Fake::default() });
        let rig = run(&after, &hook);
        sleep(seconds(1)).await;
        let again = sent(&hook);
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].id(), again[0].possible_duplicate), (sent(&hanging)[0].id(), tells_twice));
        end(rig).await;
        assert_eq!(records(&after, "handed"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_before_the_end_is_no_possible_duplicate() {
    let (before, refusing) = (folder(), Arc::new(Fake { tells_twice: true, ..Fake::default() }));
    refusing.answers.lock().unwrap().extend((0..100).map(|_| passing()));
    let rig = run(&before, &refusing);
    rig.shared.tell(firing("Down"));
    sleep(seconds(6)).await;
    let after = killed(&before);
    end(rig).await;
    let hook = Arc::new(Fake { tells_twice: true, ..Fake::default() });
    let rig = run(&after, &hook);
    sleep(seconds(1)).await;
    assert!(sent(&hook).len() == 1 && !sent(&hook)[0].possible_duplicate);
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_not_told_again_and_its_receipt_and_its_end_are_not_lost() {
    let before = folder();
    let first = Arc::new(Fake { receipt: Some("message 7".into()), ..Fake::default() });
    let rig = run(&before, &first);
    rig.shared.tell(firing("Down"));
    sleep(seconds(10)).await;
    let after = killed(&before);
    end(rig).await;
    let second = fake();
    let rig = run(&after, &second);
    rig.shared.tell(vec![Transition::Firing(alert("Down", None))]);
    sleep(seconds(200)).await;
    assert_eq!(second.names(), [""; 0], "the rules found what was told");
    rig.shared.tell(resolved("Down"));
    sleep(seconds(100)).await;
    assert_eq!(second.names(), ["resolved Down"]);
    assert_eq!(sent(&second)[0].receipt.as_deref(), Some("message 7"));
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_ended_while_nobody_looked_is_told_to_have_ended() {
    let (before, first, second) = (folder(), fake(), fake());
    let rig = run(&before, &first);
    rig.shared.tell([firing("Down"), firing("Slow")].concat());
    sleep(seconds(10)).await;
    let after = killed(&before);
    end(rig).await;
    let rig = run(&after, &second);
    assert_eq!(rig.shared.active().len(), 0);
    sleep(seconds(1)).await;
    assert_eq!(rig.shared.active().len(), 2, "what fired goes on to fire until it is known better");
    rig.shared.tell(firing("Slow"));
    sleep(seconds(290)).await;
    assert_eq!(second.names(), [""; 0]);
    sleep(seconds(100)).await;
    assert_eq!(second.names(), ["resolved Down"]);
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_sending_notes_what_arrived() {
    let (before, slow, second) = (folder(), Arc::new(Fake { takes: seconds(2), ..Fake::default() }), fake());
    let rig = run(&before, &slow);
    rig.shared.tell(firing("Down"));
    sleep(seconds(6)).await;
    end(rig).await;
    let rig = run(&before, &second);
    sleep(seconds(30)).await;
    assert_eq!(second.names(), [""; 0]);
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_over_leaves_nothing_behind() {
    let (folder, hook) = (folder(), fake());
    let rig = run(&folder, &hook);
    hook.answers
        .lock()
        .unwrap()
        .extend((0..1000).map(|_| Err(ChannelError::lasting(FailureReason::ClientError, "no"))));
    rig.shared.tell(firing("Down"));
    sleep(seconds(6)).await;
    assert_eq!((records(&folder, "untold"), records(&folder, "alerts")), (1, 1));
    // It was never told, so its end is nobody's news and what was to be sent is superfluous.
    rig.shared.tell(resolved("Down"));
    sleep(seconds(100)).await;
    assert_eq!((records(&folder, "untold"), records(&folder, "told"), records(&folder, "alerts")), (0, 0, 0));
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_may_have_arrived_is_told() {
    let (folder, hook) = (folder(), fake());
    let rig = run(&folder, &hook);
    let lost = || {
        Err(ChannelError {
            what: "reset".into(),
            reason: FailureReason::Other,
            retry: Retry::Never,
            may_have_arrived: true,
        })
    };
    hook.answers.lock().unwrap().extend([lost(), lost()]);
    rig.shared.tell(firing("Down"));
    sleep(seconds(6)).await;
    rig.shared.tell(resolved("Down"));
    sleep(seconds(130)).await;
    assert_eq!(hook.names(), ["firing Down", "resolved Down", "resolved Down"]);
    end(rig).await;
    assert_eq!((records(&folder, "untold"), records(&folder, "handed")), (0, 0));
}

/// As an agent left it that has been away for long.
fn overdue(states: &[(&str, bool)], until: i64) -> TempDir {
    let folder = folder();
    let alerts: Vec<_> =
        states.iter().map(|(name, fires)| (Arc::new(alert(name, (!fires).then_some(Millis(1)))), None)).collect();
    let (group, to) =
        ("{}:{alertname=\"Down\"}", IntegrationId { receiver: "on-call".into(), kind: "webhook", index: 0 });
    let record = UntoldRecord { group: group.into(), to: (&to).into(), flush: 7, at: 1_000, until };
    let changes = vec![
        Change::Put(alerts_name(7), pack_alerts(&alerts)),
        Change::Put(Names::new(group, &to).untold, pack(&record)),
    ];
    let (mut journal, _) = Journal::open(&folder.path().join("outbox"), 1 << 20).unwrap();
    journal.write(changes).unwrap();
    folder
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_waits_for_the_rules_and_becomes_one_message_about_how_things_are() {
    let (folder, hook) = (overdue(&[("Down", true)], 2_000), fake());
    let rig = run(&folder, &hook);
    sleep(seconds(2)).await;
    let other = Alert { labels: alert("Down", None).labels.with("instance", "b"), ..alert("Down", None) };
    rig.shared.tell(vec![Transition::Firing(alert("Down", None)), Transition::Firing(other)]);
    sleep(seconds(27)).await;
    assert_eq!(hook.names(), [""; 0]);
    sleep(seconds(2)).await;
    assert_eq!(hook.names(), ["firing Down,Down"]);
    assert!(sent(&hook)[0].at > Millis(1_000), "it says something else, so it is another message");
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_and_over_is_superfluous() {
    let (folder, hook) = (overdue(&[("Down", true)], 2_000), fake());
    let rig = run(&folder, &hook);
    sleep(seconds(2)).await;
    rig.shared.tell(resolved("Down"));
    sleep(seconds(300)).await;
    assert_eq!(hook.names(), [""; 0]);
    assert_eq!((rig.shared.active().len(), records(&folder, "untold")), (0, 0));
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn records_that_nobody_can_read_are_removed() {
    let folder = overdue(&[("Down", true)], i64::MAX);
    let path = folder.path().join("outbox");
    let (mut journal, _) = Journal::open(&path, 1 << 20).unwrap();
    let nonsense = ["untold/x", "told/y", "alerts/9", "alerts/z", "what/ever"];
    journal.write(nonsense.map(|name| Change::Put(name.into(), b"nonsense".to_vec())).into()).unwrap();
    journal.write(vec![Change::Put(alerts_name(5), pack_alerts(&[]))]).unwrap();
    let hook = fake();
    let rig = run(&folder, &hook);
    sleep(seconds(1)).await;
    assert_eq!(hook.names(), ["firing Down"]);
    end(rig).await;
    let (_, found) = Journal::open(&path, 1 << 20).unwrap();
    let mut kinds: Vec<_> = found.records.iter().filter_map(|(name, _)| name.split('/').next()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["alerts", "told"]);
}

#[tokio::test(start_paused = true)]
async fn receivers_that_are_gone_are_forgotten() {
    let folder = overdue(&[("Down", true)], i64::MAX);
    let rig = start_with(plan(&[]), Held::open(folder.path()).unwrap());
    sleep(seconds(1)).await;
    end(rig).await;
    assert_eq!((records(&folder, "untold"), records(&folder, "alerts")), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_refuses_holds_nothing_up_and_is_tried_again() {
    let (folder, hook) = (folder(), fake());
    let mut held = Held::open(folder.path()).unwrap();
    held.journal.as_mut().unwrap().break_disk();
    let rig = start_with(plan(&[("http://a", &hook)]), held);
    rig.shared.tell(firing("Down"));
    sleep(Duration::from_millis(5_100)).await;
    assert_eq!(hook.heard(), ["5000 1:0"], "not even later");
    assert!(rig.metric("sidewatch_outbox_write_errors_total") >= 1.0);
    sleep(seconds(10)).await;
    assert!(rig.metric("sidewatch_outbox_write_errors_total") >= 2.0);
    end(rig).await;
}

#[tokio::test]
async fn changes_that_a_disk_refused_are_written_when_it_takes_them() {
    let folder = folder();
    let (writer, mut journal, _) = Writer::open(&folder.path().join("outbox")).unwrap();
    journal.break_disk();
    let supervisor = Supervisor::new();
    let journal = writer.start_for_test(journal, &supervisor);
    let mut stored = writer.change("told/a".into(), Some(Value::Packed(pack(&1))));
    assert!(stored.wait().await, "there is nothing to wait for");
    writer.change("told/b".into(), Some(Value::Packed(pack(&2))));
    journal.lock().unwrap().mend_disk();
    writer.close();
    assert!(supervisor.stop(seconds(20)).await);
    let (_, found) = Journal::open(&folder.path().join("outbox"), 1 << 20).unwrap();
    let held: Vec<_> = found.records.iter().map(|(name, bytes)| (&**name, unpack::<u32>(bytes))).collect();
    assert_eq!(held, [("told/a", Some(1)), ("told/b", Some(2))]);
}

#[test]
fn a_group_of_alerts_packs_well() {
    let alert = |number: usize| {
        let labels = Labels::new([("alertname", "ContainerDown"), ("instance", &*format!("host-{number}:9100"))]);
        let annotations = Labels::new([("summary", format!("Container on host-{number} is down for five minutes"))]);
        Arc::new(Alert { labels, annotations, ..alert("x", None) })
    };
    let packed = pack_alerts(&(0..200).map(|n| (alert(n), None)).collect::<Vec<_>>()).len();
    assert!(packed < 200 * 60, "{packed} bytes");
}

#[tokio::test(start_paused = true)]
async fn an_alert_fires_on_since_the_time_that_was_told_though_the_rules_know_seconds_alone() {
    let (folder, hook) = (overdue(&[("Down", true)], i64::MAX), fake());
    let rig = run(&folder, &hook);
    sleep(seconds(1)).await;
    let starts_at = || rig.shared.active()[0].alert.starts_at;
    let told = starts_at();
    for _ in 0..2 {
        let again = Alert { starts_at: Millis(told.0 / 1000 * 1000 - 1), ..alert("Down", None) };
        rig.shared.tell(vec![Transition::Still(Alert { starts_at: again.starts_at + seconds(0), ..again })]);
        sleep(seconds(1)).await;
        assert_eq!(starts_at(), told);
    }
    rig.shared.tell(vec![Transition::Still(Alert { starts_at: told + seconds(60), ..alert("Down", None) })]);
    sleep(seconds(1)).await;
    assert_eq!(starts_at(), told + seconds(60), "it ended and fires anew");
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_rarely_evaluated_ends_when_its_rule_has_been_silent_for_four_intervals() {
    let (folder, hook) = (overdue(&[("Down", true), ("Slow", true)], i64::MAX), fake());
    let mut plan = plan(&[("http://a", &hook)]);
    let first_words = [("Slow".to_owned(), seconds(3600)), ("Down".to_owned(), seconds(60))].into();
    plan.facts = Arc::new(Facts { first_words, ..(*plan.facts).clone() });
    let rig = start_with(plan, Held::open(folder.path()).unwrap());
    for (wait, left) in [(299, 2), (2, 1), (3298, 1), (2, 0)] {
        sleep(seconds(wait)).await;
        assert_eq!(rig.shared.active().len(), left, "after another {wait} s");
    }
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn that_a_receiver_fails_is_not_ended_by_a_restart() {
    let refusal = || Err(ChannelError::lasting(FailureReason::ClientError, "answered 404"));
    let (before, dead, well) = (folder(), fake(), fake());
    let plan = || plan_of(&[("on-call", "http://dead", &dead), ("office", "http://well", &well)]);
    dead.answers.lock().unwrap().extend((0..100).map(|_| refusal()));
    let rig = start_with(plan(), Held::open(before.path()).unwrap());
    rig.shared.tell(firing("Down"));
    sleep(seconds(90)).await;
    assert_eq!(well.names(), [FAILS]);
    let after = killed(&before);
    end(rig).await;
    let rig = start_with(plan(), Held::open(after.path()).unwrap());
    rig.shared.tell(firing("Down"));
    sleep(seconds(1200)).await;
    assert_eq!(well.names(), [FAILS], "it fails all along, and office knows");
    end(rig).await;
}

#[tokio::test(start_paused = true)]
async fn who_was_told_in_place_of_others_that_a_receiver_fails_hears_after_a_restart_that_it_works() {
    let refusal = || Err(ChannelError::lasting(FailureReason::ClientError, "answered 404"));
    let (before, dead, well, office) = (folder(), fake(), fake(), fake());
    let plan = |pager| plan_of(&[("on-call", "http://dead", pager), ("office", "http://well", &office)]);
    dead.answers.lock().unwrap().extend((0..100).map(|_| refusal()));
    let rig = start_with(plan(&dead), Held::open(before.path()).unwrap());
    rig.shared.tell(firing("Down"));
    sleep(seconds(90)).await;
    let after = killed(&before);
    end(rig).await;
    assert_eq!((office.names(), records(&after, "failing")), (vec![FAILS.to_owned()], 1));
    let rig = start_with(plan(&well), Held::open(after.path()).unwrap());
    rig.shared.tell(firing("Down"));
    sleep(seconds(100)).await;
    assert_eq!(well.names(), ["firing Down"]);
    assert_eq!(office.names(), [FAILS, "resolved SidewatchNotificationsFailing"]);
    end(rig).await;
    assert_eq!(records(&after, "failing"), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_that_was_said_of_a_posted_alert_holds_over_a_restart() {
    let (before, first, second) = (folder(), fake(), fake());
    let (now, hour) = (Millis::now(), Duration::from_hours(1));
    let rig = run(&before, &first);
    let posted = Posted {
        labels: vec![("alertname".into(), "Queue".into())],
        annotations: Vec::new(),
        starts_at: Some(now),
        ends_at: Some(now + hour),
        generator_url: String::new(),
    };
    let report = Report::of(posted, now, seconds(300)).unwrap();
    let fires = rig.shared.outside().take(report, now).unwrap();
    rig.shared.tell(vec![fires]);
    sleep(seconds(10)).await;
    let after = killed(&before);
    end(rig).await;
    let rig = run(&after, &second);
    sleep(hour / 2).await;
    assert!(second.names().is_empty(), "its end is ahead: {:?}", second.names());
    sleep(hour).await;
    assert_eq!(second.names(), ["resolved Queue"]);
    assert_eq!(sent(&second)[0].alerts[0].ends_at, Some(now + hour));
    end(rig).await;
}
