use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use tokio::time::sleep;

use super::*;
use crate::model::{Alert, Labels, Secret, Transition};
use crate::notify::acknowledge::{Episode, Meant, Note};
use crate::notify::channels::{ChannelError, ChannelKind, FailureReason, HttpSettings, Receipt, Retry, webhook};
use crate::notify::inhibit::InhibitRule;
use crate::notify::kept::Kept;
use crate::notify::matcher::Matcher;
use crate::notify::notification::Notification;
use crate::notify::outbox::Held;
use crate::notify::plan::Facts;
use crate::notify::route::{GroupBy, Timing};

/// Answers as it is told to, and remembers what it was sent and when.
#[derive(Default)]
pub struct Fake {
    pub answers: Mutex<VecDeque<Result<(), ChannelError>>>,
    pub heard: Mutex<Vec<(Millis, String)>>,
    pub sent: Mutex<Vec<Notification>>,
    pub start: Mutex<Option<Instant>>,
    pub takes: Duration,
    pub tells_twice: bool,
    pub receipt: Receipt,
}

impl Fake {
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(at, what)| format!("{} {what}", at.0)).collect()
    }

    /// The names of the alerts of each notification.
    pub fn names(&self) -> Vec<String> {
        let names = |sent: &Notification| {
            let names = sent.alerts.iter().filter_map(|alert| alert.labels.get("alertname"));
            format!("{} {}", sent.status(), names.collect::<Vec<_>>().join(","))
        };
        self.sent.lock().unwrap().iter().map(names).collect()
    }
}

#[async_trait]
impl Channel for Fake {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        let start = self.start.lock().unwrap().unwrap();
        let at = Millis(i64::try_from(start.elapsed().as_millis()).unwrap());
        let what = format!("{}:{}", notification.firing().count(), notification.resolved().count());
        self.heard.lock().unwrap().push((at, what));
        self.sent.lock().unwrap().push(notification.clone());
        sleep(self.takes).await;
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(())).map(|()| self.receipt.clone())
    }

    fn is_idempotent(&self) -> bool {
        !self.tells_twice
    }
}

fn integration(url: &str) -> Integration {
    let webhook = webhook::Settings {
        payload: None,
        signing_secret: None,
        url: Secret::new(url),
        max_alerts: 0,
        http: HttpSettings::default(),
        timeout: Duration::from_secs(1),
    };
    Integration { send_resolved: true, channel: ChannelKind::Webhook(Box::new(webhook)) }
}

pub fn plan(channels: &[(&str, &Arc<Fake>)]) -> Plan {
    let on_call: Vec<_> = channels.iter().map(|(url, channel)| ("on-call", *url, *channel)).collect();
    plan_of(&on_call)
}

/// The receiver of each channel, its URL and the channel. Routes lead to `on-call`.
pub fn plan_of(channels: &[(&str, &str, &Arc<Fake>)]) -> Plan {
    let timing = Timing {
        group_wait: Duration::from_secs(5),
        group_interval: Duration::from_mins(1),
        repeat_interval: Duration::from_hours(4),
    };
    let integrations = channels.iter().enumerate().map(|(index, (receiver, url, channel))| {
        channel.start.lock().unwrap().get_or_insert(Instant::now());
        let id = IntegrationId { receiver: (*receiver).into(), kind: "webhook", index };
        Planned { id, settings: integration(url), channel: Arc::clone(channel) as Arc<dyn Channel> }
    });
    let routes = Route::root("on-call".into(), GroupBy::Labels(vec!["alertname".into()]), timing);
    let facts = Arc::new(Facts { resolve_timeout: Duration::from_mins(5), ..Facts::default() });
    Plan {
        facts,
        routes,
        inhibitor: Inhibitor::default(),
        integrations: integrations.collect(),
        canary: None,
        handover: super::super::handover::Plan::default(),
    }
}

pub struct Rig {
    pub shared: Arc<Shared>,
    pub supervisor: Supervisor,
    registry: Registry,
}

impl Rig {
    /// All metrics.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// A metric's value, by its name and labels as they are written.
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }
}

pub fn start(plan: Plan) -> Rig {
    start_with(plan, Held::nothing())
}

pub fn start_with(plan: Plan, held: Held) -> Rig {
    let shared = Arc::new(Shared::new(Kept::holding(held), Arc::clone(&plan.facts)));
    let (supervisor, mut registry) = (Supervisor::new(), Registry::default());
    let metrics = Metrics::register(&mut registry);
    let dispatcher = Dispatcher::new(plan, Arc::clone(&shared), metrics, supervisor.clone(), "http://sidewatch:9640/");
    let dispatcher = Arc::new(tokio::sync::Mutex::new(dispatcher));
    let stop = supervisor.stop_token().clone();
    supervisor.spawn("notify", stop.clone(), move || {
        let (dispatcher, stop) = (Arc::clone(&dispatcher), stop.clone());
        async move { dispatcher.lock().await.run(&stop).await }
    });
    Rig { shared, supervisor, registry }
}

pub fn alert(name: &str, ends_at: Option<Millis>) -> Alert {
    Alert {
        labels: Labels::new([("alertname", name)]),
        annotations: Labels::empty(),
        starts_at: Millis::now(),
        ends_at,
        value: 1.0,
        generator_url: String::new(),
    }
}

pub fn firing(name: &str) -> Vec<Transition> {
    vec![Transition::Firing(alert(name, None))]
}

pub fn resolved(name: &str) -> Vec<Transition> {
    vec![Transition::Resolved(alert(name, Some(Millis(1))))]
}

pub fn passing() -> Result<(), ChannelError> {
    Err(ChannelError::passing(FailureReason::ServerError, "answered 503"))
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_first_alert_is_told_after_the_group_wait_and_its_end_after_the_interval() {
    let hook = Arc::new(Fake::default());
    let rig = start(plan(&[("http://a", &hook)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(10)).await;
    assert_eq!(rig.shared.active().len(), 1);
    rig.shared.tell(resolved("Down"));
    sleep(seconds(100)).await;
    assert_eq!(hook.heard(), ["5000 1:0", "65000 0:1"]);
    assert_eq!(rig.shared.active().len(), 0);
    assert!(rig.supervisor.stop(seconds(5)).await);
}

/// Tokio's clock runs ahead of the wall clock here, as it lags behind where a machine slept.
#[tokio::test(start_paused = true)]
async fn a_notification_is_stamped_with_the_wall_clock_whatever_the_timers_say() {
    let hook = Arc::new(Fake::default());
    let rig = start(plan(&[("http://a", &hook)]));
    sleep(seconds(36_000)).await;
    rig.shared.tell(firing("Down"));
    sleep(seconds(10)).await;
    let stamps: Vec<_> = hook.sent.lock().unwrap().iter().map(|sent| sent.at).collect();
    assert!(stamps.len() == 1 && Millis::now().since(stamps[0]) < seconds(60) && stamps[0] <= Millis::now());
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_dead_receiver_delays_no_other_and_is_tried_again() {
    let dead = Arc::new(Fake { takes: seconds(10), ..Fake::default() });
    dead.answers.lock().unwrap().extend((0..4).map(|_| passing()));
    let well = Arc::new(Fake::default());
    let rig = start(plan(&[("http://dead", &dead), ("http://well", &well)]));
    rig.shared.tell(firing("Down"));
    rig.shared.tell(firing("Slow"));
    sleep(seconds(6)).await;
    assert_eq!(well.heard(), ["5000 1:0", "5000 1:0"]);
    sleep(seconds(50)).await;
    assert!(dead.heard().len() >= 6, "two groups, three attempts each: {:?}", dead.heard());
    assert!(rig.supervisor.stop(seconds(60)).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_tried_again_only_at_the_next_interval() {
    let hook = Arc::new(Fake::default());
    let refusal = ChannelError::lasting(FailureReason::ClientError, "answered 400");
    hook.answers.lock().unwrap().push_back(Err(refusal));
    let rig = start(plan(&[("http://a", &hook)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(130)).await;
    assert_eq!(hook.heard(), ["5000 1:0", "65000 1:0"]);
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_to_wait_is_not_asked_earlier() {
    let hook = Arc::new(Fake::default());
    let busy = ChannelError {
        retry: Retry::After(seconds(90)),
        ..ChannelError::lasting(FailureReason::RateLimited, "answered 429")
    };
    hook.answers.lock().unwrap().push_back(Err(busy));
    let rig = start(plan(&[("http://a", &hook)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(10)).await;
    // The interval's flush at 65 s finds the first still waiting; it is made up for with what holds then.
    rig.shared.tell(resolved("Down"));
    rig.shared.tell(vec![Transition::Firing(Alert {
        labels: alert("Down", None).labels.with("b", "1"),
        ..alert("Down", None)
    })]);
    sleep(seconds(200)).await;
    assert_eq!(hook.heard()[..2], ["5000 1:0", "95000 1:1"]);
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_is_the_same_and_replaces_what_is_not() {
    let (same, old, new) = (Arc::new(Fake::default()), Arc::new(Fake::default()), Arc::new(Fake::default()));
    old.answers.lock().unwrap().extend((0..100).map(|_| passing()));
    let rig = start(plan(&[("http://same", &same), ("http://old", &old)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(20)).await;
    rig.shared.adopt(plan(&[("http://same", &Arc::new(Fake::default())), ("http://new", &new)]));
    sleep(seconds(5)).await;
    assert_eq!(same.heard(), ["5000 1:0"], "told once, by the worker it had");
    assert_eq!(new.heard().len(), 1, "hears at once what its predecessor could not deliver");
    let before = old.heard().len();
    sleep(seconds(60)).await;
    assert_eq!(old.heard().len(), before);
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_repaired_channel_hears_after_the_group_wait_and_others_hear_nothing_again() {
    let (wrong, well, right) = (Arc::new(Fake::default()), Arc::new(Fake::default()), Arc::new(Fake::default()));
    let gone = ChannelError::lasting(FailureReason::ClientError, "answered 404");
    wrong.answers.lock().unwrap().push_back(Err(gone));
    let rig = start(plan(&[("http://wrong", &wrong), ("http://well", &well)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(10)).await;
    rig.shared.adopt(plan(&[("http://right", &right), ("http://well", &well)]));
    sleep(seconds(300)).await;
    assert_eq!((right.heard().len(), well.heard().len()), (1, 1));
    assert_eq!(well.heard(), ["5000 1:0"]);
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_being_sent_at_stop_is_finished() {
    let hook = Arc::new(Fake { takes: seconds(2), ..Fake::default() });
    let rig = start(plan(&[("http://a", &hook)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(6)).await;
    let begin = Instant::now();
    assert!(rig.supervisor.stop(seconds(10)).await);
    assert_eq!(begin.elapsed(), seconds(1));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_alerts_in_fifty_groups_reach_ten_channels() {
    let hooks: Vec<_> = (0..10).map(|_| Arc::new(Fake::default())).collect();
    let urls: Vec<_> = (0..10).map(|n| format!("http://{n}")).collect();
    let channels: Vec<_> = urls.iter().map(String::as_str).zip(&hooks).collect();
    let rig = start(plan(&channels));
    let alert = |n: usize| {
        let group = alert(&format!("Group{}", n % 50), None);
        Transition::Firing(Alert { labels: group.labels.with("n", n.to_string()), ..group })
    };
    rig.shared.tell((0..10_000).map(alert).collect());
    sleep(seconds(30)).await;
    assert_eq!(rig.shared.active().len(), 10_000);
    for hook in hooks {
        assert_eq!(hook.heard(), vec!["5000 200:0"; 50]);
    }
    assert!(rig.supervisor.stop(seconds(5)).await);
}

/// Quiet all the while that an alert fires, then told what is left of it.
#[tokio::test(start_paused = true)]
async fn an_inhibited_alert_is_told_when_its_inhibition_ends() {
    let hook = Arc::new(Fake::default());
    let rules = [InhibitRule {
        source: Matcher::parse_list("alertname=Cause").unwrap(),
        target: Matcher::parse_list("alertname=Effect").unwrap(),
        equal: vec![],
    }];
    let rig = start(Plan { inhibitor: Inhibitor::new(&rules), ..plan(&[("http://a", &hook)]) });
    rig.shared.tell([firing("Cause"), firing("Effect")].concat());
    sleep(seconds(10)).await;
    let shown = rig.shared.active();
    let inhibited: Vec<_> = shown.iter().filter(|active| active.inhibited_by.is_some()).collect();
    assert_eq!(inhibited.len(), 1);
    assert_eq!(inhibited[0].alert.labels.get("alertname"), Some("Effect"));
    rig.shared.tell(resolved("Cause"));
    sleep(seconds(100)).await;
    assert_eq!(hook.heard().len(), 3, "the cause, its end, and what it kept quiet: {:?}", hook.heard());
    assert!(rig.shared.active().iter().all(|active| active.inhibited_by.is_none()));
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn when_a_server_asks_to_wait_no_other_message_knocks_earlier() {
    let hook = Arc::new(Fake::default());
    let busy = ChannelError {
        what: "answered 429".into(),
        reason: FailureReason::RateLimited,
        retry: Retry::After(seconds(30)),
        may_have_arrived: false,
    };
    hook.answers.lock().unwrap().push_back(Err(busy));
    let rig = start(plan(&[("http://a", &hook)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(10)).await;
    rig.shared.tell(firing("Slow"));
    sleep(seconds(60)).await;
    assert_eq!(hook.heard(), ["5000 1:0", "35000 1:0", "35000 1:0"]);
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn the_same_words_after_a_failure_are_the_same_message() {
    let hook = Arc::new(Fake::default());
    let refusal = ChannelError::lasting(FailureReason::ClientError, "answered 400");
    hook.answers.lock().unwrap().push_back(Err(refusal));
    let rig = start(plan(&[("http://a", &hook)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(70)).await;
    let sent = hook.sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].id(), sent[1].id());
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_after_a_possible_arrival_says_so_where_it_would_be_told_twice() {
    for tells_twice in [true, false] {
        let hook = Arc::new(Fake { tells_twice, ..Fake::default() });
        let refused = ChannelError::passing(FailureReason::Other, "refused");
        let reset = ChannelError { may_have_arrived: true, ..ChannelError::passing(FailureReason::Other, "reset") };
        let errors = [refused, reset, ChannelError::passing(FailureReason::ServerError, "503")].map(Err);
        hook.answers.lock().unwrap().extend(errors);
        let rig = start(plan(&[("http://a", &hook)]));
        rig.shared.tell(firing("Down"));
        sleep(seconds(30)).await;
        let marks: Vec<_> = hook.sent.lock().unwrap().iter().map(|sent| sent.possible_duplicate).collect();
        assert_eq!(marks, [false, false, tells_twice, tells_twice]);
        assert!(rig.supervisor.stop(seconds(5)).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fails_is_told_of_through_another_until_it_takes_a_message() {
    let (dead, well) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
    let refusal = || Err(ChannelError::lasting(FailureReason::ClientError, "answered 404"));
    dead.answers.lock().unwrap().extend([refusal(), refusal()]);
    let rig = start(plan_of(&[("on-call", "http://dead", &dead), ("office", "http://well", &well)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(30)).await;
    assert_eq!(well.names(), ["firing SidewatchNotificationsFailing"]);
    sleep(seconds(600)).await;
    assert_eq!(well.names(), ["firing SidewatchNotificationsFailing", "resolved SidewatchNotificationsFailing"]);
    assert_eq!(dead.names(), ["firing Down", "firing Down", "firing Down"], "it does not hear of itself");
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn that_a_receiver_works_again_is_told_though_the_other_failed_meanwhile() {
    let (pager, office) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
    let refusal = || Err(ChannelError::lasting(FailureReason::ClientError, "answered 404"));
    pager.answers.lock().unwrap().extend((0..4).map(|_| refusal()));
    let mut plan = plan_of(&[("pager", "http://a", &pager), ("on-call", "http://b", &office)]);
    let to_pager =
        Route { receiver: "pager".into(), ..plan.routes.child(Matcher::parse_list("alertname=Down").unwrap()) };
    plan.routes = plan.routes.clone().with(vec![to_pager]);
    let rig = start(plan);
    rig.shared.tell(firing("Down"));
    sleep(seconds(30)).await;
    assert_eq!(office.names(), ["firing SidewatchNotificationsFailing"]);
    // From now on the office takes nothing either, until after the pager works again.
    office.answers.lock().unwrap().extend((0..4).map(|_| refusal()));
    rig.shared.tell(firing("Slow"));
    sleep(seconds(900)).await;
    let told = office.names();
    assert_eq!(told.iter().filter(|names| **names == "resolved SidewatchNotificationsFailing").count(), 1, "{told:?}");
    let pagers = pager.names();
    assert_eq!(pagers.last().map(String::as_str), Some("resolved SidewatchNotificationsFailing"), "{pagers:?}");
    assert_eq!(rig.shared.active().len(), 2, "nothing fails");
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn that_failing_cannot_be_told_is_no_alert_of_its_own() {
    let (dead, mute) = (Arc::new(Fake::default()), Arc::new(Fake::default()));
    let refusal = || Err(ChannelError::lasting(FailureReason::ClientError, "answered 404"));
    dead.answers.lock().unwrap().extend((0..100).map(|_| refusal()));
    mute.answers.lock().unwrap().extend((0..100).map(|_| refusal()));
    let rig = start(plan_of(&[("on-call", "http://dead", &dead), ("office", "http://mute", &mute)]));
    rig.shared.tell(firing("Down"));
    sleep(seconds(600)).await;
    assert_eq!(rig.shared.active().len(), 2, "what fires, and that on-call fails");
    assert!(dead.names().iter().all(|names| names == "firing Down"));
    assert!(mute.names().iter().all(|names| names == "firing SidewatchNotificationsFailing"));
    assert!(rig.supervisor.stop(seconds(5)).await);
}

#[tokio::test(start_paused = true)]
async fn a_backlog_is_bounded_counted_and_made_up_for() {
    let slow = Arc::new(Fake { takes: seconds(20), ..Fake::default() });
    let rig = start(plan(&[("http://slow", &slow)]));
    let (of, most) = ("{receiver=\"on-call\",integration=\"webhook\"}", super::super::queue::MOST);
    let all = most + 8 + 50;
    rig.shared.tell((0..all).flat_map(|number| firing(&format!("Alert{number}"))).collect());
    sleep(seconds(6)).await;
    // The first eight are being sent; the dispatcher filled the queue before they had left it.
    let waiting = rig.metric(&format!("sidewatch_notification_queue_length{of}"));
    let dropped = rig.metric("sidewatch_notifications_dropped_total");
    assert_eq!(waiting as usize, most);
    assert_eq!(dropped as usize, all - most);
    assert_eq!(rig.shared.active().len(), all, "none is forgotten");
    assert!(rig.supervisor.stop(seconds(30)).await);
}

#[tokio::test(start_paused = true)]
async fn messages_say_where_to_acknowledge_who_did_and_how_often_it_came_again() {
    let hook = Arc::new(Fake::default());
    let rig = start(plan(&[("http://a", &hook)]));
    let acknowledged = rig.shared.kept().acknowledged.clone();
    acknowledged.lead_to("http://sidewatch:9640");
    let (down, slow) =
        (alert("Down", None), Alert { labels: alert("Down", None).labels.with("n", "2"), ..alert("", None) });
    rig.shared.tell(vec![Transition::Firing(down.clone()), Transition::Firing(slow.clone())]);
    sleep(seconds(10)).await;
    acknowledged.acknowledge(&[Episode::of(&down)], "ann", Millis::now()).unwrap();
    for transition in [Transition::Resolved, Transition::Firing] {
        rig.shared.tell(vec![transition(slow.clone())]);
        sleep(seconds(60)).await;
    }
    let sent = hook.sent.lock().unwrap().clone();
    let told: Vec<_> = sent.iter().map(|sent| &sent.asides).collect();
    let url = |at: usize, of: usize| told[at].alerts[of].acknowledge_url.as_deref();
    assert_eq!(told.len(), 3, "{:?}", hook.names());
    assert!(url(0, 0).is_some_and(|url| url.starts_with("http://sidewatch:9640/acknowledge?alert=")));
    let whole = told[0].acknowledge_url.as_deref().unwrap();
    assert!(whole.starts_with("http://sidewatch:9640/acknowledge?group="), "{whole}");
    let meant = Meant::group("on-call", &sent[0].group_key, sent[0].at);
    assert_eq!(acknowledged.url(meant).as_deref(), Some(whole));
    assert!(rig.shared.active().iter().all(|active| meant.is(active)));
    let by: Vec<_> = told[2].alerts.iter().map(|aside| aside.acknowledged.as_ref().map(Note::name)).collect();
    assert_eq!((by, url(2, 0)), (vec![Some("ann"), None], None));
    assert_eq!(told[2].acknowledge_url.as_deref(), url(2, 1), "one is left");
    assert_eq!(told[2].alerts.iter().map(|aside| aside.flapped).collect::<Vec<_>>(), [0, 1]);
    assert!(rig.supervisor.stop(seconds(5)).await);
}
