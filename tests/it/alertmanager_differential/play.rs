//! Plays a scenario to both, and keeps what the recorder got.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidewatch::model::{Alert, Labels, Millis, Problems, Transition};
use sidewatch::notify::{Metrics, Notifier, Settings};
use sidewatch::runtime::supervise::Supervisor;
use sidewatch::yaml::{Fields, parse};

use crate::support::{Answer, HttpServer, RealAlertmanager};

use super::scenarios::Scenario;

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Message {
    /// After the start of the timeline.
    pub at: Duration,
    /// Without what must differ: where each was found.
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

/// The agent's notifier, in this process.
struct Agent {
    runtime: tokio::runtime::Runtime,
    supervisor: Supervisor,
    notifier: Notifier,
}

impl Agent {
    fn start(config: &str) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let supervisor = Supervisor::new();
        let start = || Notifier::start(&settings(config), Metrics::default(), &supervisor, "http://agent");
        let notifier = runtime.block_on(async { start() }).expect("a configuration that can be built");
        Self { runtime, supervisor, notifier }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.runtime.block_on(self.supervisor.stop(Duration::from_secs(5)));
    }
}

fn settings(config: &str) -> Settings {
    let (node, problems) = (parse(config, "alertmanager.yml").expect("YAML"), Problems::new());
    let settings = Settings::read(Fields::of(&node, "the file", &problems).expect("a mapping"));
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    settings
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
    let alertmanager = RealAlertmanager::start(&config(scenario.config, "/alertmanager"));
    let agent = Agent::start(&config(scenario.config, "/agent"));
    let (mut since, start) = (Since::default(), Instant::now());
    for line in scenario.steps.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let at = words.next().and_then(|at| at.parse().ok()).expect("milliseconds");
        sleep(Duration::from_millis(at).saturating_sub(start.elapsed()));
        let (verb, rest) = (words.next().expect("a verb"), words.collect::<Vec<_>>());
        match verb {
            "reload" => {
                let text = scenario.others[rest[0].parse::<usize>().expect("which")];
                alertmanager.reload(&config(text, "/alertmanager"));
                agent.notifier.reload(&settings(&config(text, "/agent"))).expect("it can be built");
            }
            "end" => {}
            _ => {
                let mut alerts = alerts(verb, &rest);
                alerts.iter_mut().for_each(|alert| since.take(alert));
                alertmanager.tell(&alerts.iter().map(as_posted).collect());
                agent.notifier.tell(alerts.into_iter().map(transition).collect());
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

/// Since when each alert fires. Alertmanager itself puts reports of one alert together, the agent does so before its notifier
/// hears of them: so both are told the same start.
#[derive(Default)]
struct Since(HashMap<Labels, (Millis, Option<Millis>)>);

impl Since {
    fn take(&mut self, alert: &mut Alert) {
        let known = self.0.get(&alert.labels).filter(|(_, end)| end.is_none_or(|end| end >= alert.starts_at));
        let start = known.map_or(alert.starts_at, |(start, _)| (*start).min(alert.starts_at));
        alert.starts_at = start;
        self.0.insert(alert.labels.clone(), (start, alert.ends_at));
    }
}

/// `fire` and `resolve` with labels as `name=value`, a bare word for the alert's name; `@note=text` is an annotation, `@since=ms` a
/// start that long ago, `@until=ms` an end that far ahead, `@count=n` as many alerts with labels `n`.
fn alerts(verb: &str, words: &[&str]) -> Vec<Alert> {
    let now = Millis::now();
    let (mut labels, mut annotations, mut count) = (Vec::new(), Vec::new(), None);
    let (mut starts_at, mut ends_at) = (now, (verb == "resolve").then_some(now));
    for word in words {
        let millis = |text: &str| Duration::from_millis(text.parse().expect("milliseconds"));
        match word.split_once('=') {
            Some(("@since", ago)) => starts_at = Millis(now.0 - millis(ago).as_millis() as i64),
            Some(("@until", ahead)) => ends_at = Some(now + millis(ahead)),
            Some(("@count", number)) => count = Some(number.parse::<usize>().expect("a number")),
            Some((name, value)) if name.starts_with('@') => annotations.push((name[1..].to_owned(), value.to_owned())),
            Some((name, value)) => labels.push((name.to_owned(), value.to_owned())),
            None => labels.push(("alertname".to_owned(), (*word).to_owned())),
        }
    }
    let one = |labels: Labels| Alert {
        labels,
        annotations: Labels::new(annotations.clone()),
        starts_at,
        ends_at,
        value: 1.0,
        generator_url: "http://agent/graph".into(),
    };
    let base = Labels::new(labels);
    match count {
        None => vec![one(base)],
        Some(count) => {
            (0..count).map(|n| one(base.with("n", n.to_string()).with("tens", (n / 10).to_string()))).collect()
        }
    }
}

fn transition(alert: Alert) -> Transition {
    if alert.ends_at.is_some_and(|end| end <= Millis::now()) {
        Transition::Resolved(alert)
    } else {
        Transition::Firing(alert)
    }
}

fn as_posted(alert: &Alert) -> Value {
    let pairs =
        |labels: &Labels| Value::Object(labels.iter().map(|(name, value)| (name.into(), value.into())).collect());
    let mut posted = json!({
        "labels": pairs(&alert.labels),
        "annotations": pairs(&alert.annotations),
        "startsAt": alert.starts_at.to_rfc3339(),
        "generatorURL": alert.generator_url,
    });
    if let Some(end) = alert.ends_at {
        posted["endsAt"] = end.to_rfc3339().into();
    }
    posted
}
