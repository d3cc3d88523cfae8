use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::time::sleep;

use super::*;
use crate::model::{Alert, Labels, Secret, Transition};
use crate::notify::channels::{ChannelError, ChannelKind, HttpSettings, Retry, webhook};
use crate::notify::inhibit::InhibitRule;
use crate::notify::matcher::Matcher;
use crate::notify::route::{GroupBy, Timing};

/// Answers as it is told to, and remembers what it was sent and when.
#[derive(Default)]
struct Fake {
    answers: Mutex<VecDeque<Result<(), ChannelError>>>,
    heard: Mutex<Vec<(Millis, String)>>,
    stamps: Mutex<Vec<Millis>>,
    start: Mutex<Option<Instant>>,
    takes: Duration,
}

impl Fake {
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(at, what)| format!("{} {what}", at.0)).collect()
    }
}

#[async_trait]
impl Channel for Fake {
    async fn send(&self, notification: &Notification) -> Result<Receipt, ChannelError> {
        let start = self.start.lock().unwrap().unwrap();
        let at = Millis(i64::try_from(start.elapsed().as_millis()).unwrap());
        let what = format!("{}:{}", notification.firing().count(), notification.resolved().count());
        self.heard.lock().unwrap().push((at, what));
        self.stamps.lock().unwrap().push(notification.at);
        sleep(self.takes).await;
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(())).map(|()| None)
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

fn plan(channels: &[(&str, &Arc<Fake>)]) -> Plan {
    let timing = Timing {
        group_wait: Duration::from_secs(5),
        group_interval: Duration::from_mins(1),
        repeat_interval: Duration::from_hours(4),
    };
    let integrations = channels.iter().enumerate().map(|(index, (url, channel))| {
        channel.start.lock().unwrap().get_or_insert(Instant::now());
        let id = IntegrationId { receiver: "on-call".into(), kind: "webhook", index };
        Planned { id, settings: integration(url), channel: Arc::clone(channel) as Arc<dyn Channel> }
    });
    let routes = Route::root("on-call".into(), GroupBy::Labels(vec!["alertname".into()]), timing);
    Plan { facts: Arc::default(), routes, inhibitor: Inhibitor::default(), integrations: integrations.collect() }
}

struct Rig {
    shared: Arc<Shared>,
    supervisor: Supervisor,
}

fn start(plan: Plan) -> Rig {
    let (shared, supervisor) = (Arc::new(Shared::default()), Supervisor::new());
    let dispatcher =
        Dispatcher::new(plan, Arc::clone(&shared), Metrics::default(), supervisor.clone(), "http://sidewatch:9640/");
    let dispatcher = Arc::new(tokio::sync::Mutex::new(dispatcher));
    let stop = supervisor.stop_token().clone();
    supervisor.spawn("notify", stop.clone(), move || {
        let (dispatcher, stop) = (Arc::clone(&dispatcher), stop.clone());
        async move { dispatcher.lock().await.run(&stop).await }
    });
    Rig { shared, supervisor }
}

fn alert(name: &str, ends_at: Option<Millis>) -> Alert {
    Alert {
        labels: Labels::new([("alertname", name)]),
        annotations: Labels::empty(),
        starts_at: Millis::now(),
        ends_at,
        value: 1.0,
        generator_url: String::new(),
    }
}

fn firing(name: &str) -> Vec<Transition> {
    vec![Transition::Firing(alert(name, None))]
}

fn resolved(name: &str) -> Vec<Transition> {
    vec![Transition::Resolved(alert(name, Some(Millis(1))))]
}

fn passing() -> Result<(), ChannelError> {
    Err(ChannelError::passing(FailureReason::ServerError, "answered 503"))
}

fn seconds(count: u64) -> Duration {
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
    let stamps = hook.stamps.lock().unwrap().clone();
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
