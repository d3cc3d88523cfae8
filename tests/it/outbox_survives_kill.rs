//! Notifications outlast kill -9 at any moment: nothing is lost, and nothing is told anew that was told.
//!
//! The receiver takes a message twice as one when both carry the same key, as any that honours `Idempotency-Key` does. So
//! what counts is which keys it took: the same news must never come under two.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Agent, Answer, HttpServer, Random, wait_until};

/// Kills of each agent; four agents at once make two hundred.
const KILLS: u64 = 50;
/// An alert of which the rules speak no more after a restart has ended after so long; longer than any life but the last.
const RESOLVE_TIMEOUT: &str = "12s";
const PATIENCE: Duration = Duration::from_mins(1);

/// A message as it was taken.
#[derive(Debug, Clone)]
struct Taken {
    key: String,
    /// Name and status of each alert.
    says: BTreeMap<String, String>,
}

/// What the receiver does with a message.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    /// 503, and it does not have it.
    Refuses,
    /// It has it, and answers so late that the agent may be dead by then.
    TakesSlowly,
    /// It has it, and closes the connection without an answer.
    TakesAndHangsUp,
    /// 429 with a wait of a second.
    IsBusy,
}

/// A webhook's receiving end.
struct Recorder {
    server: HttpServer,
    taken: Arc<Mutex<Vec<Taken>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn start(mood: impl Fn() -> Mood + Send + Sync + 'static) -> Self {
        let (taken, asked) = (Arc::<Mutex<Vec<Taken>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let (take, ask) = (Arc::clone(&taken), Arc::clone(&asked));
        let server = HttpServer::start(move |request| {
            let key = request.header("idempotency-key").expect("a key").to_owned();
            ask.lock().expect("no panic").push(key.clone());
            let mood = mood();
            if matches!(mood, Mood::Refuses | Mood::IsBusy) {
                let mut answer = Answer::new(if mood == Mood::IsBusy { 429 } else { 503 }, "text/plain", "not now");
                answer.headers.push(("retry-after".into(), "1".into()));
                return answer;
            }
            let body: serde_json::Value = serde_json::from_str(&request.body).expect("JSON");
            let says = body["alerts"].as_array().expect("alerts").iter().map(|alert| {
                let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
                (text(&alert["labels"]["n"]), text(&alert["status"]))
            });
            take.lock().expect("no panic").push(Taken { key, says: says.collect() });
            if mood == Mood::TakesSlowly {
                std::thread::sleep(Duration::from_millis(400));
            }
            if mood == Mood::TakesAndHangsUp {
                std::panic::resume_unwind(Box::new("hangs up"));
            }
            Answer::new(200, "text/plain", "ok")
        });
        Self { server, taken, asked }
    }

    fn taken(&self) -> Vec<Taken> {
        self.taken.lock().expect("no panic").clone()
    }

    /// The keys of all attempts.
    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// What it heard of an alert, each key once.
    fn heard(&self, alert: &str) -> Vec<String> {
        let (mut keys, mut heard) = (BTreeSet::new(), Vec::new());
        for taken in self.taken() {
            if let Some(status) = taken.says.get(alert).filter(|_| keys.insert(taken.key.clone())) {
                heard.push(status.clone());
            }
        }
        heard
    }

    fn until(&self, what: &str, agent: &Agent, holds: impl Fn(&Self) -> bool) {
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, PATIENCE, || holds(self).then_some(()));
        }));
        assert!(told.is_ok(), "never: {what}; taken: {:#?}\nthe log:\n{}", self.taken(), agent.log());
    }
}

/// An application that shows a series for each fault: 1 while it is, 0 afterwards.
pub struct Faults {
    server: HttpServer,
    shown: Arc<Mutex<BTreeMap<u64, u8>>>,
}

impl Faults {
    pub fn start() -> Self {
        let shown = Arc::<Mutex<BTreeMap<u64, u8>>>::default();
        let show = Arc::clone(&shown);
        let server = HttpServer::start(move |_| {
            let shown = show.lock().expect("no panic");
            let lines = shown.iter().map(|(n, is)| format!("fault{{n=\"{n}\"}} {is}\n")).collect::<Vec<_>>().concat();
            Answer::new(200, "text/plain; version=0.0.4", format!("well 1\n{lines}"))
        });
        Self { server, shown }
    }

    /// A fault begins.
    pub fn begin(&self, fault: u64) {
        self.shown.lock().expect("no panic").insert(fault, 1);
    }

    /// It is over.
    pub fn end(&self, fault: u64) {
        self.shown.lock().expect("no panic").insert(fault, 0);
    }

    /// What the agent watches, how often, and by which rule.
    pub fn config(&self, folder: &TempDir) -> String {
        let rules = "groups: [{name: faults, rules: [{alert: Fault, expr: fault == 1}]}]\n";
        std::fs::write(folder.path().join("rules.yml"), rules).expect("our folder");
        format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\nlog: {{level: info}}\n\
             targets: [{{name: app, kind: prometheus, url: \"{}\"}}]\nrule_files: [rules.yml]\n",
            self.server.url("/metrics")
        )
    }
}

/// What came and went while agents were killed.
pub struct Story {
    /// The faults that are still there.
    active: BTreeSet<u64>,
    /// They are numbered from one to this.
    begun: u64,
}

impl Faults {
    /// Faults begin and end by chance while one agent after the other lives for a moment and is killed.
    pub fn come_and_go_over_kills(&self, (folder, config): (&Arc<TempDir>, &str), kills: u64, seed: u64) -> Story {
        let (mut random, mut active, mut begun) = (Random(seed), BTreeSet::new(), 0);
        for _ in 0..kills {
            let mut agent = Agent::start_in(folder, config);
            // Some are killed while they start.
            if random.below(8) > 0 {
                agent.wait_for("/healthz");
            }
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(random.below(600)));
                if random.below(3) > 0 {
                    begun += 1;
                    active.insert(begun);
                    self.begin(begun);
                } else if let Some(ended) = active.pop_first() {
                    self.end(ended);
                }
            }
            std::thread::sleep(Duration::from_millis(random.below(600)));
            agent.kill();
        }
        Story { active, begun }
    }
}

impl Story {
    /// Whether the last word on each fault that is there is that it fires.
    pub fn is_told_of_what_fires(&self, last: impl Fn(u64) -> Option<String>) -> bool {
        self.active.iter().all(|n| last(*n).as_deref() == Some("firing"))
    }

    /// Whether the last word on each fault that is gone and was told is that it is over.
    pub fn is_told_of_what_ended(&self, last: impl Fn(u64) -> Option<String>) -> bool {
        let mut ended = (1..=self.begun).filter(|n| !self.active.contains(n));
        ended.all(|n| last(n).is_none_or(|status| status == "resolved"))
    }
}

fn config(folder: &TempDir, faults: &Faults, recorder: &Recorder, group_wait: &str) -> String {
    let watched = faults.config(folder);
    format!(
        "{watched}alerting:\n  global: {{resolve_timeout: {RESOLVE_TIMEOUT}}}\n  \
         route: {{receiver: hook, group_by: [n], group_wait: {group_wait}, group_interval: 500ms, repeat_interval: 24h}}\n  \
         receivers: [{{name: hook, webhook_configs: [{{url: \"{}\"}}]}}]\n",
        recorder.server.url("/hook"),
    )
}

fn folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().expect("a folder"))
}

#[test]
fn an_alert_that_fired_and_waits_for_its_group_is_told_after_a_kill() {
    let (folder, faults, recorder) = (folder(), Faults::start(), Recorder::start(|| Mood::Takes));
    let config = config(&folder, &faults, &recorder, "3s");
    faults.begin(1);
    let mut agent = Agent::start_in(&folder, &config);
    agent.wait_for("/readyz");
    wait_until("the alert fires", PATIENCE, || {
        agent.get("/api/v1/alerts").body.contains("\"state\":\"firing\"").then_some(())
    });
    agent.kill();
    assert!(recorder.asked().is_empty(), "killed within the wait");
    let agent = Agent::start_in(&folder, &config);
    recorder.until("it is told", &agent, |recorder| recorder.heard("1") == ["firing"]);
}

#[test]
fn between_two_attempts_and_while_an_answer_is_awaited_a_kill_changes_no_key() {
    for mood in [Mood::Refuses, Mood::IsBusy, Mood::TakesAndHangsUp, Mood::TakesSlowly] {
        let (is_well, folder, faults) = (Arc::new(AtomicBool::new(false)), folder(), Faults::start());
        let well = Arc::clone(&is_well);
        let recorder = Recorder::start(move || if well.load(Ordering::Relaxed) { Mood::Takes } else { mood });
        let config = config(&folder, &faults, &recorder, "0s");
        faults.begin(1);
        let mut agent = Agent::start_in(&folder, &config);
        recorder.until("it is tried", &agent, |recorder| !recorder.asked().is_empty());
        agent.kill();
        is_well.store(true, Ordering::Relaxed);
        let tried = recorder.asked().len();
        let agent = Agent::start_in(&folder, &config);
        recorder.until("it is tried again", &agent, |recorder| recorder.asked().len() > tried);
        recorder.until("it is taken", &agent, |recorder| recorder.heard("1") == ["firing"]);
        let keys: BTreeSet<_> = recorder.asked().into_iter().collect();
        assert_eq!(keys.len(), 1, "{mood:?}: {:?}\n{}", recorder.asked(), agent.log());
    }
}

#[test]
fn what_was_answered_is_not_sent_again_and_an_end_during_the_death_is_told() {
    let (folder, faults, recorder) = (folder(), Faults::start(), Recorder::start(|| Mood::Takes));
    let config = config(&folder, &faults, &recorder, "0s");
    faults.begin(1);
    faults.begin(2);
    let mut agent = Agent::start_in(&folder, &config);
    recorder.until("both are told", &agent, |recorder| recorder.taken().len() == 2);
    let log = || std::fs::read_to_string(folder.path().join("log")).expect("its log");
    wait_until("both answers are noted", PATIENCE, || (log().matches("notified").count() == 2).then_some(()));
    // The note of an answer reaches the disk some time after the log line.
    std::thread::sleep(Duration::from_secs(1));
    agent.kill();
    faults.end(1);
    let agent = Agent::start_in(&folder, &config);
    recorder.until("the end is told", &agent, |recorder| recorder.heard("1") == ["firing", "resolved"]);
    assert_eq!(recorder.heard("2"), ["firing"]);
    assert_eq!(recorder.asked().len(), 3, "{:?}", recorder.asked());
}

#[test]
fn two_hundred_kills_lose_no_alert_and_tell_none_twice() {
    std::thread::scope(|scope| {
        for seed in 1..=4 {
            scope.spawn(move || kill_again_and_again(seed));
        }
    });
}

fn kill_again_and_again(seed: u64) {
    let (folder, faults, is_over) = (folder(), Faults::start(), Arc::new(AtomicBool::new(false)));
    let (moods, over) = (Mutex::new(Random(seed + 100)), Arc::clone(&is_over));
    let recorder = Recorder::start(move || {
        if over.load(Ordering::Relaxed) {
            return Mood::Takes;
        }
        match moods.lock().expect("no panic").below(10) {
            0 => Mood::Refuses,
            1 | 2 => Mood::TakesSlowly,
            3 => Mood::TakesAndHangsUp,
            4 => Mood::IsBusy,
            _ => Mood::Takes,
        }
    });
    let config = config(&folder, &faults, &recorder, "0s");
    let story = faults.come_and_go_over_kills((&folder, &config), KILLS, seed);
    is_over.store(true, Ordering::Relaxed);
    let agent = Agent::start_in(&folder, &config);
    let last = |recorder: &Recorder, n: u64| recorder.heard(&n.to_string()).pop();
    recorder.until("what fires is told", &agent, |recorder| story.is_told_of_what_fires(|n| last(recorder, n)));
    recorder.until("what was told and has ended is told to have ended", &agent, |recorder| {
        story.is_told_of_what_ended(|n| last(recorder, n))
    });
    let mut told = 0;
    for n in 1..=story.begun {
        let heard = recorder.heard(&n.to_string());
        let expected = ["firing", "resolved"].iter().cycle().take(heard.len());
        assert!(
            heard.iter().eq(expected),
            "seed {seed}: {n} was told as {heard:?}: {:#?}\nthe log:\n{}",
            recorder.taken().iter().filter(|taken| taken.says.contains_key(&n.to_string())).collect::<Vec<_>>(),
            agent.log()
        );
        told += usize::from(!heard.is_empty());
    }
    assert!(told > 20, "only {told} alerts were told: too few to mean anything");
    let repeated = recorder.asked().len() - recorder.asked().iter().collect::<BTreeSet<_>>().len();
    assert!(repeated > 5, "only {repeated} attempts were repeated: too few to mean anything");
}
