//! Channels that would tell twice, mail and Slack's API, over kill -9 at any moment: no alert is lost, and what comes a second
//! time says that it may be one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mail_server::{MailServer, header};
use crate::outbox_survives_kill::Faults;
use crate::support::{Agent, Answer, HttpServer, Random, wait_until};

/// Kills of each agent.
const KILLS: u64 = 30;
const PATIENCE: Duration = Duration::from_mins(1);

/// A message that the receiving end has.
#[derive(Debug, Clone, PartialEq)]
struct Taken {
    /// Which alert, and whether it fires.
    news: (u64, String),
    /// What makes it the same, where the channel has such a thing.
    id: String,
    /// Whether it says that it may be a second.
    marked: bool,
}

/// A receiving end.
trait End {
    /// The section `alerting`'s `global`.
    fn global(&self) -> String;
    /// The channel within a receiver.
    fn channel(&self) -> String;
    /// `take`, `slow`: it takes messages and answers late; `any`: what comes.
    fn set_mood(&self, mood: &'static str);
    fn taken(&self) -> Vec<Taken>;
}

struct Mail {
    server: MailServer,
    attempts: Arc<Mutex<Vec<Value>>>,
}

impl Mail {
    fn start() -> Self {
        let mut server = MailServer::start_as("any");
        let attempts = server.collect();
        Self { server, attempts }
    }
}

impl End for Mail {
    fn global(&self) -> String {
        self.server.global()
    }

    fn channel(&self) -> String {
        "email_configs: [{to: a@example.org, headers: {X-Fault: '{{ .GroupLabels.n }}'}}]".into()
    }

    fn set_mood(&self, mood: &'static str) {
        self.server.set_mood(mood);
    }

    fn taken(&self) -> Vec<Taken> {
        let attempts = self.attempts.lock().expect("no panic").clone();
        let one = |attempt: &Value| Taken {
            news: (header(attempt, "x-fault").parse().expect("a number"), header(attempt, "x-alert-status")),
            id: header(attempt, "message-id"),
            marked: attempt["text"].as_str().expect("a text").contains("X-Possible-Duplicate: true"),
        };
        attempts.iter().filter(|attempt| attempt["taken"] == true).map(one).collect()
    }
}

struct Slack {
    server: HttpServer,
    mood: Arc<Mutex<&'static str>>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Slack {
    fn start() -> Self {
        let (mood, taken) = (Arc::new(Mutex::new("any")), Arc::<Mutex<Vec<Taken>>>::default());
        let (felt, put, chance) = (Arc::clone(&mood), Arc::clone(&taken), Mutex::new(Random(11)));
        let server = HttpServer::start(move |request| {
            let mut mood = *felt.lock().expect("no panic");
            if mood == "any" {
                let moods =
                    ["take", "take", "take", "take", "take", "refuse", "busy", "slow", "slow", "hangup", "hangup"];
                mood = moods[usize::try_from(chance.lock().expect("no panic").below(11)).expect("small")];
            }
            if mood == "refuse" {
                return Answer::new(503, "text/plain", "not now");
            }
            if mood == "busy" {
                let mut answer = Answer::new(429, "application/json", r#"{"ok":false,"error":"ratelimited"}"#);
                answer.headers.push(("retry-after".into(), "1".into()));
                return answer;
            }
            let body: Value = serde_json::from_str(&request.body).expect("JSON");
            let said = &body["attachments"][0];
            let (n, status) = said["title"].as_str().and_then(|title| title.split_once(' ')).expect("both");
            let footer = said["footer"].as_str().unwrap_or_default();
            let news = (n.parse().expect("a number"), status.to_owned());
            let mut taken = put.lock().expect("no panic");
            taken.push(Taken { news, id: String::new(), marked: footer.contains("Possible duplicate") });
            let ts = body["ts"].as_str().map_or_else(|| taken.len().to_string(), str::to_owned);
            drop(taken);
            match mood {
                "slow" => std::thread::sleep(Duration::from_millis(400)),
                "hangup" => std::panic::resume_unwind(Box::new("hangs up")),
                _ => {}
            }
            Answer::new(200, "application/json", json!({"ok": true, "channel": "C1", "ts": ts}).to_string())
        });
        Self { server, mood, taken }
    }
}

impl End for Slack {
    fn global(&self) -> String {
        "http_config: {authorization: {credentials: xoxb-1}}".into()
    }

    fn channel(&self) -> String {
        let url = self.server.url("/api/chat.postMessage");
        format!(
            "slack_configs: [{{api_url: '{url}', channel: '#ops', title: '{{{{ .GroupLabels.n }}}} {{{{ .Status }}}}'}}]"
        )
    }

    fn set_mood(&self, mood: &'static str) {
        *self.mood.lock().expect("no panic") = mood;
    }

    fn taken(&self) -> Vec<Taken> {
        self.taken.lock().expect("no panic").clone()
    }
}

fn config(folder: &TempDir, faults: &Faults, end: &dyn End) -> String {
    let (watched, global, channel) = (faults.config(folder), end.global(), end.channel());
    format!(
        "{watched}alerting:\n  global: {{{global}, resolve_timeout: 12s}}\n  \
         route: {{receiver: people, group_by: [n], group_wait: 0s, group_interval: 500ms, repeat_interval: 24h}}\n  \
         receivers:\n  - name: people\n    {channel}\n"
    )
}

fn until(what: &str, agent: &Agent, end: &dyn End, holds: impl Fn(&[Taken]) -> bool) {
    let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_until(what, PATIENCE, || holds(&end.taken()).then_some(()));
    }));
    assert!(held.is_ok(), "never: {what}; taken: {:#?}\nthe log:\n{}", end.taken(), agent.log());
}

#[test]
fn what_was_sent_and_not_yet_marked_comes_again_as_a_possible_duplicate() {
    for end in [&Mail::start() as &dyn End, &Slack::start()] {
        let (folder, faults) = (Arc::new(tempfile::tempdir().expect("a folder")), Faults::start());
        end.set_mood("slow");
        let config = config(&folder, &faults, end);
        faults.begin(1);
        let mut agent = Agent::start_in(&folder, &config);
        until("it is sent", &agent, end, |taken| !taken.is_empty());
        agent.kill();
        end.set_mood("take");
        let agent = Agent::start_in(&folder, &config);
        until("it is sent again", &agent, end, |taken| taken.len() > 1);
        let [first, second] = &end.taken()[..] else { panic!("two messages: {:#?}", end.taken()) };
        assert!(!first.marked && second.marked, "{first:?}, {second:?}");
        assert_eq!((&first.news, &first.id), (&second.news, &second.id), "the same message");
    }
}

#[test]
fn kills_at_random_lose_no_alert_in_mail() {
    kill_again_and_again(&Mail::start(), 21);
}

#[test]
fn kills_at_random_lose_no_alert_in_slack() {
    kill_again_and_again(&Slack::start(), 22);
}

fn kill_again_and_again(end: &dyn End, seed: u64) {
    let (folder, faults) = (Arc::new(tempfile::tempdir().expect("a folder")), Faults::start());
    let config = config(&folder, &faults, end);
    let story = faults.come_and_go_over_kills((&folder, &config), KILLS, seed);
    end.set_mood("take");
    let agent = Agent::start_in(&folder, &config);
    let last = |taken: &[Taken], n: u64| taken.iter().rev().find(|it| it.news.0 == n).map(|it| it.news.1.clone());
    until("what fires is told", &agent, end, |taken| story.is_told_of_what_fires(|n| last(taken, n)));
    until("what was told and has ended is told to have ended", &agent, end, |taken| {
        story.is_told_of_what_ended(|n| last(taken, n))
    });
    let taken = end.taken();
    let mut heard: BTreeMap<u64, Vec<Taken>> = BTreeMap::new();
    let mut repeated = 0;
    for message in &taken {
        let of = heard.entry(message.news.0).or_default();
        match of.last() {
            // The very same news once more: it says so, and is the same message.
            Some(before) if before.news == message.news => {
                repeated += 1;
                assert!(message.marked, "told twice without a mark: {of:#?}\n{message:#?}\nthe log:\n{}", agent.log());
                assert_eq!(before.id, message.id, "{of:#?}");
            }
            _ => of.push(message.clone()),
        }
    }
    for (n, of) in &heard {
        let statuses: Vec<_> = of.iter().map(|it| it.news.1.as_str()).collect();
        let expected: Vec<_> = ["firing", "resolved"].into_iter().cycle().take(of.len()).collect();
        assert_eq!(statuses, expected, "{n} was told as {of:#?}\nthe log:\n{}", agent.log());
    }
    assert!(heard.len() > 10 && repeated > 3, "{} alerts, {repeated} repeats: too few to mean anything", heard.len());
}
