//! The same alerts and the same `alertmanager.yml` for a real Alertmanager 0.33 and for the agent's notifier, both posting
//! to one recorder: the same messages to the same receivers in the same order, each within one interval of the other.
//!
//! Both are fed by API v2. Each scenario is a configuration and a timeline with intervals of a second or two. Steps stand half-way between flushes,
//! so that both see the same. On a machine that stands still for half a second even that goes wrong, so a scenario that
//! differs is played again: what really differs, differs each time.

mod chance;
mod play;
mod scenarios;

use std::fmt::Write as _;
use std::sync::Mutex;

use play::{Played, play};
use scenarios::{Scenario, scripted};

/// A scenario is played so often until it is believed to differ.
const TRIES: usize = 3;
/// Played at once: each is two processes that mostly wait.
const AT_ONCE: usize = 6;

#[test]
fn alertmanager_and_the_agent_tell_the_same() {
    judge_all(scripted());
}

/// `SIDEWATCH_DIFFERENTIAL_COUNT` and `_SEED` play more, and others.
#[test]
fn alertmanager_and_the_agent_tell_the_same_by_chance() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SIDEWATCH_DIFFERENTIAL_SEED").unwrap_or(1);
    let count = number("SIDEWATCH_DIFFERENTIAL_COUNT").map_or(12, |count| count.min(500));
    judge_all((seed..seed + count).map(chance::scenario).collect());
}

fn judge_all(scenarios: Vec<Scenario>) {
    let waiting = Mutex::new(scenarios);
    let next = || waiting.lock().expect("no holder panics").pop();
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(scenario) = next() {
                    complaints.lock().expect("no holder panics").extend(judge(&scenario));
                }
            });
        }
    });
    let complaints = complaints.into_inner().expect("no holder panics");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// What is wrong with a scenario.
fn judge(scenario: &Scenario) -> Option<String> {
    let mut last = None;
    for _ in 0..TRIES {
        let played = play(scenario);
        let differs = difference(scenario, &played);
        match (&differs, scenario.wanted) {
            (None, None) | (Some(_), Some(_)) => return None,
            (Some(what), None) => last = Some(format!("{what}\n{}", show(&played))),
            (None, Some(why)) => {
                last = Some(format!("no difference any more; wanted was: {why}\n{}", show(&played)));
            }
        }
    }
    last.map(|what| format!("== {}: {what}\n{}\n{}", scenario.name, scenario.config, scenario.steps))
}

/// The first difference between what both told.
fn difference(scenario: &Scenario, played: &Played) -> Option<String> {
    let receivers = played.receivers();
    receivers.iter().find_map(|receiver| {
        let (theirs, ours) = (played.alertmanager(receiver), played.agent(receiver));
        for (at, (their, our)) in theirs.iter().zip(&ours).enumerate() {
            if their.body != our.body {
                return Some(format!(
                    "{receiver}, message {at}:\nAlertmanager {}\nthe agent    {}",
                    their.body, our.body
                ));
            }
            if their.at.abs_diff(our.at) > scenario.interval {
                return Some(format!("{receiver}, message {at}: {:?} and {:?} after the start", their.at, our.at));
            }
        }
        let (theirs, ours) = (theirs.len(), ours.len());
        (theirs != ours).then(|| format!("{receiver}: {theirs} messages of Alertmanager, {ours} of the agent"))
    })
}

fn show(played: &Played) -> String {
    let mut text = String::new();
    for receiver in played.receivers() {
        for (who, messages) in [("AM", played.alertmanager(&receiver)), ("SW", played.agent(&receiver))] {
            for message in messages {
                let body = &message.body;
                let alerts =
                    body["alerts"].as_array().into_iter().flatten().map(|alert| {
                        format!("{}{}", if alert["status"] == "firing" { "+" } else { "-" }, alert["labels"])
                    });
                let _ = writeln!(
                    text,
                    "{who} {:>5} ms {receiver} {} {} {}",
                    message.at.as_millis(),
                    body["groupKey"],
                    body["notification_reason"],
                    alerts.collect::<Vec<_>>().join(" ")
                );
            }
        }
    }
    text
}
