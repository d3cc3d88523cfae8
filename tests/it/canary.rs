//! The canary through the whole agent: rule, route, outbox, a mail server that plays along or does not, and the pings.

use std::time::{Duration, Instant};

use crate::support::{Agent, Alert, Answer, HttpServer, MailMood, Play, Recorder, SmtpSink, WebhookSink, wait_until};

/// A period, in seconds.
const EVERY: u64 = 4;
/// Machines are slow at times; a period is over long before.
const LONG: Duration = Duration::from_mins(1);
const FAILING: Alert<'_> = Alert("SidewatchCanaryFailing", None);

/// The agent, whose canary goes by mail, and whom it tells of that.
struct Scene {
    agent: Agent,
    mail: SmtpSink,
    hook: WebhookSink,
    pings: Recorder,
}

impl Scene {
    fn start(more: &str) -> Self {
        let (mail, hook) = (SmtpSink::start(), WebhookSink::start());
        let pings = Recorder::start(|_| Play::json(200, "{}"));
        let config = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\ntargets: []\nrule_files: []\nalerting:\n  \
             global: {{smtp_smarthost: '{}', smtp_from: s@example.org, smtp_require_tls: false}}\n  \
             route: {{receiver: office, group_wait: 100ms, group_interval: 1s}}\n  \
             receivers:\n  - {{name: on-call, email_configs: [{{to: a@example.org}}]}}\n  \
             - {{name: office, webhook_configs: [{{url: '{}'}}]}}\n  \
             canary: {{interval: {EVERY}s, receivers: [on-call], ping: {{url: '{}', method: GET}}{more}}}\n",
            mail.smarthost(),
            hook.url(),
            pings.url("/ping/key"),
        );
        let agent = Agent::start(&config);
        Self { agent, mail, hook, pings }
    }

    fn pings(&self) -> usize {
        self.pings.requests().len()
    }

    fn wait_for_more_pings(&self, count: usize) {
        let before = self.pings();
        wait_until("pings", LONG, || (self.pings() >= before + count).then_some(()));
    }
}

#[test]
fn while_all_is_well_canaries_arrive_and_each_brings_a_ping() {
    let scene = Scene::start("");
    let since = Instant::now();
    let first = scene.mail.wait(&["FIRING", "SidewatchCanary"], since, LONG);
    let second = scene.mail.wait(&["FIRING", "SidewatchCanary"], first.at + Duration::from_millis(1), LONG);
    let (one, other) = (first.what.header("message-id"), second.what.header("message-id"));
    assert_ne!(one, other, "each period's is a message of its own");
    assert_eq!(first.what.header("subject"), second.what.header("subject"), "a folder's filter finds them");
    assert!(first.what.text.contains("Nothing is wrong"), "{}", first.what.text);
    scene.wait_for_more_pings(2);
    let ping = &scene.pings.requests()[0].what;
    assert_eq!((ping.method.as_str(), ping.path.as_str()), ("GET", "/ping/key"));
    let page = scene.agent.metrics();
    let labels = [("receiver", "on-call"), ("integration", "email")];
    assert!(page.value("sidewatch_canary_last_success_timestamp_seconds", &labels).is_some_and(|at| at > 1e9));
    let delay = page.value("sidewatch_canary_delay_seconds", &labels).expect("a delay");
    assert!((0.0..60.0).contains(&delay), "{delay}");
    assert!(page.value("sidewatch_canary_last_ping_timestamp_seconds", &[]).is_some_and(|at| at > 1e9));
    assert_eq!(scene.hook.count(Alert("SidewatchCanary", None), "firing"), 0, "nobody else is bothered");
    assert_eq!(scene.hook.count(FAILING, "firing"), 0);
}

/// From a server that fails to one that is well again.
fn fails_and_recovers(mood: MailMood, words: &str) {
    let scene = Scene::start("");
    scene.wait_for_more_pings(1);
    let failed = Instant::now();
    scene.mail.set(mood);
    let told = scene.hook.wait(FAILING, "firing", failed, LONG);
    let (labels, reason) = (&told.what["labels"], &told.what["annotations"]["reason"]);
    assert_eq!((&labels["receiver"], &labels["integration"]), (&"on-call".into(), &"email".into()));
    assert!(reason.as_str().is_some_and(|reason| reason.contains(words)), "{reason}");
    let pings = scene.pings();
    // Two periods in which a ping could have gone out.
    std::thread::sleep(Duration::from_secs(2 * EVERY));
    assert_eq!(scene.pings(), pings, "no ping without a canary");
    assert_eq!(scene.hook.count(Alert("SidewatchNotificationsFailing", None), "firing"), 0, "it is told once");

    let well = Instant::now();
    scene.mail.set(MailMood::Well);
    scene.mail.wait(&["FIRING", "SidewatchCanary"], well, LONG);
    scene.hook.wait(FAILING, "resolved", well, LONG);
    scene.wait_for_more_pings(2);
}

#[test]
fn a_server_that_refuses_is_told_of_through_another_and_ends_the_pings() {
    fails_and_recovers(MailMood::Refuses, "550");
}

#[test]
fn a_server_that_hangs_up_is_told_of_through_another_and_ends_the_pings() {
    fails_and_recovers(MailMood::HangsUp, "");
}

#[test]
fn a_canary_that_was_taken_and_is_not_found_has_not_arrived() {
    let finds = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let found = std::sync::Arc::clone(&finds);
    // As Mailpit answers a search.
    let search = HttpServer::start(move |request| {
        let id = request.path.split("message-id:").nth(1).unwrap_or_default().to_owned();
        let messages = if found.load(std::sync::atomic::Ordering::Relaxed) {
            format!(r#"[{{"ID":"x1","MessageID":"{id}@localhost"}}]"#)
        } else {
            "[]".into()
        };
        Answer::new(200, "application/json", format!(r#"{{"total":9,"messages":{messages}}}"#))
    });
    let url = search.url("/api/v1/search?query=message-id:{id}");
    let scene = Scene::start(&format!(", arrivals: [{{receiver: on-call, url: '{url}'}}]"));
    scene.wait_for_more_pings(2);
    let failed = Instant::now();
    finds.store(false, std::sync::atomic::Ordering::Relaxed);
    let told = scene.hook.wait(FAILING, "firing", failed, LONG);
    let reason = told.what["annotations"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("not found where messages arrive"), "{reason}");
    finds.store(true, std::sync::atomic::Ordering::Relaxed);
    scene.hook.wait(FAILING, "resolved", failed, LONG);
    scene.wait_for_more_pings(1);
}
