//! Handing over, against a server that takes alerts.

use super::*;
use crate::model::{Alert, Problems};
use crate::notify::channels::recorder::{Play, Recorded, Recorder};
use crate::yaml::{Fields, parse};

const EVERY: Duration = Duration::from_secs(5);

fn settings(text: &str) -> Settings {
    let (node, problems) = (parse(text, "f.yml").unwrap(), Problems::new());
    let mut fields = Fields::of(&node, "`alerting`", &problems).unwrap();
    let settings = Settings::read(&mut fields);
    assert!(problems.is_empty(), "{problems:?}");
    settings
}

fn plan(to: &[&Recorder], more: &str) -> Plan {
    let urls: Vec<_> = to.iter().map(|recorder| recorder.url("/am")).collect();
    Plan::build(&settings(&format!("alertmanagers: [{}]\n{more}", urls.join(", ")))).unwrap()
}

fn alert(name: &str, ends_at: Option<Millis>) -> Alert {
    Alert {
        labels: Labels::new([("alertname", name), ("replica", "0")]),
        annotations: Labels::new([("summary", "s")]),
        starts_at: Millis(1_795_230_245_120),
        ends_at,
        value: 1.0,
        generator_url: "http://sidewatch:9640/graph?g0.expr=up&g0.tab=1".into(),
    }
}

fn firing(name: &str) -> Transition {
    Transition::Firing(alert(name, None))
}

fn names(request: &Recorded) -> Vec<String> {
    let body = request.json();
    let alerts = body.as_array().unwrap().iter();
    alerts.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "{what}");
        time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn alerts_are_posted_as_prometheus_posts_them() {
    let (recorder, supervisor) = (Recorder::playing([]).await, Supervisor::new());
    let handover = Handover::start(plan(&[&recorder], ""), &supervisor);
    let before = Millis::now();
    handover.tell(&[firing("Down")], EVERY);
    until("it is told", || recorder.requests().len() == 1).await;
    let mut request = recorder.requests().remove(0);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/am/api/v2/alerts"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let mut body = request.json();
    let end: jiff::Timestamp = body[0]["endsAt"].as_str().unwrap().parse().unwrap();
    let valid = Millis(end.as_millisecond()).since(before);
    assert!(valid >= Duration::from_mins(4) && valid < Duration::from_mins(5), "{valid:?}");
    body[0]["endsAt"] = "[in 4 minutes]".into();
    request.body = body.to_string();
    insta::assert_snapshot!(serde_json::to_string_pretty(&request.json()).unwrap());
    let end = Millis::now();
    handover.tell(&[Transition::Resolved(alert("Down", Some(end)))], EVERY);
    until("the end is told", || recorder.requests().len() == 2).await;
    assert_eq!(recorder.requests()[1].json()[0]["endsAt"], end.to_rfc3339());
    assert!(supervisor.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn what_an_alertmanager_does_not_take_now_it_gets_later_as_it_is_then() {
    let broken = Recorder::playing([Play::Answer(503, &[], ""), Play::Close]).await;
    let (well, supervisor) = (Recorder::playing([]).await, Supervisor::new());
    let handover = Handover::start(plan(&[&broken, &well], ""), &supervisor);
    handover.tell(&[firing("Down")], EVERY);
    until("the other hears of it", || well.requests().len() == 1).await;
    let end = Millis::now();
    handover.tell(&[Transition::Resolved(alert("Down", Some(end)))], EVERY);
    until("the broken one is told at last", || broken.requests().len() == 3).await;
    assert_eq!(broken.requests()[2].json()[0]["endsAt"], end.to_rfc3339());
    until("nothing waits", || handover.0.senders.load().iter().all(|sender| sender.queue().counts() == (0, 0))).await;
    time::sleep(Duration::from_millis(300)).await;
    assert_eq!(broken.requests().len(), 3, "nothing is told twice");
    assert!(supervisor.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn what_is_refused_for_good_holds_up_nothing_else() {
    let recorder = Recorder::playing([Play::Answer(400, &[], "bad label")]).await;
    let supervisor = Supervisor::new();
    let handover = Handover::start(plan(&[&recorder], "resend_delay: 300ms"), &supervisor);
    handover.tell(&[firing("Bad")], EVERY);
    until("it is refused", || recorder.requests().len() == 1).await;
    handover.tell(&[firing("Good")], EVERY);
    until("the other is told", || recorder.requests().iter().any(|request| names(request).contains(&"Good".into())))
        .await;
    until("the refused one comes again", || {
        recorder.requests().iter().skip(1).any(|request| names(request).contains(&"Bad".into()))
    })
    .await;
    let dropped = handover.0.senders.load()[0].queue().counts().1;
    assert_eq!(dropped, 1);
    assert!(supervisor.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn messages_hold_64_alerts_and_the_last_ones_leave_at_stop() {
    let (recorder, supervisor) = (Recorder::playing([]).await, Supervisor::new());
    let handover = Handover::start(plan(&[&recorder], ""), &supervisor);
    let many: Vec<_> = (0..150).map(|name| firing(&name.to_string())).collect();
    handover.tell(&many, EVERY);
    // At once: most of them wait still.
    assert!(supervisor.stop(Duration::from_secs(5)).await);
    let sizes: Vec<_> = recorder.requests().iter().map(|request| names(request).len()).collect();
    assert_eq!(sizes, [64, 64, 22]);
}

#[tokio::test]
async fn a_reload_keeps_what_waits_tells_who_is_new_and_leaves_who_is_gone() {
    let stays = Recorder::playing([Play::Answer(503, &[("retry-after", "300")], "")]).await;
    let (goes, comes) = (Recorder::playing([]).await, Recorder::playing([]).await);
    let supervisor = Supervisor::new();
    let handover = Handover::start(plan(&[&stays, &goes], ""), &supervisor);
    handover.tell(&[firing("Down")], EVERY);
    until("both are told", || stays.requests().len() == 1 && goes.requests().len() == 1).await;
    // New settings end the wait that the Alertmanager asked for.
    handover.adopt(plan(&[&stays, &comes], "alert_relabel_configs: [{action: labeldrop, regex: replica}]"));
    until("both are told", || stays.requests().len() == 2 && comes.requests().len() == 1).await;
    assert!(stays.requests()[1].json()[0]["labels"].get("replica").is_none());
    handover.tell(&[firing("Other")], EVERY);
    until("both are told", || stays.requests().len() == 3 && comes.requests().len() == 2).await;
    assert_eq!(goes.requests().len(), 1);
    handover.adopt(Plan::default());
    assert!(handover.urls().is_empty() && handover.blocks().is_empty() && handover.book().names().is_empty());
    assert!(supervisor.stop(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn one_that_does_not_answer_holds_the_stop_no_longer_than_it_may() {
    let (recorder, supervisor) = (Recorder::playing([Play::Hang, Play::Hang]).await, Supervisor::new());
    let text = format!("alertmanagers: [{{url: '{}', timeout: 1h}}]", recorder.url("/am"));
    let plan = Plan::build(&settings(&text)).unwrap();
    let handover = Handover::start(plan, &supervisor);
    handover.tell(&[firing("Down")], EVERY);
    until("it is asked", || recorder.requests().len() == 1).await;
    assert!(supervisor.stop(Duration::from_secs(30)).await);
}
