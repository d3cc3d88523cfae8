use super::super::tests::{Fake, Rig, alert, plan_of, seconds, start};
use super::*;
use crate::model::Transition;
use crate::notify::canary::Canary as Settings;
use crate::notify::channels::ChannelError;
use crate::notify::matcher::Matcher;
use crate::notify::outside::{Posted, Report};
use crate::notify::silence::Wish;

/// A canary each minute to `on-call`, and `office` beside it. The routes have longer times.
struct Scene {
    on_call: Arc<Fake>,
    office: Arc<Fake>,
    pings: Arc<Fake>,
    rig: Rig,
    /// What the rule last said: since when the canary fires.
    begun: i64,
}

impl Scene {
    fn start(answers: impl IntoIterator<Item = Result<(), ChannelError>>) -> Self {
        let (on_call, office, pings) = (Arc::<Fake>::default(), Arc::<Fake>::default(), Arc::<Fake>::default());
        on_call.answers.lock().unwrap().extend(answers);
        *pings.start.lock().unwrap() = Some(Instant::now());
        let mut plan = plan_of(&[("on-call", "http://a", &on_call), ("office", "http://b", &office)]);
        let settings =
            Settings { interval: seconds(60), receivers: vec!["on-call".into()], arrivals: Vec::new(), ping: None };
        plan.routes = settings.routes(plan.routes);
        let ping = Some(Arc::clone(&pings) as Arc<dyn Channel>);
        plan.canary = Some(Planned { every: seconds(60), arrivals: Vec::new(), ping });
        Self { on_call, office, pings, rig: start(plan), begun: Millis::now().0 }
    }

    /// A period as the rule speaks of it, with or without the word that the canary ended.
    async fn period(&mut self, ends: bool) {
        self.begun += 60_000;
        let canary = Alert { starts_at: Millis(self.begun), ..alert(NAME, None) };
        self.rig.shared.tell(vec![Transition::Firing(canary.clone())]);
        time::sleep(seconds(30)).await;
        let half = if ends {
            Transition::Resolved(Alert { ends_at: Some(Millis(self.begun + 30_000)), ..canary })
        } else {
            Transition::Still(canary)
        };
        self.rig.shared.tell(vec![half]);
        time::sleep(seconds(30)).await;
    }

    async fn stop(self) {
        assert!(self.rig.supervisor.stop(seconds(60)).await);
    }
}

fn refusal() -> Result<(), ChannelError> {
    Err(ChannelError::lasting(FailureReason::ClientError, "550 no"))
}

const FAILS: &str = "firing SidewatchCanaryFailing";
const WELL: &str = "resolved SidewatchCanaryFailing";

#[tokio::test(start_paused = true)]
async fn each_period_brings_a_canary_and_a_ping_whatever_the_routes_times() {
    let mut scene = Scene::start([]);
    for _ in 0..3 {
        scene.period(true).await;
    }
    let both = ["firing SidewatchCanary", "resolved SidewatchCanary"];
    assert_eq!(scene.on_call.names(), [both, both, both].concat());
    assert_eq!(scene.pings.names(), ["resolved SidewatchCanary"; 3], "that nothing fires");
    assert!(scene.office.names().is_empty());
    let sent = scene.on_call.sent.lock().unwrap().clone();
    assert!(sent.iter().flat_map(|sent| &sent.asides.alerts).all(|aside| aside.flapped == 0), "it comes and goes");
    let to = "{receiver=\"on-call\",integration=\"webhook\"}";
    assert!(scene.rig.metric(&format!("sidewatch_canary_last_success_timestamp_seconds{to}")) > 1e9);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_of_which_nobody_said_that_it_ended_is_a_new_one_all_the_same() {
    let mut scene = Scene::start([]);
    for _ in 0..3 {
        scene.period(false).await;
    }
    assert_eq!(scene.on_call.names(), ["firing SidewatchCanary"; 3]);
    assert_eq!(scene.pings.names().len(), 3);
    let reasons: Vec<_> = scene.on_call.sent.lock().unwrap().iter().map(|sent| sent.reason).collect();
    assert_eq!(reasons, [Reason::First; 3], "no reminder of the one before");
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_its_group_knows_by_a_time_beside_it_is_known_by_that() {
    let mut scene = Scene::start([]);
    scene.period(false).await;
    // As after a restart, when the group has its times from the outbox.
    scene.begun += 400 - 60_000;
    scene.period(false).await;
    scene.begun += 400;
    scene.period(false).await;
    assert_eq!(scene.pings.names().len(), 2, "the same one is no second, and the next is known");
    assert_eq!(scene.office.names(), [""; 0]);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_through_another_receiver_and_ends_the_pings() {
    let refused: Vec<_> = (0..10).map(|_| refusal()).collect();
    let mut scene = Scene::start(refused);
    scene.period(true).await;
    assert_eq!(scene.office.names(), [FAILS], "within its period, and once");
    let reason = scene.office.sent.lock().unwrap()[0].alerts[0].annotations.get("reason").map(str::to_owned);
    assert_eq!(reason.as_deref(), Some("clientError: 550 no"));
    scene.period(true).await;
    assert!(scene.pings.names().is_empty());
    scene.on_call.answers.lock().unwrap().clear();
    scene.period(true).await;
    scene.period(true).await;
    assert_eq!(scene.office.names(), [FAILS, WELL]);
    assert_eq!(scene.pings.names().len(), 2);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_does_not_answer_is_told_at_the_end_of_the_period() {
    let mut scene = Scene::start([]);
    let slow = Arc::new(Fake { takes: seconds(300), ..Fake::default() });
    scene.on_call = Arc::clone(&slow);
    let mut plan = plan_of(&[("on-call", "http://slow", &slow), ("office", "http://b", &scene.office)]);
    let settings = Settings { interval: seconds(60), receivers: Vec::new(), arrivals: Vec::new(), ping: None };
    plan.routes = settings.routes(plan.routes);
    plan.canary = Some(Planned { every: seconds(60), arrivals: Vec::new(), ping: None });
    scene.rig.shared.adopt(plan);
    time::sleep(seconds(1)).await;
    scene.period(true).await;
    time::sleep(seconds(10)).await;
    assert_eq!(scene.office.names(), [FAILS]);
    assert!(scene.pings.names().is_empty());
    // Without a canary in the configuration nothing of it fails.
    let plan = plan_of(&[("on-call", "http://slow", &slow), ("office", "http://b", &scene.office)]);
    scene.rig.shared.adopt(plan);
    time::sleep(seconds(120)).await;
    assert_eq!(scene.office.names(), [FAILS, WELL]);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silence_that_takes_the_canary_is_found() {
    let mut scene = Scene::start([]);
    let now = Millis::now();
    let wish = Wish {
        matchers: vec![Matcher::parse("alertname=~SidewatchC.*y").unwrap()],
        starts_at: now,
        ends_at: now + seconds(3600),
        created_by: String::new(),
        comment: "too wide".into(),
        annotations: Vec::new(),
    };
    scene.rig.shared.kept().silences.set(None, wish, now).unwrap();
    scene.period(true).await;
    time::sleep(seconds(10)).await;
    assert!(scene.on_call.names().is_empty() && scene.pings.names().is_empty());
    assert_eq!(scene.office.names(), [FAILS]);
    let sent = scene.office.sent.lock().unwrap().clone();
    assert!(sent[0].alerts[0].annotations.get("reason").is_some_and(|reason| reason.contains("a silence")));
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_no_rule_fires_is_missed_by_everybody() {
    let mut scene = Scene::start([]);
    scene.period(true).await;
    time::sleep(seconds(120)).await;
    assert_eq!(scene.on_call.names()[2..], [FAILS], "its way is not what fails");
    scene.period(true).await;
    time::sleep(seconds(60)).await;
    assert_eq!(scene.on_call.names().iter().filter(|name| *name == WELL).count(), 1);
    assert_eq!(scene.pings.names().len(), 2);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_canary_of_another_agent_proves_nothing_here() {
    let mut scene = Scene::start([]);
    let posted = Posted {
        labels: vec![("alertname".into(), NAME.into())],
        annotations: Vec::new(),
        starts_at: None,
        ends_at: None,
        generator_url: String::new(),
    };
    let now = Millis::now();
    let report = Report::of(posted, now, seconds(3600)).unwrap();
    let told = scene.rig.shared.outside().take(report, now);
    scene.rig.shared.tell_of_others(told.into_iter().collect());
    time::sleep(seconds(30)).await;
    assert_eq!((scene.on_call.names().len(), scene.pings.names().len()), (1, 0));
    scene.begun += 60_000;
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_others_post_is_an_alert_like_any_other_where_there_is_none() {
    let (on_call, office) = (Arc::<Fake>::default(), Arc::<Fake>::default());
    on_call.answers.lock().unwrap().push_back(refusal());
    let rig = start(plan_of(&[("on-call", "http://a", &on_call), ("office", "http://b", &office)]));
    rig.shared.tell_of_others(vec![Transition::Firing(alert(NAME, None))]);
    time::sleep(seconds(300)).await;
    let names = office.names();
    assert_eq!(names, ["firing SidewatchNotificationsFailing", "resolved SidewatchNotificationsFailing"]);
    assert!(rig.supervisor.stop(seconds(60)).await);
}

#[tokio::test(start_paused = true)]
async fn that_the_canary_of_another_agent_is_refused_says_nothing_of_ours() {
    let mut scene = Scene::start([]);
    scene.period(true).await;
    let other = Alert { labels: Labels::new([("alertname", NAME), ("instance", "other")]), ..alert(NAME, None) };
    scene.on_call.answers.lock().unwrap().push_back(refusal());
    scene.rig.shared.tell_of_others(vec![Transition::Firing(other)]);
    time::sleep(seconds(20)).await;
    assert!(scene.on_call.answers.lock().unwrap().is_empty(), "it was refused");
    assert_eq!(scene.office.names(), [""; 0]);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_others_post_with_the_labels_of_our_own_canary_changes_nothing() {
    let mut scene = Scene::start([]);
    scene.period(true).await;
    let now = Millis::now();
    let posted = Posted {
        labels: vec![("alertname".into(), NAME.into())],
        annotations: Vec::new(),
        starts_at: Some(now - seconds(3600)),
        ends_at: Some(now + seconds(86_400)),
        generator_url: String::new(),
    };
    let report = Report::of(posted, now, seconds(3600)).unwrap();
    let told = scene.rig.shared.outside().take(report, now);
    scene.rig.shared.tell_of_others(told.into_iter().collect());
    scene.period(true).await;
    scene.period(true).await;
    assert_eq!((scene.on_call.names().len(), scene.pings.names().len()), (6, 3));
    assert_eq!(scene.office.names(), [""; 0]);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn where_a_reload_leads_no_canary_any_more_none_is_waited_for() {
    let slow = Arc::new(Fake { takes: seconds(300), ..Fake::default() });
    let scene = Scene::start([]);
    let plan = |receivers: &[&str]| {
        let mut plan = plan_of(&[("on-call", "http://a", &scene.on_call), ("office", "http://slow", &slow)]);
        let receivers = receivers.iter().map(|name| (*name).to_owned()).collect();
        let settings = Settings { interval: seconds(60), receivers, arrivals: Vec::new(), ping: None };
        plan.routes = settings.routes(plan.routes);
        let ping = Some(Arc::clone(&scene.pings) as Arc<dyn Channel>);
        plan.canary = Some(Planned { every: seconds(60), arrivals: Vec::new(), ping });
        plan
    };
    scene.rig.shared.adopt(plan(&["on-call", "office"]));
    time::sleep(seconds(1)).await;
    let canary = Alert { starts_at: Millis(scene.begun + 60_000), ..alert(NAME, None) };
    scene.rig.shared.tell(vec![Transition::Firing(canary)]);
    time::sleep(seconds(20)).await;
    assert_eq!((scene.on_call.names().len(), slow.names().len(), scene.pings.names().len()), (1, 1, 0));
    scene.rig.shared.adopt(plan(&["on-call"]));
    time::sleep(seconds(50)).await;
    assert_eq!(scene.pings.names().len(), 1);
    assert_eq!(scene.on_call.names(), ["firing SidewatchCanary"], "nothing fails");
    let names =
        |about: &str| scene.rig.metrics().lines().filter(|line| !line.starts_with('#') && line.contains(about)).count();
    let ours = "_timestamp_seconds{receiver=\"on-call\"";
    assert_eq!((names(ours), names("sidewatch_canary_last_ping")), (2, 1));
    // Times of what is gone go.
    let mut plan = plan_of(&[("office", "http://slow", &slow)]);
    plan.routes = plan_of(&[]).routes;
    scene.rig.shared.adopt(plan);
    time::sleep(seconds(1)).await;
    assert_eq!((names(ours), names("sidewatch_canary_last_ping")), (0, 0));
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_canary_that_was_missed_is_back_also_after_a_reload_with_another_interval() {
    let mut scene = Scene::start([]);
    scene.period(true).await;
    time::sleep(seconds(120)).await;
    assert_eq!(scene.on_call.names()[2..], [FAILS]);
    let mut plan = plan_of(&[("on-call", "http://a", &scene.on_call), ("office", "http://b", &scene.office)]);
    let settings = Settings { interval: seconds(50), receivers: Vec::new(), arrivals: Vec::new(), ping: None };
    plan.routes = settings.routes(plan.routes);
    plan.canary = Some(Planned { every: seconds(50), arrivals: Vec::new(), ping: None });
    scene.rig.shared.adopt(plan);
    time::sleep(seconds(1)).await;
    scene.begun += 120_000;
    scene.period(true).await;
    time::sleep(seconds(60)).await;
    assert_eq!(scene.on_call.names().iter().filter(|name| *name == WELL).count(), 1);
    scene.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_fails_is_tried_again_but_not_for_ever() {
    let mut scene = Scene::start([]);
    let failing = || Err(ChannelError::passing(FailureReason::ServerError, "503"));
    scene.pings.answers.lock().unwrap().extend([failing(), failing()]);
    scene.period(true).await;
    assert_eq!(scene.pings.names().len(), 3);
    scene.pings.answers.lock().unwrap().extend((0..20).map(|_| failing()));
    scene.period(true).await;
    assert_eq!(scene.pings.names().len(), 3 + PINGS as usize);
    let tries: Vec<_> = scene.pings.heard.lock().unwrap()[3..].iter().map(|(at, _)| at.0 / 1000).collect();
    let begin = tries[0];
    assert_eq!(tries.iter().map(|at| at - begin).collect::<Vec<_>>(), [0, 2, 6, 14, 30], "up to half of the period");
    scene.pings.answers.lock().unwrap().clear();
    let later = ChannelError { retry: Retry::After(seconds(20)), ..failing().unwrap_err() };
    scene.pings.answers.lock().unwrap().push_back(Err(later));
    scene.period(true).await;
    let heard = scene.pings.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 5 + PINGS as usize);
    assert_eq!((heard[9].0.0 - heard[8].0.0) / 1000, 20, "as it was asked to wait");
    scene.stop().await;
}

#[test]
fn a_dead_mans_switch_hears_of_no_canary() {
    let ids = ["ping", "email"].map(|kind| IntegrationId { receiver: "on-call".into(), kind, index: 0 });
    let mut groups = crate::notify::group::Groups::default();
    let settings = Settings { interval: seconds(60), receivers: Vec::new(), arrivals: Vec::new(), ping: None };
    let routes = settings.routes(plan_of(&[]).routes);
    for name in [NAME, "Down"] {
        groups.apply(Transition::Firing(alert(name, None)), &routes, (Millis(0), Millis(0))).unwrap();
    }
    let batches = groups.due(Millis(60_000), Millis(60_000));
    let spared = |name: &str| {
        let batch = batches.iter().find(|batch| batch.labels.get("alertname") == Some(name)).unwrap();
        ids.each_ref().map(|id| super::super::telling::is_spared(batch, id))
    };
    assert_eq!((spared(NAME), spared("Down")), ([true, false], [false, false]));
}
