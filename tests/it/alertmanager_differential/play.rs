//! Plays a scenario to both, and keeps what the recorder got.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sidewatch::model::Millis;
use tempfile::TempDir;

use crate::support::{Agent, Answer, HttpServer, RealAlertmanager, request};

use super::scenarios::Scenario;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Message {
    /// After the start of the timeline.
    pub at: Duration,
    /// Without what must differ: where the sender is found.
    pub body: Value,
    path: String,
}

/// What came in the course of a scenario.
pub struct Played(Vec<Message>);

impl Played {
    /// All who got a message.
    pub fn receivers(&self) -> BTreeSet<String> {
        self.0.iter().filter_map(|message| message.path.rsplit('/').next()).map(str::to_owned).collect()
    }

    /// What Alertmanager sent to a receiver.
    pub fn alertmanager(&self, receiver: &str) -> Vec<Message> {
        self.of(&format!("/alertmanager/{receiver}"))
    }

    /// What the agent sent to a receiver.
    pub fn agent(&self, receiver: &str) -> Vec<Message> {
        self.of(&format!("/agent/{receiver}"))
    }

    /// In the order of their coming; those that came in the same moment by their groups, whose timers run beside each other.
    fn of(&self, path: &str) -> Vec<Message> {
        let mut all: Vec<_> = self.0.iter().filter(|message| message.path == path).cloned().collect();
        let moment = |message: &Message| (message.at.as_millis() + 250) / 500;
        all.sort_by_key(|message| (moment(message), message.body["groupKey"].to_string()));
        all
    }
}

/// One of the two, by what they have in common: a file, a reload, API v2.
struct Side {
    port: u16,
    file: PathBuf,
    /// The silence that was set last.
    silence: String,
}

impl Side {
    fn reload(&self, config: &str) {
        std::fs::write(&self.file, config).expect("our folder");
        self.ask("POST", "/-/reload", &Value::Null);
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        let answer = request(self.port, method, path, &json, &body.to_string()).expect("an answer");
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        answer
    }
}

/// Plays a scenario once.
pub fn play(scenario: &Scenario) -> Played {
    let arrivals: Arc<Mutex<Vec<(Instant, String, Value)>>> = Arc::default();
    let taken = Arc::clone(&arrivals);
    let recorder = HttpServer::start(move |request| {
        let mut body: Value = serde_json::from_str(&request.body).expect("JSON");
        body.as_object_mut().expect("an object").remove("externalURL");
        taken.lock().expect("no handler panics").push((Instant::now(), request.path, body));
        Answer::new(200, "text/plain", "ok")
    });
    let config = |config: &str, who: &str| config.replace("HOOK", &recorder.url(who));
    let alertmanager = RealAlertmanager::start(&config(&scenario.config, "/alertmanager"));
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let agent = start_agent(&folder, &config(&scenario.config, "/agent"));
    let mut sides = [
        (Side { port: alertmanager.port(), file: alertmanager.config(), silence: String::new() }, "/alertmanager"),
        (Side { port: agent.port(), file: folder.path().join("alertmanager.yml"), silence: String::new() }, "/agent"),
    ];
    let start = Instant::now();
    for line in scenario.steps.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let at = words.next().and_then(|at| at.parse().ok()).expect("milliseconds");
        sleep(Duration::from_millis(at).saturating_sub(start.elapsed()));
        let (verb, rest) = (words.next().expect("a verb"), words.collect::<Vec<_>>());
        let now = Millis::now();
        for (side, who) in &mut sides {
            match verb {
                "reload" => side.reload(&config(scenario.others[rest[0].parse::<usize>().expect("which")], who)),
                "silence" => {
                    let answer = side.ask("POST", "/api/v2/silences", &silence(&rest, now));
                    answer.json()["silenceID"].as_str().expect("an id").clone_into(&mut side.silence);
                }
                "expire" => drop(side.ask("DELETE", &format!("/api/v2/silence/{}", side.silence), &Value::Null)),
                "end" => {}
                _ => drop(side.ask("POST", "/api/v2/alerts", &alerts(verb, &rest, now))),
            }
        }
    }
    drop((alertmanager, agent));
    let arrivals = arrivals.lock().expect("no handler panics");
    let message = |(at, path, body): &(Instant, String, Value)| Message {
        at: at.duration_since(start),
        body: body.clone(),
        path: path.clone(),
    };
    Played(arrivals.iter().map(message).collect())
}

fn start_agent(folder: &Arc<TempDir>, config: &str) -> Agent {
    std::fs::write(folder.path().join("alertmanager.yml"), config).expect("our folder");
    let agent = Agent::start_in(folder, "rule_files: []\nalerting: {config_file: alertmanager.yml}\n");
    agent.wait_for("/readyz");
    agent
}

/// `fire` and `resolve` with labels as `name=value`, a bare word for the alert's name; `@note=text` is an annotation, `@since=ms` a
/// start that long ago, `@until=ms` an end that far ahead, `@count=n` as many alerts with labels `n`.
fn alerts(verb: &str, words: &[&str], now: Millis) -> Value {
    let (mut labels, mut annotations, mut count) = (Map::new(), Map::new(), None);
    let mut posted = json!({"startsAt": now.to_rfc3339(), "generatorURL": "http://graph/"});
    if verb == "resolve" {
        posted = json!({"endsAt": now.to_rfc3339(), "generatorURL": "http://graph/"});
    }
    for word in words {
        let millis = |text: &str| text.parse::<i64>().expect("milliseconds");
        match word.split_once('=') {
            Some(("@since", ago)) => posted["startsAt"] = Millis(now.0 - millis(ago)).to_rfc3339().into(),
            Some(("@until", ahead)) => posted["endsAt"] = Millis(now.0 + millis(ahead)).to_rfc3339().into(),
            Some(("@count", number)) => count = Some(number.parse::<usize>().expect("a number")),
            Some((name, value)) if name.starts_with('@') => drop(annotations.insert(name[1..].into(), value.into())),
            Some((name, value)) => drop(labels.insert(name.into(), value.into())),
            None => drop(labels.insert("alertname".into(), (*word).into())),
        }
    }
    posted["annotations"] = annotations.into();
    posted["labels"] = labels.into();
    let numbered = |n: usize| {
        let mut one = posted.clone();
        one["labels"]["n"] = n.to_string().into();
        one["labels"]["tens"] = (n / 10).to_string().into();
        one
    };
    count.map_or_else(|| json!([posted]), |count| (0..count).map(numbered).collect())
}

/// `silence` with how many milliseconds it holds, and labels as `name=value`.
fn silence(words: &[&str], now: Millis) -> Value {
    let length: i64 = words[0].parse().expect("milliseconds");
    let matcher = |word: &&str| {
        let (name, value) = word.split_once('=').expect("a label");
        json!({"name": name, "value": value, "isRegex": false, "isEqual": true})
    };
    json!({
        "matchers": words[1..].iter().map(matcher).collect::<Vec<_>>(),
        "startsAt": now.to_rfc3339(),
        "endsAt": Millis(now.0 + length).to_rfc3339(),
        "createdBy": "a test",
        "comment": "quiet",
    })
}
